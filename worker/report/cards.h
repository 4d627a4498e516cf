/* The two cards of a run, as Hugging Face's sites and libraries read them.
 *
 *     dataset/README.md   what the dataset is, and its columns, so that datasets.load_dataset() reads it
 *     student/README.md   written by export; the scores go in between its marks
 */
#ifndef RT_WORKER_REPORT_CARDS_H
#define RT_WORKER_REPORT_CARDS_H

#include "worker/report/report.h"

/* Nothing where there is no dataset, where it is not the run's own (ask->dataset), or where a README.md
 * stands that Retort did not write. */
RT_MUST_USE rt_status dataset_card_write(const report_request *ask, const json_t *data,
                                         rt_error *err);
/* Nothing where there is no student, no marks, or where the scores are those of other weights. */
RT_MUST_USE rt_status model_card_add_scores(const report_request *ask, const json_t *data,
                                            rt_error *err);

/* ---- pure ---- */

/* The text with what lies between the lines "<begin>" and "<end>" replaced by `content` (lines). False
 * when the marks are not there; *out is untouched then. */
RT_MUST_USE rt_status card_fill(const rt_buf *card, const char *begin, const char *end,
                                const char *content, rt_buf *out, bool *found, rt_error *err);
/* A text of data's "run"; "" where there is none. */
const char *card_run_text(const json_t *data, const char *key);
/* As Hugging Face names tasks. `c` may be NULL. */
const char *card_task_category(const config *c);
/* A YAML scalar: `text` between double quotes, escaped as in JSON. */
RT_MUST_USE rt_status yaml_quote(const char *text, rt_buf *out, rt_error *err);

#endif
