/* How many requests a second one core of the openai teacher can do, all of it counted: prompt to
 * body, HTTP, answer to text. A server in another process answers at once over loopback. Memory is
 * looked at after a tenth of the requests and at the end: it must not have grown.
 *
 *     bench_openai [n_requests=100000] [in_flight=64] [shard=1000]
 *
 * Prints one line of JSON.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "tests/support/fault_server.h"
#include "worker/teacher/backend.h"

static void answer_at_once(void *context, const fault_request *request, fault_reply *reply)
{
    (void)context, (void)request;
    rt_status st = rt_buf_add_text(
        &reply->body,
        "{\"id\":\"x\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"finish_reason\":"
        "\"stop\",\"message\":{\"role\":\"assistant\",\"content\":\"Each of the four trays holds "
        "six shells, so there are 4 * 6 = 24 of them. The answer is 24\"}}],\"usage\":{\"prompt_"
        "tokens\":210,\"completion_tokens\":32,\"total_tokens\":242}}",
        NULL);
    if (st != RT_OK) abort();
}

/* The server's process: says where it is, and ends with ours. */
static pid_t start_server(char *url, size_t n_url)
{
    int ends[2];
    if (pipe(ends) != 0) return -1;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        fault_server *s = fault_server_start(answer_at_once, NULL);
        const char *text = fault_server_url(s);
        if (write(ends[1], text, strlen(text) + 1) < 0) _exit(1);
        for (;;) pause();
    }
    ssize_t n = pid > 0 ? read(ends[0], url, n_url) : -1;
    close(ends[0]);
    close(ends[1]);
    return n > 0 ? pid : -1;
}

static double cpu_seconds(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

/* Pages of this process that are in memory. */
static size_t resident_kib(void)
{
    size_t n_all = 0, n_here = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%zu %zu", &n_all, &n_here) != 2) n_here = 0;
    if (f != NULL) fclose(f);
    return n_here * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static rt_status open_teacher(const char *url, uint64_t in_flight, config **c, backend **b,
                              rt_error *err)
{
    rt_buf yaml = {0};
    rt_status st = rt_buf_printf(
        &yaml, err,
        "corpus: {files: [x]}\nprompt: {instruction: \"Give a reason, then 'The answer is'.\"}\n"
        "teacher: {backend: openai, model: m, base_url: \"%s/v1\", in_flight_max: %zu}\n",
        url, (size_t)in_flight);
    if (st == RT_OK) st = config_parse("bench", yaml.data, yaml.n, NULL, c, err);
    if (st == RT_OK) st = backend_open(*c, b, err);
    rt_buf_free(&yaml);
    return st;
}

static rt_status ask_shard(backend *b, backend_request *requests, backend_answer *answers,
                           size_t first, size_t n, rt_error *err)
{
    static const char prompt[] =
        "Give a reason, then 'The answer is'.\n\n"
        "Q: Ben packs 3 boxes with 5 pens each. How many pens are there?\nA: Three boxes of five "
        "pens are 3 * 5 = 15 pens. The answer is 15\n\nQ: Nina fills 4 trays with 6 shells each. "
        "How many shells are on the trays?\nA:";
    backend_sampling sampling = {.top_p = 1, .seed = 1};
    for (size_t i = 0; i < n; i++)
        requests[i] = (backend_request){.record_id = {.low = first + i},
                                        .input = "",
                                        .source_id = "",
                                        .prompt = prompt,
                                        .n_prompt = sizeof prompt - 1};
    rt_status st = backend_complete(b, requests, n, &sampling, answers, err);
    if (st != RT_OK) return st;
    for (size_t i = 0; i < n && st == RT_OK; i++)
        if (answers[i].reason != NULL)
            st = rt_fail(err, RT_CORRUPT, "a row came back as %s", answers[i].reason);
    backend_answers_free(answers, n);
    return st;
}

static rt_status measure(const char *url, uint64_t n, uint64_t in_flight, uint64_t n_shard,
                         rt_error *err)
{
    config *c = NULL;
    backend *b = NULL;
    size_t kib_early = 0;
    backend_request *requests = rt_calloc(n_shard, sizeof *requests);
    backend_answer *answers = rt_calloc(n_shard, sizeof *answers);
    rt_status st = requests == NULL || answers == NULL ? rt_fail(err, RT_NOMEM, "shard") : RT_OK;
    if (st == RT_OK) st = open_teacher(url, in_flight, &c, &b, err);
    double start_s = rt_clock_mono_s(), start_cpu_s = cpu_seconds();
    for (uint64_t i = 0; i < n && st == RT_OK; i += n_shard) {
        st = ask_shard(b, requests, answers, i, RT_MIN(n_shard, n - i), err);
        if (kib_early == 0 && i >= n / 10) kib_early = resident_kib();
    }
    double took_s = rt_clock_mono_s() - start_s, took_cpu_s = cpu_seconds() - start_cpu_s;
    if (st == RT_OK)
        printf("{\"bench\":\"openai\",\"requests\":%zu,\"in_flight_max\":%zu,\"seconds\":%.2f,"
               "\"cpu_seconds\":%.2f,\"requests_per_s\":%.0f,\"requests_per_core_s\":%.0f,"
               "\"kib_after_a_tenth\":%zu,\"kib_at_the_end\":%zu}\n",
               (size_t)n, (size_t)in_flight, took_s, took_cpu_s, (double)n / took_s,
               (double)n / took_cpu_s, kib_early, resident_kib());
    backend_close(b);
    config_free(c);
    free(requests);
    free(answers);
    return st;
}

int main(int argc, char **argv)
{
    uint64_t settings[3] = {100000, 64, 1000};
    char url[64] = "";
    rt_error err = {0};
    for (int i = 1; i < argc; i++) {
        if (i <= 3 && rt_parse_u64(argv[i], &settings[i - 1]) && settings[i - 1] > 0) continue;
        fprintf(stderr, "usage: bench_openai [n_requests] [in_flight] [shard]\n");
        return 2;
    }
    pid_t server = start_server(url, sizeof url);
    if (server < 0) {
        fprintf(stderr, "bench_openai: no server\n");
        return 1;
    }
    rt_log_init(RT_LOG_WARN, "bench");
    rt_status st = measure(url, settings[0], settings[1], settings[2], &err);
    if (st != RT_OK) fprintf(stderr, "bench_openai: %s\n", err.text);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    return st == RT_OK ? 0 : 1;
}
