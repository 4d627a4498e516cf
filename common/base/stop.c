#include "common/base/stop.h"

#include <signal.h>
#include <string.h>

/* A signal handler can reach nothing else. */
static volatile sig_atomic_t stop_count = 0;

static void on_signal(int number)
{
    (void)number;
    if (stop_count < RT_STOP_NOW) stop_count = stop_count + 1;
}

void rt_stop_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

rt_stop rt_stop_requested(void)
{
    return (rt_stop)stop_count;
}

void rt_stop_request(void)
{
    on_signal(0);
}
