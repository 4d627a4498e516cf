/* Signals are taken by a thread of their own:
 *
 *     SIGINT, SIGTERM ──► blocked in all threads ──► one that waits for them: counts, and then
 *                                                        │ SIGURG, to the main thread alone
 *                                                        ▼
 *                                   a handler that does nothing, on a stack of its own:
 *                                   its use is that it ends the system call of the moment
 *
 * A handler that the kernel may start in any thread at any time is not safe here. oneDNN's float32 products
 * keep the stack pointer in a block of the heap while they run, so the kernel writes the frame of a
 * handler, some 4 KB, over what lies before that block. The threads of OpenMP are made by its library
 * whenever it likes, with the mask of the thread that asked: they block both signals from the start,
 * because the main thread does. Checked by: tests/unit/nn/test_stop_in_product.c
 */
#include "common/base/stop.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define WAKE_SIGNAL      SIGURG /* ignored where nobody handles it, and used for nothing else */
#define WAKE_STACK_BYTES (64u << 10) /* a frame with AMX takes 11 KB */

/* Signals belong to the process, and so does what they ask for. */
static atomic_int stop_count = 0;
static _Alignas(64) char wake_stack[WAKE_STACK_BYTES];

static sigset_t stop_signals(void)
{
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    return stops;
}

static void on_wake(int number)
{
    (void)number;
}

/* Where there is no thread for it. */
static void on_stop(int number)
{
    (void)number;
    rt_stop_request();
}

static void *take_signals(void *context)
{
    const pthread_t *main_thread = context;
    sigset_t stops = stop_signals();
    for (;;) {
        int number = 0;
        if (sigwait(&stops, &number) != 0) continue;
        rt_stop_request();
        pthread_kill(*main_thread, WAKE_SIGNAL);
    }
    return NULL;
}

static bool start_thread(void)
{
    static pthread_t main_thread;
    pthread_t thread;
    pthread_attr_t attributes;
    main_thread = pthread_self();
    if (pthread_attr_init(&attributes) != 0) return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    bool started = pthread_create(&thread, &attributes, take_signals, &main_thread) == 0;
    pthread_attr_destroy(&attributes);
    return started;
}

/* For the handlers of the calling thread, unless a sanitizer has given it one. */
static void use_wake_stack(void)
{
    stack_t now, ours = {.ss_sp = wake_stack, .ss_size = sizeof wake_stack};
    if (sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_DISABLE) == 0) return;
    (void)sigaltstack(&ours, NULL);
}

static void handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void rt_stop_install(void)
{
    sigset_t stops = stop_signals();
    use_wake_stack();
    handle(WAKE_SIGNAL, on_wake, SA_ONSTACK);
    handle(SIGPIPE, SIG_IGN, 0);
    pthread_sigmask(SIG_BLOCK, &stops, NULL);
    if (start_thread()) return;
    handle(SIGINT, on_stop, SA_ONSTACK);
    handle(SIGTERM, on_stop, SA_ONSTACK);
    pthread_sigmask(SIG_UNBLOCK, &stops, NULL);
}

void rt_stop_uninstall(void)
{
    sigset_t none;
    handle(SIGINT, SIG_DFL, 0);
    handle(SIGTERM, SIG_DFL, 0);
    handle(SIGPIPE, SIG_DFL, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

rt_stop rt_stop_requested(void)
{
    return (rt_stop)atomic_load(&stop_count);
}

void rt_stop_request(void)
{
    int n = atomic_load(&stop_count);
    while (n < RT_STOP_NOW && !atomic_compare_exchange_weak(&stop_count, &n, n + 1)) continue;
}
