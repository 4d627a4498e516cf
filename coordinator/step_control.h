/* What the parameter-server shards do next: from their reports, the orders of all. Pure.
 *
 *   STARTING ─► (REWINDING ─► RESTORING) ─► at version v:
 *       v is a mark not passed:  SAVING ─► COMMITTING ─► EVALUATING ─► (v is last: FINISHED)
 *       else:                    GATHERING ─► APPLYING ─► v + 1
 *       between two marks, when a shard is leaving: SAVING ─► COMMITTING ─► GATHERING, and it may go
 *   a shard is further than was ordered: an old report was believed after a start ─► STARTING
 *   from anywhere: a shard reports no parameters, or those of another time ─► REWINDING
 *
 * Marks are the multiples of eval_every (0 is none) and the last version. Everything is derived
 * from the newest report of each shard, so lost, repeated and late messages change nothing. What
 * needs files or other modules comes out as an action; its outcome is an event.
 *
 *     step_control_report(sc, &report, session);
 *     while (step_control_next(sc, &action)) ... do it, tell the outcome ...
 *     step_control_order(sc, shard, &order);
 */
#ifndef RT_COORDINATOR_STEP_CONTROL_H
#define RT_COORDINATOR_STEP_CONTROL_H

#include "common/wire/messages.h"

typedef enum step_state {
    STEP_STARTING,
    STEP_REWINDING,
    STEP_RESTORING,
    STEP_GATHERING,
    STEP_APPLYING,
    STEP_SAVING,
    STEP_COMMITTING,
    STEP_EVALUATING,
    STEP_FINISHED,
} step_state;
const char *step_state_name(step_state state);

typedef enum step_action_kind {
    STEP_ACTION_REWIND,   /* find a good checkpoint, then step_control_restore() */
    STEP_ACTION_APPLYING, /* step `version` is gathered: its norm and sums are known */
    STEP_ACTION_ADVANCED, /* all shards hold `version` */
    STEP_ACTION_COMMIT,   /* all slices of `version` are durable: commit, then _committed() */
    STEP_ACTION_EVALUATE, /* score `version`, then step_control_evaluated() */
    STEP_ACTION_FINISHED,
    STEP_ACTION_DIVERGED, /* the norm of step `version` is not finite */
} step_action_kind;

typedef struct step_action {
    step_action_kind kind;
    uint64_t version;
    double grad_norm;                   /* APPLYING */
    wire_sums sums;                     /* APPLYING */
    uint64_t staleness[WIRE_STALE_MAX]; /* APPLYING: micro-batches by versions behind the step */
} step_action;

typedef struct step_control step_control;

/* Returns new; step_control_free(). */
RT_MUST_USE rt_status step_control_new(uint32_t n_shards, uint64_t eval_every, step_control **out,
                                       rt_error *err);
void step_control_free(step_control *sc);

/* The length of training is known and the students' vocabulary too: work may begin. */
void step_control_ready(step_control *sc, uint64_t n_steps);
/* A version that is committed on disk already (start), and one that is scored already. */
void step_control_know_committed(step_control *sc, uint64_t version);
RT_MUST_USE rt_status step_control_know_evaluated(step_control *sc, uint64_t version,
                                                  rt_error *err);

/* Takes a copy. `session` grows with each registration of the shard; an older one is ignored. */
RT_MUST_USE rt_status step_control_report(step_control *sc, const wire_server_report *report,
                                          uint64_t session, rt_error *err);
/* Next action, each handed out once; false when there is none. */
bool step_control_next(step_control *sc, step_action *out);

/* The action that was handed out last could not be done: it comes first again. No further step is
 * gathered or applied while actions wait. */
void step_control_put_back(step_control *sc, const step_action *a);

/* Outcomes. */
void step_control_restore(step_control *sc, uint64_t version);
void step_control_committed(step_control *sc, uint64_t version);
RT_MUST_USE rt_status step_control_evaluated(step_control *sc, uint64_t version, rt_error *err);
/* Restore again: a shard could not load what it was told to. */
void step_control_rewind(step_control *sc);
/* Hand the current COMMIT or EVALUATE action out again (it could not be done yet). */
void step_control_again(step_control *sc);

/* Kind, generation, version, grad_norm, n_steps, n_shards; folder and vocabulary are the shell's. */
void step_control_order(const step_control *sc, uint32_t shard, wire_server_order *out);

step_state step_control_state(const step_control *sc);
uint64_t step_control_generation(const step_control *sc);
/* A shard that was asked to stop waits until what it holds is on disk. */
bool step_control_is_waited_for(const step_control *sc);
/* Newest version that all shards hold. */
uint64_t step_control_version(const step_control *sc);
/* Micro-batches of steps below this may be published; equal to the version at an open mark. */
uint64_t step_control_publish_limit(const step_control *sc);
bool step_control_is_mark(const step_control *sc, uint64_t version);
uint64_t step_control_n_rewinds(const step_control *sc);
uint32_t step_control_n_reported(const step_control *sc);
/* Whether every shard has micro-batch `index` of the current step; how many such there are. */
bool step_control_has_received(const step_control *sc, uint32_t index);
uint64_t step_control_n_received(const step_control *sc);
/* Files of all shards' slices, in shard order, for the manifest; borrowed until the next report. */
size_t step_control_saved_files(const step_control *sc, const wire_saved_file **files,
                                size_t n_max);
/* A shard's own problem, or NULL. */
const char *step_control_problem(const step_control *sc, uint32_t *shard);

#endif
