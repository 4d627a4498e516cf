#include "worker/serve/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

rt_status listen_address_parse(const char *address, uint64_t port, listen_address *out,
                               rt_error *err)
{
    char host[64];
    listen_address a = {0};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    size_t n = strlen(address);
    bool bracketed = n > 2 && address[0] == '[' && address[n - 1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(bracketed ? n - 2 : RT_MIN(n, sizeof host)),
             address + bracketed);
    if (strcmp(host, "localhost") == 0) snprintf(host, sizeof host, "127.0.0.1");
    if (port > UINT16_MAX) return rt_fail(err, RT_INVALID, "port %zu is too large", (size_t)port);
    if (!bracketed && inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        a.is_loopback = ntohl(v4.sin_addr.s_addr) >> 24 == 127;
        memcpy(&a.socket, &v4, sizeof v4);
    } else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        a.is_ipv6 = true;
        a.is_loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
        memcpy(&a.socket, &v6, sizeof v6);
    } else {
        return rt_fail(err, RT_INVALID, "--bind: found '%.60s', expected a numeric address",
                       address);
    }
    *out = a;
    return RT_OK;
}
