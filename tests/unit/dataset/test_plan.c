#include "common/dataset/plan.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"

static const plan_settings toy_settings = {
    .seed = 7, .micro_batches = 4, .micro_batch_tokens = 200};

/* n records from corpus index `first` on, of uneven lengths; some lack a task, some have none. */
static plan_record *toy_records(uint32_t first, size_t n)
{
    plan_record *records = rt_calloc(n, sizeof *records);
    rng_key key = rng_key_make(1, "toy", (rt_id){0}, 0);
    for (size_t i = 0; i < n; i++) {
        plan_record *r = &records[i];
        r->i_example = first + (uint32_t)i;
        uint64_t u = rng_u64(key, r->i_example);
        if (u % 17 == 0) continue;
        r->n_target[TASK_PREDICT] = 2;
        r->n_tokens[TASK_PREDICT] = 5 + (uint32_t)(u >> 8) % 20;
        if (u % 5 == 0) continue;
        r->n_target[TASK_EXPLAIN] = 10 + (uint32_t)(u >> 16) % 30;
        r->n_tokens[TASK_EXPLAIN] = 5 + (uint32_t)(u >> 8) % 20 + r->n_target[TASK_EXPLAIN];
    }
    return records;
}

/* Records of an array, as a source. */
typedef struct array_walk {
    const plan_record *records;
    size_t n, at;
} array_walk;

static rt_status next_of_array(void *context, plan_record *out, rt_error *err)
{
    array_walk *w = context;
    (void)err;
    if (w->at == w->n) return RT_END;
    *out = w->records[w->at++];
    return RT_OK;
}

static void rewind_array(void *context)
{
    ((array_walk *)context)->at = 0;
}

static rt_status try_add(plan *p, plan_kind kind, uint64_t index, const plan_record *records,
                         size_t n, rt_error *err)
{
    array_walk walk = {records, n, 0};
    plan_source source = {next_of_array, rewind_array, &walk};
    return plan_add_segment(p, kind, index, &source, err);
}

static uint64_t steps_per_epoch(const plan_settings *settings, const plan_record *records, size_t n)
{
    uint64_t n_steps = 0;
    array_walk walk = {records, n, 0};
    plan_source source = {next_of_array, rewind_array, &walk};
    cr_assert_eq(plan_steps_per_epoch(settings, &source, &n_steps, NULL), RT_OK);
    return n_steps;
}

static plan *toy_plan(const plan_settings *settings)
{
    plan *p = NULL;
    rt_error err = {0};
    cr_assert_eq(plan_new(settings, &p, &err), RT_OK, "%s", err.text);
    return p;
}

static void add(plan *p, plan_kind kind, uint64_t index, const plan_record *records, size_t n)
{
    rt_error err = {0};
    cr_assert_eq(try_add(p, kind, index, records, n, &err), RT_OK, "%s", err.text);
}

/* Two chunks and two epochs over them. */
static plan *whole_plan(const plan_settings *settings, size_t n)
{
    plan *p = toy_plan(settings);
    plan_record *records = toy_records(0, 2 * n);
    add(p, PLAN_CHUNK, 0, records, n);
    add(p, PLAN_CHUNK, 1, records + n, n);
    add(p, PLAN_EPOCH, 1, records, 2 * n);
    add(p, PLAN_EPOCH, 2, records, 2 * n);
    free(records);
    return p;
}

/* Every item of a step in order, with the micro-batch it is in, as one hash. */
static uint64_t step_hash(plan *p, uint64_t step)
{
    plan_step_info info;
    uint64_t h = step;
    cr_assert_eq(plan_get_step(p, step, &info, NULL), RT_OK);
    for (size_t m = 0; m < info.n_micro_batches; m++) {
        const plan_item *items;
        size_t n;
        cr_assert_eq(plan_get_micro_batch(p, step, m, &items, &n, NULL), RT_OK);
        for (size_t i = 0; i < n; i++) {
            uint64_t words[] = {m, items[i].i_example, items[i].task};
            h = rt_hash64(words, sizeof words, h);
        }
    }
    return h;
}

static uint64_t plan_hash(plan *p)
{
    uint64_t h = 0;
    for (uint64_t s = 0; s < plan_n_steps(p); s++) {
        uint64_t k = step_hash(p, s);
        h = rt_hash64(&k, sizeof k, h);
    }
    return h;
}

