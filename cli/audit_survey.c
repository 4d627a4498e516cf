#include "cli/audit_survey.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

rt_status audit_survey_take(const survey_settings *settings, archive *a, const manifest *m,
                            audit_survey *out, rt_error *err)
{
    bool busy = true;
    audit_survey s = {
        .n = manifest_n(m), .drop_rationale = settings->drop_rationale, .reject = settings->reject};
    if (!survey_is_wanted(settings)) return RT_OK;
    s.ids = rt_calloc(s.n, sizeof *s.ids);
    if (s.ids == NULL) return rt_fail(err, RT_NOMEM, "%zu ids", s.n);
    for (size_t i = 0; i < s.n; i++) s.ids[i] = manifest_id(m, i);
    rt_status st = rationale_survey_new(settings, s.ids, s.n, &s.survey, err);
    while (st == RT_OK && busy) st = rationale_survey_work(s.survey, a, s.n, SIZE_MAX, &busy, err);
    if (st != RT_OK) {
        audit_survey_free(&s);
        return st;
    }
    *out = s;
    return RT_OK;
}

void audit_survey_free(audit_survey *s)
{
    rationale_survey_free(s->survey);
    free(s->ids);
    memset(s, 0, sizeof *s);
}

static json_t *verdict_json(const audit_survey *s, size_t i, unsigned flags)
{
    char hex[RT_ID_HEX_SIZE];
    json_t *filters = json_array();
    uint32_t twin = rationale_survey_twin(s->survey, i);
    for (unsigned k = 0; k < RATIONALE_FLAGS; k++)
        if ((flags & 1u << k) != 0)
            json_array_append_new(filters, json_string(rationale_flag_name(1u << k)));
    rt_id_to_hex(s->ids[i], hex);
    json_t *root = json_pack("{s:s, s:o}", "id", hex, "filters", filters);
    if (twin != SURVEY_NO_TWIN) {
        rt_id_to_hex(s->ids[twin], hex);
        json_object_set_new(root, "near_duplicate_of", json_string(hex));
    }
    json_object_set_new(root, "boilerplate", json_real(rationale_survey_score(s->survey, i)));
    const char *training = (flags & s->reject) != 0           ? "left_out"
                           : (flags & s->drop_rationale) != 0 ? "without_rationale"
                                                              : "whole";
    json_object_set_new(root, "training", json_string(training));
    return root;
}

rt_status audit_survey_write(const audit_survey *s, const char *path, rt_error *err)
{
    bool ok = true;
    if (s->survey == NULL)
        return rt_fail(err, RT_INVALID,
                       "--verdicts: no filter looks at rationales beside each other; list "
                       "near_duplicate or boilerplate in quality.note_if");
    FILE *f = fopen(path, "w");
    if (f == NULL) return rt_fail(err, RT_IO, "create %s: %s", path, strerror(errno));
    for (size_t i = 0; ok && i < s->n; i++) {
        unsigned flags = rationale_survey_flags(s->survey, i);
        if (flags == 0) continue;
        json_t *line = verdict_json(s, i, flags);
        ok = json_dumpf(line, f, JSON_COMPACT | JSON_REAL_PRECISION(6)) == 0 && fputc('\n', f) > 0;
        json_decref(line);
    }
    if (fclose(f) != 0) ok = false;
    return ok ? RT_OK : rt_fail(err, RT_IO, "write %s: %s", path, strerror(errno));
}

json_t *audit_survey_json(const audit_survey *s)
{
    if (s->survey == NULL) return NULL;
    survey_counts n = rationale_survey_counts(s->survey);
    return json_pack("{s:I, s:I, s:I, s:f, s:I, s:I}", "rationales", (json_int_t)n.n_rationales,
                     "near_duplicates", (json_int_t)n.n_near_duplicates, "boilerplate",
                     (json_int_t)n.n_boilerplate, "boilerplate_mean",
                     n.score_sum / (double)RT_MAX(n.n_rationales, 1), "rationales_dropped",
                     (json_int_t)n.n_dropped, "left_out", (json_int_t)n.n_left_out);
}

rt_status audit_survey_text(const audit_survey *s, rt_buf *out, rt_error *err)
{
    if (s->survey == NULL) return RT_OK;
    survey_counts n = rationale_survey_counts(s->survey);
    return rt_buf_printf(out, err,
                         "\n  of %" PRIu64 " rationales, beside each other\n    %-20s %12" PRIu64
                         "\n    %-20s %12" PRIu64 "\n  training does without %" PRIu64
                         " rationales and %" PRIu64 " records for it\n",
                         n.n_rationales, rationale_flag_name(RATIONALE_NEAR_DUPLICATE),
                         n.n_near_duplicates, rationale_flag_name(RATIONALE_BOILERPLATE),
                         n.n_boilerplate, n.n_dropped, n.n_left_out);
}
