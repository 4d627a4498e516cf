/* A teacher over HTTP for end-to-end tests: knows the answers of a recording, and fails as often as
 * it is told, in every way there is.
 *
 *     fault-teacher recorded.jsonl 0.3       {"question", "text"} a line
 *
 * Prints its URL, then waits for SIGTERM and prints how many requests came.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/base/rng.h"
#include "tests/support/fault_server.h"

typedef struct knowledge {
    json_t *rows;
    double failing;
    const char *key; /* NULL: nobody needs one */
} knowledge;

static const char *find_text(const knowledge *k, const char *prompt)
{
    for (size_t i = 0; i < json_array_size(k->rows); i++) {
        const json_t *row = json_array_get(k->rows, i);
        const char *question = json_string_value(json_object_get(row, "question"));
        if (question != NULL && strstr(prompt, question) != NULL)
            return json_string_value(json_object_get(row, "text"));
    }
    return NULL;
}

/* The last message's content. */
static const char *prompt_of(const json_t *body)
{
    const json_t *messages = json_object_get(body, "messages");
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const char *text = json_string_value(json_object_get(last, "content"));
    return text != NULL ? text : "";
}

static void say(const knowledge *k, const fault_request *request, fault_reply *reply)
{
    json_t *body = json_loads(request->body, 0, NULL);
    const char *text = find_text(k, prompt_of(body));
    if (text == NULL) reply->status = 400;
    json_t *root =
        json_pack("{s:[{s:i, s:s, s:{s:s}}], s:{s:i, s:i}}", "choices", "index", 0, "finish_reason",
                  "stop", "message", "content", text != NULL ? text : "", "usage", "prompt_tokens",
                  20, "completion_tokens", 10);
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

int main(int argc, char **argv)
{
    sigset_t ends;
    int number;
    knowledge k = {0};
    if (argc < 3 || argc > 4 || !rt_parse_double(argv[2], &k.failing)) {
        fprintf(stderr, "usage: fault-teacher RECORDED.jsonl SHARE [KEY]\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL); /* for the server's thread too */
    k.key = argv[3];
    k.rows = load_rows(argv[1]);
    fault_server *s = fault_server_start(answer, &k);
    printf("%s\n", fault_server_url(s));
    fflush(stdout);
    sigwait(&ends, &number);
    printf("%zu requests\n", fault_server_counts(s).n_requests);
    fault_server_stop(s);
    json_decref(k.rows);
    return 0;
}
