/* The dataset of a run in the forms that trainers elsewhere read: JSON lines as TRL documents them.
 *
 *     prompt-completion   {"id","prompt","completion"}
 *     messages            {"id","messages":[{"role":"user",..},{"role":"assistant",..}]}
 *     preference          {"id","prompt","chosen","rejected","rejected_from"}
 *
 * A completion is the rationale with the label behind it, or the label alone. A preference pair needs two
 * texts of the teacher about one input: what became the record, and one that it wrote, too, and that
 * gives another label or none: from meta's "others" (quality.keep_others), or a record that was rejected
 * before and asked for again (rejected.jsonl.requeued-N). Where the true answer is known and the
 * record's label is wrong, there is no pair. None is made up.
 *
 *     dataset_rows_request ask = {.folder = "runs/x/dataset", .output = "x.jsonl"};
 *     if ((st = dataset_rows_export(c, &ask, &done, err)) != RT_OK) goto out;
 */
#ifndef RT_WORKER_EXPORT_DATASET_ROWS_H
#define RT_WORKER_EXPORT_DATASET_ROWS_H

#include "common/conf/config.h"
#include "common/dataset/label_record.h"
#include "common/text/answer.h"

typedef enum dataset_rows_format {
    ROWS_PROMPT_COMPLETION,
    ROWS_MESSAGES,
    ROWS_PREFERENCE,
} dataset_rows_format;

/* RT_INVALID names what is expected. */
RT_MUST_USE rt_status dataset_rows_format_parse(const char *text, dataset_rows_format *out,
                                                rt_error *err);
const char *dataset_rows_format_name(dataset_rows_format format);

/* Borrows everything. */
typedef struct dataset_rows_request {
    const char *folder; /* with labels.jsonl */
    const char *output; /* file */
    dataset_rows_format format;
    bool label_only;
} dataset_rows_request;

typedef struct dataset_rows_result {
    uint64_t n_rows;
    uint64_t n_records;      /* labelled ones that were looked at */
    uint64_t n_from_others;  /* preference: pairs with a text of the same asking */
    uint64_t n_from_requeue; /* ... with one that was rejected before */
    uint64_t n_known_wrong;  /* ... records left out because their label is not the true one */
    char sha256[RT_SHA256_HEX_SIZE]; /* of the file */
} dataset_rows_result;

/* RT_NOTFOUND without a dataset. The file appears whole or not at all, in the order of labels.jsonl. */
RT_MUST_USE rt_status dataset_rows_export(const config *c, const dataset_rows_request *ask,
                                          dataset_rows_result *out, rt_error *err);

/* How texts become rows; borrows everything. */
typedef struct row_style {
    dataset_rows_format format;
    bool label_only;
    const char *label_format, *marker;
    answer_rules rules;
} row_style;

/* Append the rows of one labelled record, each with its newline; *n counts them. Pure. */
RT_MUST_USE rt_status dataset_rows_of(const row_style *style, const label_record *r, rt_buf *out,
                                      size_t *n, rt_error *err);
/* Append the pair of a record and one of the same id that was rejected before; *n is 0 when they make
 * none. Pure. */
RT_MUST_USE rt_status dataset_pair_of(const row_style *style, const label_record *r,
                                      const label_record *rejected, rt_buf *out, size_t *n,
                                      rt_error *err);
/* Whether a label is known not to be the true one. */
RT_MUST_USE rt_status dataset_label_is_wrong(const answer_rules *rules, const label_record *r,
                                             bool *out, rt_error *err);

#endif
