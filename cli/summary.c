#include "cli/summary.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/launch/progress.h"
#include "common/base/fs.h"
#include "common/nn/model.h"
#include "worker/report/report.h"

/* "model name" of /proc/cpuinfo. */
static json_t *cpu_name(void)
{
    char line[512];
    json_t *name = NULL;
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f != NULL && name == NULL && fgets(line, sizeof line, f) != NULL) {
        char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || value == NULL) continue;
        value += strspn(value, ": \t");
        value[strcspn(value, "\n")] = '\0';
        name = json_string(value);
    }
    if (f != NULL) fclose(f);
    return name != NULL ? name : json_string("unknown");
}

/* The share of an accuracy object as a number of its own, with its interval beside it. */
static void add_accuracy(json_t *into, const char *name, const json_t *accuracy)
{
    char interval[64];
    if (!json_is_object(accuracy)) return;
    snprintf(interval, sizeof interval, "%s_interval", name);
    json_object_set(into, name, json_object_get(accuracy, "share"));
    json_object_set_new(
        into, interval,
        json_pack("[O, O]", json_object_get(accuracy, "low"), json_object_get(accuracy, "high")));
    snprintf(interval, sizeof interval, "%s_rows", name);
    json_object_set(into, interval, json_object_get(accuracy, "of"));
}

static rt_status add_weights(json_t *into, const char *run_dir, rt_error *err)
{
    char path[4096], sha256[RT_SHA256_HEX_SIZE];
    rt_status st = rt_fs_join(path, sizeof path, run_dir, "student/model.safetensors", err);
    if (st != RT_OK || !rt_fs_exists(path)) return st;
    if ((st = rt_sha256_file(path, sha256, err)) != RT_OK) return st;
    json_object_set_new(into, "weights_sha256", json_string(sha256));
    return RT_OK;
}

/* What one trained run has to say: result.json, then its scores. */
static rt_status gather(const char *run_dir, json_t **out, rt_error *err)
{
    json_t *eval = NULL, *root = NULL;
    rt_status st = run_json_load(run_dir, "result.json", &root, err);
    if (st == RT_OK && root == NULL)
        st = rt_fail(err, RT_NOTFOUND, "%s/result.json does not exist: is the run complete?",
                     run_dir);
    if (st == RT_OK) st = run_json_load(run_dir, "eval.json", &eval, err);
    if (st == RT_OK) st = add_weights(root, run_dir, err);
    if (st != RT_OK) {
        json_decref(root);
        json_decref(eval);
        return st;
    }
    add_accuracy(root, "teacher_accuracy", json_object_get(eval, "dataset_accuracy"));
    add_accuracy(root, "teacher_accuracy", json_object_get(eval, "teacher_accuracy"));
    add_accuracy(root, "student_accuracy", json_object_get(eval, "student_accuracy"));
    add_accuracy(root, "agreement", json_object_get(eval, "agreement"));
    if (eval != NULL && json_object_get(eval, "examples") != NULL)
        json_object_set(root, "examples_shown", json_object_get(eval, "examples"));
    if (json_object_get(eval, "teacher_left_out") != NULL)
        json_object_set(root, "teacher_left_out", json_object_get(eval, "teacher_left_out"));
    json_decref(eval);
    *out = root;
    return RT_OK;
}

/* "cost": what was paid (spend.json, where something was) and the tokens of the records. */
static rt_status add_cost(json_t *into, const config *c, const char *run_dir, rt_error *err)
{
    static const char *const paid[] = {"spent", "lost_in_flight", "budget", "currency", "requests"};
    json_t *spend = NULL;
    const json_t *tokens = json_object_get(into, "record_tokens");
    rt_status st = run_json_load(run_dir, "spend.json", &spend, err);
    if (st != RT_OK) return st;
    json_t *cost = json_pack("{s:s, s:f, s:f, s:n, s:i}", "currency", c->limits.currency, "spent",
                             0.0, "lost_in_flight", 0.0, "budget", "requests", 0);
    for (size_t i = 0; i < RT_COUNT(paid); i++)
        if (json_object_get(spend, paid[i]) != NULL)
            json_object_set(cost, paid[i], json_object_get(spend, paid[i]));
    json_object_set(cost, "prompt_tokens", json_object_get(tokens, "prompt"));
    json_object_set(cost, "completion_tokens", json_object_get(tokens, "completion"));
    json_object_set(cost, "reasoning_tokens", json_object_get(tokens, "reasoning"));
    json_object_set_new(into, "cost", cost);
    json_object_del(into, "record_tokens");
    json_decref(spend);
    return RT_OK;
}

static rt_status store(const char *run_dir, const json_t *root, rt_error *err)
{
    char path[4096];
    rt_status st = rt_fs_join(path, sizeof path, run_dir, "summary.json", err);
    if (st != RT_OK) return st;
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
    if (text == NULL) return rt_fail(err, RT_NOMEM, "%s", path);
    st = rt_fs_write_atomic(path, text, strlen(text), err);
    free(text);
    return st;
}

