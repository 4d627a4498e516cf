/* Modes ssp and async: several steps at once, within their bounds. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "toy_shards.h"

#define N_MICRO 3
#define AHEAD   2

static toy_cluster *t; /* shapes, settings, gradients; its own shard is in mode sync */
static shard_state *s;

static wire_server_order order_of(wire_order kind, uint64_t version, uint64_t limit)
{
    wire_server_order order = toy_order(t, kind);
    order.version = version;
    order.limit = limit;
    return order;
}

static void open_shard_of(toy_cluster *cluster, train_mode mode, uint64_t limit)
{
    rt_error err = {0};
    t = cluster;
    shard_settings settings = shard_settings_of(&t->settings, 0);
    settings.mode = mode;
    settings.n_ahead = AHEAD;
    cr_assert_eq(shard_state_new(&settings, &s, &err), RT_OK);
    wire_server_order order = order_of(ORDER_RESTORE, 0, limit);
    shard_model *model = toy_initial(t, 0);
    cr_assert_eq(shard_state_order(s, &order, 0), SHARD_RESTORE);
    cr_assert_eq(shard_state_restored(s, &order, &model, &err), RT_OK);
}

static void open_shard(train_mode mode, uint64_t limit)
{
    open_shard_of(toy_cluster_new(1), mode, limit);
}

static void close_shard(void)
{
    shard_state_free(s);
    toy_cluster_free(t);
    s = NULL;
    t = NULL;
}

TestSuite(shard_modes, .fini = close_shard);

static wire_push_status push_from(uint64_t step, uint32_t index, uint64_t version,
                                  uint64_t generation)
{
    rt_error err = {0};
    wire_push_status status = PUSH_STALE;
    wire_push push = toy_push_header(step, index, N_MICRO);
    float *buffer = shard_state_take_buffer(s);
    push.n_floats = shard_state_n_floats(s);
    push.version = version;
    push.generation = generation;
    toy_gradient(t, step, index);
    param_slice_gather(&shard_state_model(s)->slice, &t->table, t->grad, buffer);
    push.norm = sqrt(grad_sum_squares(t->grad, t->table.n_total));
    cr_assert_eq(shard_state_push(s, &push, &buffer, &status, &err), RT_OK, "%s", err.text);
    shard_state_give_back(s, buffer);
    return status;
}

static wire_push_status push(uint64_t step, uint32_t index)
{
    return push_from(step, index, shard_state_version(s), shard_state_generation(s));
}

static void apply(uint64_t version)
{
    wire_server_order order = order_of(ORDER_APPLY, version, 20);
    wire_server_report r;
    double sum = 0;
    shard_state_report(s, &r);
    cr_assert(r.gathered, "step %llu is not gathered", (unsigned long long)version);
    for (size_t i = 0; i < r.n_params; i++) sum += r.sum_squares[i];
    order.grad_norm = sqrt(sum);
    cr_assert_eq(shard_state_order(s, &order, 0), SHARD_APPLIED);
}

static float *copy_weights(const shard_state *of)
{
    size_t n = shard_state_n_floats(of) * sizeof(float);
    float *copy = malloc(n);
    return memcpy(copy, shard_state_model(of)->weights->floats, n);
}

static bool has_weights(const float *expected)
{
    return memcmp(expected, shard_state_model(s)->weights->floats,
                  shard_state_n_floats(s) * sizeof(float)) == 0;
}

/* These gradients do not depend on the weights, so what is applied can be compared with sync. */
Test(shard_modes, ssp_keeps_what_comes_early_and_applies_steps_in_order)
{
    static const uint64_t arrivals[][2] = {{1, 2}, {0, 1}, {1, 0}, {2, 1}, {0, 0},
                                           {1, 1}, {2, 0}, {0, 2}, {2, 2}};
    open_shard(TRAIN_SSP, 20);
    for (size_t i = 0; i < RT_COUNT(arrivals); i++)
        cr_expect_eq(push_from(arrivals[i][0], (uint32_t)arrivals[i][1], 0, 1), PUSH_ACCEPTED);
    for (uint64_t step = 0; step < 3; step++) {
        apply(step);
        toy_step(t, N_MICRO, NULL);
        cr_expect(has_weights(shard_state_model(t->shards[0])->weights->floats));
    }
}

