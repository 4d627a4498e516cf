/* Scoring: how often a student, and its teacher, are right.
 *
 *     eval_result result = {0};
 *     eval_options how = {.model = "student", .n_show = 3};
 *     if ((st = evaluate_student(config, &rows, &how, &result, err)) != RT_OK) goto out;
 *     eval_result_to_json(&result, &json, err);
 *     eval_result_free(&result);
 *
 * Every row with a true answer counts: an answer that cannot be read is a wrong answer.
 */
#ifndef RT_WORKER_EVALUATE_EVALUATE_H
#define RT_WORKER_EVALUATE_EVALUATE_H

#include "common/dataset/label_record.h"
#include "worker/evaluate/confusion.h"
#include "worker/evaluate/gold_rows.h"
#include "worker/runtime/task_file.h"

/* Right answers of so many, and the Wilson 95 % interval of the share. */
typedef struct accuracy {
    uint64_t n, n_right;
    double share, low, high;
} accuracy;
accuracy accuracy_of(uint64_t n_right, uint64_t n);

/* A reason code and how often it came. */
typedef struct eval_reason {
    char name[32];
    uint64_t n;
} eval_reason;
#define EVAL_REASONS_MAX 32

typedef struct eval_class {
    char *name; /* canonical true answer */
    accuracy student;
} eval_class;

typedef struct eval_shown {
    char *input, *gold;
    char *wrote;     /* what the student wrote */
    char *label;     /* NULL: could not be read */
    char *rationale; /* the student's, before its label or asked for by itself; NULL: none */
    char *teacher;   /* the teacher's label; NULL: not known */
    bool right;
} eval_shown;

/* Owns everything; zero-initialise; eval_result_free(). */
typedef struct eval_result {
    char *model;
    student_task answers_by;
    uint64_t n_rows, n_without_gold, n_malformed;
    uint64_t n_in_dataset; /* rows that are in the labelled dataset too: not unseen */
    bool has_student;
    accuracy student;
    eval_reason reasons[EVAL_REASONS_MAX]; /* why answers could not be read */
    size_t n_reasons;
    uint64_t n_unreadable;
    bool has_teacher; /* asked about the same rows */
    accuracy teacher;
    uint64_t
        n_teacher_left_out; /* rows it was not asked about: the budget was spent. Not counted */
    bool has_agreement; /* student and teacher give the same label, where the teacher gives one */
    accuracy agreement;
    bool has_dataset; /* the teacher on the dataset's own rows with a true answer */
    accuracy dataset;
    uint64_t n_dataset_rejected; /* of those; wrong by definition */
    eval_class *classes;         /* for task.answer class: by true answer */
    size_t n_classes;
    confusion *confusion; /* the student's answers; NULL without a student */
    eval_shown *shown;
    size_t n_shown;
    eval_shown *kept; /* some right ones, then some wrong ones, for a report */
    size_t n_kept;
    uint64_t n_new_tokens;
    double seconds;
} eval_result;
void eval_result_free(eval_result *result);

/* Who is asked for the teacher's labels of rows. labels[i] is new text or stays NULL; left_out[i], false
 * before, says of a NULL that the row was not shown to the teacher. Handed in, because evaluating
 * knows nothing of teachers. */
typedef struct eval_teacher {
    rt_status (*ask)(void *context, const gold_row *rows, size_t n, char **labels, bool *left_out,
                     rt_error *err);
    void *context;
} eval_teacher;

typedef struct eval_options {
    const char *model;           /* folder; NULL: no student is scored */
    const eval_teacher *teacher; /* NULL: not asked */
    bool dataset;                /* also score the dataset's labels against its true answers */
    size_t n_show;
    size_t n_keep; /* right and wrong answers each that are kept, with rationales */
    bool (*progress)(void *context, size_t n_done, size_t n); /* NULL, or false to stop */
    void *progress_context;
} eval_options;

/* Score on rows (may be empty when only the dataset is asked for). A student folder's own
 * retort.json, when there is one, says how it answers unless eval.answer_with does. Adds to a
 * zero-initialised *out; on failure it is untouched. */
RT_MUST_USE rt_status evaluate_student(const config *c, const gold_rows *rows,
                                       const eval_options *how, eval_result *out, rt_error *err);

/* A record's label beside the true answer. gold NULL: the record has none, and nothing else is set. */
typedef struct judged_record {
    char *gold;       /* canonical where it has such a form */
    char *said;       /* the teacher's own label; NULL: it had none, or nobody knows it any more */
    bool is_right;    /* by itself */
    bool is_rejected; /* by itself it had no label */
} judged_record;
void judged_record_free(judged_record *judged);
/* Fills *out. A label that the true answer was used for (gold_use.h) is not the teacher's own. */
RT_MUST_USE rt_status judge_record(const answer_rules *rules, const label_record *r,
                                   judged_record *out, rt_error *err);

/* A teacher's labels in the dataset at `folder` against the true answers that lie beside them:
 * labelled and rejected records count, a rejected one is wrong. */
RT_MUST_USE rt_status evaluate_dataset(const char *folder, const answer_rules *rules, accuracy *out,
                                       uint64_t *n_rejected, rt_error *err);

/* One JSON object (docs/evaluation.md lists its fields), and a table for people. */
RT_MUST_USE rt_status eval_result_to_json(const eval_result *result, rt_buf *out, rt_error *err);
RT_MUST_USE rt_status eval_result_to_table(const eval_result *result, rt_buf *out, rt_error *err);

#endif
