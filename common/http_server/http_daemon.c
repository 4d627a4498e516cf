#include "common/http_server/http_daemon.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"

static void to_our_log(void *context, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));
static void to_our_log(void *context, const char *fmt, va_list args)
{
    char text[256];
    (void)context;
    vsnprintf(text, sizeof text, fmt, args);
    text[strcspn(text, "\n")] = '\0';
    rt_log_debug("http", "%s", text);
}

/* The port is the one that was bound, not the one that was wanted. */
static void name_address(struct MHD_Daemon *daemon, const struct sockaddr *socket,
                         char address[HTTP_ADDRESS_SIZE])
{
    char host[64] = "";
    bool is_ipv6 = socket->sa_family == AF_INET6;
    socklen_t n = is_ipv6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    getnameinfo(socket, n, host, sizeof host, NULL, 0, NI_NUMERICHOST);
    snprintf(address, HTTP_ADDRESS_SIZE, is_ipv6 ? "[%s]:%u" : "%s:%u", host,
             info != NULL ? info->port : 0u);
}

rt_status http_daemon_start(const http_daemon_settings *how, struct MHD_Daemon **out,
                            char address[HTTP_ADDRESS_SIZE], rt_error *err)
{
    sigset_t blocked, before;
    unsigned flags = how->flags | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem more[4];
    size_t n = 0;
    if (how->socket->sa_family == AF_INET6) flags |= MHD_USE_IPv6;
    if (how->completed != NULL)
        more[n++] = (struct MHD_OptionItem){MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)how->completed,
                                            how->context};
    if (how->backlog > 0)
        more[n++] = (struct MHD_OptionItem){MHD_OPTION_LISTEN_BACKLOG_SIZE, how->backlog, NULL};
    if (how->per_address_max > 0)
        more[n++] =
            (struct MHD_OptionItem){MHD_OPTION_PER_IP_CONNECTION_LIMIT, how->per_address_max, NULL};
    more[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    sigfillset(&blocked); /* signals are the main thread's, and the new one inherits this */
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, how->handle, how->context, MHD_OPTION_EXTERNAL_LOGGER, to_our_log,
        NULL, MHD_OPTION_SOCK_ADDR, how->socket, MHD_OPTION_CONNECTION_LIMIT, how->connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT, how->timeout_s, MHD_OPTION_ARRAY, more, MHD_OPTION_END);
    int code = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (daemon == NULL)
        return rt_fail(err, code == EADDRINUSE ? RT_EXISTS : RT_IO, "listen: %s", strerror(code));
    name_address(daemon, how->socket, address);
    *out = daemon;
    return RT_OK;
}
