#include "common/net/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

bool net_address_is_ipc(const char *endpoint)
{
    return starts_with(endpoint, "ipc://");
}

/* Host of tcp://HOST:PORT without brackets; false when there is none. */
static bool tcp_host(const char *endpoint, char *host, size_t n_host)
{
    if (!starts_with(endpoint, "tcp://")) return false;
    const char *first = endpoint + 6, *colon = strrchr(first, ':');
    if (colon == NULL || colon == first || colon[1] == '\0') return false;
    size_t n = (size_t)(colon - first);
    if (n >= 2 && first[0] == '[' && first[n - 1] == ']') {
        first++;
        n -= 2;
    }
    if (n == 0 || n >= n_host) return false;
    memcpy(host, first, n);
    host[n] = '\0';
    return true;
}

bool net_is_local(const char *endpoint)
{
    char host[256];
    struct in_addr v4;
    struct in6_addr v6;
    if (net_address_is_ipc(endpoint) || starts_with(endpoint, "inproc://")) return true;
    if (!tcp_host(endpoint, host, sizeof host)) return false;
    if (strcmp(host, "localhost") == 0) return true;
    if (inet_pton(AF_INET, host, &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
    return false;
}

/* A number up to 65535, or * for any free one. */
static bool good_port(const char *port)
{
    uint64_t n = 0;
    return strcmp(port, "*") == 0 || (rt_parse_u64(port, &n) && n <= 65535);
}

rt_status net_address_parse(const char *endpoint, char out[NET_ENDPOINT_SIZE], bool *ipv6,
                            rt_error *err)
{
    char host[256];
    struct in_addr v4;
    const char *fixed = endpoint;
    char local[NET_ENDPOINT_SIZE];
    bool is_tcp = tcp_host(endpoint, host, sizeof host);
    if (!is_tcp && (!net_address_is_ipc(endpoint) || endpoint[6] == '\0'))
        return rt_fail(err, RT_INVALID,
                       "endpoint '%s': expected tcp://HOST:PORT or ipc://PATH, such as "
                       "tcp://127.0.0.1:7100",
                       endpoint);
    if (is_tcp && !good_port(strrchr(endpoint, ':') + 1))
        return rt_fail(err, RT_INVALID, "endpoint '%s': port '%s' is not 0 to 65535 or *", endpoint,
                       strrchr(endpoint, ':') + 1);
    if (is_tcp && strcmp(host, "localhost") == 0) {
        snprintf(local, sizeof local, "tcp://127.0.0.1%s", strrchr(endpoint, ':'));
        fixed = local;
        snprintf(host, sizeof host, "127.0.0.1");
    }
    if (strlen(fixed) >= NET_ENDPOINT_SIZE)
        return rt_fail(err, RT_INVALID, "endpoint '%.64s...': longer than %d bytes", fixed,
                       NET_ENDPOINT_SIZE - 1);
    memcpy(out, fixed, strlen(fixed) + 1);
    *ipv6 = is_tcp && inet_pton(AF_INET, host, &v4) != 1;
    return RT_OK;
}

bool net_ipc_in_use(const char *endpoint)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = endpoint + 6;
    if (strlen(path) >= sizeof address.sun_path) return false;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    bool in_use = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return in_use;
}