Test(plan, every_record_of_a_segment_appears_once_for_each_of_its_tasks)
{
    enum { N = 500 };
    plan *p = whole_plan(&toy_settings, N);
    plan_record *records = toy_records(0, 2 * N);
    cr_assert_eq(plan_n_segments(p), 4);
    uint64_t next_step = 0;
    for (size_t s = 0; s < 4; s++) {
        const plan_segment *segment = plan_get_segment(p, s);
        unsigned seen[2 * N][TASK_COUNT] = {{0}};
        cr_expect_eq(segment->first_step, next_step);
        next_step += segment->n_steps;
        for (uint64_t step = segment->first_step; step < next_step; step++) {
            plan_step_info info;
            cr_assert_eq(plan_get_step(p, step, &info, NULL), RT_OK);
            cr_expect_eq(info.epoch, segment->epoch);
            for (size_t m = 0; m < info.n_micro_batches; m++) {
                const plan_item *items;
                size_t n;
                cr_assert_eq(plan_get_micro_batch(p, step, m, &items, &n, NULL), RT_OK);
                cr_assert_gt(n, 0, "no micro-batch is empty");
                for (size_t i = 0; i < n; i++) seen[items[i].i_example][items[i].task]++;
            }
        }
        size_t from = s == 1 ? N : 0, to = s == 0 ? N : 2 * N;
        for (size_t i = 0; i < 2 * N; i++)
            for (int t = 0; t < TASK_COUNT; t++)
                cr_assert_eq(seen[i][t], i >= from && i < to && records[i].n_target[t] > 0,
                             "segment %zu record %zu task %d", s, i, t);
    }
    cr_expect_eq(plan_n_steps(p), next_step);
    free(records);
    plan_free(p);
}

/* Runs that were begun with an older build go on: the same records give the same plan for ever. */
Test(plan, is_the_plan_that_it_always_was)
{
    plan *p = whole_plan(&toy_settings, 500);
    cr_expect_eq(plan_hash(p), UINT64_C(0x30607d8dcce231c8));
    cr_expect_str_eq(plan_get_segment(p, 2)->sha256,
                     "c95fd9b11ef84759b555b7684f1a50ba837a486169bdc328d162e08b97dfd0e0");
    plan_free(p);
}

Test(plan, denominators_and_records_are_the_sums_over_the_step)
{
    enum { N = 300 };
    plan *p = whole_plan(&toy_settings, N);
    plan_record *records = toy_records(0, 2 * N);
    for (uint64_t step = 0; step < plan_n_steps(p); step++) {
        plan_step_info info;
        uint64_t count[TASK_COUNT] = {0}, n_tokens = 0;
        bool seen[2 * N] = {false};
        size_t n_seen = 0;
        cr_assert_eq(plan_get_step(p, step, &info, NULL), RT_OK);
        for (size_t m = 0; m < info.n_micro_batches; m++) {
            const plan_item *items;
            size_t n;
            cr_assert_eq(plan_get_micro_batch(p, step, m, &items, &n, NULL), RT_OK);
            for (size_t i = 0; i < n; i++) {
                const plan_record *r = &records[items[i].i_example];
                count[items[i].task] += r->n_target[items[i].task];
                n_tokens += r->n_tokens[items[i].task];
                n_seen += !seen[items[i].i_example];
                seen[items[i].i_example] = true;
            }
        }
        for (int t = 0; t < TASK_COUNT; t++) cr_assert_eq(info.count[t], count[t]);
        cr_assert_eq(info.n_records, n_seen);
        cr_assert_leq(n_tokens, 4 * 200, "the token budget of a step");
    }
    free(records);
    plan_free(p);
}

Test(plan, same_settings_same_plan_in_whatever_order_it_is_asked)
{
    plan *a = whole_plan(&toy_settings, 200), *b = whole_plan(&toy_settings, 200);
    uint64_t n = plan_n_steps(a);
    cr_assert_gt(n, 8);
    cr_expect_eq(plan_hash(a), plan_hash(b));
    for (uint64_t i = 0; i < n; i++) { /* jumps between segments and back */
        uint64_t step = i * 7919 % n;
        cr_assert_eq(step_hash(a, step), step_hash(b, n - 1 - (n - 1 - step)));
        (void)step_hash(b, n - 1 - step);
    }
    plan_settings other = toy_settings;
    other.seed++;
    plan *c = whole_plan(&other, 200);
    cr_expect_neq(plan_hash(a), plan_hash(c), "the seed counts");
    plan_free(a);
    plan_free(b);
    plan_free(c);
}

