#include <criterion/criterion.h>
#include <math.h>

#include "common/base/rng.h"
#include "coordinator/step_control.h"

#define SHARDS_MAX 3
#define N_PARAMS   6

static step_control *sc;

static void close_control(void)
{
    step_control_free(sc);
    sc = NULL;
}

TestSuite(step_control, .fini = close_control);

static void open_control(uint32_t n_shards, uint64_t eval_every, uint64_t n_steps)
{
    cr_assert_eq(step_control_new(n_shards, eval_every, &sc, NULL), RT_OK);
    if (n_steps > 0) step_control_ready(sc, n_steps);
}

/* A shard as the coordinator sees it. Parameters i with i % n_shards == shard are its own. */
typedef struct toy_shard {
    uint64_t session;
    uint64_t generation, version;
    bool has_params, gathered, has_saved, diverged, mixed, leaving;
    uint64_t saved_version;
    uint64_t weights; /* a hash of every update so far */
} toy_shard;

static double toy_square(uint64_t step, unsigned param)
{
    return 1.0 / (1.0 + (double)step * 3 + param);
}

static void toy_report(const toy_shard *s, uint32_t shard, uint32_t n_shards)
{
    uint32_t index[N_PARAMS];
    double squares[N_PARAMS];
    char name[] = "model", sha[] = "00", none[] = "";
    wire_saved_file file = {name, 1, sha};
    wire_server_report r = {.shard = shard,
                            .generation = s->generation,
                            .has_params = s->has_params,
                            .version = s->version,
                            .gathered = s->gathered,
                            .param_index = index,
                            .sum_squares = squares,
                            .has_saved = s->has_saved,
                            .saved_version = s->saved_version,
                            .saved_files = &file,
                            .n_saved_files = s->has_saved ? 1 : 0,
                            .problem = none,
                            .diverged = s->diverged,
                            .mixed = s->mixed,
                            .leaving = s->leaving};
    for (unsigned p = 0; s->gathered && p < N_PARAMS; p++) {
        if (p % n_shards != shard) continue;
        index[r.n_params] = p;
        squares[r.n_params++] = toy_square(s->version, p);
    }
    r.sums.loss[0] = 1.0 + (double)s->version;
    cr_assert_eq(step_control_report(sc, &r, s->session, NULL), RT_OK);
}

static void toy_obey(toy_shard *s, uint32_t shard)
{
    wire_server_order o;
    step_control_order(sc, shard, &o);
    bool mine = s->has_params && o.generation == s->generation && o.version == s->version;
    if (o.kind == ORDER_RESTORE && (!s->has_params || o.generation > s->generation)) {
        uint64_t session = s->session;
        *s = (toy_shard){.session = session,
                         .generation = o.generation,
                         .version = o.version,
                         .has_params = true,
                         .weights = o.version}; /* the caller puts the saved weights in */
    } else if (o.kind == ORDER_APPLY && mine && s->gathered) {
        s->weights = rt_hash64(&o.grad_norm, sizeof o.grad_norm, s->weights);
        s->version++;
        s->gathered = false;
    } else if (o.kind == ORDER_SAVE && mine) {
        s->has_saved = true;
        s->saved_version = s->version;
    }
}

static step_action expect_action(step_action_kind kind)
{
    step_action a = {0};
    cr_assert(step_control_next(sc, &a), "expected action %d, found none", (int)kind);
    cr_assert_eq(a.kind, kind, "expected action %d, found %d", (int)kind, (int)a.kind);
    return a;
}

static wire_order order_of(uint32_t shard)
{
    wire_server_order o;
    step_control_order(sc, shard, &o);
    return o.kind;
}

