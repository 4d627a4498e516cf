#include "coordinator/step_control.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/shard_report.h"

#define ACTIONS_MAX 8

/* Newest report of a shard; owns its arrays. */
typedef struct shard_report {
    bool known;
    uint64_t session;
    wire_server_report r;
} shard_report;

struct step_control {
    uint32_t n_shards;
    uint64_t eval_every;
    bool ready;
    uint64_t n_steps;
    step_state state;
    uint64_t generation;
    uint64_t version;
    uint64_t restore_version;
    double grad_norm;
    shard_report *shards;
    uint64_t committed; /* newest committed version; 0: none */
    uint64_t *evaluated;
    size_t n_evaluated;
    step_action actions[ACTIONS_MAX];
    size_t n_actions;
    bool asked; /* the action of this state was handed out */
    uint64_t n_rewinds;
};

static void advance(step_control *sc);

const char *step_state_name(step_state state)
{
    static const char *const names[] = {"starting",   "rewinding",  "restoring",
                                        "gathering",  "applying",   "saving",
                                        "committing", "evaluating", "finished"};
    return (unsigned)state < RT_COUNT(names) ? names[state] : "unknown";
}

rt_status step_control_new(uint32_t n_shards, uint64_t eval_every, step_control **out,
                           rt_error *err)
{
    if (n_shards == 0) return rt_fail(err, RT_INVALID, "step control: no shards");
    step_control *sc = rt_calloc(1, sizeof *sc);
    if (sc == NULL) return rt_fail(err, RT_NOMEM, "step control");
    sc->n_shards = n_shards;
    sc->eval_every = eval_every;
    sc->shards = rt_calloc(n_shards, sizeof *sc->shards);
    if (sc->shards == NULL) {
        free(sc);
        return rt_fail(err, RT_NOMEM, "step control of %" PRIu32 " shards", n_shards);
    }
    *out = sc;
    return RT_OK;
}

void step_control_free(step_control *sc)
{
    if (sc == NULL) return;
    for (uint32_t i = 0; i < sc->n_shards; i++) wire_server_report_free(&sc->shards[i].r);
    free(sc->shards);
    free(sc->evaluated);
    free(sc);
}

static void push_action(step_control *sc, step_action_kind kind, uint64_t version)
{
    RT_ASSERT(sc->n_actions < ACTIONS_MAX);
    sc->actions[sc->n_actions++] = (step_action){.kind = kind, .version = version};
}

static bool is_evaluated(const step_control *sc, uint64_t version)
{
    for (size_t i = 0; i < sc->n_evaluated; i++)
        if (sc->evaluated[i] == version) return true;
    return false;
}

/* Whether every shard's newest report satisfies a condition on (report, version). */
typedef bool (*report_test)(const step_control *sc, const wire_server_report *r, uint64_t version);

static bool all(const step_control *sc, report_test test, uint64_t version)
{
    for (uint32_t i = 0; i < sc->n_shards; i++)
        if (!sc->shards[i].known || !test(sc, &sc->shards[i].r, version)) return false;
    return true;
}

static bool test_known(const step_control *sc, const wire_server_report *r, uint64_t version)
{
    (void)sc, (void)r, (void)version;
    return true;
}

static bool test_holds(const step_control *sc, const wire_server_report *r, uint64_t version)
{
    return r->has_params && r->generation == sc->generation && r->version == version;
}

static bool test_gathered(const step_control *sc, const wire_server_report *r, uint64_t version)
{
    return test_holds(sc, r, version) && r->gathered;
}

static bool test_saved(const step_control *sc, const wire_server_report *r, uint64_t version)
{
    return test_holds(sc, r, version) && r->has_saved && r->saved_version == version;
}

/* After a restart of the coordinator, when the checkpoint of this version went bad meanwhile. */
static bool some_is_mixed(const step_control *sc)
{
    for (uint32_t i = 0; i < sc->n_shards; i++)
        if (sc->shards[i].known && sc->shards[i].r.mixed &&
            test_holds(sc, &sc->shards[i].r, sc->version))
            return true;
    return false;
}

