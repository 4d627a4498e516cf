#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "toy_shards.h"

/* The whole vectors of a cluster. */
typedef struct vectors {
    size_t n_bytes;
    float *w, *m, *v;
} vectors;

static vectors vectors_of(const toy_cluster *t)
{
    size_t n = t->table.n_total;
    vectors x = {n * sizeof(float), calloc(n, sizeof(float)), calloc(n, sizeof(float)),
                 calloc(n, sizeof(float))};
    toy_collect(t, x.w, x.m, x.v);
    return x;
}

static void vectors_free(vectors *x)
{
    free(x->w);
    free(x->m);
    free(x->v);
}

static bool vectors_equal(const vectors *a, const vectors *b)
{
    return a->n_bytes == b->n_bytes && memcmp(a->w, b->w, a->n_bytes) == 0 &&
           memcmp(a->m, b->m, a->n_bytes) == 0 && memcmp(a->v, b->v, a->n_bytes) == 0;
}

static vectors train(uint32_t n_shards, uint32_t n_steps, const uint32_t *order)
{
    toy_cluster *t = toy_cluster_new(n_shards);
    for (uint32_t i = 0; i < n_steps; i++) toy_step(t, 5, order);
    vectors x = vectors_of(t);
    toy_cluster_free(t);
    return x;
}

Test(shard_state, any_number_of_shards_gives_the_same_bits)
{
    vectors one = train(1, 6, NULL);
    for (uint32_t n = 2; n <= TOY_SHARDS_MAX; n++) {
        vectors several = train(n, 6, NULL);
        cr_expect(vectors_equal(&one, &several), "%u shards differ from one", n);
        vectors_free(&several);
    }
    vectors_free(&one);
}

Test(shard_state, order_of_arrival_does_not_matter)
{
    static const uint32_t orders[][5] = {{4, 3, 2, 1, 0}, {2, 0, 4, 1, 3}, {1, 2, 3, 4, 0}};
    vectors straight = train(2, 4, NULL);
    for (size_t i = 0; i < RT_COUNT(orders); i++) {
        vectors shuffled = train(2, 4, orders[i]);
        cr_expect(vectors_equal(&straight, &shuffled), "order %zu differs", i);
        vectors_free(&shuffled);
    }
    vectors_free(&straight);
}

/* One step from version 0 with entry 2 at this share of the learning rate. */
static vectors step_at(float lr_scale)
{
    toy_cluster *t = toy_cluster_new(1);
    param *p = &((shard_model *)(uintptr_t)shard_state_model(t->shards[0]))->table.params[2];
    p->lr_scale = lr_scale;
    p->decay = false;
    toy_step(t, 2, NULL);
    vectors x = vectors_of(t);
    toy_cluster_free(t);
    return x;
}

Test(shard_state, a_parameter_moves_by_its_own_share_of_the_learning_rate)
{
    toy_cluster *t = toy_cluster_new(1);
    vectors before = vectors_of(t), whole = step_at(1), quarter = step_at(0.25f);
    const param *p = &t->table.params[2];
    for (size_t i = 0; i < t->table.n_total; i++) {
        bool inside = i >= p->offset && i < p->offset + p->n;
        double moved = (double)whole.w[i] - before.w[i], less = (double)quarter.w[i] - before.w[i];
        cr_assert_float_eq(less, inside ? moved / 4 : moved, inside ? 1e-6 : 0, "weight %zu", i);
    }
    vectors_free(&before);
    vectors_free(&whole);
    vectors_free(&quarter);
    toy_cluster_free(t);
}

Test(shard_state, training_changes_every_parameter_group)
{
    vectors before = train(1, 0, NULL), after = train(1, 1, NULL);
    cr_expect_neq(memcmp(before.w, after.w, before.n_bytes), 0);
    cr_expect_neq(memcmp(before.m, after.m, before.n_bytes), 0);
    vectors_free(&before);
    vectors_free(&after);
}

Test(shard_state, second_gradient_of_a_micro_batch_is_dropped)
{
    toy_cluster *t = toy_cluster_new(1), *twice = toy_cluster_new(1);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(toy_push(t, 0, 0, i, 3), PUSH_ACCEPTED);
        cr_assert_eq(toy_push(twice, 0, 0, i, 3), PUSH_ACCEPTED);
        cr_expect_eq(toy_push(twice, 0, 0, i, 3), PUSH_DUPLICATE);
    }
    toy_apply(t);
    toy_apply(twice);
    vectors a = vectors_of(t), b = vectors_of(twice);
    cr_expect(vectors_equal(&a, &b));
    vectors_free(&a);
    vectors_free(&b);
    toy_cluster_free(t);
    toy_cluster_free(twice);
}