/* Two fresh shards, restored to version 0. */
static void start_two(toy_shard s[2], uint64_t eval_every, uint64_t n_steps)
{
    open_control(2, eval_every, n_steps);
    s[0] = (toy_shard){.session = 1};
    s[1] = (toy_shard){.session = 2};
    for (uint32_t i = 0; i < 2; i++) toy_report(&s[i], i, 2);
    expect_action(STEP_ACTION_REWIND);
    step_control_restore(sc, 0);
    for (uint32_t i = 0; i < 2; i++) {
        cr_expect_eq(order_of(i), ORDER_RESTORE);
        toy_obey(&s[i], i);
        toy_report(&s[i], i, 2);
    }
    expect_action(STEP_ACTION_ADVANCED);
}

static void gather_both(toy_shard s[2])
{
    for (uint32_t i = 0; i < 2; i++) {
        s[i].gathered = true;
        toy_report(&s[i], i, 2);
    }
}

static void apply_both(toy_shard s[2])
{
    gather_both(s);
    expect_action(STEP_ACTION_APPLYING);
    for (uint32_t i = 0; i < 2; i++) {
        cr_expect_eq(order_of(i), ORDER_APPLY);
        toy_obey(&s[i], i);
        toy_report(&s[i], i, 2);
    }
    expect_action(STEP_ACTION_ADVANCED);
}

Test(step_control, waits_until_every_shard_and_the_length_are_known)
{
    toy_shard s = {.session = 1};
    open_control(2, 0, 0);
    toy_report(&s, 0, 2);
    cr_expect_eq(order_of(0), ORDER_WAIT);
    cr_expect_eq(step_control_publish_limit(sc), 0);
    step_control_ready(sc, 5);
    step_action a;
    cr_expect_not(step_control_next(sc, &a));
    toy_report(&s, 1, 2);
    expect_action(STEP_ACTION_REWIND);
}

Test(step_control, says_once_that_a_gradient_is_not_finite_and_applies_nothing)
{
    toy_shard s[2];
    step_action a;
    start_two(s, 0, 5);
    s[1].diverged = true;
    toy_report(&s[1], 1, 2);
    expect_action(STEP_ACTION_DIVERGED);
    s[0].gathered = true;
    toy_report(&s[0], 0, 2);
    toy_report(&s[1], 1, 2);
    cr_expect_not(step_control_next(sc, &a));
    cr_expect_eq(order_of(0), ORDER_WAIT);
    cr_expect_eq(step_control_version(sc), 0);
}

Test(step_control, does_not_mind_what_diverged_before_a_restore)
{
    toy_shard s[2];
    step_action a;
    start_two(s, 0, 5);
    s[1].diverged = true;
    s[1].generation--;
    toy_report(&s[1], 1, 2);
    cr_expect_not(step_control_next(sc, &a));
    cr_expect_eq(step_control_state(sc), STEP_GATHERING);
}

Test(step_control, applies_a_step_when_all_shards_have_gathered_it)
{
    toy_shard s[2];
    start_two(s, 0, 5);
    s[0].gathered = true;
    toy_report(&s[0], 0, 2);
    cr_expect_eq(order_of(0), ORDER_WAIT);
    s[1].gathered = true;
    toy_report(&s[1], 1, 2);
    step_action a = expect_action(STEP_ACTION_APPLYING);
    double sum = 0;
    for (unsigned p = 0; p < N_PARAMS; p++) sum += toy_square(0, p);
    cr_expect(a.grad_norm == sqrt(sum));
    cr_expect_float_eq(a.sums.loss[0], 1, 0);
    toy_obey(&s[0], 0);
    toy_report(&s[0], 0, 2);
    cr_expect_eq(step_control_version(sc), 0);
    cr_expect_eq(order_of(0), ORDER_WAIT);
    cr_expect_eq(order_of(1), ORDER_APPLY);
    toy_obey(&s[1], 1);
    toy_report(&s[1], 1, 2);
    cr_expect_eq(step_control_version(sc), 1);
}

