/* What the parts of the coordinator's loop share. One thread owns all of it.
 *
 *   loop.c         opens, receives, closes
 *   turn.c         archive, train, feed, bury; in this order, again and again
 *   on_message.c   one handler for each kind of message
 *   train_stage.c  tokenizer, plan, feeding, orders, checkpoints, scores
 *   smoke_stage.c  the first rows, before the rest is leased
 *   show.c         the picture that HTTP serves; result.c: the figures at the end
 *   watch.c        curves, rows and standing problems; tell.c: what happens, in words
 */
#ifndef RT_COORDINATOR_SHELL_H
#define RT_COORDINATOR_SHELL_H

#include <jansson.h>

#include "common/net/keyring.h"
#include "coordinator/archive_stage.h"
#include "coordinator/coordinator.h"
#include "coordinator/dataset_sum.h"
#include "coordinator/eval_board.h"
#include "coordinator/feeder.h"
#include "coordinator/http/server.h"
#include "coordinator/lease_table.h"
#include "coordinator/membership.h"
#include "coordinator/metrics_log.h"
#include "coordinator/plan_stage.h"
#include "coordinator/progress.h"
#include "coordinator/queue_link.h"
#include "coordinator/quota_stage.h"
#include "coordinator/run_folder.h"
#include "coordinator/smoke_gate.h"
#include "coordinator/smoke_stage.h"
#include "coordinator/starved.h"
#include "coordinator/step_control.h"
#include "coordinator/straggler.h"
#include "coordinator/tensorboard.h"
#include "coordinator/tokenizer_stage.h"
#include "coordinator/training_files.h"
#include "coordinator/watch.h"

typedef enum run_ending {
    RUN_GOES_ON,
    RUN_DRAINING, /* a stop was requested */
    RUN_COMPLETE,
    RUN_FAILED, /* `why` says it; everybody is sent home */
} run_ending;

/* Where the newest ServerReport of a shard came from: orders go there unasked. */
typedef struct shard_peer {
    bool known;
    net_peer peer;
    wire_server_order last; /* kind, generation, version of what was sent */
} shard_peer;

typedef struct run_timers {
    progress_timer label, tokenizer, train, evaluate;
    progress_timer students_starved, teachers_starved;
} run_timers;

/* An evaluation that is through. */
typedef struct scored_version {
    eval_score score;
    bool waits;  /* to be written down */
    bool logged; /* in metrics.jsonl */
} scored_version;

struct coordinator {
    const config *config;
    run_stage stage;
    const char *dataset; /* stage train: folder of the dataset */
    bool stays;          /* after the end, until a stop is requested */
    uint64_t now_ms, start_ms;

    run_folder folder;
    char checkpoints[RUN_PATH_SIZE];
    archive *archive;
    corpus_source *corpus;
    lease_table *leases;
    membership *members;
    queue_link *link;
    archive_stage archiving;
    smoke_gate smoke;
    uint64_t smoke_seen; /* records in the archive when the gate was looked at last */
    quota_stage money;
    dataset_sum sum;   /* of the dataset, once labelling is done */
    net_keyring *ring; /* NULL without keys */
    net_server *net;
    http_server *http;
    pictures *pictures; /* NULL: nobody watches (simulation) */
    run_watch watch;

    tokenizer_stage *tokenizer;
    plan_stage *plan; /* NULL until the tokenizer is there */
    step_control *steps;
    bool steps_ready;
    feeder feeder;
    straggler straggler;
    uint64_t n_backups; /* micro-batches given to a second student */
    eval_board *board;
    metrics_log *metrics;
    tensorboard *tensorboard; /* NULL: switched off */
    shard_peer *peers;        /* [n_servers] */

    bool evaluating;           /* an evaluation is open on the board */
    uint32_t eval_published;   /* its micro-batches [0, this) are in the stream */
    uint64_t eval_progress_ms; /* of its newest result or publishing */
    scored_version scored;     /* what came of it, until that is on disk */
    bool action_waits;         /* a step_control action could not be done; try again later */
    uint64_t action_retry_ms;
    double grad_norm;
    uint64_t checkpoint;          /* newest committed */
    uint64_t n_batches_in_stream; /* as measured, and what was sent since: never too few */
    uint64_t n_batches_measured;  /* by Redis itself, when it was asked last */
    bool batches_known;           /* the length above was read with the Redis of now */
    uint64_t lengths_next_ms, claim_next_ms;
    uint64_t n_labels_in_stream, n_dead_in_stream;
    char put_aside[160]; /* the newest of the dead, in words */

    run_ending ending;
    uint64_t ending_ms;
    uint64_t end_retry_ms; /* not complete before */
    rt_status why_status;
    rt_error why;
    char problem[512]; /* of training, "" when none */
    uint64_t wrong_role_log_ms;
    uint64_t n_wrong_roles; /* messages whose sender had the key of another role */
    uint64_t n_refusals, n_requeued, n_dead_letters;
    uint64_t
        n_restarts; /* members replaced by a new process of their name before they were through */
    progress_rate label_rate, token_rate;
    run_timers timers;
    uint64_t shown_ms, seconds_saved_ms;
    uint64_t tokens_seen; /* applied since the start, for the rate */
};