Test(shard_state, pushes_for_other_steps_are_told_so)
{
    toy_cluster *t = toy_cluster_new(1);
    toy_step(t, 2, NULL);
    toy_step(t, 2, NULL);
    cr_expect_eq(toy_push(t, 0, 1, 0, 2), PUSH_STALE);
    cr_expect_eq(toy_push(t, 0, 3, 0, 2), PUSH_AHEAD);
    cr_expect_eq(toy_push(t, 0, 2, 0, 2), PUSH_ACCEPTED);
    toy_cluster_free(t);
}

static wire_pull_status pull_of(const shard_state *s, uint64_t version)
{
    uint64_t needed = 0;
    wire_pull pull = {.version = version};
    wire_pull_status status = shard_state_pull(s, &pull, &needed);
    cr_expect_eq(needed, version);
    return status;
}

Test(shard_state, pulls_are_answered_by_version)
{
    toy_cluster *t = toy_cluster_new(1);
    toy_step(t, 1, NULL);
    cr_expect_eq(pull_of(t->shards[0], 0), PULL_GONE);
    cr_expect_eq(pull_of(t->shards[0], 1), PULL_OK);
    cr_expect_eq(pull_of(t->shards[0], 2), PULL_NOT_YET);
    shard_state *empty = NULL;
    shard_settings settings = shard_settings_of(&t->settings, 0);
    cr_assert_eq(shard_state_new(&settings, &empty, NULL), RT_OK);
    cr_expect_eq(pull_of(empty, 0), PULL_NOT_YET);
    shard_state_free(empty);
    toy_cluster_free(t);
}

Test(shard_state, restore_in_the_middle_repeats_bit_for_bit_with_other_shards)
{
    vectors straight = train(2, 6, NULL);
    toy_cluster *t = toy_cluster_new(2);
    for (int i = 0; i < 3; i++) toy_step(t, 5, NULL);
    vectors saved = vectors_of(t);
    toy_step(t, 5, NULL); /* lost with the shard */
    toy_push(t, 0, 4, 1, 5);

    toy_restore(t, 3, saved.w, saved.m, saved.v);
    toy_cluster *three = toy_cluster_new(3);
    toy_restore(three, 3, saved.w, saved.m, saved.v);
    for (int i = 0; i < 3; i++) {
        toy_step(t, 5, NULL);
        toy_step(three, 5, NULL);
    }
    vectors again = vectors_of(t), other = vectors_of(three);
    cr_expect(vectors_equal(&straight, &again), "the same shards");
    cr_expect(vectors_equal(&straight, &other), "three shards instead of two");
    vectors_free(&straight);
    vectors_free(&saved);
    vectors_free(&again);
    vectors_free(&other);
    toy_cluster_free(t);
    toy_cluster_free(three);
}

Test(shard_state, restore_forgets_gradients_of_the_time_before)
{
    toy_cluster *t = toy_cluster_new(1), *clean = toy_cluster_new(1);
    vectors start = vectors_of(t);
    toy_push(t, 0, 0, 0, 8); /* of a step that had eight micro-batches */
    toy_restore(t, 0, start.w, start.m, start.v);
    toy_step(t, 3, NULL);
    toy_step(clean, 3, NULL);
    vectors a = vectors_of(t), b = vectors_of(clean);
    cr_expect(vectors_equal(&a, &b));
    vectors_free(&start);
    vectors_free(&a);
    vectors_free(&b);
    toy_cluster_free(t);
    toy_cluster_free(clean);
}

Test(shard_state, orders_for_another_state_are_ignored)
{
    toy_cluster *t = toy_cluster_new(1);
    shard_state *s = t->shards[0];
    wire_server_order apply = toy_order(t, ORDER_APPLY);
    apply.grad_norm = 1;
    cr_expect_eq(shard_state_order(s, &apply, 0), SHARD_NOTHING, "nothing was gathered");
    toy_push(t, 0, 0, 0, 1);

    wire_server_order wrong = apply;
    wrong.generation++;
    cr_expect_eq(shard_state_order(s, &wrong, 0), SHARD_NOTHING, "another generation");
    wrong = apply;
    wrong.version++;
    cr_expect_eq(shard_state_order(s, &wrong, 0), SHARD_NOTHING, "another version");
    wrong = apply;
    wrong.n_steps = 0;
    cr_expect_eq(shard_state_order(s, &wrong, 0), SHARD_NOTHING, "no schedule");
    wrong = apply;
    wrong.grad_norm = (double)NAN;
    cr_expect_eq(shard_state_order(s, &wrong, 0), SHARD_NOTHING, "no norm");

    cr_expect_eq(shard_state_order(s, &apply, 0), SHARD_APPLIED);
    cr_expect_eq(shard_state_order(s, &apply, 0), SHARD_NOTHING, "a repeat");
    cr_expect_eq(shard_state_version(s), 1);

    wire_server_order restore = toy_order(t, ORDER_RESTORE);
    cr_expect_eq(shard_state_order(s, &restore, 0), SHARD_NOTHING, "this generation is here");
    restore.generation--;
    cr_expect_eq(shard_state_order(s, &restore, 0), SHARD_NOTHING, "an older generation");
    restore.generation += 2;
    cr_expect_eq(shard_state_order(s, &restore, 0), SHARD_RESTORE);
    restore.n_vocab = 0;
    cr_expect_eq(shard_state_order(s, &restore, 0), SHARD_NOTHING, "no vocabulary yet");
    toy_cluster_free(t);
}