Test(step_control, saves_commits_and_scores_at_a_mark_before_more_is_published)
{
    toy_shard s[2];
    start_two(s, 1, 2);
    apply_both(s);
    cr_expect_eq(step_control_publish_limit(sc), 1);
    cr_expect_eq(order_of(0), ORDER_SAVE);
    for (uint32_t i = 0; i < 2; i++) {
        toy_obey(&s[i], i);
        toy_report(&s[i], i, 2);
    }
    const wire_saved_file *files[4];
    cr_expect_eq(step_control_saved_files(sc, files, 4), 2);
    expect_action(STEP_ACTION_COMMIT);
    step_control_committed(sc, 1);
    expect_action(STEP_ACTION_EVALUATE);
    cr_expect_eq(step_control_publish_limit(sc), 1);
    cr_assert_eq(step_control_evaluated(sc, 1, NULL), RT_OK);
    cr_expect_eq(step_control_publish_limit(sc), 2);
}

Test(step_control, saves_between_two_marks_for_a_shard_that_leaves)
{
    toy_shard s[2];
    start_two(s, 10, 20);
    apply_both(s);
    s[0].leaving = true;
    toy_report(&s[0], 0, 2);
    cr_expect(step_control_is_waited_for(sc));
    cr_expect_eq(order_of(0), ORDER_SAVE);
    cr_expect_eq(order_of(1), ORDER_SAVE);
    for (uint32_t i = 0; i < 2; i++) {
        toy_obey(&s[i], i);
        toy_report(&s[i], i, 2);
        cr_expect_eq(order_of(i), ORDER_WAIT);
    }
    expect_action(STEP_ACTION_COMMIT);
    step_control_committed(sc, 1);
    cr_expect_eq(order_of(0), ORDER_STOP);
    cr_expect_eq(order_of(1), ORDER_WAIT);
    cr_expect_not(step_control_is_waited_for(sc));
    cr_expect_eq(step_control_state(sc), STEP_GATHERING);
    step_action a; /* it is no mark: nothing is scored */
    cr_expect_not(step_control_next(sc, &a));
    /* Its next process has nothing: all go back to the version that was saved, and no step is lost. */
    s[0] = (toy_shard){.session = 9};
    toy_report(&s[0], 0, 2);
    expect_action(STEP_ACTION_REWIND);
    step_control_restore(sc, 1);
    for (uint32_t i = 0; i < 2; i++) {
        toy_obey(&s[i], i);
        toy_report(&s[i], i, 2);
    }
    expect_action(STEP_ACTION_ADVANCED);
    cr_expect_eq(order_of(0), ORDER_WAIT);
    apply_both(s);
}

Test(step_control, lets_a_shard_go_at_once_when_there_is_nothing_to_save)
{
    toy_shard s[2];
    start_two(s, 10, 20);
    s[1].leaving = true; /* at version 0 */
    toy_report(&s[1], 1, 2);
    cr_expect_eq(order_of(1), ORDER_STOP);
    s[1].leaving = false;
    toy_report(&s[1], 1, 2);
    apply_both(s);
    s[1].leaving = s[1].mixed = true; /* its parameters are those of no version */
    toy_report(&s[1], 1, 2);
    cr_expect_eq(order_of(1), ORDER_STOP);
    cr_expect_eq(order_of(0), ORDER_WAIT);
    s[1] = (toy_shard){.session = 9, .leaving = true};
    toy_report(&s[1], 1, 2);
    cr_expect_eq(step_control_state(sc), STEP_REWINDING);
    cr_expect_eq(order_of(1), ORDER_STOP);
    cr_expect_not(step_control_is_waited_for(sc));
}

Test(step_control, hands_an_action_out_again_when_it_could_not_be_done)
{
    toy_shard s[2];
    start_two(s, 1, 2);
    apply_both(s);
    for (uint32_t i = 0; i < 2; i++) {
        toy_obey(&s[i], i);
        toy_report(&s[i], i, 2);
    }
    expect_action(STEP_ACTION_COMMIT);
    step_action a;
    cr_expect_not(step_control_next(sc, &a));
    step_control_again(sc);
    expect_action(STEP_ACTION_COMMIT);
}

