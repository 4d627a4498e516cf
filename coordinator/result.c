/* <run>/result.json: the run in figures, once it is over; and the seconds that outlive a restart. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "coordinator/shell.h"
#include "coordinator/student_time.h"
#include "coordinator/survey_rules.h"

#define SECONDS_SAVE_MS 10000

static rt_status write_json(coordinator *co, const char *name, json_t *top, rt_error *err)
{
    char path[RUN_PATH_SIZE];
    rt_status st = run_folder_path(&co->folder, name, path, err);
    char *text = top == NULL ? NULL : json_dumps(top, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    if (st == RT_OK && text == NULL) st = rt_fail(err, RT_NOMEM, "%s", path);
    if (st == RT_OK) st = rt_fs_write_atomic(path, text, strlen(text), err);
    free(text);
    json_decref(top);
    return st;
}

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *seconds_to_json(const coordinator *co)
{
    const run_timers *t = &co->timers;
    json_t *top = json_object();
    if (co->stage != STAGE_TRAIN)
        json_object_set_new(top, "label", json_real(progress_timer_get(&t->label, co->now_ms)));
    if (co->stage == STAGE_LABEL) return top;
    json_object_set_new(top, "tokenizer", json_real(progress_timer_get(&t->tokenizer, co->now_ms)));
    json_object_set_new(top, "train", json_real(progress_timer_get(&t->train, co->now_ms)));
    json_object_set_new(top, "evaluate", json_real(progress_timer_get(&t->evaluate, co->now_ms)));
    return top;
}

void seconds_load(coordinator *co)
{
    char path[RUN_PATH_SIZE];
    run_timers *t = &co->timers;
    if (run_folder_path(&co->folder, "seconds.json", path, NULL) != RT_OK) return;
    json_t *top = json_load_file(path, 0, NULL);
    t->label.total_s = json_number_value(json_object_get(top, "label"));
    t->tokenizer.total_s = json_number_value(json_object_get(top, "tokenizer"));
    t->train.total_s = json_number_value(json_object_get(top, "train"));
    t->evaluate.total_s = json_number_value(json_object_get(top, "evaluate"));
    json_decref(top);
}

void seconds_save(coordinator *co)
{
    rt_error why = {0};
    bool ends = co->ending != RUN_GOES_ON;
    if (!ends && co->now_ms - co->seconds_saved_ms < SECONDS_SAVE_MS) return;
    co->seconds_saved_ms = co->now_ms;
    if (write_json(co, "seconds.json", seconds_to_json(co), &why) != RT_OK)
        rt_log_warn("seconds.save", "%s", why.text);
}

static json_t *valid_history(const coordinator *co)
{
    json_t *list = json_array();
    for (size_t i = 0; i < eval_board_n(co->board); i++) {
        const eval_score *s = eval_board_at(co->board, i);
        json_array_append_new(list,
                              json_pack("{s:I, s:I, s:o, s:o}", "version", (json_int_t)s->version,
                                        "records", (json_int_t)s->n_records, "loss",
                                        number(s->loss), "exact", number(s->exact)));
    }
    return list;
}

static json_t *rejected_by_reason(const coordinator *co)
{
    json_t *reasons = json_object();
    for (size_t i = 0; i < archive_n_reasons(co->archive); i++) {
        uint64_t n;
        const char *name = archive_reason(co->archive, i, &n);
        json_object_set_new(reasons, name, json_integer((json_int_t)n));
    }
    return reasons;
}

/* What training does without because it is said elsewhere too. */
static void add_survey(const coordinator *co, json_t *top)
{
    survey_settings settings = survey_settings_of(co->config);
    if (co->plan == NULL || !survey_is_wanted(&settings)) return;
    survey_counts n = plan_stage_survey(co->plan);
    json_object_set_new(top, "survey",
                        json_pack("{s:I, s:I, s:I, s:I, s:I}", "rationales",
                                  (json_int_t)n.n_rationales, "near_duplicates",
                                  (json_int_t)n.n_near_duplicates, "boilerplate",
                                  (json_int_t)n.n_boilerplate, "rationales_dropped",
                                  (json_int_t)n.n_dropped, "left_out", (json_int_t)n.n_left_out));
}

/* Shares of the students' time; null when the training was over before any was told. */
static json_t *student_time_to_json(const coordinator *co)
{
    json_t *top = json_object();
    student_time t = student_time_of(co->members);
    for (student_part part = 0; part < STUDENT_TIME_PARTS; part++)
        json_object_set_new(top, student_part_name(part), number(student_time_share(&t, part)));
    json_object_set_new(top, "push_beside", number(student_time_beside_share(&t)));
    return top;
}