static uint64_t highest_generation(const step_control *sc)
{
    uint64_t highest = sc->generation;
    for (uint32_t i = 0; i < sc->n_shards; i++)
        if (sc->shards[i].known) highest = RT_MAX(highest, sc->shards[i].r.generation);
    return highest;
}

static void enter_state(step_control *sc, step_state state)
{
    sc->state = state;
    sc->asked = false;
}

static void enter_rewinding(step_control *sc)
{
    sc->generation = highest_generation(sc) + 1;
    if (sc->state != STEP_STARTING) sc->n_rewinds++;
    sc->n_actions = 0; /* what was to be done belongs to the lost versions */
    enter_state(sc, STEP_REWINDING);
}

static bool mark_is_open(const step_control *sc, uint64_t version)
{
    return step_control_is_mark(sc, version) &&
           (sc->committed < version || !is_evaluated(sc, version));
}

/* All shards hold `version`: what now? */
static void enter_version(step_control *sc, uint64_t version)
{
    sc->version = version;
    push_action(sc, STEP_ACTION_ADVANCED, version);
    if (mark_is_open(sc, version))
        enter_state(sc, sc->committed < version ? STEP_SAVING : STEP_EVALUATING);
    else
        enter_state(sc, version >= sc->n_steps ? STEP_FINISHED : STEP_GATHERING);
}

/* After a start: shards that agree go on, others restore. */
static void leave_starting(step_control *sc)
{
    if (!sc->ready) return;
    bool last_is_safe = sc->committed >= sc->n_steps && is_evaluated(sc, sc->n_steps);
    if (last_is_safe) { /* everything is done: no shard is needed */
        sc->version = sc->n_steps;
        enter_state(sc, STEP_FINISHED);
        return;
    }
    if (!all(sc, test_known, 0)) return;
    const wire_server_report *first = &sc->shards[0].r;
    uint64_t kept = sc->generation;
    sc->generation = first->generation;
    if (first->version <= sc->n_steps && all(sc, test_holds, first->version)) {
        enter_version(sc, first->version);
        return;
    }
    sc->generation = kept;
    enter_rewinding(sc);
}

