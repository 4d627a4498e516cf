/* What is kept for each segment, and what is made again when asked for:
 *
 *   kept    store   = the records of all chunks, one behind the other; an epoch over them is the whole
 *           segment ── where its records stand in the store
 *                  └── steps[n_steps]: first place in the permutation, counts      32 bytes a step
 *   made    order   = permutation of the segment's records         for one segment at a time
 *           items   = sequences of one step, longest first         for one step at a time
 *           cuts    = where its micro-batches begin
 *
 * Steps are asked for in order, so one segment and one step at a time are enough; asking in any
 * other order gives the same answers, only slower.
 */
#include "common/dataset/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/dataset/plan_store.h"

/* Records that stand together in the store, without those that have no task. */
typedef struct record_range {
    size_t first, n;
    size_t n_handed_in; /* with those */
} record_range;

typedef struct step_entry {
    uint32_t first; /* place of its first record in the permutation */
    uint32_t n_micro_batches;
    uint64_t count[TASK_COUNT];
} step_entry;

typedef struct segment_entry {
    plan_segment segment;
    record_range range;
    step_entry *steps; /* n_steps + 1: the last one only says where the records end */
} segment_entry;

typedef struct sized_item {
    plan_item item;
    uint32_t place; /* in the permutation: makes the order total */
    uint32_t n_tokens;
} sized_item;

struct plan {
    plan_settings settings;
    segment_entry *segments;
    size_t n_segments;
    size_t capacity;
    plan_store store;
    rt_sha256 chunks_sha; /* over the records of all chunks, as an epoch would hand them in */
    size_t n_chunks_handed_in;
    /* made: */
    uint32_t *order;
    size_t i_order; /* segment of `order`, or SIZE_MAX */
    plan_item *items;
    size_t n_items;
    size_t *cuts;    /* micro_batches + 1 */
    uint64_t i_step; /* step of `items`, or UINT64_MAX */
    size_t n_cuts;
};

rt_status plan_new(const plan_settings *settings, plan **out, rt_error *err)
{
    size_t product;
    if (settings->micro_batches == 0 || settings->micro_batch_tokens == 0)
        return rt_fail(err, RT_INVALID,
                       "plan with %zu micro-batches of %zu tokens: both must be at least 1",
                       settings->micro_batches, settings->micro_batch_tokens);
    if (settings->micro_batches > UINT32_MAX ||
        !rt_checked_mul(settings->micro_batches, settings->micro_batch_tokens, &product))
        return rt_fail(err, RT_INVALID, "plan with %zu micro-batches of %zu tokens: too large",
                       settings->micro_batches, settings->micro_batch_tokens);
    plan *p = rt_calloc(1, sizeof *p);
    if (p == NULL) return rt_fail(err, RT_NOMEM, "plan");
    p->settings = *settings;
    p->i_order = SIZE_MAX;
    p->i_step = UINT64_MAX;
    rt_sha256_begin(&p->chunks_sha);
    *out = p;
    return RT_OK;
}

void plan_free(plan *p)
{
    if (p == NULL) return;
    for (size_t i = 0; i < p->n_segments; i++) free(p->segments[i].steps);
    free(p->segments);
    plan_store_free(&p->store);
    free(p->order);
    free(p->items);
    free(p->cuts);
    free(p);
}

static size_t n_tasks(const plan_record *r)
{
    size_t n = 0;
    for (int t = 0; t < TASK_COUNT; t++) n += r->n_target[t] > 0;
    return n;
}

static uint64_t record_tokens(const plan_record *r)
{
    uint64_t n = 0;
    for (int t = 0; t < TASK_COUNT; t++)
        if (r->n_target[t] > 0) n += r->n_tokens[t];
    return n;
}

/* Little-endian, so that every machine finds the same. */
static void hash_record(rt_sha256 *sha, const plan_record *r)
{
    unsigned char bytes[4 * (1 + 2 * TASK_COUNT)];
    size_t k = 0;
    for (int w = 0; w < 1 + 2 * TASK_COUNT; w++) {
        uint32_t v = w == 0            ? r->i_example
                     : w <= TASK_COUNT ? r->n_tokens[w - 1]
                                       : r->n_target[w - 1 - TASK_COUNT];
        for (int shift = 0; shift < 32; shift += 8) bytes[k++] = (unsigned char)(v >> shift);
    }
    rt_sha256_add(sha, bytes, k);
}