Test(plan, steps_do_not_change_when_later_segments_come)
{
    plan_record *records = toy_records(0, 400);
    plan *whole = whole_plan(&toy_settings, 200), *grown = toy_plan(&toy_settings);
    uint64_t at = 0;
    add(grown, PLAN_CHUNK, 0, records, 200);
    for (int k = 0; k < 4; k++) {
        for (; at < plan_n_steps(grown); at++)
            cr_assert_eq(step_hash(grown, at), step_hash(whole, at), "step %d", (int)at);
        if (k == 0) add(grown, PLAN_CHUNK, 1, records + 200, 200);
        if (k == 1) add(grown, PLAN_EPOCH, 1, records, 400);
        if (k == 2) add(grown, PLAN_EPOCH, 2, records, 400);
    }
    cr_expect_eq(plan_hash(grown), plan_hash(whole));
    free(records);
    plan_free(whole);
    plan_free(grown);
}

Test(plan, epochs_differ_from_each_other)
{
    plan *p = whole_plan(&toy_settings, 200);
    const plan_segment *a = plan_get_segment(p, 2), *b = plan_get_segment(p, 3);
    cr_expect_str_eq(a->sha256, b->sha256, "the same records");
    const plan_item *items;
    size_t n;
    cr_assert_eq(plan_get_micro_batch(p, a->first_step, 0, &items, &n, NULL), RT_OK);
    plan_item first = items[0];
    size_t n_first = n;
    cr_assert_eq(plan_get_micro_batch(p, b->first_step, 0, &items, &n, NULL), RT_OK);
    cr_expect(n != n_first || items[0].i_example != first.i_example);
    plan_free(p);
}

/* One record a step, so that the steps spell the permutation out. */
Test(plan, chunks_are_permuted_each_in_its_own_way)
{
    enum { N = 64 };
    plan_settings settings = toy_settings;
    plan_record records[2 * N];
    size_t n_in_place = 0, n_alike = 0;
    settings.records_per_step = 1;
    for (uint32_t i = 0; i < 2 * N; i++)
        records[i] = (plan_record){.i_example = i, .n_tokens = {9}, .n_target = {2}};
    plan *p = toy_plan(&settings);
    add(p, PLAN_CHUNK, 0, records, N);
    add(p, PLAN_CHUNK, 1, records + N, N);
    for (uint64_t step = 0; step < N; step++) {
        const plan_item *items;
        size_t n;
        cr_assert_eq(plan_get_micro_batch(p, step, 0, &items, &n, NULL), RT_OK);
        uint32_t first = items[0].i_example;
        cr_assert_eq(plan_get_micro_batch(p, step + N, 0, &items, &n, NULL), RT_OK);
        n_in_place += first == step;
        n_alike += items[0].i_example - N == first;
    }
    cr_expect_lt(n_in_place, N / 4);
    cr_expect_lt(n_alike, N / 4);
    plan_free(p);
}

Test(plan, micro_batches_of_a_step_are_alike_in_tokens)
{
    enum { N = 2000 };
    plan_settings settings = {.seed = 3, .micro_batches = 8, .micro_batch_tokens = 1000};
    plan *p = toy_plan(&settings);
    plan_record *records = toy_records(0, N);
    add(p, PLAN_CHUNK, 0, records, N);
    for (uint64_t step = 0; step + 1 < plan_n_steps(p); step++) {
        uint64_t least = UINT64_MAX, most = 0;
        for (size_t m = 0; m < 8; m++) {
            const plan_item *items;
            size_t n;
            uint64_t n_tokens = 0;
            cr_assert_eq(plan_get_micro_batch(p, step, m, &items, &n, NULL), RT_OK);
            for (size_t i = 0; i < n; i++)
                n_tokens += records[items[i].i_example].n_tokens[items[i].task];
            least = RT_MIN(least, n_tokens);
            most = RT_MAX(most, n_tokens);
        }
        cr_assert_leq(most - least, 2 * 64, "no more than two sequences apart");
    }
    free(records);
    plan_free(p);
}