Test(shard_state, refuses_a_non_finite_gradient_and_says_so_until_the_step_is_over)
{
    static const float bad[] = {(float)NAN, (float)INFINITY, -(float)INFINITY};
    toy_cluster *t = toy_cluster_new(1);
    shard_state *s = t->shards[0];
    wire_push push = toy_push_header(0, 0, 1);
    push.n_floats = shard_state_n_floats(s);
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        rt_error err = {0};
        wire_push_status status = PUSH_AHEAD;
        wire_server_report report;
        float *buffer = shard_state_take_buffer(s);
        memset(buffer, 0, push.n_floats * sizeof *buffer);
        buffer[i == 0 ? push.n_floats - 1 : i * 7] = bad[i];
        cr_expect_eq(shard_state_push(s, &push, &buffer, &status, &err), RT_INVALID);
        cr_expect_not_null(strstr(err.text, "non-finite gradient"), "%s", err.text);
        cr_expect_not_null(buffer, "a refused gradient stays the caller's");
        cr_expect_eq(status, PUSH_AHEAD, "untouched");
        shard_state_give_back(s, buffer);
        shard_state_report(s, &report);
        cr_expect_not_null(strstr(report.problem, "non-finite gradient"));
        cr_expect(report.diverged);
        cr_expect_not(report.gathered);
    }
    toy_step(t, 1, NULL);
    wire_server_report report;
    shard_state_report(s, &report);
    cr_expect_str_eq(report.problem, "");
    cr_expect_not(report.diverged);
    toy_cluster_free(t);
}

Test(shard_state, gradients_whose_sum_overflows_are_a_problem_not_an_update)
{
    toy_cluster *t = toy_cluster_new(1);
    shard_state *s = t->shards[0];
    for (uint32_t i = 0; i < 2; i++) {
        wire_push push = toy_push_header(0, i, 2);
        wire_push_status status;
        float *buffer = shard_state_take_buffer(s);
        push.n_floats = shard_state_n_floats(s);
        for (size_t j = 0; j < push.n_floats; j++) buffer[j] = 3e38f;
        cr_assert_eq(shard_state_push(s, &push, &buffer, &status, NULL), RT_OK);
    }
    wire_server_report report;
    shard_state_report(s, &report);
    cr_expect_not(report.gathered);
    cr_expect_not_null(strstr(report.problem, "overflows"));
    cr_expect(report.diverged);
    toy_cluster_free(t);
}

typedef struct bad_push {
    uint32_t index, n;
    int more_floats;
    const char *text;
} bad_push;

Test(shard_state, refuses_pushes_that_cannot_be)
{
    static const bad_push cases[] = {{0, 0, 0, "micro-batches"}, {0, 9, 0, "1 to 8"},
                                     {3, 3, 0, "below 3"},       {0, 4, 0, "expected 3"},
                                     {1, 3, 1, "shape"},         {1, 3, -1, "shape"}};
    toy_cluster *t = toy_cluster_new(1);
    shard_state *s = t->shards[0];
    toy_push(t, 0, 0, 0, 3);
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        rt_error err = {0};
        wire_push_status status;
        slice_rows rows;
        wire_push push = toy_push_header(0, cases[i].index, cases[i].n);
        push.n_floats = shard_state_n_floats(s) + (uint64_t)(int64_t)cases[i].more_floats;
        cr_expect_eq(shard_state_check(s, &push, &rows, &status, &err), RT_INVALID, "case %zu", i);
        cr_expect_not_null(strstr(err.text, cases[i].text), "case %zu: %s", i, err.text);
        float *buffer = shard_state_take_buffer(s);
        wire_server_report report;
        cr_expect_eq(shard_state_push(s, &push, &buffer, &status, NULL), RT_INVALID);
        shard_state_give_back(s, buffer);
        shard_state_report(s, &report);
        cr_expect_not(report.diverged, "case %zu: a stranger's shape ends no run", i);
    }
    toy_cluster_free(t);
}

