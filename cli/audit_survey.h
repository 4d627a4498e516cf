/* What `retort audit` says of rationales beside each other: near duplicates and boilerplate, judged as
 * the training plan judges them.
 *
 *     audit_survey s = {0};
 *     if ((st = audit_survey_take(&settings, dataset, manifest, &s, err)) != RT_OK) goto out;
 *     st = audit_survey_write(&s, "verdicts.jsonl", err);
 *     audit_survey_free(&s);
 */
#ifndef RT_CLI_AUDIT_SURVEY_H
#define RT_CLI_AUDIT_SURVEY_H

#include <jansson.h>

#include "common/corpus/manifest.h"
#include "common/dataset/rationale_survey.h"

/* Zero-initialise; audit_survey_free(). All zeros: no filter asks for it. */
typedef struct audit_survey {
    rationale_survey *survey;
    rt_id *ids; /* [n] */
    size_t n;
    unsigned drop_rationale, reject;
} audit_survey;

/* Chunks that are not complete are judged by what there is; later records may change that. */
RT_MUST_USE rt_status audit_survey_take(const survey_settings *settings, archive *a,
                                        const manifest *m, audit_survey *out, rt_error *err);
void audit_survey_free(audit_survey *s);
/* One line for each example with a flag, in corpus order. */
RT_MUST_USE rt_status audit_survey_write(const audit_survey *s, const char *path, rt_error *err);
/* Returns new; NULL when nothing was asked for, or out of memory. */
json_t *audit_survey_json(const audit_survey *s);
/* Lines for a person; nothing when nothing was asked for. */
RT_MUST_USE rt_status audit_survey_text(const audit_survey *s, rt_buf *out, rt_error *err);

#endif
