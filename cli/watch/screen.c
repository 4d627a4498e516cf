#include "cli/watch/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "common/base/fs.h"

/* Alternate screen, cursor off, no wrapping at the right edge; and back. */
#define ENTER "\033[?1049h\033[?25l\033[?7l\033[2J"
#define LEAVE "\033[?7h\033[?25h\033[0m\033[?1049l"

struct screen {
    int in, out, signals; /* in < 0: no keys */
    sigset_t before;
    rt_buf frame;
};

/* What a crash needs to give the terminal back; it has nobody to ask. */
static struct {
    volatile sig_atomic_t is_on;
    int in, out;
    struct termios cooked;
    bool has_keys;
} terminal;

static const int waited_for[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP};
static const int crashes[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

/* Safe in a signal handler. */
static void give_back(void)
{
    if (!terminal.is_on) return;
    terminal.is_on = 0;
    if (write(terminal.out, LEAVE, sizeof LEAVE - 1) < 0) return; /* gone: nothing to restore */
    if (terminal.has_keys) tcsetattr(terminal.in, TCSAFLUSH, &terminal.cooked);
}

static void on_crash(int signal_number)
{
    give_back();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static rt_status take(screen *s, rt_error *err)
{
    if (terminal.has_keys) {
        struct termios raw = terminal.cooked;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        if (tcsetattr(s->in, TCSAFLUSH, &raw) != 0)
            return rt_fail(err, RT_IO, "terminal: %s", strerror(errno));
    }
    terminal.is_on = 1;
    return rt_fs_write_all(s->out, ENTER, sizeof ENTER - 1, "terminal", err);
}

static rt_status open_signals(screen *s, rt_error *err)
{
    sigset_t wanted;
    sigemptyset(&wanted);
    for (size_t i = 0; i < RT_COUNT(waited_for); i++) sigaddset(&wanted, waited_for[i]);
    if (pthread_sigmask(SIG_BLOCK, &wanted, &s->before) != 0 ||
        (s->signals = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        return rt_fail(err, RT_IO, "signals: %s", strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < RT_COUNT(crashes); i++) signal(crashes[i], on_crash);
    return RT_OK;
}

rt_status screen_open(int in, int out, screen **result, rt_error *err)
{
    struct termios ignored;
    if (tcgetattr(out, &ignored) != 0)
        return rt_fail(err, RT_IO, "standard output is no terminal: %s", strerror(errno));
    screen *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "screen");
    *s = (screen){.in = in, .out = out, .signals = -1};
    terminal.in = in;
    terminal.out = out;
    terminal.has_keys = tcgetattr(in, &terminal.cooked) == 0;
    if (!terminal.has_keys) s->in = -1;
    rt_status st = open_signals(s, err);
    if (st == RT_OK) st = take(s, err);
    if (st != RT_OK) {
        screen_close(s);
        return st;
    }
    *result = s;
    return RT_OK;
}

void screen_close(screen *s)
{
    if (s == NULL) return;
    give_back();
    for (size_t i = 0; i < RT_COUNT(crashes); i++) signal(crashes[i], SIG_DFL);
    if (s->signals >= 0) {
        struct signalfd_siginfo info;
        while (read(s->signals, &info, sizeof info) == sizeof info)
            continue; /* they were meant for us */
        close(s->signals);
        pthread_sigmask(SIG_SETMASK, &s->before, NULL);
    }
    rt_buf_free(&s->frame);
    free(s);
}

void screen_size(const screen *s, unsigned *columns, unsigned *rows)
{
    struct winsize size = {0};
    bool known = ioctl(s->out, TIOCGWINSZ, &size) == 0;
    *columns = known && size.ws_col > 0 ? size.ws_col : 80;
    *rows = known && size.ws_row > 0 ? size.ws_row : 24;
}

/* All in one write, so that nothing flickers. A line is cleared before it is written: after its last
 * column the cursor still stands on it. */
rt_status screen_show(screen *s, const rt_buf *text, rt_error *err)
{
    rt_buf_clear(&s->frame);
    rt_status st = rt_buf_add_text(&s->frame, "\033[H", err);
    for (size_t at = 0; st == RT_OK && at <= text->n;) {
        size_t n = strcspn(text->data + at, "\n");
        bool last = text->data[at + n] == '\0';
        st = rt_buf_add_text(&s->frame, last ? "\033[J" : "\033[K", err);
        if (st == RT_OK) st = rt_buf_add(&s->frame, text->data + at, n, err);
        if (st == RT_OK && !last) st = rt_buf_add_text(&s->frame, "\r\n", err);
        if (last) break;
        at += n + 1;
    }
    if (st != RT_OK) return st;
    return rt_fs_write_all(s->out, s->frame.data, s->frame.n, "terminal", err);
}

/* Ctrl-Z: give the terminal to the shell, stop, and take it again when we go on. */
static screen_event go_away(screen *s)
{
    rt_error ignored = {0};
    give_back();
    kill(getpid(), SIGSTOP);
    return take(s, &ignored) == RT_OK ? SCREEN_SIZE : SCREEN_STOP;
}

static screen_event take_signal(screen *s)
{
    struct signalfd_siginfo info;
    if (read(s->signals, &info, sizeof info) != sizeof info) return SCREEN_TIME;
    switch (info.ssi_signo) {
    case SIGINT: return SCREEN_QUIT;
    case SIGWINCH: return SCREEN_SIZE;
    case SIGTSTP: return go_away(s);
    default: return SCREEN_STOP;
    }
}

static screen_event take_key(screen *s)
{
    char keys[64];
    ssize_t n = read(s->in, keys, sizeof keys);
    if (n <= 0) return n < 0 && (errno == EINTR || errno == EAGAIN) ? SCREEN_TIME : SCREEN_STOP;
    for (ssize_t i = 0; i < n; i++)
        if (keys[i] == 'q' || keys[i] == 'Q') return SCREEN_QUIT;
    return SCREEN_TIME;
}

screen_event screen_wait(screen *s, int timeout_ms)
{
    struct pollfd fds[] = {{.fd = s->signals, .events = POLLIN}, {.fd = s->in, .events = POLLIN}};
    int n = poll(fds, RT_COUNT(fds), timeout_ms);
    if (n <= 0) return SCREEN_TIME;
    if (fds[0].revents != 0) return take_signal(s);
    return take_key(s);
}