/* The norm does not depend on how parameters lie on shards: sums are added in table order. */
static rt_status global_norm(const step_control *sc, double *out)
{
    size_t n = 0;
    for (uint32_t i = 0; i < sc->n_shards; i++)
        for (size_t j = 0; j < sc->shards[i].r.n_params; j++)
            n = RT_MAX(n, (size_t)sc->shards[i].r.param_index[j] + 1);
    double *by_index = rt_calloc(n, sizeof *by_index);
    if (by_index == NULL) return RT_NOMEM;
    for (uint32_t i = 0; i < sc->n_shards; i++) {
        const wire_server_report *r = &sc->shards[i].r;
        for (size_t j = 0; j < r->n_params; j++) by_index[r->param_index[j]] += r->sum_squares[j];
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += by_index[i];
    free(by_index);
    *out = sqrt(sum);
    return RT_OK;
}

/* A micro-batch computed again has the same bits, so a gradient that is not finite stays so: the
 * step can never be gathered. */
static bool has_diverged(const step_control *sc)
{
    for (uint32_t i = 0; i < sc->n_shards; i++) {
        const wire_server_report *r = &sc->shards[i].r;
        if (sc->shards[i].known && r->diverged && test_holds(sc, r, sc->version)) return true;
    }
    return false;
}

/* A shard that was asked to stop: what it holds is written down first, so that the steps since the
 * last mark are not computed again. */
static bool some_is_leaving(const step_control *sc)
{
    for (uint32_t i = 0; i < sc->n_shards; i++) {
        const wire_server_report *r = &sc->shards[i].r;
        if (sc->shards[i].known && r->leaving && !r->mixed && test_holds(sc, r, sc->version))
            return true;
    }
    return false;
}

static void leave_gathering(step_control *sc)
{
    double norm = 0;
    if (sc->n_actions > 0)
        return; /* the coordinator has not done yet what the last step asked for */
    if (sc->committed < sc->version && some_is_leaving(sc)) {
        enter_state(sc, STEP_SAVING);
        return;
    }
    if (has_diverged(sc)) {
        if (!sc->asked) push_action(sc, STEP_ACTION_DIVERGED, sc->version);
        sc->asked = true;
        return;
    }
    if (!all(sc, test_gathered, sc->version)) return;
    if (global_norm(sc, &norm) != RT_OK) return; /* the next report tries again */
    if (!isfinite(norm)) {
        if (!sc->asked) push_action(sc, STEP_ACTION_DIVERGED, sc->version);
        sc->asked = true;
        return;
    }
    sc->grad_norm = norm;
    push_action(sc, STEP_ACTION_APPLYING, sc->version);
    sc->actions[sc->n_actions - 1].grad_norm = norm;
    sc->actions[sc->n_actions - 1].sums = sc->shards[0].r.sums;
    memcpy(sc->actions[sc->n_actions - 1].staleness, sc->shards[0].r.staleness,
           sizeof sc->shards[0].r.staleness);
    enter_state(sc, STEP_APPLYING);
}

static void ask_once(step_control *sc, step_action_kind kind)
{
    if (sc->asked) return;
    push_action(sc, kind, sc->version);
    sc->asked = true;
}

/* One transition, if the reports allow it. */
static void advance_once(step_control *sc)
{
    switch (sc->state) {
    case STEP_STARTING: leave_starting(sc); break;
    case STEP_REWINDING: ask_once(sc, STEP_ACTION_REWIND); break;
    case STEP_RESTORING:
        if (all(sc, test_holds, sc->restore_version)) enter_version(sc, sc->restore_version);
        break;
    case STEP_GATHERING: leave_gathering(sc); break;
    case STEP_APPLYING:
        if (all(sc, test_holds, sc->version + 1)) enter_version(sc, sc->version + 1);
        break;
    case STEP_SAVING:
        if (all(sc, test_saved, sc->version))
            enter_state(sc, STEP_COMMITTING);
        else if (some_is_mixed(sc))
            enter_rewinding(sc);
        break;
    case STEP_COMMITTING:
        if (!sc->asked && !all(sc, test_saved, sc->version))
            enter_state(sc, STEP_SAVING); /* a slice is gone again: files were removed */
        else
            ask_once(sc, STEP_ACTION_COMMIT);
        break;
    case STEP_EVALUATING: ask_once(sc, STEP_ACTION_EVALUATE); break;
    case STEP_FINISHED: ask_once(sc, STEP_ACTION_FINISHED); break;
    }
}

static void advance(step_control *sc)
{
    step_state before;
    do {
        before = sc->state;
        advance_once(sc);
    } while (sc->state != before);
}

static bool is_training(step_state state)
{
    return state >= STEP_GATHERING && state <= STEP_EVALUATING;
}

/* What was believed of the shards came from a report that had been overtaken, before anything newer was
 * known: nobody applies a step that we did not order. What they say now counts. */
static bool is_ahead(const step_control *sc, const wire_server_report *r)
{
    uint64_t newest = sc->version + (sc->state == STEP_APPLYING ? 1 : 0);
    return r->has_params && r->generation == sc->generation && r->version > newest;
}

/* A process without the parameters of all, or without the gradients that its name has reported: one
 * which hung until it was replaced, and is back. */
static bool is_lost(const step_control *sc, const wire_server_report *r)
{
    if (!r->has_params || r->generation != sc->generation || r->version < sc->version) return true;
    return sc->state == STEP_APPLYING && r->version == sc->version && !r->gathered;
}

static void start_over(step_control *sc)
{
    sc->n_actions = 0;
    enter_state(sc, STEP_STARTING);
}

/* Reports of an earlier process, or ones that were overtaken on the way. */
static bool is_stale(const step_control *sc, const wire_server_report *r, uint64_t session)
{
    const shard_report *known = &sc->shards[r->shard];
    if (!known->known || session > known->session) return false;
    if (session < known->session || r->generation < known->r.generation) return true;
    if (known->r.has_params && !r->has_params) return r->generation == known->r.generation;
    if (r->generation != known->r.generation) return false;
    if (r->version == known->r.version) return known->r.gathered && !r->gathered;
    return r->version < known->r.version;
}

rt_status step_control_report(step_control *sc, const wire_server_report *report, uint64_t session,
                              rt_error *err)
{
    wire_server_report copy = {0};
    if (report->shard >= sc->n_shards)
        return rt_fail(err, RT_INVALID, "report of shard %" PRIu32 ", expected below %" PRIu32,
                       report->shard, sc->n_shards);
    if (is_stale(sc, report, session)) return RT_OK;
    rt_status st = shard_report_copy(report, &copy, err);
    if (st != RT_OK) return st;
    shard_report *place = &sc->shards[report->shard];
    wire_server_report_free(&place->r);
    *place = (shard_report){.known = true, .session = session, .r = copy};
    if (is_training(sc->state) && is_lost(sc, report))
        enter_rewinding(sc);
    else if (sc->state == STEP_RESTORING && report->generation > sc->generation)
        enter_rewinding(sc); /* a generation that nobody had told of: ours would not be taken */
    else if (is_training(sc->state) && is_ahead(sc, report))
        start_over(sc);
    advance(sc);
    return RT_OK;
}

bool step_control_next(step_control *sc, step_action *out)
{
    if (sc->n_actions == 0) advance(sc); /* what waited for the actions to be done */
    if (sc->n_actions == 0) return false;
    *out = sc->actions[0];
    sc->n_actions--;
    memmove(sc->actions, sc->actions + 1, sc->n_actions * sizeof *sc->actions);
    return true;
}

void step_control_put_back(step_control *sc, const step_action *a)
{
    RT_ASSERT(sc->n_actions < ACTIONS_MAX);
    memmove(sc->actions + 1, sc->actions, sc->n_actions * sizeof *sc->actions);
    sc->actions[0] = *a;
    sc->n_actions++;
}

void step_control_ready(step_control *sc, uint64_t n_steps)
{
    sc->ready = true;
    sc->n_steps = n_steps;
    advance(sc);
}

void step_control_know_committed(step_control *sc, uint64_t version)
{
    sc->committed = RT_MAX(sc->committed, version);
}

rt_status step_control_know_evaluated(step_control *sc, uint64_t version, rt_error *err)
{
    if (is_evaluated(sc, version)) return RT_OK;
    uint64_t *grown = realloc(sc->evaluated, (sc->n_evaluated + 1) * sizeof *grown);
    if (grown == NULL) return rt_fail(err, RT_NOMEM, "scored versions");
    sc->evaluated = grown;
    sc->evaluated[sc->n_evaluated++] = version;
    return RT_OK;
}

void step_control_restore(step_control *sc, uint64_t version)
{
    if (sc->state != STEP_REWINDING) return;
    sc->restore_version = version;
    sc->committed = version; /* newer ones did not verify: they are written again */
    sc->version = version;
    enter_state(sc, STEP_RESTORING);
    advance(sc);
}

void step_control_committed(step_control *sc, uint64_t version)
{
    if (sc->state != STEP_COMMITTING || version != sc->version) return;
    sc->committed = version;
    if (mark_is_open(sc, version))
        enter_state(sc, STEP_EVALUATING);
    else
        enter_state(sc, version >= sc->n_steps ? STEP_FINISHED : STEP_GATHERING);
    advance(sc);
}

rt_status step_control_evaluated(step_control *sc, uint64_t version, rt_error *err)
{
    rt_status st = step_control_know_evaluated(sc, version, err);
    if (st != RT_OK || sc->state != STEP_EVALUATING || version != sc->version) return st;
    enter_state(sc, version >= sc->n_steps ? STEP_FINISHED : STEP_GATHERING);
    advance(sc);
    return RT_OK;
}

void step_control_rewind(step_control *sc)
{
    if (sc->state != STEP_RESTORING) return;
    enter_rewinding(sc);
    advance(sc);
}

void step_control_again(step_control *sc)
{
    sc->asked = false;
    advance(sc);
}

/* A leaving shard has nothing to wait for any more. */
static bool may_leave(const step_control *sc, const wire_server_report *r)
{
    if (!is_training(sc->state) || r->mixed) return true;
    return test_holds(sc, r, sc->version) && sc->committed >= sc->version;
}

bool step_control_is_waited_for(const step_control *sc)
{
    for (uint32_t i = 0; i < sc->n_shards; i++) {
        const wire_server_report *r = &sc->shards[i].r;
        if (sc->shards[i].known && r->leaving && !may_leave(sc, r)) return true;
    }
    return false;
}

void step_control_order(const step_control *sc, uint32_t shard, wire_server_order *out)
{
    *out = (wire_server_order){.kind = ORDER_WAIT,
                               .generation = sc->generation,
                               .version = sc->version,
                               .n_steps = sc->n_steps,
                               .n_shards = sc->n_shards,
                               .limit = step_control_publish_limit(sc)};
    if (shard >= sc->n_shards || !sc->shards[shard].known) return;
    const wire_server_report *r = &sc->shards[shard].r;
    if (sc->state == STEP_RESTORING && !test_holds(sc, r, sc->restore_version)) {
        out->kind = ORDER_RESTORE;
        out->version = sc->restore_version;
    } else if (sc->state == STEP_APPLYING && sc->n_actions == 0 && test_holds(sc, r, sc->version)) {
        out->kind = ORDER_APPLY;
        out->grad_norm = sc->grad_norm;
    } else if (sc->state == STEP_SAVING && !test_saved(sc, r, sc->version)) {
        out->kind = ORDER_SAVE;
    }
    if (r->leaving && may_leave(sc, r)) out->kind = ORDER_STOP;
    /* Once finished, shards leave as everybody does, by the phase: no order is needed. */
}

step_state step_control_state(const step_control *sc)
{
    return sc->state;
}

uint64_t step_control_generation(const step_control *sc)
{
    return sc->generation;
}

uint64_t step_control_version(const step_control *sc)
{
    return sc->version;
}

bool step_control_is_mark(const step_control *sc, uint64_t version)
{
    if (version == 0) return false;
    if (version == sc->n_steps) return true;
    return sc->eval_every > 0 && version % sc->eval_every == 0;
}

uint64_t step_control_publish_limit(const step_control *sc)
{
    if (sc->state != STEP_GATHERING && sc->state != STEP_APPLYING) return sc->version;
    uint64_t limit = sc->n_steps;
    if (sc->eval_every > 0)
        limit = RT_MIN(limit, (sc->version / sc->eval_every + 1) * sc->eval_every);
    return limit;
}

uint64_t step_control_n_rewinds(const step_control *sc)
{
    return sc->n_rewinds;
}

uint32_t step_control_n_reported(const step_control *sc)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < sc->n_shards; i++) n += sc->shards[i].known;
    return n;
}

