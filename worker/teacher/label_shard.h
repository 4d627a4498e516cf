/* One shard from examples to records: prompts, texts, parse, vote, another attempt where it may
 * help, and a second teacher for what the first is not sure of.
 *
 *     ask_samples ──► choose_answer ──┬─ sure ─────────────────────────────────┬─► make_record
 *                                     └─ not: the same with the second teacher ─┤
 *                                        wrong, and the label may be given: give_labels ─► make_record
 *
 *     labeller l = {.rules = rules, .prompts = profile, .backend = b, .name = "my-teacher", ...};
 *     if ((st = label_shard(&l, examples, n, records, &counts, err)) != RT_OK) goto out;
 *     ... records[i].id is zero and its texts NULL where examples[i].done ...
 *     label_records_free(records, n);
 *
 * No socket and no clock. A backend that needs its shard whole gets every example at the first
 * attempt, and every failed one at the next, done or not; so what it writes for an example does
 * not depend on what was archived before.
 */
#ifndef RT_WORKER_TEACHER_LABEL_SHARD_H
#define RT_WORKER_TEACHER_LABEL_SHARD_H

#include "common/dataset/label_record.h"
#include "common/text/answer.h"
#include "common/text/prompt.h"
#include "worker/teacher/answer_policy.h"
#include "worker/teacher/backend.h"

/* Attempts after the first sample at least this warm: a greedy text would only come again. */
#define RETRY_TEMPERATURE_MIN 0.7
/* A rejected record keeps at most so much of its raw text. */
#define RAW_BYTES_MAX ((size_t)256 << 10)

/* Says how likely a label is; borrows everything. */
typedef struct label_scorer {
    backend *backend;              /* NULL: there is none */
    const prompt_profile *prompts; /* NULL: the labeller's */
    const char *label_format;
} label_scorer;

/* Borrows everything. */
typedef struct labeller {
    answer_rules rules;
    const prompt_profile *prompts;
    backend *backend;
    const char *name; /* of the teacher, for meta */
    backend_sampling sampling;
    uint64_t attempts_max;
    const char
        *label_given;     /* template over {input} {label}, see give_label.h; NULL or "": never */
    answer_policy policy; /* zeros: one text an example, no filters */
    label_scorer scorer;
    bool (*should_leave)(void *context); /* NULL, or asked between attempts */
    void *leave_context;
    /* Asked about examples that this one rejects (when_rejected) or whose confidence is below
     * when_confidence_below. NULL: nobody. Its own second is not looked at. */
    const struct labeller *second;
    bool when_rejected;
    double when_confidence_below;
} labeller;

/* Borrows its texts. */
typedef struct shard_example {
    rt_id id;
    const char *input;
    const char *source_id; /* "" = none */
    const char *gold;      /* NULL = none */
    bool done;             /* archived already: no record is made */
} shard_example;

typedef struct label_counts {
    uint64_t n_labelled, n_rejected, n_retries;
    uint64_t n_label_given, n_label_given_taken;   /* asked with the label; of use */
    uint64_t n_escalated;                          /* examples shown to the second teacher */
    uint64_t n_prompt_tokens, n_completion_tokens; /* of all attempts, of both teachers */
} label_counts;

/* Fills records[0..n) and *counts on success. RT_CANCELLED when should_leave() said so between two
 * attempts; a backend's own failure is passed on. */
RT_MUST_USE rt_status label_shard(const labeller *l, const shard_example *examples, size_t n,
                                  label_record *records, label_counts *counts, rt_error *err);
void label_records_free(label_record *records, size_t n);

#endif