/* What a first look at the records of a segment tells. */
typedef struct first_look {
    rt_sha256 chunks_sha; /* the plan's, with these records too */
    char sha256[RT_SHA256_HEX_SIZE];
    plan_layout layout;
    size_t n, n_handed_in;
} first_look;

static rt_status look_at(const plan *p, const plan_source *source, first_look *out, rt_error *err)
{
    rt_sha256 sha;
    plan_record r;
    rt_status st;
    *out = (first_look){.chunks_sha = p->chunks_sha};
    rt_sha256_begin(&sha);
    source->rewind(source->context);
    while ((st = source->next(source->context, &r, err)) == RT_OK) {
        hash_record(&sha, &r);
        hash_record(&out->chunks_sha, &r);
        plan_layout_see(&out->layout, &r);
        out->n += n_tasks(&r) > 0;
        out->n_handed_in++;
    }
    rt_sha256_end(&sha, out->sha256);
    if (st != RT_END) return st;
    if (out->n_handed_in > UINT32_MAX - 1)
        return rt_fail(err, RT_FULL, "plan segment of %zu records", out->n_handed_in);
    return RT_OK;
}

/* Whether a segment, or all chunks together, hold these records already. */
static bool find_range(const plan *p, const first_look *look, record_range *out)
{
    char hex[RT_SHA256_HEX_SIZE];
    rt_sha256 chunks = p->chunks_sha;
    for (size_t i = p->n_segments; i-- > 0;) {
        const segment_entry *s = &p->segments[i];
        if (s->range.n_handed_in != look->n_handed_in ||
            strcmp(s->segment.sha256, look->sha256) != 0)
            continue;
        *out = s->range;
        return true;
    }
    if (p->n_chunks_handed_in != look->n_handed_in) return false;
    rt_sha256_end(&chunks, hex);
    if (strcmp(hex, look->sha256) != 0) return false;
    *out = (record_range){0, look->n, look->n_handed_in}; /* nothing stands before the chunks */
    return true;
}

static rt_status store_records(plan *p, const plan_source *source, const first_look *look,
                               record_range *out, rt_error *err)
{
    plan_record r;
    size_t n = 0, n_before = p->store.n;
    if (find_range(p, look, out)) return RT_OK;
    rt_status st = plan_store_reserve(&p->store, &look->layout, look->n, err);
    if (st != RT_OK) return st;
    source->rewind(source->context);
    while (n <= look->n_handed_in && (st = source->next(source->context, &r, err)) == RT_OK) {
        n++;
        if (n_tasks(&r) > 0 && p->store.n < p->store.capacity) plan_store_add(&p->store, &r);
    }
    if (st == RT_OK ||
        (st == RT_END && (n != look->n_handed_in || p->store.n - n_before != look->n)))
        st = rt_fail(err, RT_CORRUPT, "records of the plan changed while they were read");
    if (st != RT_END) {
        p->store.n = n_before;
        return st;
    }
    *out = (record_range){n_before, look->n, look->n_handed_in};
    return RT_OK;
}

static rt_status make_order(const plan_settings *settings, const plan_segment *segment, size_t n,
                            uint32_t **out, rt_error *err)
{
    uint32_t *order = rt_calloc(n, sizeof *order);
    if (order == NULL) return rt_fail(err, RT_NOMEM, "permutation of %zu records", n);
    rt_id id = {.high = (uint64_t)segment->kind, .low = segment->index};
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    rng_permute(rng_key_make(settings->seed, "plan", id, segment->epoch), order, n);
    *out = order;
    return RT_OK;
}

static void get_record(const plan *p, const record_range *range, const uint32_t *order, size_t i,
                       plan_record *out)
{
    plan_store_get(&p->store, range->first + order[i], out);
}

