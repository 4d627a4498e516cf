#include "common/base/stop.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

TestSuite(stop, .timeout = 30);

static void wait_for(rt_stop wanted)
{
    for (int i = 0; i < 1000 && rt_stop_requested() != wanted; i++) poll(NULL, 0, 5);
    cr_assert_eq(rt_stop_requested(), wanted);
}

static void *kill_soon(void *context)
{
    const struct timespec soon = {0, 100000000};
    (void)context;
    nanosleep(&soon, NULL);
    kill(getpid(), SIGTERM);
    return NULL;
}

Test(stop, a_signal_asks_to_drain_and_a_second_one_to_leave)
{
    rt_stop_install();
    cr_assert_eq(rt_stop_requested(), RT_STOP_NONE);
    kill(getpid(), SIGTERM);
    wait_for(RT_STOP_DRAIN);
    kill(getpid(), SIGINT);
    wait_for(RT_STOP_NOW);
    kill(getpid(), SIGTERM);
    poll(NULL, 0, 50);
    cr_expect_eq(rt_stop_requested(), RT_STOP_NOW);
}

Test(stop, a_signal_ends_the_main_threads_system_call)
{
    pthread_t thread;
    rt_stop_install();
    cr_assert_eq(pthread_create(&thread, NULL, kill_soon, NULL), 0);
    errno = 0;
    cr_expect_eq(poll(NULL, 0, 20000), -1);
    cr_expect_eq(errno, EINTR);
    cr_expect_eq(rt_stop_requested(), RT_STOP_DRAIN, "the request is there when the call ends");
    pthread_join(thread, NULL);
}

static void *look_at_mask(void *context)
{
    sigset_t *out = context;
    pthread_sigmask(SIG_SETMASK, NULL, out);
    return NULL;
}

Test(stop, no_later_thread_can_be_interrupted)
{
    sigset_t mask;
    pthread_t thread;
    rt_stop_install();
    cr_assert_eq(pthread_create(&thread, NULL, look_at_mask, &mask), 0);
    pthread_join(thread, NULL);
    cr_expect(sigismember(&mask, SIGINT));
    cr_expect(sigismember(&mask, SIGTERM));
}

Test(stop, a_child_finds_signals_as_it_expects_them)
{
    int status = 0;
    rt_stop_install();
    pid_t pid = fork();
    if (pid == 0) {
        rt_stop_uninstall();
        for (;;) pause();
    }
    cr_assert_gt(pid, 0);
    poll(NULL, 0, 50);
    kill(pid, SIGTERM);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}