/* turn.c */
typedef struct coordinator_turn_state {
    bool busy;            /* there is more to do at once */
    bool stream_is_empty; /* LABELS was read to its end */
} coordinator_turn_state;
/* Everything but the messages. `read_empty`: all that had arrived were handled. */
void coordinator_turn(coordinator *co, bool read_empty, coordinator_turn_state *turn);
/* Whether the process may leave now. */
bool coordinator_is_over(const coordinator *co, const coordinator_turn_state *turn);
/* What the turns work with; the shell's sockets and the folder are the shell's. */
void coordinator_stages_free(coordinator *co);

/* on_message.c */
void on_message(coordinator *co, const net_incoming *in);
/* Send shards the orders that changed. */
void send_orders(coordinator *co);
wire_phase phase_of_role(const coordinator *co, wire_role role);

/* train_stage.c */
RT_MUST_USE rt_status train_stage_begin(coordinator *co, rt_error *err);
/* One turn; *busy when there is more to do at once. */
RT_MUST_USE rt_status train_stage_turn(coordinator *co, bool *busy, rt_error *err);
/* A student died or was replaced: its micro-batches go back into the stream. NULL: those that
 * anybody has held for longer than queue.claim_ms. */
void train_stage_requeue(coordinator *co, const char *student);
bool train_stage_is_done(const coordinator *co);
bool labelling_is_done(const coordinator *co);
/* What the shards are to load or write. */
void train_stage_order(coordinator *co, uint32_t shard, wire_server_order *out,
                       char folder[RUN_PATH_SIZE]);

/* feed.c */
RT_MUST_USE rt_status feed_batches(coordinator *co, bool *busy, rt_error *err);
RT_MUST_USE rt_status feed_evaluation(coordinator *co, rt_error *err);
/* The stream may have lost what was put into it. */
void feed_again(coordinator *co);

/* put_aside.c. Now n_dead entries lie in the stream `dead`: those that are new are named. */
RT_MUST_USE rt_status put_aside_look(coordinator *co, queue *q, uint64_t n_dead, rt_error *err);

/* checkpoint_stage.c */
RT_MUST_USE rt_status checkpoint_find(coordinator *co, uint64_t *version, rt_error *err);
RT_MUST_USE rt_status checkpoint_commit(coordinator *co, uint64_t version, rt_error *err);
/* Write best.json and remove what need not be kept. */
RT_MUST_USE rt_status checkpoint_note_best(coordinator *co, rt_error *err);
/* The version that export takes: the best scored one, else the newest. */
uint64_t checkpoint_best(const coordinator *co);

/* show_money.c. In the currency. */
typedef struct money_sums {
    quota_sums quota;
    double spent, lost, reserved, budget, projected, cost_per_row;
    uint64_t n_left_out; /* examples that the budget does not pay for */
} money_sums;
void money_sum(const coordinator *co, money_sums *out);
/* How examples that the budget left out may be labelled by a later start, as the folder is now. */
RT_MUST_USE rt_status reopening_now(const coordinator *co, reopening *out, rt_error *err);
/* Adds "money" and "quota". */
void show_money_json(const coordinator *co, json_t *top);
/* Or "". */
const char *show_money_problem(const coordinator *co, char *scratch, size_t n_scratch);

/* tell.c. An event for people; `who` is the process it is about, or "". */
void tell(coordinator *co, event_kind kind, const char *who, const char *fmt, ...) RT_PRINTF(4, 5);

/* watch.c. After what an earlier start left is read. */
RT_MUST_USE rt_status watch_open(coordinator *co, rt_error *err);
void watch_close(coordinator *co);
/* Once per picture. */
void watch_turn(coordinator *co);

/* show_view.c. What waits, and for what. */
void run_view_of(const coordinator *co, run_view *out);
/* Labels that equal gold, of those whose row has one; exact answers of the newest validation. */
typedef struct answer_counts {
    uint64_t n_right, n;
} answer_counts;
void answers_of_teachers(const coordinator *co, answer_counts *out);
void answers_of_student(const coordinator *co, answer_counts *out);
/* Adds "losses", "compute", "starved", "restarts", "retries" and "accuracy". */
void show_view_json(const coordinator *co, json_t *top);

/* show_mode.c. Adds "mode", "repeatable", "staleness" and "backups". */
void show_mode_json(const coordinator *co, json_t *top);

/* show.c, show_metrics.c, result.c */
void show_picture(coordinator *co);
RT_MUST_USE rt_status show_stats_json(coordinator *co, rt_buf *out, rt_error *err);
RT_MUST_USE rt_status show_metrics(coordinator *co, rt_buf *out, rt_error *err);
/* The newest thing that keeps the run from going on, or "". */
const char *show_problem(const coordinator *co, char *scratch, size_t n_scratch);
RT_MUST_USE rt_status result_write(coordinator *co, rt_error *err);
/* Seconds of each stage, kept over restarts in <run>/seconds.json. */
void seconds_load(coordinator *co);
void seconds_save(coordinator *co);

#endif