Test(shard_modes, a_second_gradient_of_a_micro_batch_is_a_repeat_in_every_step_of_the_window)
{
    open_shard(TRAIN_SSP, 20);
    for (uint64_t step = 0; step <= AHEAD; step++) {
        cr_expect_eq(push_from(step, 1, 0, 1), PUSH_ACCEPTED);
        cr_expect_eq(push_from(step, 1, 0, 1), PUSH_DUPLICATE);
    }
}

Test(shard_modes, refuses_what_is_beyond_the_window_the_limit_or_the_staleness)
{
    open_shard(TRAIN_SSP, 2);
    cr_expect_eq(push_from(1, 0, 0, 1), PUSH_ACCEPTED);
    cr_expect_eq(push_from(2, 0, 0, 1), PUSH_AHEAD, "behind the mark");
    wire_server_order wait = order_of(ORDER_WAIT, 0, 20);
    cr_expect_eq(shard_state_order(s, &wait, 0), SHARD_NOTHING);
    cr_expect_eq(push_from(2, 0, 0, 1), PUSH_ACCEPTED);
    wait.limit = 2;
    cr_expect_eq(shard_state_order(s, &wait, 0), SHARD_NOTHING);
    cr_expect_eq(push_from(2, 1, 0, 1), PUSH_ACCEPTED, "a late order takes nothing back");
    cr_expect_eq(push_from(3, 0, 1, 1), PUSH_AHEAD, "behind the window");
    cr_expect_eq(push_from(0, 0, 0, 0), PUSH_AHEAD, "parameters of another generation");
    for (uint32_t i = 0; i < N_MICRO; i++) (void)push_from(0, i, 0, 1);
    apply(0);
    cr_expect_eq(push_from(3, 0, 0, 1), PUSH_AHEAD, "three versions behind its step");
    cr_expect_eq(push_from(3, 0, 1, 1), PUSH_ACCEPTED);
    cr_expect_eq(push_from(0, 0, 0, 1), PUSH_STALE);
}

Test(shard_modes, reports_how_far_the_gradients_of_a_step_were_behind)
{
    wire_server_report r;
    open_shard(TRAIN_SSP, 20);
    cr_expect_eq(push_from(1, 0, 0, 1), PUSH_ACCEPTED);
    for (uint32_t i = 0; i < N_MICRO; i++) cr_expect_eq(push_from(0, i, 0, 1), PUSH_ACCEPTED);
    shard_state_report(s, &r);
    cr_expect_eq(r.staleness[0], N_MICRO);
    apply(0);
    for (uint32_t i = 1; i < N_MICRO; i++) cr_expect_eq(push_from(1, i, 1, 1), PUSH_ACCEPTED);
    shard_state_report(s, &r);
    cr_expect_eq(r.staleness[0], 2);
    cr_expect_eq(r.staleness[1], 1);
}

Test(shard_modes, async_applies_on_arrival_and_an_order_only_moves_on)
{
    open_shard(TRAIN_ASYNC, 20);
    for (uint32_t i = 0; i < N_MICRO; i++) {
        float *before = copy_weights(s);
        cr_expect_eq(push(0, N_MICRO - 1 - i), PUSH_ACCEPTED);
        cr_expect_not(has_weights(before));
        free(before);
        before = copy_weights(s);
        cr_expect_eq(push(0, N_MICRO - 1 - i), PUSH_DUPLICATE);
        cr_expect(has_weights(before));
        free(before);
    }
    float *before = copy_weights(s);
    apply(0);
    cr_expect(has_weights(before));
    cr_expect_eq(shard_state_version(s), 1);
    free(before);
}