Test(step_control, applies_nothing_while_an_action_waits_to_be_done)
{
    toy_shard s[2];
    start_two(s, 0, 5);
    for (uint32_t i = 0; i < 2; i++) {
        s[i].gathered = true;
        toy_report(&s[i], i, 2);
    }
    step_action a = expect_action(STEP_ACTION_APPLYING);
    step_control_put_back(sc, &a); /* its line of metrics.jsonl found no room */
    cr_expect_eq(order_of(0), ORDER_WAIT);
    a = expect_action(STEP_ACTION_APPLYING);
    cr_expect_eq(order_of(0), ORDER_APPLY);
}

Test(step_control, gathers_no_further_step_while_an_action_waits_to_be_done)
{
    toy_shard s[2];
    start_two(s, 0, 5);
    for (int step = 0; step < 2; step++) /* the shell takes no action in between */
        for (int turn = 0; turn < 2; turn++)
            for (uint32_t i = 0; i < 2; i++) {
                s[i].gathered = true;
                toy_report(&s[i], i, 2);
                toy_obey(&s[i], i);
            }
    cr_expect_eq(step_control_version(sc), 0);
    step_action a = expect_action(STEP_ACTION_APPLYING);
    cr_expect_eq(a.version, 0);
}

Test(step_control, rewinds_all_shards_when_one_comes_back_empty)
{
    toy_shard s[2];
    start_two(s, 0, 9);
    apply_both(s);
    s[1] = (toy_shard){.session = 7};
    toy_report(&s[1], 1, 2);
    expect_action(STEP_ACTION_REWIND);
    cr_expect_eq(step_control_generation(sc), 2);
    step_control_restore(sc, 0);
    cr_expect_eq(order_of(0), ORDER_RESTORE);
    cr_expect_eq(order_of(1), ORDER_RESTORE);
    cr_expect_eq(step_control_n_rewinds(sc), 1);
}

/* A process that hung until another took its place comes back under its name. */
Test(step_control, rewinds_when_a_shard_comes_back_with_parameters_of_another_generation)
{
    toy_shard s[2];
    start_two(s, 0, 9);
    apply_both(s);
    s[1] = (toy_shard){.session = 7, .generation = 0, .version = 2, .has_params = true};
    toy_report(&s[1], 1, 2);
    expect_action(STEP_ACTION_REWIND);
    step_control_restore(sc, 0);
    cr_expect_eq(order_of(1), ORDER_RESTORE);
}

Test(step_control, rewinds_when_a_shard_comes_back_with_an_older_version)
{
    toy_shard s[2];
    start_two(s, 0, 9);
    apply_both(s);
    s[1] = (toy_shard){
        .session = 7, .generation = step_control_generation(sc), .version = 0, .has_params = true};
    toy_report(&s[1], 1, 2);
    expect_action(STEP_ACTION_REWIND);
    step_control_restore(sc, 0);
    cr_expect_eq(order_of(1), ORDER_RESTORE);
}

Test(step_control, ignores_reports_that_were_overtaken)
{
    toy_shard s[2];
    start_two(s, 0, 9);
    toy_shard old = s[0];
    apply_both(s);
    toy_report(&old, 0, 2); /* version 0 again */
    toy_shard zombie = {.session = 0};
    toy_report(&zombie, 0, 2); /* an earlier process without parameters */
    cr_expect_eq(step_control_state(sc), STEP_GATHERING);
    cr_expect_eq(step_control_version(sc), 1);
    apply_both(s);
}

Test(step_control, goes_on_with_shards_that_agree_after_its_own_restart)
{
    open_control(2, 4, 9);
    step_control_know_committed(sc, 4);
    cr_assert_eq(step_control_know_evaluated(sc, 4, NULL), RT_OK);
    toy_shard s = {.session = 1, .generation = 3, .version = 6, .has_params = true};
    toy_report(&s, 0, 2);
    toy_report(&s, 1, 2);
    expect_action(STEP_ACTION_ADVANCED);
    cr_expect_eq(step_control_state(sc), STEP_GATHERING);
    cr_expect_eq(step_control_generation(sc), 3);
    cr_expect_eq(step_control_publish_limit(sc), 8);
}

