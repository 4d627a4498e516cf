/* A teacher over HTTP for end-to-end tests: knows the answers of a recording, and fails as often as
 * it is told, in every way there is. It may have limits, say them in its headers and hold everybody
 * to them.
 *
 *     limited-teacher recorded.jsonl 0.3 [KEY] [NAME=VALUE...]       {"question", "text"} a line
 *
 *     text=TEXT                  the answer to whatever is asked
 *     requests=N tokens=N        limits per period
 *     kind=bucket|window         filled evenly, or whole again after each period
 *     period_ms=60000            of the limits
 *     start=0.05                 of the limits is there at first
 *     count=use|most             a request counts its real tokens, or max_tokens in place of the
 *                                answer's, when it comes
 *     storm_every_ms=N storm_ms=N    so often, for so long, everything is answered with 429
 *     delay_ms=N                 before each answer
 *
 * Prints its URL, then waits for SIGTERM and prints what happened as JSON, one figure a line, and at
 * the end how many requests came. A request counts against the limits whether it fails afterwards or
 * not; one over a limit is answered with 429, and noted apart from those of a storm.
 */
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/base/clock.h"
#include "common/base/rng.h"
#include "tests/support/fault_server.h"
#include "tests/support/limit_book.h"

/* Left out of the share of the limits that was used: so long after the first request, and from when
 * this part of the rows has been answered. */
#define START_UP_MS 2000
#define DRAIN_PART  0.85

#define FAULT_LIST(X)                \
    X(FAULT_429, "too_many")         \
    X(FAULT_500, "status_500")       \
    X(FAULT_503, "status_503")       \
    X(FAULT_SLOW, "slow_bytes")      \
    X(FAULT_HALF, "half_answers")    \
    X(FAULT_LENGTH, "wrong_lengths") \
    X(FAULT_EMPTY, "empty_answers")  \
    X(FAULT_DROP, "dropped")         \
    X(FAULT_JSON, "invalid_json")

enum {
#define X(code, name) code,
    FAULT_LIST(X)
#undef X
        FAULTS
};

typedef struct knowledge {
    json_t *rows;    /* of the recording */
    json_t *by_text; /* question -> row */
    bool *answered;  /* [rows] */
    size_t n_answered;
    double failing;
    const char *key;  /* NULL: nobody needs one */
    const char *text; /* NULL: of the recording */
    uint64_t delay_ms;
    limit_rules rules;
    bool counts_most;
    uint64_t storm_every_ms, storm_ms;

    limit_book book;
    bool begun, started, drains;
    uint64_t n_faults[FAULTS], n_storm;
} knowledge;

/* Number of the row that is asked about, SIZE_MAX when there is none. */
static size_t find_row(const knowledge *k, const char *prompt)
{
    const json_t *exact = json_object_get(k->by_text, prompt);
    if (exact != NULL) return (size_t)json_integer_value(exact);
    for (size_t i = 0; i < json_array_size(k->rows); i++) {
        const char *question =
            json_string_value(json_object_get(json_array_get(k->rows, i), "question"));
        if (question != NULL && strstr(prompt, question) != NULL) return i;
    }
    return SIZE_MAX;
}

/* The last message's content. */
static const char *prompt_of(const json_t *body)
{
    const json_t *messages = json_object_get(body, "messages");
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const char *text = json_string_value(json_object_get(last, "content"));
    return text != NULL ? text : "";
}

/* Rather like a tokenizer: a token for each three bytes of the prompt, for each four of the text. */
typedef struct usage {
    uint64_t n_prompt, n_completion, n_most;
} usage;

static usage usage_of(const json_t *body, size_t n_body, const char *text)
{
    const json_t *most = json_object_get(body, "max_tokens");
    if (most == NULL) most = json_object_get(body, "max_completion_tokens");
    return (usage){.n_prompt = n_body / 3,
                   .n_completion = text != NULL ? strlen(text) / 4 : 0,
                   .n_most = (uint64_t)json_integer_value(most)};
}

static void say(const char *text, const usage *u, fault_reply *reply)
{
    if (text == NULL) reply->status = 400;
    json_t *root =
        json_pack("{s:[{s:i, s:s, s:{s:s}}], s:{s:I, s:I}}", "choices", "index", 0, "finish_reason",
                  "stop", "message", "content", text != NULL ? text : "", "usage", "prompt_tokens",
                  (json_int_t)u->n_prompt, "completion_tokens", (json_int_t)u->n_completion);
    char *bytes = json_dumps(root, JSON_COMPACT);
    if (bytes == NULL || rt_buf_add_text(&reply->body, bytes, NULL) != RT_OK) abort();
    free(bytes);
    json_decref(root);
}