/* How many records from `first` on make one step, at least one, however long it is; *step counts them. */
static size_t cut_step(const plan *p, const record_range *range, const uint32_t *order,
                       size_t first, step_entry *step)
{
    const plan_settings *settings = &p->settings;
    uint64_t budget = (uint64_t)settings->micro_batches * settings->micro_batch_tokens;
    uint64_t n_tokens = 0;
    size_t end = first, n_seqs = 0;
    while (end < range->n) {
        plan_record r;
        get_record(p, range, order, end, &r);
        n_tokens += record_tokens(&r);
        if (end > first && n_tokens > budget) break;
        end++;
        n_seqs += n_tasks(&r);
        for (int t = 0; t < TASK_COUNT; t++) step->count[t] += r.n_target[t];
        if (settings->records_per_step > 0 && end - first == settings->records_per_step) break;
    }
    step->n_micro_batches = (uint32_t)RT_MIN(settings->micro_batches, n_seqs);
    return end - first;
}

/* Cut the permuted records into steps; steps behind n_steps_max are not made. */
static rt_status cut_steps(const plan *p, segment_entry *s, const uint32_t *order, rt_error *err)
{
    uint64_t n_left = UINT64_MAX;
    size_t n_steps = 0, capacity = 0, at = 0;
    if (p->settings.n_steps_max > 0) {
        uint64_t n_done = plan_n_steps(p);
        n_left = p->settings.n_steps_max > n_done ? p->settings.n_steps_max - n_done : 0;
    }
    for (;;) {
        if (n_steps + 1 > capacity) {
            capacity = capacity == 0 ? 16 : capacity + capacity / 2;
            step_entry *grown = realloc(s->steps, capacity * sizeof *grown);
            if (grown == NULL) return rt_fail(err, RT_NOMEM, "plan of %zu steps", capacity);
            s->steps = grown;
        }
        step_entry *step = &s->steps[n_steps];
        *step = (step_entry){.first = (uint32_t)at};
        if (at == s->range.n || n_steps == n_left) break;
        at += cut_step(p, &s->range, order, at, step);
        n_steps++;
    }
    s->segment.n_steps = n_steps;
    s->segment.n_records = at;
    return RT_OK;
}

static rt_status check_segment(const plan *p, plan_kind kind, uint64_t index, rt_error *err)
{
    const char *name = kind == PLAN_CHUNK ? "chunk" : "epoch";
    if (kind != PLAN_CHUNK && kind != PLAN_EPOCH)
        return rt_fail(err, RT_INVALID, "plan segment of kind %d", (int)kind);
    if (kind == PLAN_EPOCH && index == 0)
        return rt_fail(err, RT_INVALID,
                       "plan epoch 0: epochs count from 1, the chunks are epoch 0");
    for (size_t i = 0; i < p->n_segments; i++) {
        const plan_segment *s = &p->segments[i].segment;
        if (s->kind == kind && s->index == index)
            return rt_fail(err, RT_INVALID, "plan has %s %" PRIu64 " already", name, index);
        if (s->kind == PLAN_EPOCH && kind == PLAN_CHUNK)
            return rt_fail(err, RT_INVALID, "plan chunk %" PRIu64 " behind epoch %" PRIu64, index,
                           s->index);
    }
    return RT_OK;
}

static rt_status reserve_segment(plan *p, rt_error *err)
{
    if (p->n_segments < p->capacity) return RT_OK;
    size_t capacity = p->capacity == 0 ? 16 : p->capacity * 2;
    segment_entry *segments = realloc(p->segments, capacity * sizeof *segments);
    if (segments == NULL) return rt_fail(err, RT_NOMEM, "plan of %zu segments", capacity);
    p->segments = segments;
    p->capacity = capacity;
    return RT_OK;
}

/* The permutation of a segment in the place of the one that was there. */
static rt_status keep_order(plan *p, size_t i_segment, const segment_entry *s, rt_error *err)
{
    free(p->order);
    p->order = NULL;
    p->i_order = SIZE_MAX;
    rt_status st = make_order(&p->settings, &s->segment, s->range.n, &p->order, err);
    if (st == RT_OK) p->i_order = i_segment;
    return st;
}