Test(step_control, believes_newer_reports_when_the_first_after_its_restart_was_overtaken)
{
    toy_shard old = {
        .session = 1, .generation = 3, .version = 6, .has_params = true, .gathered = true};
    toy_shard s = {.session = 1, .generation = 3, .version = 8, .has_params = true};
    open_control(1, 0, 20);
    toy_report(&old, 0, 1);
    cr_expect_eq(step_control_version(sc), 6);
    expect_action(STEP_ACTION_ADVANCED);
    expect_action(STEP_ACTION_APPLYING);
    toy_report(&s, 0, 1); /* it applied 6 and 7 in an earlier life of the coordinator */
    cr_expect_eq(step_control_version(sc), 8);
    cr_expect_eq(step_control_state(sc), STEP_GATHERING);
    cr_expect_eq(step_control_n_rewinds(sc), 0);
    cr_expect_eq(expect_action(STEP_ACTION_ADVANCED).version, 8);
    toy_report(&old, 0, 1); /* once more, too late */
    cr_expect_eq(step_control_version(sc), 8);
}

Test(step_control, rewinds_when_who_reported_all_gradients_is_replaced_by_one_without_them)
{
    toy_shard s[2];
    start_two(s, 0, 20);
    gather_both(s);
    expect_action(STEP_ACTION_APPLYING);
    toy_obey(&s[1], 1);
    toy_report(&s[1], 1, 2);
    s[0].gathered = false;
    toy_report(&s[0], 0, 2); /* of the same process: overtaken */
    cr_expect_eq(step_control_state(sc), STEP_APPLYING);
    s[0].session = 7;
    toy_report(&s[0], 0, 2);
    cr_expect_eq(step_control_state(sc), STEP_REWINDING);
}

Test(step_control, restores_with_a_generation_that_all_shards_take)
{
    toy_shard s = {.session = 1};
    open_control(1, 0, 20);
    toy_report(&s, 0, 1); /* of a process that is gone */
    expect_action(STEP_ACTION_REWIND);
    step_control_restore(sc, 0);
    cr_expect_eq(order_of(0), ORDER_RESTORE);
    s = (toy_shard){.session = 1, .generation = 5, .version = 3, .has_params = true};
    toy_report(&s, 0, 1);
    expect_action(STEP_ACTION_REWIND);
    step_control_restore(sc, 0);
    cr_expect_gt(step_control_generation(sc), 5);
    toy_obey(&s, 0);
    toy_report(&s, 0, 1);
    cr_expect_eq(step_control_state(sc), STEP_GATHERING);
}

Test(step_control, restores_shards_that_disagree_after_its_own_restart)
{
    open_control(2, 4, 9);
    toy_shard a = {.session = 1, .generation = 3, .version = 6, .has_params = true};
    toy_shard b = {.session = 2, .generation = 3, .version = 7, .has_params = true};
    toy_report(&a, 0, 2);
    toy_report(&b, 1, 2);
    expect_action(STEP_ACTION_REWIND);
    cr_expect_eq(step_control_generation(sc), 4);
}

Test(step_control, is_finished_without_shards_when_the_last_version_is_safe)
{
    open_control(2, 4, 0);
    step_control_know_committed(sc, 9);
    cr_assert_eq(step_control_know_evaluated(sc, 9, NULL), RT_OK);
    step_control_ready(sc, 9);
    expect_action(STEP_ACTION_FINISHED);
    cr_expect_eq(order_of(0), ORDER_WAIT);
    toy_shard s = {.session = 1};
    toy_report(&s, 0, 2);
    cr_expect_eq(order_of(0), ORDER_WAIT);
    cr_expect_eq(step_control_state(sc), STEP_FINISHED);
}

Test(step_control, refuses_a_shard_that_is_not_in_the_run)
{
    open_control(2, 4, 9);
    rt_error err = {0};
    wire_server_report r = {.shard = 2};
    cr_expect_eq(step_control_report(sc, &r, 1, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "shard 2"));
}