/* Three steps whose embeddings have two rows for each micro-batch, whole or as these rows. */
static float *train_rows(train_mode mode, bool in_rows)
{
    open_shard_of(toy_cluster_new_untied(1), mode, 20);
    const param *embed = &t->table.params[0];
    for (uint64_t step = 0; step < 3; step++) {
        for (uint32_t i = 0; i < N_MICRO; i++) {
            rt_error err = {0};
            wire_push_status status = PUSH_STALE;
            wire_push push = toy_push_header(step, i, N_MICRO);
            uint32_t ids[] = {i, 20 + (uint32_t)step};
            slice_rows part;
            const shard_model *model = shard_state_model(s);
            push.n_floats = shard_state_n_floats(s);
            push.version = step;
            push.generation = shard_state_generation(s);
            push.rows = (wire_rows){.param = 0, .ids = ids, .n = 2, .present = in_rows};
            toy_gradient(t, step, i);
            for (size_t row = 0; row < embed->shape[0]; row++)
                if (row != ids[0] && row != ids[1])
                    memset(t->grad + embed->offset + row * embed->shape[1], 0,
                           embed->shape[1] * sizeof *t->grad);
            push.norm = sqrt(grad_sum_squares(t->grad, t->table.n_total));
            float *buffer = shard_state_take_buffer(s);
            cr_assert_eq(slice_rows_of(&model->slice, &t->table, &push.rows, &part, &err), RT_OK);
            slice_rows_gather(&part, &model->slice, &t->table, t->grad, buffer);
            cr_assert_eq(shard_state_push(s, &push, &buffer, &status, &err), RT_OK, "%s", err.text);
            cr_expect_eq(status, PUSH_ACCEPTED);
            shard_state_give_back(s, buffer);
        }
        apply(step);
    }
    return copy_weights(s);
}

Test(shard_modes, gradients_in_rows_give_the_weights_of_whole_ones)
{
    static const train_mode modes[] = {TRAIN_SSP, TRAIN_ASYNC};
    for (size_t i = 0; i < RT_COUNT(modes); i++) {
        float *whole = train_rows(modes[i], false);
        close_shard();
        float *rows = train_rows(modes[i], true);
        cr_expect(memcmp(whole, rows, shard_state_n_floats(s) * sizeof *rows) == 0);
        close_shard();
        free(whole);
        free(rows);
    }
}

/* Weights of a step in three updates of a third lie near those of one update. */
Test(shard_modes, async_moves_about_as_far_as_sync)
{
    open_shard(TRAIN_ASYNC, 20);
    float *start = copy_weights(s);
    for (uint64_t step = 0; step < 4; step++) {
        for (uint32_t i = 0; i < N_MICRO; i++) (void)push(step, i);
        apply(step);
        toy_step(t, N_MICRO, NULL);
    }
    double sync = 0, async = 0;
    for (size_t i = 0; i < shard_state_n_floats(s); i++) {
        sync += fabs(shard_state_model(t->shards[0])->weights->floats[i] - start[i]);
        async += fabs(shard_state_model(s)->weights->floats[i] - start[i]);
    }
    cr_expect_gt(async, sync / 3);
    cr_expect_lt(async, sync * 3);
    free(start);
}

Test(shard_modes, async_saves_no_version_that_holds_gradients_of_the_next)
{
    wire_server_report r;
    char folder[] = "step-0.partial";
    open_shard(TRAIN_ASYNC, 20);
    wire_server_order save = order_of(ORDER_SAVE, 0, 20);
    save.generation = shard_state_generation(s);
    save.folder = folder;
    cr_expect_eq(shard_state_order(s, &save, 0), SHARD_SAVE);
    cr_expect_eq(push(1, 0), PUSH_ACCEPTED);
    cr_expect_eq(shard_state_order(s, &save, 0), SHARD_NOTHING);
    shard_state_report(s, &r);
    cr_expect(r.mixed);
}

Test(shard_modes, a_pull_takes_what_is_new_enough)
{
    uint64_t needed = 0;
    open_shard(TRAIN_SSP, 4);
    wire_pull pull = {.version = 2, .staleness = AHEAD};
    cr_expect_eq(shard_state_pull(s, &pull, &needed), PULL_OK);
    pull.version = 3;
    cr_expect_eq(shard_state_pull(s, &pull, &needed), PULL_NOT_YET);
    cr_expect_eq(needed, 1);
    pull.version = 4; /* behind the mark: an order decides, no version */
    cr_expect_eq(shard_state_pull(s, &pull, &needed), PULL_NOT_YET);
    cr_expect_eq(needed, UINT64_MAX);
    wire_pull exact = {.version = 0};
    cr_expect_eq(shard_state_pull(s, &exact, &needed), PULL_OK);
    for (uint32_t i = 0; i < N_MICRO; i++) (void)push_from(0, i, 0, 1);
    apply(0);
    cr_expect_eq(shard_state_pull(s, &exact, &needed), PULL_GONE);
}
