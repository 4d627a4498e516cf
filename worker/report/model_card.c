#include "worker/report/cards.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/base/fs.h"
#include "worker/runtime/model_card_marks.h"

#define CARD_BYTES_MAX ((size_t)1 << 20)

static const json_t *student_score(const json_t *data)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(data, "accuracy"), i, one)
    {
        const char *who = json_string_value(json_object_get(one, "who"));
        if (who != NULL && strcmp(who, "student") == 0) return one;
    }
    return NULL;
}

static rt_status put_index(const report_request *ask, const json_t *data, rt_buf *out,
                           rt_error *err)
{
    const json_t *score = student_score(data);
    rt_status st = rt_buf_add_text(out, "model-index:\n- name: ", err);
    if (st == RT_OK) st = yaml_quote(card_run_text(data, "name"), out, err);
    if (st == RT_OK)
        st = rt_buf_printf(out, err,
                           "\n  results:\n  - task:\n      type: %s\n    dataset:\n"
                           "      name: test rows of the run\n      type: ",
                           card_task_category(ask->config));
    if (st == RT_OK) st = yaml_quote(card_run_text(data, "task"), out, err);
    return st == RT_OK ? rt_buf_printf(out, err,
                                       "\n    metrics:\n    - type: accuracy\n      name: "
                                       "accuracy\n      value: %.4f\n",
                                       json_number_value(json_object_get(score, "share")))
                       : st;
}

static rt_status put_score_table(const json_t *data, rt_buf *out, rt_error *err)
{
    size_t i;
    json_t *one;
    rt_status st = rt_buf_add_text(
        out,
        "## Scores\n\n| who | on | right | of | share | 95 % interval |\n|---|---|---|---|---|---|\n",
        err);
    json_array_foreach(json_object_get(data, "accuracy"), i, one)
    {
        const char *who = json_string_value(json_object_get(one, "who"));
        const char *on = json_string_value(json_object_get(one, "on"));
        if (st != RT_OK || who == NULL || on == NULL) continue;
        st = rt_buf_printf(out, err, "| %s | %s | %lld | %lld | %.2f %% | %.2f to %.2f %% |\n", who,
                           on, (long long)json_integer_value(json_object_get(one, "right")),
                           (long long)json_integer_value(json_object_get(one, "of")),
                           100 * json_number_value(json_object_get(one, "share")),
                           100 * json_number_value(json_object_get(one, "low")),
                           100 * json_number_value(json_object_get(one, "high")));
    }
    return st == RT_OK ? rt_buf_add_text(out,
                                         "\nEvery row counts; an answer that cannot be read is "
                                         "wrong. Intervals are Wilson's.\n\n",
                                         err)
                       : st;
}

static rt_status fill_model_card(const report_request *ask, const json_t *data, const rt_buf *card,
                                 rt_buf *out, bool *found, rt_error *err)
{
    rt_buf index = {0}, table = {0}, half = {0};
    rt_status st = put_index(ask, data, &index, err);
    if (st == RT_OK) st = put_score_table(data, &table, err);
    if (st == RT_OK)
        st = card_fill(card, MODEL_CARD_INDEX, MODEL_CARD_INDEX_END, index.data, &half, found, err);
    if (st == RT_OK && *found)
        st =
            card_fill(&half, MODEL_CARD_SCORES, MODEL_CARD_SCORES_END, table.data, out, found, err);
    rt_buf_free(&index);
    rt_buf_free(&table);
    rt_buf_free(&half);
    return st;
}

/* Only where the scores are those of the very weights that the card is about. */
rt_status model_card_add_scores(const report_request *ask, const json_t *data, rt_error *err)
{
    char path[PATH_MAX];
    rt_buf card = {0}, out = {0};
    bool found = false;
    const char *scored = json_string_value(json_object_get(data, "scored_weights_sha256"));
    rt_status st = rt_fs_join(path, sizeof path, ask->run_dir, "student/README.md", err);
    if (st != RT_OK || scored == NULL || student_score(data) == NULL || !rt_fs_exists(path))
        return st;
    st = rt_fs_read(path, CARD_BYTES_MAX, &card, err);
    if (st == RT_OK && card.data != NULL && strstr(card.data, scored) != NULL)
        st = fill_model_card(ask, data, &card, &out, &found, err);
    if (st == RT_OK && found) st = rt_fs_write_atomic(path, out.data, out.n, err);
    rt_buf_free(&card);
    rt_buf_free(&out);
    return st;
}