rt_status summary_write(const config *c, const char *run_dir, double seconds, rt_error *err)
{
    char control_dir[4096];
    json_t *root = NULL, *control = NULL;
    rt_status st = gather(run_dir, &root, err);
    if (st == RT_OK) st = add_cost(root, c, run_dir, err);
    if (st == RT_OK && c->eval.control != CONTROL_NONE) {
        st = rt_fs_join(control_dir, sizeof control_dir, run_dir, "control", err);
        if (st == RT_OK) st = gather(control_dir, &control, err);
        if (st == RT_OK) {
            json_object_del(control, "examples_shown");
            json_object_del(control, "record_tokens");
            json_object_set(root, "control_accuracy", json_object_get(control, "student_accuracy"));
            json_object_set(root, "control_accuracy_interval",
                            json_object_get(control, "student_accuracy_interval"));
            json_object_set(root, "control", control);
        }
    }
    if (st != RT_OK) goto out;
    json_object_set_new(root, "name", json_string(c->name));
    json_object_set_new(root, "seconds_this_command", json_real(seconds));
    json_object_set_new(root, "version", json_string(RT_VERSION));
    json_object_set_new(root, "cpu", cpu_name());
    json_object_set_new(root, "blas", json_string(nn_blas_name()));
    compute_mode compute = compute_mode_resolve((compute_mode)c->train.compute);
    json_object_set_new(root, "compute_mode", json_string(compute_mode_name(compute)));
    json_object_set_new(root, "wire", json_string(c->net.wire == NET_WIRE_BF16 ? "bf16" : "f32"));
    st = store(run_dir, root, err);
out:
    json_decref(control);
    json_decref(root);
    return st;
}

/* ---- for people ---- */

static uint64_t count_of(const json_t *root, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(root, key));
}

static rt_status add_score(rt_buf *out, const char *who, const json_t *root, const char *key,
                           rt_error *err)
{
    char interval[64];
    snprintf(interval, sizeof interval, "%s_interval", key);
    const json_t *share = json_object_get(root, key), *low_high = json_object_get(root, interval);
    if (!json_is_number(share)) return RT_OK;
    return rt_buf_printf(out, err, "  %-22s %6.1f %%    %5.1f to %5.1f %%\n", who,
                         100 * json_number_value(share),
                         100 * json_number_value(json_array_get(low_high, 0)),
                         100 * json_number_value(json_array_get(low_high, 1)));
}

static rt_status add_scores(rt_buf *out, const json_t *root, rt_error *err)
{
    char who[48];
    if (!json_is_number(json_object_get(root, "student_accuracy")) &&
        !json_is_number(json_object_get(root, "teacher_accuracy")))
        return RT_OK;
    rt_status st =
        rt_buf_printf(out, err, "\n  %-22s %8s    %s\n", "accuracy", "", "95 % interval");
    if (st == RT_OK) st = add_score(out, "teacher", root, "teacher_accuracy", err);
    if (st == RT_OK) st = add_score(out, "student", root, "student_accuracy", err);
    snprintf(who, sizeof who, "control, label only");
    if (st == RT_OK) st = add_score(out, who, root, "control_accuracy", err);
    return st;
}

static rt_status add_rows(rt_buf *out, const json_t *root, rt_error *err)
{
    char n[6][32];
    static const char *const keys[] = {"rows",       "labelled",  "rationales",
                                       "duplicates", "malformed", "steps"};
    for (size_t i = 0; i < RT_COUNT(keys); i++) progress_thousands(count_of(root, keys[i]), n[i]);
    rt_status st = rt_buf_printf(
        out, err, "\n  rows       %s read, %s labelled (%s with a rationale)", n[0], n[1], n[2]);
    const json_t *rejected = json_object_get(root, "rejected");
    char total[32];
    progress_thousands((uint64_t)json_integer_value(json_is_object(rejected)
                                                        ? json_object_get(root, "rejected_total")
                                                        : rejected),
                       total);
    if (st == RT_OK)
        st = rt_buf_printf(out, err, ", %s rejected, %s duplicates, %s malformed\n", total, n[3],
                           n[4]);
    if (st == RT_OK && count_of(root, "steps") > 0)
        st = rt_buf_printf(out, err, "  training   %s steps, best version %" PRIu64 "\n", n[5],
                           count_of(root, "best_version"));
    return st;
}

static rt_status add_times(rt_buf *out, const json_t *root, rt_error *err)
{
    char text[16];
    const char *stage;
    json_t *seconds;
    progress_duration(json_number_value(json_object_get(root, "seconds_this_command")), text);
    rt_status st = rt_buf_printf(out, err, "  time       %s in all", text);
    json_object_foreach(json_object_get(root, "seconds"), stage, seconds)
    {
        progress_duration(json_number_value(seconds), text);
        if (st == RT_OK) st = rt_buf_printf(out, err, ", %s %s", stage, text);
    }
    return st == RT_OK ? rt_buf_add_text(out, "\n", err) : st;
}

