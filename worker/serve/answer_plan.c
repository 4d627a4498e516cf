#include "worker/serve/answer_plan.h"

#include <stdlib.h>
#include <string.h>

bool answer_plan_make(const student_spec *spec, const serve_request *ask, answer_plan *out,
                      api_error *why)
{
    answer_plan plan = {.n_parts = 1,
                        .tasks = {TASK_COUNT},
                        .is_direct = true,
                        .wanted = ask->part,
                        .split = ask->split_reasoning};
    if (ask->kind == SERVE_CHAT && spec != NULL) {
        bool rationale = ask->part == WANT_RATIONALE || ask->part == WANT_BOTH;
        plan.tasks[0] = spec->answers_by;
        if (spec->answers_by == TASK_SOLVE) {
            plan.is_direct = ask->part == WANT_WRITTEN || (ask->part == WANT_BOTH && !plan.split);
        } else if (rationale && !spec->explains) {
            return api_refuse(why, API_UNSUPPORTED, "retort.answer",
                              "retort.answer: this student was trained on labels alone");
        } else {
            plan.is_direct = ask->part == WANT_WRITTEN || ask->part == WANT_RATIONALE;
            if (rationale) plan.tasks[0] = TASK_EXPLAIN;
            if (ask->part == WANT_BOTH) plan.tasks[plan.n_parts++] = TASK_PREDICT;
        }
    } else if (ask->part != WANT_WRITTEN) {
        return api_refuse(why, API_UNSUPPORTED, "retort.answer",
                          "retort.answer: the model is no student, its folder has no %s",
                          STUDENT_SPEC_FILE);
    }
    *out = plan;
    return true;
}

static char *trimmed(const char *text)
{
    size_t first = strspn(text, " \t\r\n");
    size_t n = strlen(text + first);
    while (n > 0 && strchr(" \t\r\n", text[first + n - 1]) != NULL) n--;
    return rt_strndup(text + first, n);
}

/* Label and rationale, each NULL when there is none. */
static rt_status read_parts(const student_spec *spec, const answer_plan *plan, const char *input,
                            const char *const *written, const bool *truncated, label_record *out,
                            const char **problem, rt_error *err)
{
    parse_status status = PARSE_OK;
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < plan->n_parts; i++) {
        parsed_answer parsed = {0};
        switch (plan->tasks[i]) {
        case TASK_SOLVE:
            st = answer_parse(&spec->rules, input, written[i], strlen(written[i]), truncated[i],
                              &parsed, err);
            status = parsed.status;
            out->label = parsed.label;
            out->rationale = parsed.rationale;
            break;
        case TASK_PREDICT:
            st = answer_canonical(&spec->rules, input, written[i], &status, &out->label, err);
            break;
        default:
            out->rationale = trimmed(written[i]);
            if (out->rationale == NULL) st = rt_fail(err, RT_NOMEM, "rationale");
        }
    }
    if (st == RT_OK && status != PARSE_OK) *problem = parse_status_name(status);
    return st;
}

/* Rationale and label in one text, as a student that solves would write them. */
static rt_status join_parts(const student_spec *spec, const label_record *parts, char **out,
                            rt_error *err)
{
    rt_buf text = {0};
    const char *marker = spec->rules.n_markers > 0 ? spec->rules.markers[0] : "";
    rt_status st = RT_OK;
    if (parts->label != NULL)
        st = task_target(TASK_SOLVE, parts, spec->label_format, marker, &text, err);
    else
        st = rt_buf_add_text(&text, parts->rationale != NULL ? parts->rationale : "", err);
    if (st == RT_OK) st = rt_buf_add(&text, "", 0, err);
    if (st != RT_OK) {
        rt_buf_free(&text);
        return st;
    }
    *out = text.data;
    return RT_OK;
}

rt_status answer_texts_read(const student_spec *spec, const answer_plan *plan, const char *input,
                            const char *const *written, const bool *truncated, answer_texts *out,
                            rt_error *err)
{
    label_record parts = {0};
    answer_texts texts = {0};
    rt_status st = read_parts(spec, plan, input, written, truncated, &parts, &texts.problem, err);
    if (st != RT_OK) goto out;
    if (plan->wanted == WANT_BOTH && !plan->split) {
        if ((st = join_parts(spec, &parts, &texts.content, err)) != RT_OK) goto out;
    } else {
        char **wanted = plan->wanted == WANT_RATIONALE ? &parts.rationale : &parts.label;
        texts.content = *wanted;
        *wanted = NULL;
        if (plan->split) {
            texts.reasoning = parts.rationale;
            parts.rationale = NULL;
        }
    }
    *out = texts;
    texts = (answer_texts){0};
out:
    answer_texts_free(&texts);
    label_record_free(&parts);
    return st;
}

void answer_texts_free(answer_texts *texts)
{
    free(texts->content);
    free(texts->reasoning);
    *texts = (answer_texts){0};
}
