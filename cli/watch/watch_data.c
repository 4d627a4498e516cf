#include "cli/watch/watch_data.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/display.h"
#include "common/text/utf8.h"

#define RATE_SPAN_S 3.0 /* rates of members are counted over so long at least */

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static uint64_t count_of(const json_t *object, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(object, key));
    return n > 0 ? (uint64_t)n : 0;
}

/* As one line that is safe on a terminal. */
static void take_text(char *out, size_t n_out, const json_t *object, const char *key)
{
    rt_buf line = {0};
    const json_t *value = json_object_get(object, key);
    out[0] = '\0';
    if (!json_is_string(value) || display_line(json_string_value(value), json_string_length(value),
                                               n_out, &line, NULL) != RT_OK)
        return;
    size_t n = utf8_valid_prefix(line.data, RT_MIN(line.n, n_out - 1));
    memcpy(out, line.data, n);
    out[n] = '\0';
    rt_buf_free(&line);
}

#define TAKE_TEXT(field, object, key) take_text(field, sizeof(field), object, key)

static json_t *load(const char *json, size_t n, rt_error *err)
{
    json_error_t where;
    json_t *root = json_loadb(json, n, 0, &where);
    if (root == NULL)
        rt_fail(err, RT_CORRUPT, "the coordinator's answer is no JSON: %s", where.text);
    return root;
}

/* The answer of `route`, which has to hold the list `key`; NULL, and why in err, when it does not. */
static json_t *load_with_list(const char *json, size_t n, const char *route, const char *key,
                              const json_t **list, rt_error *err)
{
    json_t *root = load(json, n, err);
    *list = json_object_get(root, key);
    if (root == NULL || json_is_array(*list)) return root;
    rt_fail(err, RT_CORRUPT, "%s is not what a coordinator sends", route);
    json_decref(root);
    return NULL;
}

/* ---- /api/stats ---- */

static const char *counter_of_role(const char *role)
{
    if (strcmp(role, "teacher") == 0) return "labelled";
    return strcmp(role, "student") == 0 ? "micro_batches" : "pushes_accepted";
}

/* Those of the picture before. */
typedef struct member_list {
    watch_member *items;
    size_t n;
} member_list;

static const watch_member *find_member(const member_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].name, name) == 0) return &list->items[i];
    return NULL;
}

/* A process that began anew counts from zero. */
static void count_rate(watch_member *m, const watch_member *before, double now_s)
{
    m->per_s = NAN;
    m->rate_done = m->done;
    m->rate_t = now_s;
    if (before == NULL || !(m->done >= before->rate_done)) return;
    double seconds = now_s - before->rate_t;
    m->per_s = before->per_s;
    m->rate_done = before->rate_done;
    m->rate_t = before->rate_t;
    if (seconds < RATE_SPAN_S) return;
    m->per_s = (m->done - before->rate_done) / seconds;
    m->rate_done = m->done;
    m->rate_t = now_s;
}

static watch_role *role_of(watch_data *d, const char *role)
{
    if (strcmp(role, "teacher") == 0) return &d->teachers;
    return strcmp(role, "student") == 0 ? &d->students : &d->servers;
}

static void take_member(watch_data *d, const member_list *before, const json_t *one, double now_s)
{
    watch_member m = {0};
    TAKE_TEXT(m.name, one, "name");
    TAKE_TEXT(m.role, one, "role");
    TAKE_TEXT(m.busy_with, one, "busy_with");
    const char *state = json_string_value(json_object_get(one, "state"));
    m.alive = state != NULL && strcmp(state, "alive") == 0;
    m.silent_s = number_of(one, "silent_ms") / 1000;
    m.done = number_of(json_object_get(one, "counters"), counter_of_role(m.role));
    if (isnan(m.done)) m.done = 0;
    count_rate(&m, find_member(before, m.name), now_s);
    watch_role *role = role_of(d, m.role);
    if (m.alive)
        role->n_alive++;
    else
        role->n_dead++;
    if (d->n_members < WATCH_MEMBERS_MAX) d->members[d->n_members++] = m;
}

static int rank_of_role(const char *role)
{
    if (strcmp(role, "teacher") == 0) return 0;
    return strcmp(role, "student") == 0 ? 1 : 2;
}

/* By role in the order of the flow, then by name: teacher-2 before teacher-10. */
static int compare_members(const void *a, const void *b)
{
    const watch_member *x = a, *y = b;
    int by_role = rank_of_role(x->role) - rank_of_role(y->role);
    return by_role != 0 ? by_role : strverscmp(x->name, y->name);
}

static void take_members(watch_data *d, const member_list *before, const json_t *list, double now_s)
{
    size_t i;
    const json_t *one;
    d->n_members = 0;
    d->teachers = d->students = d->servers = (watch_role){0};
    json_array_foreach(list, i, one) take_member(d, before, one, now_s);
    qsort(d->members, d->n_members, sizeof *d->members, compare_members);
}

static void take_losses(watch_data *d, const json_t *losses)
{
    void *i = json_object_iter((json_t *)losses);
    d->n_losses = 0;
    for (; i != NULL && d->n_losses < WATCH_LOSSES_MAX;
         i = json_object_iter_next((json_t *)losses, i)) {
        watch_loss *l = &d->losses[d->n_losses++];
        json_t *name = json_pack("{s:s}", "task", json_object_iter_key(i));
        TAKE_TEXT(l->task, name, "task");
        l->value = json_number_value(json_object_iter_value(i));
        json_decref(name);
    }
}