static void add_header(fault_reply *reply, const char *name, uint64_t value)
{
    size_t n = strlen(reply->headers);
    snprintf(reply->headers + n, sizeof reply->headers - n, "%s: %" PRIu64 "\r\n", name, value);
}

static void refuse(fault_reply *reply, uint64_t retry_ms)
{
    reply->status = 429;
    rt_buf_clear(&reply->body);
    add_header(reply, "retry-after-ms", retry_ms);
}

static void fail_somehow(knowledge *k, uint64_t how, fault_reply *reply)
{
    k->n_faults[how]++;
    switch (how) {
    case FAULT_429: refuse(reply, 50); break;
    case FAULT_500: reply->status = 500; break;
    case FAULT_503: reply->status = 503; break;
    case FAULT_SLOW: reply->slow_bytes = 1, reply->slow_ms = 100; break;
    case FAULT_HALF: reply->cut_at = (int64_t)strlen(reply->headers) + 120; break;
    case FAULT_LENGTH: reply->content_length = 5000; break;
    case FAULT_EMPTY: rt_buf_clear(&reply->body); break;
    case FAULT_DROP: reply->cut_at = 0; break;
    default: reply->body.data[1] = '!'; break;
    }
}

/* Time until the storm is over; 0: there is none. */
static uint64_t storm_left_ms(const knowledge *k, uint64_t now_ms)
{
    if (k->storm_every_ms == 0 || !k->begun) return 0;
    uint64_t since_ms = now_ms - k->book.first_ms;
    if (since_ms < k->storm_every_ms || since_ms % k->storm_every_ms >= k->storm_ms) return 0;
    return k->storm_ms - since_ms % k->storm_every_ms;
}

static void measure(knowledge *k, uint64_t now_ms)
{
    size_t n_rows = json_array_size(k->rows);
    if (!k->started && now_ms >= k->book.first_ms + START_UP_MS) {
        k->started = true;
        limit_book_mark(&k->book, now_ms);
    }
    if (k->started && !k->drains && (double)k->n_answered >= DRAIN_PART * (double)n_rows) {
        k->drains = true;
        limit_book_unmark(&k->book, now_ms);
    }
}

/* Whether it may be answered at all. */
static bool is_within_limits(knowledge *k, const usage *u, uint64_t now_ms, fault_reply *reply)
{
    uint64_t retry_ms, n_tokens = u->n_prompt + (k->counts_most ? u->n_most : u->n_completion);
    if (!k->begun) limit_book_start(&k->book, &k->rules, now_ms);
    k->begun = true;
    bool within = limit_book_take(&k->book, n_tokens, now_ms, &retry_ms);
    measure(k, now_ms);
    limit_book_headers(&k->book, now_ms, reply->headers, sizeof reply->headers);
    if (!within) refuse(reply, retry_ms);
    return within;
}

static void note_answered(knowledge *k, size_t i_row)
{
    if (i_row == SIZE_MAX || k->answered[i_row]) return;
    k->answered[i_row] = true;
    k->n_answered++;
}

static void answer(void *context, const fault_request *request, fault_reply *reply)
{
    knowledge *k = context;
    rng_key key = rng_key_make(1, "faults", (rt_id){0}, 0);
    if (k->key != NULL && strstr(request->head, k->key) == NULL) {
        reply->status = 401;
        return;
    }
    json_t *body = json_loads(request->body, 0, NULL);
    size_t i_row = k->text != NULL ? SIZE_MAX : find_row(k, prompt_of(body));
    const char *text = k->text;
    if (i_row != SIZE_MAX)
        text = json_string_value(json_object_get(json_array_get(k->rows, i_row), "text"));
    usage u = usage_of(body, request->n_body, text);
    json_decref(body);
    reply->delay_ms = k->delay_ms;
    if (!is_within_limits(k, &u, request->now_ms, reply)) return;
    uint64_t storm_ms = storm_left_ms(k, request->now_ms);
    if (storm_ms > 0) {
        k->n_storm++;
        refuse(reply, storm_ms);
        return;
    }
    say(text, &u, reply);
    if ((double)rng_uniform(key, request->i * 2) < k->failing)
        fail_somehow(k, rng_below(key, request->i * 2 + 1, FAULTS), reply);
    else
        note_answered(k, i_row);
}