Test(plan, records_per_step_cuts_before_the_token_budget)
{
    plan_settings settings = toy_settings;
    settings.records_per_step = 3;
    plan *p = toy_plan(&settings);
    plan_record *records = toy_records(0, 100);
    size_t n_with_task = 0;
    for (int i = 0; i < 100; i++) n_with_task += records[i].n_target[TASK_PREDICT] > 0;
    add(p, PLAN_CHUNK, 0, records, 100);
    cr_expect_eq(plan_n_steps(p), (n_with_task + 2) / 3);
    cr_expect_eq(steps_per_epoch(&settings, records, 100), (n_with_task + 2) / 3);
    cr_expect_eq(plan_get_segment(p, 0)->n_records, n_with_task);
    free(records);
    plan_free(p);
}

Test(plan, steps_per_epoch_is_near_the_truth_under_a_token_budget)
{
    plan *p = toy_plan(&toy_settings);
    plan_record *records = toy_records(0, 2000);
    add(p, PLAN_EPOCH, 1, records, 2000);
    double real = (double)plan_n_steps(p);
    double told = (double)steps_per_epoch(&toy_settings, records, 2000);
    cr_expect_lt(told / real - 1, 0.02);
    cr_expect_gt(told / real - 1, -0.02);
    free(records);
    plan_free(p);
}

Test(plan, stops_cutting_at_n_steps_max)
{
    plan_settings settings = toy_settings;
    settings.n_steps_max = 10;
    plan *p = whole_plan(&settings, 100), *q = whole_plan(&toy_settings, 100);
    plan_step_info info;
    cr_assert_gt(plan_n_steps(q), 10);
    cr_expect_eq(plan_n_steps(p), 10);
    for (uint64_t s = 0; s < 10; s++) cr_expect_eq(step_hash(p, s), step_hash(q, s));
    cr_expect_eq(plan_get_step(p, 10, &info, NULL), RT_NOTFOUND);
    cr_expect_eq(plan_get_segment(p, 3)->n_steps, 0);
    plan_free(p);
    plan_free(q);
}

Test(plan, a_record_longer_than_the_budget_makes_a_step_of_its_own)
{
    plan *p = toy_plan(&toy_settings);
    plan_record records[3] = {{.i_example = 0, .n_tokens = {50000}, .n_target = {40000}},
                              {.i_example = 1, .n_tokens = {10}, .n_target = {2}},
                              {.i_example = 2, .n_tokens = {10}, .n_target = {2}}};
    plan_step_info info;
    bool found = false;
    add(p, PLAN_CHUNK, 0, records, 3);
    for (uint64_t s = 0; s < plan_n_steps(p); s++) {
        cr_assert_eq(plan_get_step(p, s, &info, NULL), RT_OK);
        if (info.count[TASK_PREDICT] < 40000) continue;
        cr_expect_eq(info.n_records, 1);
        cr_expect_eq(info.n_micro_batches, 1);
        found = true;
    }
    cr_expect(found);
    plan_free(p);
}

Test(plan, small_segments_make_fewer_micro_batches)
{
    plan *p = toy_plan(&toy_settings);
    plan_record one = {.i_example = 5, .n_tokens = {9, 12}, .n_target = {2, 5}};
    plan_step_info info;
    const plan_item *items;
    size_t n;
    add(p, PLAN_CHUNK, 0, NULL, 0);
    add(p, PLAN_CHUNK, 1, &one, 1);
    cr_assert_eq(plan_n_steps(p), 1);
    cr_expect_eq(plan_get_segment(p, 0)->n_steps, 0);
    cr_assert_eq(plan_get_step(p, 0, &info, NULL), RT_OK);
    cr_expect_eq(info.n_micro_batches, 2);
    cr_expect_eq(info.n_records, 1);
    cr_assert_eq(plan_get_micro_batch(p, 0, 0, &items, &n, NULL), RT_OK);
    cr_expect(n == 1 && items[0].i_example == 5 && items[0].task == TASK_EXPLAIN, "longest first");
    cr_expect_eq(plan_get_micro_batch(p, 0, 2, &items, &n, NULL), RT_NOTFOUND);
    cr_expect_eq(plan_get_micro_batch(p, 1, 0, &items, &n, NULL), RT_NOTFOUND);
    plan_free(p);
}

