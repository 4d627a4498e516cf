/* A teacher over HTTP for end-to-end tests: knows the answers of a recording, in whatever form a
 * server may give them, and fails as often as it is told, in every way there is.
 *
 *     fault-teacher recorded.jsonl 0.3 [KEY] [--requests FILE]
 *
 * A line of the recording is {"question", ...}; a request is about the row whose question stands in
 * one of its messages. What is answered:
 *
 *     "text"      content of a plain message
 *     "choice"    instead of it: the whole choice as JSON, with message, finish_reason, logprobs
 *     "extract"   content of the second of two calls, the one in which an assistant has spoken
 *     "usage"     instead of 20 and 10 tokens
 *     "status"    with "error": an answer that is none
 *
 * Prints its URL, then waits for SIGTERM and prints how many requests came. Each request is also
 * written to FILE as {"head", "body"} on a line. On SIGHUP it reads the recording again.
 */
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/base/rng.h"
#include "tests/support/fault_server.h"

typedef struct knowledge {
    _Atomic(json_t *) rows; /* one that was replaced is left to the end of the process */
    const char *path;
    double failing;
    const char *key; /* NULL: nobody needs one */
    FILE *requests;  /* NULL: not written down */
} knowledge;

static bool speaks_of(const json_t *body, const char *question)
{
    const json_t *messages = json_object_get(body, "messages");
    const char *prompt = json_string_value(json_object_get(body, "prompt"));
    if (prompt != NULL && strstr(prompt, question) != NULL) return true;
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *content = json_object_get(json_array_get(messages, i), "content");
        if (json_is_string(content) && strstr(json_string_value(content), question) != NULL)
            return true;
    }
    return false;
}

static const json_t *find_row(const knowledge *k, const json_t *body)
{
    const json_t *rows = atomic_load(&k->rows);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *question = json_string_value(json_object_get(row, "question"));
        if (question != NULL && speaks_of(body, question)) return row;
    }
    return NULL;
}

static bool is_second_step(const json_t *body)
{
    const json_t *messages = json_object_get(body, "messages");
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *role = json_object_get(json_array_get(messages, i), "role");
        if (json_is_string(role) && strcmp(json_string_value(role), "assistant") == 0) return true;
    }
    return false;
}

static json_t *choice_of(const json_t *row, bool second)
{
    json_t *choice = json_object_get(row, "choice");
    const char *text = json_string_value(json_object_get(row, second ? "extract" : "text"));
    if (!second && choice != NULL) return json_deep_copy(choice);
    return json_pack("{s:i, s:s, s:{s:s, s:s}}", "index", 0, "finish_reason", "stop", "message",
                     "role", "assistant", "content", text != NULL ? text : "");
}

static json_t *answer_of(const json_t *row, const json_t *body, int *status)
{
    const json_t *told = json_object_get(row, "status");
    json_t *usage = json_object_get(row, "usage");
    if (row == NULL || told != NULL) {
        *status = told != NULL ? (int)json_integer_value(told) : 400;
        return json_pack("{s:O*}", "error", json_object_get(row, "error"));
    }
    usage = usage != NULL ? json_deep_copy(usage)
                          : json_pack("{s:i, s:i}", "prompt_tokens", 20, "completion_tokens", 10);
    return json_pack("{s:s, s:[o], s:o}", "object", "chat.completion", "choices",
                     choice_of(row, is_second_step(body)), "usage", usage);
}

static void write_down(const knowledge *k, const fault_request *request, json_t *body)
{
    json_t *line = json_pack("{s:s, s:O*}", "head", request->head, "body", body);
    if (k->requests == NULL) return;
    if (line == NULL || json_dumpf(line, k->requests, JSON_COMPACT) != 0) abort();
    fputc('\n', k->requests);
    fflush(k->requests);
    json_decref(line);
}

static void say(const knowledge *k, const fault_request *request, fault_reply *reply)
{
    json_t *body = json_loads(request->body, 0, NULL);
    write_down(k, request, body);
    json_t *root = answer_of(find_row(k, body), body, &reply->status);
    char *bytes = json_dumps(root, JSON_COMPACT);
    if (bytes == NULL || rt_buf_add_text(&reply->body, bytes, NULL) != RT_OK) abort();
    free(bytes);
    json_decref(root);
    json_decref(body);
}

static void fail_somehow(uint64_t how, fault_reply *reply)
{
    switch (how) {
    case 0:
        reply->status = 429;
        snprintf(reply->headers, sizeof reply->headers, "Retry-After-Ms: 50\r\n");
        break;
    case 1: reply->status = 500; break;
    case 2: reply->status = 503; break;
    case 3: reply->slow_bytes = 1, reply->slow_ms = 100; break;
    case 4: reply->cut_at = 120; break;
    case 5: reply->content_length = 5000; break;
    case 6: rt_buf_clear(&reply->body); break;
    case 7: reply->cut_at = 0; break;
    default: reply->body.data[1] = '!'; break;
    }
}

static void answer(void *context, const fault_request *request, fault_reply *reply)
{
    const knowledge *k = context;
    rng_key key = rng_key_make(1, "faults", (rt_id){0}, 0);
    if (k->key != NULL && strstr(request->head, k->key) == NULL) {
        reply->status = 401;
        return;
    }
    say(k, request, reply);
    if ((double)rng_uniform(key, request->i * 2) < k->failing)
        fail_somehow(rng_below(key, request->i * 2 + 1, 9), reply);
}

static json_t *load_rows(const char *path)
{
    char line[65536];
    json_t *rows = json_array();
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        json_array_append_new(rows, json_loads(line, 0, NULL));
    if (f != NULL) fclose(f);
    return rows;
}

static bool read_arguments(int argc, char **argv, knowledge *k)
{
    static const struct option names[] = {{"requests", required_argument, NULL, 'r'}, {0}};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;)
        if (c != 'r' || (k->requests = fopen(optarg, "w")) == NULL) return false;
    if (argc - optind < 2 || argc - optind > 3) return false;
    k->path = argv[optind];
    atomic_store(&k->rows, load_rows(k->path));
    k->key = argv[optind + 2];
    return rt_parse_double(argv[optind + 1], &k->failing);
}

int main(int argc, char **argv)
{
    sigset_t ends;
    int number;
    knowledge k = {0};
    if (!read_arguments(argc, argv, &k)) {
        fprintf(stderr, "usage: fault-teacher RECORDED.jsonl SHARE [KEY] [--requests FILE]\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGHUP);
    sigprocmask(SIG_BLOCK, &ends, NULL); /* for the server's thread too */
    fault_server *s = fault_server_start(answer, &k);
    printf("%s\n", fault_server_url(s));
    fflush(stdout);
    while (sigwait(&ends, &number) == 0 && number == SIGHUP) {
        atomic_store(&k.rows, load_rows(k.path));
        printf("read again\n");
        fflush(stdout);
    }
    printf("%zu requests\n", fault_server_counts(s).n_requests);
    fault_server_stop(s);
    json_decref(atomic_load(&k.rows));
    if (k.requests != NULL) fclose(k.requests);
    return 0;
}