rt_status plan_add_segment(plan *p, plan_kind kind, uint64_t index, const plan_source *source,
                           rt_error *err)
{
    rt_status st;
    first_look look;
    size_t n_before = p->store.n;
    segment_entry s = {.segment = {.kind = kind,
                                   .index = index,
                                   .epoch = kind == PLAN_EPOCH ? index : 0,
                                   .first_step = plan_n_steps(p)}};
    if ((st = check_segment(p, kind, index, err)) != RT_OK) return st;
    if ((st = reserve_segment(p, err)) != RT_OK) return st;
    if ((st = look_at(p, source, &look, err)) != RT_OK) return st;
    if ((st = store_records(p, source, &look, &s.range, err)) != RT_OK) return st;
    if ((st = keep_order(p, p->n_segments, &s, err)) != RT_OK) goto out;
    RT_ASSERT(p->order != NULL);
    if ((st = cut_steps(p, &s, p->order, err)) != RT_OK) goto out;
    memcpy(s.segment.sha256, look.sha256, sizeof s.segment.sha256);
    p->segments[p->n_segments++] = s;
    if (kind == PLAN_CHUNK) {
        p->chunks_sha = look.chunks_sha;
        p->n_chunks_handed_in += look.n_handed_in;
    }
    return RT_OK;
out:
    free(s.steps);
    p->store.n = n_before;
    p->i_order = SIZE_MAX; /* the segment that it is of is not there */
    return st;
}

size_t plan_n_segments(const plan *p)
{
    return p->n_segments;
}

const plan_segment *plan_get_segment(const plan *p, size_t i)
{
    return i < p->n_segments ? &p->segments[i].segment : NULL;
}

uint64_t plan_n_steps(const plan *p)
{
    if (p->n_segments == 0) return 0;
    const plan_segment *last = &p->segments[p->n_segments - 1].segment;
    return last->first_step + last->n_steps;
}

/* The segment that holds a step, by bisection; SIZE_MAX beyond the plan. */
static size_t find_segment(const plan *p, uint64_t step)
{
    size_t low = 0, high = p->n_segments;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const plan_segment *s = &p->segments[middle].segment;
        if (s->first_step + s->n_steps > step)
            high = middle;
        else
            low = middle + 1;
    }
    return low < p->n_segments ? low : SIZE_MAX;
}

static rt_status not_planned(const plan *p, uint64_t step, rt_error *err)
{
    return rt_fail(err, RT_NOTFOUND, "step %" PRIu64 " is not planned: %" PRIu64 " steps are", step,
                   plan_n_steps(p));
}

rt_status plan_get_step(const plan *p, uint64_t step, plan_step_info *out, rt_error *err)
{
    size_t i = find_segment(p, step);
    if (i == SIZE_MAX) return not_planned(p, step, err);
    const plan_segment *segment = &p->segments[i].segment;
    const step_entry *e = &p->segments[i].steps[step - segment->first_step];
    *out = (plan_step_info){.n_micro_batches = e->n_micro_batches,
                            .epoch = segment->epoch,
                            .n_records = e[1].first - e->first};
    memcpy(out->count, e->count, sizeof out->count);
    return RT_OK;
}

static int compare_items(const void *a, const void *b)
{
    const sized_item *x = a, *y = b;
    if (x->n_tokens != y->n_tokens) return x->n_tokens > y->n_tokens ? -1 : 1;
    if (x->item.i_example != y->item.i_example)
        return x->item.i_example < y->item.i_example ? -1 : 1;
    if (x->item.task != y->item.task) return x->item.task < y->item.task ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* Cut n items into k runs: run j ends where the tokens so far come nearest to (j + 1)/k of all,
 * and each run keeps at least one item. */
static void cut_micro_batches(const sized_item *items, size_t n, size_t k, size_t *cuts)
{
    uint64_t total = 0, done = 0;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) total += items[i].n_tokens;
    cuts[0] = 0;
    for (size_t j = 0; j + 1 < k; j++) {
        double goal = (double)total * (double)(j + 1) / (double)k;
        size_t last = n - (k - 1 - j); /* leave one item for each later run */
        do done += items[at++].n_tokens;
        while (at < last && (double)done + (double)items[at].n_tokens / 2 <= goal);
        cuts[j + 1] = at;
    }
    cuts[k] = n;
}