static void take_best(watch_data *d, const json_t *best)
{
    TAKE_TEXT(d->best_metric, best, "metric");
    d->best_value = number_of(best, "value");
    d->best_version = count_of(best, "version");
}

static void take_rest(watch_data *d, const json_t *root)
{
    const json_t *rows = json_object_get(root, "rows"), *queues = json_object_get(root, "queues");
    const json_t *compute = json_object_get(root, "compute");
    TAKE_TEXT(d->run, root, "run");
    TAKE_TEXT(d->version, root, "version");
    TAKE_TEXT(d->now.stage, root, "doing");
    TAKE_TEXT(d->now.problem, root, "problem");
    TAKE_TEXT(d->starved, json_object_get(root, "starved"), "now");
    d->pid = json_integer_value(json_object_get(root, "pid"));
    d->uptime_s = number_of(root, "uptime_s");
    d->n_pending = count_of(rows, "pending");
    d->n_leased = count_of(rows, "leased");
    d->labels_queue = count_of(queues, "labels");
    d->batches_queue = count_of(queues, "batches");
    d->dead_queue = count_of(queues, "dead");
    d->checkpoint = count_of(root, "checkpoint");
    d->grad_norm = number_of(root, "grad_norm");
    d->n_requests = count_of(json_object_get(root, "money"), "requests");
    d->restarts = count_of(root, "restarts");
    d->mflops_per_s = number_of(compute, "mflops_per_s");
    d->peak_share = number_of(compute, "peak_share");
    take_best(d, json_object_get(root, "best"));
    take_losses(d, json_object_get(root, "losses"));
}

/* One point of our own, where the coordinator keeps no history. */
static void add_own_point(watch_data *d, double now_s)
{
    series_point p = {.t = now_s};
    if (d->has_history) return;
    p.y[CURVE_LOSS] = d->now.loss;
    p.y[CURVE_LABELS] = d->now.labelled_per_s;
    p.y[CURVE_TOKENS] = d->now.tokens_per_s;
    p.y[CURVE_STEP] = (double)d->now.step;
    series_add(&d->series, &p);
}

rt_status watch_take_stats(watch_data *d, const char *json, size_t n, double now_s, rt_error *err)
{
    run_stats fresh;
    json_t *root = load(json, n, err);
    if (root == NULL) return RT_CORRUPT;
    rt_status st = run_stats_of(root, &fresh, err);
    member_list before = {.n = d->n_members};
    if (st == RT_OK) {
        before.items = rt_calloc(before.n, sizeof *before.items);
        if (before.items == NULL) st = rt_fail(err, RT_NOMEM, "stats");
    }
    if (st == RT_OK) {
        memcpy(before.items, d->members, before.n * sizeof *before.items);
        d->now = fresh;
        take_rest(d, root);
        take_members(d, &before, json_object_get(root, "members"), now_s);
        add_own_point(d, now_s);
    }
    free(before.items);
    json_decref(root);
    return st;
}

/* ---- /api/history ---- */

static void take_point(watch_data *d, const json_t *one)
{
    series_point p = {.t = number_of(one, "t")};
    p.y[CURVE_LOSS] = number_of(one, "loss");
    p.y[CURVE_LABELS] = number_of(one, "labelled_per_s");
    p.y[CURVE_TOKENS] = number_of(one, "tokens_per_s");
    p.y[CURVE_STEP] = number_of(one, "step");
    series_add(&d->series, &p);
}

/* Whether the answer holds all of them or only the new ones: each version counts once. */
static void take_score(watch_data *d, const json_t *one)
{
    uint64_t version = count_of(one, "version");
    if (d->n_scores > 0 && version <= d->scores[d->n_scores - 1].version) return;
    if (d->n_scores == WATCH_SCORES_MAX)
        memmove(d->scores, d->scores + 1, --d->n_scores * sizeof *d->scores);
    d->scores[d->n_scores++] = (watch_score){version, number_of(one, "exact")};
}

rt_status watch_take_history(watch_data *d, const char *json, size_t n, rt_error *err)
{
    size_t i;
    const json_t *one;
    const json_t *points;
    json_t *root = load_with_list(json, n, "/api/history", "points", &points, err);
    if (root == NULL) return RT_CORRUPT;
    if (!d->has_history) series_clear(&d->series);
    d->has_history = true;
    json_array_foreach(points, i, one) take_point(d, one);
    json_array_foreach(json_object_get(root, "evaluations"), i, one) take_score(d, one);
    d->history_seq = count_of(root, "seq");
    json_decref(root);
    return RT_OK;
}

/* ---- /api/events ---- */

static void take_event(watch_data *d, const json_t *one)
{
    if (d->n_events == WATCH_EVENTS_MAX)
        memmove(d->events, d->events + 1, --d->n_events * sizeof *d->events);
    watch_event *e = &d->events[d->n_events++];
    e->time = number_of(one, "time");
    TAKE_TEXT(e->kind, one, "kind");
    TAKE_TEXT(e->who, one, "who");
    TAKE_TEXT(e->text, one, "text");
}

rt_status watch_take_events(watch_data *d, const char *json, size_t n, rt_error *err)
{
    size_t i;
    const json_t *one;
    const json_t *events;
    json_t *root = load_with_list(json, n, "/api/events", "events", &events, err);
    if (root == NULL) return RT_CORRUPT;
    json_array_foreach(events, i, one) take_event(d, one);
    d->events_seq = count_of(root, "seq");
    json_decref(root);
    return RT_OK;
}

void watch_forget_numbering(watch_data *d)
{
    d->history_seq = d->events_seq = 0;
    d->n_events = d->n_scores = 0;
    if (d->has_history) series_clear(&d->series);
}
