/* A daemon on a free port, asked over a real connection. */
#include "common/http_server/http_daemon.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"

static enum MHD_Result say_hello(void *context, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *n_upload, void **state)
{
    (void)url, (void)method, (void)version, (void)upload, (void)n_upload;
    *state = context;
    struct MHD_Response *r =
        MHD_create_response_from_buffer(5, (void *)(uintptr_t) "hello", MHD_RESPMEM_PERSISTENT);
    enum MHD_Result done = MHD_queue_response(connection, MHD_HTTP_OK, r);
    MHD_destroy_response(r);
    return done;
}

static void count(void *context, struct MHD_Connection *connection, void **state,
                  enum MHD_RequestTerminationCode reason)
{
    (void)connection, (void)reason;
    if (*state == context) atomic_fetch_add((atomic_int *)context, 1);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
}

static http_daemon_settings settings_of(const void *socket, atomic_int *n)
{
    return (http_daemon_settings){.socket = socket,
                                  .flags = MHD_USE_INTERNAL_POLLING_THREAD,
                                  .handle = say_hello,
                                  .completed = count,
                                  .context = n,
                                  .connections_max = 4,
                                  .timeout_s = 5,
                                  .backlog = 8};
}

static size_t keep(char *bytes, size_t size, size_t n, void *context)
{
    return rt_buf_add(context, bytes, size * n, NULL) == RT_OK ? size * n : 0;
}

/* The answer's bytes; the caller frees. */
static char *ask(const char *address)
{
    rt_buf answer = {0};
    char url[HTTP_ADDRESS_SIZE + 16];
    CURL *easy = curl_easy_init();
    snprintf(url, sizeof url, "http://%s/", address);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer);
    CURLcode code = curl_easy_perform(easy);
    curl_easy_cleanup(easy);
    cr_assert_eq(code, CURLE_OK, "%s: %s", url, curl_easy_strerror(code));
    cr_assert_not_null(answer.data);
    return answer.data;
}

Test(http_daemon, answers_at_the_address_that_it_names)
{
    atomic_int n = 0;
    struct sockaddr_in any = loopback(0);
    http_daemon_settings how = settings_of(&any, &n);
    struct MHD_Daemon *daemon = NULL;
    char address[HTTP_ADDRESS_SIZE];
    rt_error err = {0};
    cr_assert_eq(http_daemon_start(&how, &daemon, address, &err), RT_OK, "%s", err.text);
    cr_expect_eq(strncmp(address, "127.0.0.1:", 10), 0);
    cr_expect_str_neq(address, "127.0.0.1:0");
    char *answer = ask(address);
    cr_expect_str_eq(answer, "hello");
    free(answer);
    MHD_stop_daemon(daemon);
    cr_expect_eq(atomic_load(&n), 1, "the end of a request is told");
}

Test(http_daemon, an_ipv6_address_stands_in_brackets)
{
    atomic_int n = 0;
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    http_daemon_settings how = settings_of(&any, &n);
    struct MHD_Daemon *daemon = NULL;
    char address[HTTP_ADDRESS_SIZE];
    rt_error err = {0};
    if (http_daemon_start(&how, &daemon, address, &err) != RT_OK)
        cr_skip_test("no IPv6 here: %s", err.text);
    cr_expect_eq(strncmp(address, "[::1]:", 6), 0, "%s", address);
    char *answer = ask(address);
    cr_expect_str_eq(answer, "hello");
    free(answer);
    MHD_stop_daemon(daemon);
}

Test(http_daemon, an_address_in_use_is_refused_by_name)
{
    atomic_int n = 0;
    struct sockaddr_in any = loopback(0);
    http_daemon_settings how = settings_of(&any, &n);
    struct MHD_Daemon *first = NULL, *second = NULL;
    char address[HTTP_ADDRESS_SIZE], other[HTTP_ADDRESS_SIZE] = "untouched";
    rt_error err = {0};
    cr_assert_eq(http_daemon_start(&how, &first, address, &err), RT_OK, "%s", err.text);
    struct sockaddr_in taken = loopback((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
    how.socket = (const struct sockaddr *)&taken;
    cr_expect_eq(http_daemon_start(&how, &second, other, &err), RT_EXISTS);
    cr_expect_null(second);
    cr_expect_str_eq(other, "untouched");
    cr_expect_not_null(strstr(err.text, "in use"), "%s", err.text);
    MHD_stop_daemon(first);
}