/* Lay out the items of one step. */
static rt_status use_step(plan *p, size_t i_segment, uint64_t step, rt_error *err)
{
    if (p->i_step == step) return RT_OK;
    rt_status st = RT_OK;
    const segment_entry *s = &p->segments[i_segment];
    if (p->i_order != i_segment && (st = keep_order(p, i_segment, s, err)) != RT_OK) return st;
    RT_ASSERT(p->order != NULL);
    const step_entry *e = &s->steps[step - s->segment.first_step];
    size_t n_records = e[1].first - e->first, n = 0;
    sized_item *sized = rt_calloc(n_records * TASK_COUNT, sizeof *sized);
    plan_item *items = rt_calloc(n_records * TASK_COUNT, sizeof *items);
    size_t *cuts = rt_calloc((size_t)e->n_micro_batches + 1, sizeof *cuts);
    if (sized == NULL || items == NULL || cuts == NULL) {
        st = rt_fail(err, RT_NOMEM, "step of %zu records", n_records);
        goto out;
    }
    for (uint32_t place = e->first; place < e[1].first; place++) {
        plan_record r;
        get_record(p, &s->range, p->order, place, &r);
        for (int t = 0; t < TASK_COUNT; t++)
            if (r.n_target[t] > 0)
                sized[n++] = (sized_item){{r.i_example, (student_task)t}, place, r.n_tokens[t]};
    }
    qsort(sized, n, sizeof *sized, compare_items);
    cut_micro_batches(sized, n, e->n_micro_batches, cuts);
    for (size_t i = 0; i < n; i++) items[i] = sized[i].item;
    free(p->items);
    free(p->cuts);
    p->items = items;
    p->n_items = n;
    p->cuts = cuts;
    p->n_cuts = e->n_micro_batches;
    p->i_step = step;
    items = NULL;
    cuts = NULL;
out:
    free(sized);
    free(items);
    free(cuts);
    return st;
}

rt_status plan_get_micro_batch(plan *p, uint64_t step, size_t index, const plan_item **items,
                               size_t *n_items, rt_error *err)
{
    size_t i = find_segment(p, step);
    if (i == SIZE_MAX) return not_planned(p, step, err);
    rt_status st = use_step(p, i, step, err);
    if (st != RT_OK) return st;
    if (index >= p->n_cuts)
        return rt_fail(err, RT_NOTFOUND, "step %" PRIu64 " has %zu micro-batches, not number %zu",
                       step, p->n_cuts, index);
    *items = p->items + p->cuts[index];
    *n_items = p->cuts[index + 1] - p->cuts[index];
    return RT_OK;
}

rt_status plan_steps_per_epoch(const plan_settings *settings, const plan_source *source,
                               uint64_t *out, rt_error *err)
{
    rt_status st;
    plan_record r;
    uint64_t n_steps = 0, n_tokens = 0;
    uint64_t budget = (uint64_t)settings->micro_batches * settings->micro_batch_tokens;
    size_t n_in_step = 0;
    source->rewind(source->context);
    while ((st = source->next(source->context, &r, err)) == RT_OK) {
        if (n_tasks(&r) == 0) continue;
        uint64_t k = record_tokens(&r);
        bool full = settings->records_per_step > 0 && n_in_step == settings->records_per_step;
        if (n_in_step == 0 || full || n_tokens + k > budget) {
            n_steps++;
            n_in_step = 0;
            n_tokens = 0;
        }
        n_in_step++;
        n_tokens += k;
    }
    if (st != RT_END) return st;
    *out = n_steps;
    return RT_OK;
}

bool plan_is_validation(uint64_t seed, rt_id id, double valid_share)
{
    rng_key key = rng_key_make(seed, "validation", id, 0);
    return (double)(rng_u64(key, 0) >> 11) * 0x1p-53 < valid_share;
}