/* A run under faults: shards die, reports and orders are lost, the disk holds checkpoints. */
typedef struct sim {
    rng_key key;
    uint64_t i;
    uint32_t n_shards;
    uint64_t n_steps;
    toy_shard shards[SHARDS_MAX];
    uint64_t slices[64][SHARDS_MAX]; /* the disk: weights by version */
    uint64_t saved_weights[64];      /* committed */
    uint64_t n_sessions;
    uint64_t evaluating; /* 0: none */
    bool faults, finished;
} sim;

static uint64_t sim_below(sim *s, uint64_t n)
{
    return rng_below(s->key, s->i++, n);
}

static bool sim_fails(sim *s, uint64_t one_in)
{
    return s->faults && sim_below(s, one_in) == 0;
}

static void sim_do(sim *s, const step_action *a)
{
    switch (a->kind) {
    case STEP_ACTION_REWIND: {
        uint64_t newest = 0;
        for (uint64_t v = 0; v <= s->n_steps; v++)
            if (s->saved_weights[v] != 0) newest = v;
        step_control_restore(sc, newest);
        break;
    }
    case STEP_ACTION_COMMIT:
        for (uint32_t i = 0; i < s->n_shards; i++)
            cr_assert_eq(s->slices[a->version][i], s->slices[a->version][0]);
        cr_assert_neq(s->slices[a->version][0], 0);
        s->saved_weights[a->version] = s->slices[a->version][0];
        step_control_committed(sc, a->version);
        break;
    case STEP_ACTION_EVALUATE: s->evaluating = a->version; break;
    case STEP_ACTION_FINISHED: s->finished = true; break;
    case STEP_ACTION_APPLYING:
    case STEP_ACTION_ADVANCED: break;
    case STEP_ACTION_DIVERGED: cr_assert_fail("diverged");
    }
}

static void sim_act(sim *s)
{
    uint32_t i = (uint32_t)sim_below(s, s->n_shards);
    toy_shard *shard = &s->shards[i];
    step_action a;
    if (sim_fails(s, 60)) *shard = (toy_shard){.session = ++s->n_sessions};
    if (shard->has_params && shard->version < s->n_steps &&
        shard->version < step_control_publish_limit(sc) && sim_below(s, 3) == 0)
        shard->gathered = true;
    if (!sim_fails(s, 4)) toy_report(shard, i, s->n_shards);
    if (!sim_fails(s, 4)) {
        uint64_t generation = shard->generation;
        toy_obey(shard, i);
        if (shard->generation != generation && shard->version > 0)
            shard->weights = s->saved_weights[shard->version];
        if (shard->has_saved && shard->saved_version == shard->version)
            s->slices[shard->version][i] = shard->weights;
    }
    if (s->evaluating != 0 && sim_below(s, 3) == 0) {
        cr_assert_eq(step_control_evaluated(sc, s->evaluating, NULL), RT_OK);
        s->evaluating = 0;
    }
    while (step_control_next(sc, &a)) sim_do(s, &a);
}

static uint64_t sim_run(uint64_t seed, bool faults)
{
    sim s = {.key = rng_key_make(seed, "steps", (rt_id){0}, 0), .faults = faults};
    s.n_shards = 1 + (uint32_t)(seed % SHARDS_MAX);
    s.n_steps = 20;
    open_control(s.n_shards, seed % 2 == 0 ? 3 : 0, s.n_steps);
    for (uint32_t i = 0; i < s.n_shards; i++) s.shards[i].session = ++s.n_sessions;
    for (uint64_t n = 0; !s.finished; n++) {
        cr_assert_lt(n, 1000000, "seed %lu: no end", (unsigned long)seed);
        sim_act(&s);
    }
    close_control();
    return s.saved_weights[s.n_steps];
}

Test(step_control, ends_with_the_same_weights_whatever_dies_and_whatever_is_lost)
{
    uint64_t undisturbed = sim_run(0, false);
    for (uint64_t seed = 0; seed < 120; seed++) {
        cr_assert_eq(sim_run(seed, seed >= 6), undisturbed, "seed %lu", (unsigned long)seed);
    }
}