static rt_status add_money(rt_buf *out, const json_t *root, rt_error *err)
{
    char in[32], written[32];
    const json_t *cost = json_object_get(root, "cost"), *budget = json_object_get(cost, "budget");
    const char *currency = json_string_value(json_object_get(cost, "currency"));
    double spent = json_number_value(json_object_get(cost, "spent"));
    double lost = json_number_value(json_object_get(cost, "lost_in_flight"));
    progress_thousands(count_of(cost, "prompt_tokens"), in);
    progress_thousands(count_of(cost, "completion_tokens"), written);
    if (spent + lost <= 0 || currency == NULL) return RT_OK;
    rt_status st = rt_buf_printf(out, err, "  cost       %.4f %s", spent, currency);
    if (st == RT_OK && json_is_number(budget))
        st = rt_buf_printf(out, err, " of %.10g", json_number_value(budget));
    if (st == RT_OK && lost > 0)
        st = rt_buf_printf(out, err, ", and %.4f that may have been paid for nothing", lost);
    if (st == RT_OK)
        st = rt_buf_printf(out, err, "; records hold %s prompt and %s completion tokens\n", in,
                           written);
    return st;
}

static rt_status add_examples(rt_buf *out, const json_t *root, rt_error *err)
{
    size_t i;
    json_t *one;
    rt_status st = RT_OK;
    json_array_foreach(json_object_get(root, "examples_shown"), i, one)
    {
        const char *input = json_string_value(json_object_get(one, "input"));
        const char *wrote = json_string_value(json_object_get(one, "wrote"));
        const char *gold = json_string_value(json_object_get(one, "gold"));
        if (st == RT_OK)
            st = rt_buf_printf(out, err, "\n  %s\n    student: %s\n    truth:   %s (%s)\n",
                               input != NULL ? input : "", wrote != NULL ? wrote : "",
                               gold != NULL ? gold : "",
                               json_is_true(json_object_get(one, "right")) ? "right" : "wrong");
    }
    return st;
}

/* Where to look. */
static rt_status add_place(rt_buf *out, const char *run_dir, rt_error *err)
{
    char path[4096];
    rt_status st = rt_fs_join(path, sizeof path, run_dir, REPORT_NAME, err);
    if (st != RT_OK) return st;
    return rt_buf_printf(out, err, "  everything is in %s%s\n", run_dir,
                         rt_fs_exists(path) ? "; its " REPORT_NAME " shows it" : "");
}

static rt_status add_hashes(rt_buf *out, const json_t *root, const char *run_dir, rt_error *err)
{
    static const char *const keys[] = {"dataset_sha256", "weights_sha256"};
    rt_status st = RT_OK;
    for (size_t i = 0; i < RT_COUNT(keys) && st == RT_OK; i++) {
        const char *value = json_string_value(json_object_get(root, keys[i]));
        if (value != NULL) st = rt_buf_printf(out, err, "  %-15s %s\n", keys[i], value);
    }
    return st == RT_OK ? add_place(out, run_dir, err) : st;
}

rt_status summary_stopped(const char *run_dir, summary_left *out, rt_error *err)
{
    json_t *root = NULL;
    rt_status st = run_json_load(run_dir, "summary.json", &root, err);
    const char *why = json_string_value(json_object_get(root, "stopped"));
    const char *with = json_string_value(json_object_get(root, "reopens_with"));
    *out = (summary_left){.n_not_asked = count_of(root, "teacher_left_out")};
    if (why != NULL && why[0] != '\0') out->n_left_out = count_of(root, "left_out");
    out->needs_new_training = with != NULL && strcmp(with, "train-anew") == 0;
    json_decref(root);
    return st;
}

rt_status summary_print(const char *run_dir, bool json, rt_buf *out, rt_error *err)
{
    json_t *root = NULL;
    rt_status st = run_json_load(run_dir, "summary.json", &root, err);
    if (st == RT_OK && root == NULL)
        st = rt_fail(err, RT_NOTFOUND, "%s/summary.json does not exist", run_dir);
    if (st == RT_OK && json) {
        char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
        st = text == NULL ? rt_fail(err, RT_NOMEM, "summary")
                          : rt_buf_printf(out, err, "%s\n", text);
        free(text);
    } else if (st == RT_OK) {
        if ((st = add_scores(out, root, err)) == RT_OK) st = add_rows(out, root, err);
        if (st == RT_OK) st = add_money(out, root, err);
        if (st == RT_OK) st = add_times(out, root, err);
        if (st == RT_OK) st = add_hashes(out, root, run_dir, err);
        if (st == RT_OK) st = add_examples(out, root, err);
    }
    json_decref(root);
    return st;
}