static void load_rows(knowledge *k, const char *path)
{
    char line[65536];
    k->rows = json_array();
    k->by_text = json_object();
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        json_t *row = json_loads(line, 0, NULL);
        const char *question = json_string_value(json_object_get(row, "question"));
        if (question != NULL)
            json_object_set_new(k->by_text, question,
                                json_integer((json_int_t)json_array_size(k->rows)));
        json_array_append_new(k->rows, row);
    }
    if (f != NULL) fclose(f);
    k->answered = calloc(json_array_size(k->rows) + 1, sizeof *k->answered);
    if (k->answered == NULL) abort();
}

static bool read_number(const char *name, const char *value, knowledge *k)
{
    struct {
        const char *name;
        uint64_t *to;
    } numbers[] = {{"requests", &k->rules.limits[LIMIT_REQUESTS]},
                   {"tokens", &k->rules.limits[LIMIT_TOKENS]},
                   {"period_ms", &k->rules.period_ms},
                   {"storm_every_ms", &k->storm_every_ms},
                   {"storm_ms", &k->storm_ms},
                   {"delay_ms", &k->delay_ms}};
    for (size_t i = 0; i < RT_COUNT(numbers); i++)
        if (strcmp(numbers[i].name, name) == 0) return rt_parse_u64(value, numbers[i].to);
    return strcmp(name, "start") == 0 && rt_parse_double(value, &k->rules.start_share);
}

static bool read_argument(char *argument, knowledge *k)
{
    char *value = strchr(argument, '=');
    if (value == NULL) {
        k->key = argument;
        return true;
    }
    *value++ = '\0';
    if (strcmp(argument, "text") == 0) {
        k->text = value;
        return true;
    }
    if (strcmp(argument, "kind") == 0) {
        k->rules.kind = strcmp(value, "window") == 0 ? LIMIT_WINDOW : LIMIT_BUCKET;
        return k->rules.kind == LIMIT_WINDOW || strcmp(value, "bucket") == 0;
    }
    if (strcmp(argument, "count") == 0) {
        k->counts_most = strcmp(value, "most") == 0;
        return k->counts_most || strcmp(value, "use") == 0;
    }
    return read_number(argument, value, k);
}

static uint64_t per_mille(double share)
{
    return (uint64_t)(share * 1000 + 0.5);
}

static void report(const knowledge *k)
{
    static const char *const names[FAULTS] = {
#define X(code, name) [code] = (name),
        FAULT_LIST(X)
#undef X
    };
    const limit_book *b = &k->book;
    uint64_t n_failed = 0;
    printf("{\n");
    for (size_t i = 0; i < FAULTS; i++) {
        printf("  \"%s\": %" PRIu64 ",\n", names[i], k->n_faults[i]);
        n_failed += k->n_faults[i];
    }
    printf("  \"storm\": %" PRIu64 ",\n  \"failed\": %" PRIu64 ",\n  \"admitted\": %" PRIu64
           ",\n  \"tokens\": %" PRIu64 ",\n  \"over_requests\": %" PRIu64
           ",\n  \"over_tokens\": %" PRIu64 ",\n  \"wall_ms\": %" PRIu64
           ",\n  \"measured_ms\": %" PRIu64 ",\n  \"share_requests\": %" PRIu64
           ",\n  \"share_tokens\": %" PRIu64 "\n}\n",
           k->n_storm, n_failed + k->n_storm, b->n_admitted, b->n_tokens, b->n_over[LIMIT_REQUESTS],
           b->n_over[LIMIT_TOKENS], b->last_ms - b->first_ms,
           b->until_ms > b->mark_ms ? b->until_ms - b->mark_ms : 0,
           per_mille(limit_book_share(b, LIMIT_REQUESTS)),
           per_mille(limit_book_share(b, LIMIT_TOKENS)));
}

int main(int argc, char **argv)
{
    sigset_t ends;
    int number;
    knowledge k = {.rules = {.period_ms = 60000, .start_share = 1}};
    bool good = argc >= 3 && rt_parse_double(argv[2], &k.failing);
    for (int i = 3; good && i < argc; i++) good = read_argument(argv[i], &k);
    if (!good) {
        fprintf(stderr, "usage: limited-teacher RECORDED.jsonl SHARE [KEY] [NAME=VALUE...]\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL); /* for the server's thread too */
    load_rows(&k, argv[1]);
    fault_server *s = fault_server_start(answer, &k);
    printf("%s\n", fault_server_url(s));
    fflush(stdout);
    sigwait(&ends, &number);
    size_t n_requests = fault_server_counts(s).n_requests;
    fault_server_stop(s);
    report(&k);
    printf("%zu requests\n", n_requests);
    json_decref(k.rows);
    json_decref(k.by_text);
    free(k.answered);
    return 0;
}