static void add_training(const coordinator *co, json_t *top)
{
    const tokenizer *t = tokenizer_stage_get(co->tokenizer);
    json_object_set_new(top, "steps", json_integer((json_int_t)step_control_version(co->steps)));
    json_object_set_new(top, "tokens", json_integer((json_int_t)metrics_log_n_tokens(co->metrics)));
    json_object_set_new(top, "loss", number(metrics_log_loss(co->metrics)));
    json_object_set_new(top, "best_version", json_integer((json_int_t)checkpoint_best(co)));
    json_object_set_new(top, "best_by",
                        json_string(eval_board_best(co->board) == NULL
                                        ? "last"
                                        : eval_board_metric_name(co->board)));
    json_object_set_new(top, "valid", valid_history(co));
    json_object_set_new(top, "student_time", student_time_to_json(co));
    show_mode_json(co, top);
    json_object_set_new(top, "rewinds",
                        json_integer((json_int_t)step_control_n_rewinds(co->steps)));
    json_object_set_new(
        top, "too_long",
        json_integer(co->plan == NULL ? 0 : (json_int_t)plan_stage_n_too_long(co->plan)));
    add_survey(co, top);
    if (t == NULL) return;
    json_object_set_new(top, "tokenizer_sha256", json_string(tokenizer_sha256(t)));
    json_object_set_new(top, "n_vocab", json_integer((json_int_t)tokenizer_size(t)));
}

/* Tokens of the records, whoever paid for them; what was paid is in spend.json. */
static json_t *tokens_to_json(const coordinator *co)
{
    record_tokens t = archive_tokens(co->archive);
    return json_pack("{s:I, s:I, s:I, s:I}", "prompt", (json_int_t)t.n_prompt, "cached",
                     (json_int_t)t.n_cached, "completion", (json_int_t)t.n_completion, "reasoning",
                     (json_int_t)t.n_reasoning);
}

/* What a later start needs to label what was left out: more money, or another training too. */
static rt_status add_left_out(const coordinator *co, json_t *top, rt_error *err)
{
    money_sums money;
    reopening how = REOPEN_FREELY;
    rt_status st = RT_OK;
    money_sum(co, &money);
    if (money.n_left_out > 0) st = reopening_now(co, &how, err);
    json_object_set_new(top, "stopped", json_string(money.n_left_out > 0 ? "budget" : ""));
    json_object_set_new(top, "left_out", json_integer((json_int_t)money.n_left_out));
    if (money.n_left_out > 0)
        json_object_set_new(top, "reopens_with",
                            json_string(how == REOPEN_NEVER ? "train-anew" : "budget"));
    return st;
}

rt_status result_write(coordinator *co, rt_error *err)
{
    static const char *const stages[] = {"all", "label", "train"};
    const manifest_counts *rows = corpus_source_counts(co->corpus);
    /* A run that failed may not have come to it. */
    rt_status st = dataset_sum_work(&co->sum, co->archive, co->corpus, SIZE_MAX, err);
    if (st != RT_OK) return st;
    json_t *top = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:s, s:o, s:s}", "run",
        co->config->name, "stage", stages[co->stage], "outcome",
        co->ending == RUN_FAILED ? "failed" : "complete", "rows", (json_int_t)rows->n_rows,
        "examples", (json_int_t)rows->n_examples, "duplicates", (json_int_t)rows->n_duplicates,
        "malformed", (json_int_t)rows->n_malformed, "labelled",
        (json_int_t)archive_n_labelled(co->archive), "rejected_total",
        (json_int_t)archive_n_rejected(co->archive), "rejected", rejected_by_reason(co),
        "rationales", (json_int_t)archive_n_rationales(co->archive), "gold",
        (json_int_t)archive_n_gold(co->archive), "gold_equal",
        (json_int_t)archive_n_gold_equal(co->archive), "dataset_sha256", co->sum.hex, "seconds",
        seconds_to_json(co), "fingerprint", co->folder.fingerprint);
    if (top == NULL) return rt_fail(err, RT_NOMEM, "result.json");
    json_object_set_new(top, "record_tokens", tokens_to_json(co));
    if ((st = add_left_out(co, top, err)) != RT_OK) {
        json_decref(top);
        return st;
    }
    if (co->ending == RUN_FAILED) json_object_set_new(top, "reason", json_string(co->why.text));
    if (co->stage != STAGE_LABEL) add_training(co, top);
    return write_json(co, "result.json", top, err);
}