bool step_control_has_received(const step_control *sc, uint32_t index)
{
    for (uint32_t i = 0; i < sc->n_shards; i++) {
        const wire_server_report *r = &sc->shards[i].r;
        if (!sc->shards[i].known || !test_holds(sc, r, sc->version)) return false;
        if (r->gathered) continue;
        if (index / 8 >= r->n_received || ((r->received[index / 8] >> (index % 8)) & 1) == 0)
            return false;
    }
    return true;
}

uint64_t step_control_n_received(const step_control *sc)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < sc->n_shards; i++) {
        const wire_server_report *r = &sc->shards[i].r;
        if (!sc->shards[i].known || r->version != sc->version) continue;
        for (size_t j = 0; j < r->n_received; j++)
            n += (unsigned)__builtin_popcount(r->received[j]);
    }
    return n;
}

size_t step_control_saved_files(const step_control *sc, const wire_saved_file **files, size_t n_max)
{
    size_t n = 0;
    for (uint32_t i = 0; i < sc->n_shards; i++)
        for (size_t j = 0; j < sc->shards[i].r.n_saved_files; j++, n++)
            if (n < n_max) files[n] = &sc->shards[i].r.saved_files[j];
    return n;
}

const char *step_control_problem(const step_control *sc, uint32_t *shard)
{
    for (uint32_t i = 0; i < sc->n_shards; i++) {
        const shard_report *s = &sc->shards[i];
        if (!s->known || s->r.problem == NULL || s->r.problem[0] == '\0') continue;
        *shard = i;
        return s->r.problem;
    }
    return NULL;
}
