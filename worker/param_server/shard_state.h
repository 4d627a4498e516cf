/* A shard's decisions: what an order, a pull or a push means in the state it is in. No I/O, no
 * clock of its own, so a test can run a whole training on it.
 *
 *              RESTORE                       last gradient               APPLY
 *     empty ------------> version v gathers ---------------> gathered -----------> v + 1 gathers
 *                            ^        SAVE: writes the slice                            |
 *                            +----------------------------------------------------------+
 *
 *     switch (shard_state_order(s, &order, now_ms)) {
 *     case SHARD_RESTORE: load; shard_state_restored(s, &order, &model, err); break;
 *     case SHARD_SAVE:    write; shard_state_saved(s, &order, files, n_files); break;
 *     ...
 *     }
 *     shard_state_report(s, &report);
 *
 * One that is asked to stop while it has parameters is saved first: its reports say that it is leaving.
 *
 * In modes other than sync gradients of a few later steps are taken too (gather_window.h), below the
 * limit that orders tell: nothing of what lies behind a mark may be in its checkpoint. Mode ssp keeps
 * them until their step is applied. Mode async applies each when it arrives, and APPLY moves on.
 *
 * Orders repeat and come late: one for another generation or version is ignored. What is reported
 * is the whole state, so nothing depends on one message arriving.
 */
#ifndef RT_WORKER_PARAM_SERVER_SHARD_STATE_H
#define RT_WORKER_PARAM_SERVER_SHARD_STATE_H

#include "common/conf/config.h"
#include "common/nn/optim/adamw.h"
#include "common/wire/messages.h"
#include "worker/model_shape/slice_rows.h"
#include "worker/param_server/shard_model.h"

#define SHARD_RETRY_MS    2000 /* after a restore or a save that failed */
#define SHARD_SAVED_FILES 2

typedef struct shard_settings {
    uint32_t shard;
    uint32_t micro_batches_max;
    train_mode mode;
    uint64_t n_ahead; /* steps behind the version that are gathered too; sync: 0 */
    double clip_norm; /* 0: off */
    adamw_settings adamw;
    lr_schedule schedule; /* n_steps comes with each order */
} shard_settings;

shard_settings shard_settings_of(const config *c, uint32_t shard);

typedef struct shard_state shard_state;

/* Returns new, without parameters; freed with shard_state_free(). */
RT_MUST_USE rt_status shard_state_new(const shard_settings *settings, shard_state **out,
                                      rt_error *err);
void shard_state_free(shard_state *s);

typedef enum shard_action {
    SHARD_NOTHING, /* the order is a repeat, or for another state */
    SHARD_APPLIED, /* the optimizer ran: the version is one higher */
    SHARD_RESTORE, /* load what the order names, then shard_state_restored() */
    SHARD_SAVE,    /* write the slice, then shard_state_saved() */
    SHARD_STOP,
} shard_action;

/* Take an order. What needs files is left to the caller as an action. */
shard_action shard_state_order(shard_state *s, const wire_server_order *order, uint64_t now_ms);

/* The model of a RESTORE order was loaded. Takes *model on RT_OK. */
RT_MUST_USE rt_status shard_state_restored(shard_state *s, const wire_server_order *order,
                                           shard_model **model, rt_error *err);
/* The slice of a SAVE order is durable. Copies the files' names. */
RT_MUST_USE rt_status shard_state_saved(shard_state *s, const wire_server_order *order,
                                        const wire_saved_file *files, size_t n_files,
                                        rt_error *err);
/* A restore or a save failed: `problem` is reported, and the same order acts again only after
 * SHARD_RETRY_MS. Cleared by the next success. */
void shard_state_failed(shard_state *s, const char *problem, uint64_t now_ms);

/* The files of the newest save are no longer in its folder (committed by rename, or pruned): an order
 * to save acts again. */
void shard_state_forget_saved(shard_state *s);
/* Folder of the newest save, or NULL. */
const char *shard_state_saved_folder(const shard_state *s);

/* A stop was asked for: the reports ask for a checkpoint of this version, so that nobody has to compute
 * its steps again, until an order says SHARD_STOP. True when there is something to wait for: not in
 * mode async, whose parameters are those of no version between two marks. */
bool shard_state_leave(shard_state *s);

/* What a pull gets. *needed is the version that answers it, UINT64_MAX when it waits for an order. */
wire_pull_status shard_state_pull(const shard_state *s, const wire_pull *pull, uint64_t *needed);

/* A buffer to receive a gradient of shard_state_n_floats() into; NULL without parameters or memory.
 * Given to shard_state_push() or back with shard_state_give_back(). */
float *shard_state_take_buffer(shard_state *s);
void shard_state_give_back(shard_state *s, float *buffer);
/* Whether a push would be accepted, from its header alone: RT_UNAVAILABLE without parameters, else
 * as gather_check() and slice_rows_of(). *rows, which borrows from push, is what travels of it. */
RT_MUST_USE rt_status shard_state_check(const shard_state *s, const wire_push *push,
                                        slice_rows *rows, wire_push_status *status, rt_error *err);
/* Take a gradient, of which *grad is what travels, as gather_add(). A refused one leaves its reason in the reports until the step
 * is over. */
RT_MUST_USE rt_status shard_state_push(shard_state *s, const wire_push *push, float **grad,
                                       wire_push_status *status, rt_error *err);

/* The whole state. Borrowed until the next call with this state. */
void shard_state_report(const shard_state *s, wire_server_report *out);

uint64_t shard_state_version(const shard_state *s);
uint64_t shard_state_generation(const shard_state *s);
bool shard_state_is_gathered(const shard_state *s);
size_t shard_state_n_floats(const shard_state *s); /* 0 without parameters */
/* NULL without parameters. Valid until the next restore. */
const shard_model *shard_state_model(const shard_state *s);
/* Grows with everything that a report should tell at once; a gradient that is not the step's last
 * can wait for the next report. */
uint64_t shard_state_n_changes(const shard_state *s);

#endif