Test(plan, refuses_settings_and_segments_that_make_no_sense)
{
    plan *p = NULL;
    plan_settings bad = {.micro_batches = 0, .micro_batch_tokens = 1};
    plan_record one = {.i_example = 5, .n_tokens = {9}, .n_target = {2}};
    cr_expect_eq(plan_new(&bad, &p, NULL), RT_INVALID);
    bad = (plan_settings){.micro_batches = SIZE_MAX / 2, .micro_batch_tokens = 4};
    cr_expect_eq(plan_new(&bad, &p, NULL), RT_INVALID);
    cr_expect_null(p);
    p = toy_plan(&toy_settings);
    add(p, PLAN_CHUNK, 0, &one, 1);
    cr_expect_eq(try_add(p, PLAN_CHUNK, 0, &one, 1, NULL), RT_INVALID, "twice");
    cr_expect_eq(try_add(p, PLAN_EPOCH, 0, &one, 1, NULL), RT_INVALID, "epoch 0");
    add(p, PLAN_EPOCH, 1, &one, 1);
    cr_expect_eq(try_add(p, PLAN_CHUNK, 1, &one, 1, NULL), RT_INVALID, "behind an epoch");
    cr_expect_eq(plan_n_segments(p), 2);
    plan_free(p);
}

Test(plan, validation_holds_out_its_share_and_the_same_ids)
{
    int n_small = 0, n_large = 0;
    for (int i = 0; i < 20000; i++) {
        rt_id id = rt_id_of(&i, sizeof i);
        bool is_small = plan_is_validation(1, id, 0.1), is_large = plan_is_validation(1, id, 0.2);
        cr_assert(!is_small || is_large, "a larger share holds out more, not others");
        cr_assert_eq(is_small, plan_is_validation(1, id, 0.1));
        cr_assert_not(plan_is_validation(1, id, 0));
        cr_assert(plan_is_validation(1, id, 1));
        n_small += is_small;
        n_large += is_large;
    }
    cr_expect(n_small > 1850 && n_small < 2150, "%d of 20000", n_small);
    cr_expect(n_large > 3800 && n_large < 4200, "%d of 20000", n_large);
}

Test(plan, segments_survive_their_line_of_json)
{
    plan *p = whole_plan(&toy_settings, 50);
    for (size_t i = 0; i < plan_n_segments(p); i++) {
        const plan_segment *s = plan_get_segment(p, i);
        plan_segment back = {0};
        rt_buf line = {0};
        cr_assert_eq(plan_segment_to_json(s, &line, NULL), RT_OK);
        cr_expect_eq(line.data[line.n - 1], '\n');
        cr_assert_eq(plan_segment_from_json(line.data, line.n, &back, NULL), RT_OK);
        cr_expect(back.kind == s->kind && back.index == s->index && back.epoch == s->epoch &&
                  back.first_step == s->first_step && back.n_steps == s->n_steps &&
                  back.n_records == s->n_records);
        cr_expect_str_eq(back.sha256, s->sha256);
        for (size_t n = 0; n + 1 < line.n; n++)
            cr_assert_eq(plan_segment_from_json(line.data, n, &back, NULL), RT_CORRUPT);
        for (size_t k = 0; k < line.n; k++) { /* whatever the damage, an answer and no crash */
            line.data[k] ^= 4;
            (void)!plan_segment_from_json(line.data, line.n, &back, NULL);
            line.data[k] ^= 4;
        }
        rt_buf_free(&line);
    }
    plan_free(p);
}

Test(plan, the_hash_of_a_segment_sees_every_number)
{
    plan_record a = {.i_example = 1, .n_tokens = {9, 10, 11}, .n_target = {2, 3, 4}};
    char hex[8][RT_SHA256_HEX_SIZE];
    for (int k = 0; k < 8; k++) {
        plan_record b = a;
        if (k == 1) b.i_example++;
        if (k >= 2 && k < 5) b.n_tokens[k - 2]++;
        if (k >= 5) b.n_target[k - 5]++;
        plan *p = toy_plan(&toy_settings);
        add(p, PLAN_CHUNK, 0, &b, 1);
        memcpy(hex[k], plan_get_segment(p, 0)->sha256, sizeof hex[k]);
        for (int j = 0; j < k; j++) cr_expect_str_neq(hex[j], hex[k]);
        plan_free(p);
    }
}
