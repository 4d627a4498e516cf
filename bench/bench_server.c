/* Requests and tokens per second of a served model, by the number of clients.
 *
 *     bench_server [model=FOLDER] [seconds=3] [slots=64] [threads=1] [n=1] [words=0] [tokens=200]
 *                 [busy=0]
 *
 * The server runs in this process and so do the clients: each sends its next request on the same
 * connection as soon as it has its answer. Prints one line of JSON for 1, 8 and 64 clients, with the
 * processor time of a request: that of the clients is in it, but it does not depend on who else
 * uses the machine, as long as nobody waits by spinning.
 *
 * n: samples of each prompt. words: this many more in each prompt. tokens: the longest answer. busy: processes beside this one
 * that do nothing but use a processor each.
 */
#include <curl/curl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "worker/serve/server.h"

#define CLIENTS_MAX 64
#define WORDS_MAX   1000
#define BODY_BYTES  (512 + 8 * WORDS_MAX)

typedef struct setup {
    const char *model;
    uint64_t seconds, slots, threads, n, words, tokens, busy;
} setup;

typedef struct client {
    CURL *easy;
    char body[BODY_BYTES];
    rt_buf answer;
    uint64_t n_asked;
} client;

static size_t keep(char *bytes, size_t size, size_t n, void *context)
{
    return rt_buf_add(context, bytes, size * n, NULL) == RT_OK ? size * n : 0;
}

/* A question of its own each time, so that lengths differ. */
static void ask(CURLM *all, const setup *s, client *c, size_t i)
{
    static const char word[] = "indeed ";
    char more[sizeof word * WORDS_MAX + 1] = "";
    for (size_t k = 0; k < s->words; k++) memcpy(more + k * (sizeof word - 1), word, sizeof word);
    snprintf(c->body, sizeof c->body,
             "{\"n\":%" PRIu64
             ",\"messages\":[{\"role\":\"user\",\"content\":\"%sNina fills %zu trays "
             "with %zu shells each. She finds %zu more. How many shells does Nina have now?\"}]}",
             s->n, more, 2 + i % 7, 3 + (size_t)c->n_asked % 6, 1 + (i + (size_t)c->n_asked) % 30);
    c->n_asked++;
    rt_buf_clear(&c->answer);
    curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, c->body);
    curl_multi_add_handle(all, c->easy);
}

static uint64_t completion_tokens(const rt_buf *answer)
{
    static const char key[] = "\"completion_tokens\":";
    const char *at = answer->n > 0 ? strstr(answer->data, key) : NULL;
    return at != NULL ? strtoull(at + sizeof key - 1, NULL, 10) : 0;
}

