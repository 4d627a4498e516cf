#include "cli/launch/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/stop.h"

#define CODE_CANNOT_RUN 127

static void redirect(const char *path, int flags, int to)
{
    int fd = open(path, flags | O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0) _exit(CODE_CANNOT_RUN);
    dup2(fd, to);
    close(fd);
}

/* In the child: only async-signal-safe calls until exec. */
static _Noreturn void become(const process_spec *spec, pid_t parent, int report)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(CODE_CANNOT_RUN); /* the launcher died in between */
    rt_stop_uninstall();
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing > STDIN_FILENO) {
        dup2(nothing, STDIN_FILENO);
        close(nothing);
    }
    if (spec->log_path != NULL) redirect(spec->log_path, O_APPEND, STDERR_FILENO);
    if (spec->output_path != NULL)
        redirect(spec->output_path, O_TRUNC, STDOUT_FILENO);
    else
        dup2(STDERR_FILENO, STDOUT_FILENO);
    if (spec->path != NULL)
        execv(spec->path, spec->argv);
    else
        execvp(spec->argv[0], spec->argv);
    int problem = errno;
    ssize_t n = write(report, &problem, sizeof problem);
    (void)n;
    _exit(CODE_CANNOT_RUN);
}

rt_status process_start(const process_spec *spec, pid_t *out, rt_error *err)
{
    int report[2]; /* stays silent and closes when exec succeeds */
    if (pipe2(report, O_CLOEXEC) != 0) return rt_fail(err, RT_IO, "pipe: %s", strerror(errno));
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        int problem = errno;
        close(report[0]);
        close(report[1]);
        return rt_fail(err, RT_IO, "start %s: %s", spec->argv[0], strerror(problem));
    }
    if (pid == 0) become(spec, parent, report[1]);
    close(report[1]);
    int problem = 0;
    ssize_t n;
    do {
        n = read(report[0], &problem, sizeof problem);
    } while (n < 0 && errno == EINTR);
    close(report[0]);
    if (n > 0) {
        waitpid(pid, NULL, 0);
        return rt_fail(err, problem == ENOENT ? RT_NOTFOUND : RT_IO, "start %s: %s", spec->argv[0],
                       strerror(problem));
    }
    *out = pid;
    return RT_OK;
}

bool process_reap(pid_t pid, process_exit *out)
{
    int status = 0;
    pid_t got = waitpid(pid, &status, WNOHANG);
    if (got == 0) return false;
    if (got < 0 && errno == EINTR) return false;
    *out = (process_exit){.code = CODE_CANNOT_RUN};
    if (got == pid && WIFEXITED(status)) out->code = WEXITSTATUS(status);
    if (got == pid && WIFSIGNALED(status)) {
        out->signal = WTERMSIG(status);
        out->code = 128 + out->signal;
    }
    return true;
}

bool process_wait(pid_t pid, uint64_t timeout_ms, process_exit *out)
{
    uint64_t deadline = rt_clock_mono_ms() + timeout_ms;
    while (!process_reap(pid, out)) {
        if (rt_clock_mono_ms() >= deadline) return false;
        rt_sleep_ms(10);
    }
    return true;
}

void process_signal(pid_t pid, int number)
{
    if (pid > 0) kill(pid, number);
}