Test(shard_state, report_tells_what_is_here_and_sums_when_gathered)
{
    toy_cluster *t = toy_cluster_new(1);
    wire_server_report report;
    toy_push(t, 0, 0, 2, 3);
    shard_state_report(t->shards[0], &report);
    cr_expect_eq(report.n_micro_batches, 3);
    cr_expect_eq(report.n_received, 1);
    cr_expect_eq(report.received[0], 4);
    cr_expect_not(report.gathered);
    cr_expect_eq(report.n_params, 0);
    toy_push(t, 0, 0, 0, 3);
    toy_push(t, 0, 0, 1, 3);
    shard_state_report(t->shards[0], &report);
    cr_expect(report.gathered);
    cr_expect_eq(report.received[0], 7);
    cr_expect_eq(report.n_params, t->table.n_params - 1,
                 "the tied head has no gradient of its own");
    cr_expect_float_eq(report.sums.loss[0], 0.3, 1e-12);
    cr_expect_eq(report.sums.n_seqs[0], 6);
    toy_cluster_free(t);
}

Test(shard_state, weights_in_flight_do_not_change_under_the_reader)
{
    toy_cluster *t = toy_cluster_new(1);
    const shard_model *model = shard_state_model(t->shards[0]);
    shard_weights *held = shard_weights_ref(model->weights);
    size_t n_bytes = held->n_floats * sizeof(float);
    float *before = malloc(n_bytes);
    memcpy(before, held->floats, n_bytes);
    toy_step(t, 1, NULL);
    cr_expect_eq(memcmp(before, held->floats, n_bytes), 0);
    cr_expect_neq(model->weights, held);
    shard_weights *current = model->weights;
    shard_weights_unref(held);
    toy_step(t, 1, NULL);
    cr_expect_eq(model->weights, current, "nobody held it: updated in place");
    free(before);
    toy_cluster_free(t);
}

Test(shard_state, saves_once_and_tries_again_after_a_failure)
{
    toy_cluster *t = toy_cluster_new(1);
    shard_state *s = t->shards[0];
    wire_server_report report;
    wire_server_order save = toy_order(t, ORDER_SAVE);
    save.folder = "checkpoints/step-0.partial";
    wire_saved_file files[] = {
        {.name = "model-00001-of-00001.safetensors", .n_bytes = 9, .sha256 = "ab"},
        {.name = "optim-00001-of-00001.safetensors", .n_bytes = 7, .sha256 = "cd"}};
    cr_expect_eq(shard_state_order(s, &save, 1000), SHARD_SAVE);
    shard_state_failed(s, "disk full: no space left on device", 1000);
    shard_state_report(s, &report);
    cr_expect_str_eq(report.problem, "disk full: no space left on device");
    cr_expect_not(report.has_saved);
    cr_expect_eq(shard_state_order(s, &save, 1000 + SHARD_RETRY_MS - 1), SHARD_NOTHING);
    cr_expect_eq(shard_state_order(s, &save, 1000 + SHARD_RETRY_MS), SHARD_SAVE);
    cr_assert_eq(shard_state_saved(s, &save, files, 2, NULL), RT_OK);
    shard_state_report(s, &report);
    cr_expect_str_eq(report.problem, "");
    cr_expect(report.has_saved);
    cr_expect_eq(report.n_saved_files, 2);
    cr_expect_str_eq(report.saved_files[1].sha256, "cd");
    cr_expect_eq(shard_state_order(s, &save, 9000), SHARD_NOTHING, "a repeat");
    save.folder = "elsewhere/step-0.partial";
    cr_expect_eq(shard_state_order(s, &save, 9000), SHARD_SAVE, "another folder");
    toy_cluster_free(t);
}

Test(shard_state, clipping_scales_by_the_global_norm)
{
    toy_cluster *t = toy_cluster_new(2);
    toy_push(t, 0, 0, 0, 1);
    toy_push(t, 1, 0, 0, 1);
    double norm = toy_norm(t);
    cr_assert_gt(norm, t->settings.train.clip_norm);
    wire_server_order order = toy_order(t, ORDER_APPLY);
    order.grad_norm = norm;
    for (int i = 0; i < 2; i++) shard_state_order(t->shards[i], &order, 0);
    /* After one step m = (1 - beta1) * scale * gradient: the scale can be read off. */
    vectors x = vectors_of(t);
    double squares = 0;
    for (size_t i = 0; i < t->table.n_total; i++) squares += (double)x.m[i] * x.m[i];
    cr_expect_float_eq(sqrt(squares) / 0.1, t->settings.train.clip_norm, 1e-3);
    vectors_free(&x);
    toy_cluster_free(t);
}