/* Processor time of this process so far, in seconds. */
static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static bool run(const char *url, const setup *s, size_t n)
{
    static client clients[CLIENTS_MAX];
    CURLM *all = curl_multi_init();
    uint64_t n_requests = 0, n_tokens = 0, n_failed = 0;
    double start = rt_clock_mono_s(), end = start + (double)s->seconds, cpu_before_s = cpu_s();
    size_t n_waiting = n;
    for (size_t i = 0; i < n; i++) {
        clients[i] = (client){.easy = curl_easy_init()};
        curl_easy_setopt(clients[i].easy, CURLOPT_URL, url);
        curl_easy_setopt(clients[i].easy, CURLOPT_WRITEFUNCTION, keep);
        curl_easy_setopt(clients[i].easy, CURLOPT_WRITEDATA, &clients[i].answer);
        curl_easy_setopt(clients[i].easy, CURLOPT_PRIVATE, &clients[i]);
        ask(all, s, &clients[i], i);
    }
    while (n_waiting > 0) {
        CURLMsg *message;
        int n_running = 0, n_left;
        curl_multi_perform(all, &n_running);
        while ((message = curl_multi_info_read(all, &n_left)) != NULL) {
            client *c = NULL;
            long code = 0;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &c);
            curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &code);
            curl_multi_remove_handle(all, c->easy);
            n_failed += code != 200;
            n_requests++;
            n_tokens += completion_tokens(&c->answer);
            if (rt_clock_mono_s() < end)
                ask(all, s, c, (size_t)(c - clients));
            else
                n_waiting--;
        }
        curl_multi_perform(all, &n_running);
        if (n_running > 0) curl_multi_poll(all, NULL, 0, 10, NULL);
    }
    double took = rt_clock_mono_s() - start;
    printf("{\"bench\":\"server\",\"clients\":%zu,\"threads\":%" PRIu64 ",\"slots\":%" PRIu64
           ",\"requests_s\":%.1f,\"tok_s\":%.0f,\"cpu_ms_request\":%.2f,\"failed\":%" PRIu64 "}\n",
           n, s->threads, s->slots, (double)n_requests / took, (double)n_tokens / took,
           1000 * (cpu_s() - cpu_before_s) / (double)n_requests, n_failed);
    fflush(stdout);
    for (size_t i = 0; i < n; i++) {
        curl_easy_cleanup(clients[i].easy);
        rt_buf_free(&clients[i].answer);
    }
    curl_multi_cleanup(all);
    return n_failed == 0;
}

static bool read_argument(setup *s, const char *text)
{
    const struct {
        const char *name;
        uint64_t *value;
    } numbers[] = {{"seconds=", &s->seconds}, {"slots=", &s->slots},
                   {"threads=", &s->threads}, {"n=", &s->n},
                   {"words=", &s->words},     {"tokens=", &s->tokens},
                   {"busy=", &s->busy}};
    if (strncmp(text, "model=", 6) == 0) {
        s->model = text + 6;
        return true;
    }
    for (size_t i = 0; i < RT_COUNT(numbers); i++)
        if (strncmp(text, numbers[i].name, strlen(numbers[i].name)) == 0)
            return rt_parse_u64(text + strlen(numbers[i].name), numbers[i].value);
    return false;
}

/* Processes that use a processor each until this one ends. */
static void start_busy(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        pid_t parent = getpid();
        if (fork() != 0) continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (volatile uint64_t k = 0; getppid() == parent || k % 1024 != 0; k++) continue;
        _exit(0);
    }
}

int main(int argc, char **argv)
{
    static const size_t n_clients[] = {1, 8, CLIENTS_MAX};
    setup s = {.model = "examples/arithmetic/teacher",
               .seconds = 3,
               .slots = CLIENTS_MAX,
               .threads = 1,
               .n = 1,
               .tokens = 200};
    rt_error err = {0};
    server *served = NULL;
    char url[256];
    bool ok = true;
    for (int i = 1; i < argc; i++)
        if (!read_argument(&s, argv[i])) {
            fprintf(
                stderr,
                "bench_server: %s? model=FOLDER seconds=N slots=N threads=N n=N words=N tokens=N busy=N\n",
                argv[i]);
            return 2;
        }
    s.words = RT_MIN(s.words, (uint64_t)WORDS_MAX);
    start_busy(s.busy);
    server_settings how = {.model = s.model,
                           .bind = "127.0.0.1",
                           .n_slots = s.slots,
                           .n_waiting_max = 1000,
                           .n_tokens_max = s.tokens,
                           .n_body_bytes_max = 1 << 20,
                           .n_threads = s.threads,
                           .timeout_ms = 60000};
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (server_open(&how, &served, &err) != RT_OK) {
        fprintf(stderr, "bench_server: %s\n", err.text);
        return 1;
    }
    snprintf(url, sizeof url, "%s/v1/chat/completions", server_address(served));
    for (size_t i = 0; i < RT_COUNT(n_clients); i++) ok = run(url, &s, n_clients[i]) && ok;
    server_close(served);
    curl_global_cleanup();
    return ok ? 0 : 1;
}
