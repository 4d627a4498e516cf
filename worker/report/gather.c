#include "worker/report/gather.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/fs.h"
#include "common/text/utf8.h"

#define JSON_BYTES_MAX   ((size_t)64 << 20)
#define CONFIG_BYTES_MAX ((size_t)1 << 20)

rt_status run_json_load(const char *run_dir, const char *name, json_t **out, rt_error *err)
{
    char path[PATH_MAX];
    rt_buf text = {0};
    json_error_t where;
    rt_status st = rt_fs_join(path, sizeof path, run_dir, name, err);
    *out = NULL;
    if (st != RT_OK || !rt_fs_exists(path)) return st;
    st = rt_fs_read(path, JSON_BYTES_MAX, &text, err);
    if (st == RT_OK && (*out = json_loadb(text.data, text.n, 0, &where)) == NULL)
        st = rt_fail(err, RT_CORRUPT, "%s: %s at line %d", path, where.text, where.line);
    rt_buf_free(&text);
    return st;
}

void gather_miss(gathering *g, const char *fmt, ...)
{
    char text[1400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    json_array_append_new(g->missing, gather_text(text, sizeof text));
}

json_t *gather_load(gathering *g, const char *name)
{
    rt_error why = {0};
    json_t *root = NULL;
    if (run_json_load(g->ask->run_dir, name, &root, &why) != RT_OK)
        gather_miss(g, "%s cannot be read: %s", name, why.text);
    if (root == NULL || json_is_object(root)) return root;
    gather_miss(g, "%s is no JSON object.", name);
    json_decref(root);
    return NULL;
}

json_t *gather_text(const char *text, size_t n_max)
{
    rt_buf good = {0};
    json_t *out = NULL;
    if (text == NULL) return json_null();
    size_t n = strlen(text);
    bool cut = n > n_max;
    if (cut) n = n_max - n_max / 64; /* room for the ellipsis */
    /* Not inside a character. */
    for (int i = 0; cut && i < 3 && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; i++) n--;
    if (utf8_repair(text, n, &good, NULL) == RT_OK &&
        (!cut || rt_buf_add_text(&good, "\xe2\x80\xa6", NULL) == RT_OK))
        out = json_stringn(good.data != NULL ? good.data : "", good.n);
    rt_buf_free(&good);
    return out != NULL ? out : json_null();
}

/* ---- the run ---- */

static void add_time(json_t *data, uint64_t now_ms)
{
    char text[40];
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL) return;
    strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &utc);
    json_object_set_new(data, "made_at", json_string(text));
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void add_config_facts(const config *c, json_t *run)
{
    json_object_set_new(run, "name", json_string(c->name));
    json_object_set_new(run, "task", json_string(c->task.name));
    json_object_set_new(run, "seed", json_integer((json_int_t)c->seed));
    json_object_set_new(run, "n_eval_files", json_integer((json_int_t)c->eval.files.n));
    json_object_set_new(run, "has_gold", json_boolean(c->corpus.gold[0] != '\0'));
}

static void add_run(gathering *g)
{
    const json_t *r = g->result;
    json_t *run = json_object();
    bool failed = strcmp(text_of(r, "outcome"), "failed") == 0;
    if (r != NULL) json_object_set(run, "name", json_object_get(r, "run"));
    if (g->ask->config != NULL) add_config_facts(g->ask->config, run);
    json_object_set_new(run, "folder", gather_text(g->ask->run_dir, PATH_MAX));
    json_object_set_new(run, "state",
                        json_string(r == NULL ? "unfinished"
                                    : failed  ? "failed"
                                              : "complete"));
    if (r != NULL) json_object_set(run, "stage", json_object_get(r, "stage"));
    json_object_set_new(g->data, "run", run);
    if (failed) gather_miss(g, "The run failed: %s", text_of(r, "reason"));
    if (r == NULL)
        gather_miss(g, "The run is not finished: there is no result.json. What follows is what the "
                       "files hold now.");
    json_int_t left = json_integer_value(json_object_get(r, "left_out"));
    if (left > 0)
        gather_miss(g, "The budget was spent: %lld examples were left without a label.",
                    (long long)left);
}

/* Keys of one object under the same names in another. */
static void copy_keys(const json_t *from, const char *const *keys, size_t n, json_t *into)
{
    for (size_t i = 0; i < n; i++)
        if (json_object_get(from, keys[i]) != NULL)
            json_object_set(into, keys[i], json_object_get(from, keys[i]));
}

static void add_training(gathering *g)
{
    static const char *const keys[] = {
        "steps",   "tokens",     "loss", "best_version", "best_by",   "rewinds", "too_long",
        "n_vocab", "repeatable", "mode", "student_time", "staleness", "backups", "survey"};
    json_t *training = json_object();
    copy_keys(g->result, keys, RT_COUNT(keys), training);
    json_object_set_new(g->data, "training", training);
}

/* What summary.json says of machine, money and time; of an unfinished run the files before it. */
static void add_summary(gathering *g)
{
    static const char *const versions[] = {"version", "cpu", "blas", "compute_mode", "wire"};
    json_t *summary = gather_load(g, "summary.json"), *made = json_object();
    copy_keys(summary, versions, RT_COUNT(versions), made);
    json_object_set_new(g->data, "versions", made);
    copy_keys(summary, (const char *const[]){"dataset_sha256"}, 1, g->data);
    if (json_is_string(json_object_get(summary, "weights_sha256")))
        json_object_set(g->data, "scored_weights_sha256",
                        json_object_get(summary, "weights_sha256"));
    if (summary == NULL)
        gather_miss(g, "There is no summary.json: processor, libraries and cost by the run's own "
                       "account are not known.");
    json_t *seconds = json_object_get(g->result, "seconds"), *from_file = NULL;
    if (seconds == NULL) seconds = from_file = gather_load(g, "seconds.json");
    if (seconds != NULL) json_object_set(g->data, "seconds", seconds);
    json_decref(from_file);
    copy_keys(summary, (const char *const[]){"cost", "seconds_this_command", "teacher_left_out"}, 3,
              g->data);
    if (json_object_get(g->data, "cost") == NULL) {
        json_t *spend = gather_load(g, "spend.json");
        if (spend != NULL) json_object_set_new(g->data, "cost", spend);
    }
    json_decref(summary);
}

/* ---- scores ---- */

/* {"who","on", "right","of","share","low","high"} for a score of eval.json, where it has one. */
static void add_score(gathering *g, const json_t *eval, const char *key, const char *who,
                      const char *on)
{
    const json_t *score = json_object_get(eval, key);
    if (!json_is_object(score)) return;
    json_t *copy = json_pack("{s:s, s:s}", "who", who, "on", on);
    copy_keys(score, (const char *const[]){"right", "of", "share", "low", "high"}, 5, copy);
    json_array_append_new(json_object_get(g->data, "accuracy"), copy);
}

static void say_unscored(gathering *g)
{
    const config *c = g->ask->config;
    if (g->eval != NULL) return;
    if (strcmp(text_of(g->result, "stage"), "label") == 0)
        gather_miss(g, "Only labels were made: no student was trained or scored.");
    else if (c != NULL && c->eval.files.n == 0)
        gather_miss(g, "There are no test rows (eval.files is empty): the student was not scored.");
    else
        gather_miss(g, "There is no eval.json: the student has not been scored.");
}

static void add_scores(gathering *g)
{
    static const char *const kept[] = {
        "rows",       "rows_without_gold",  "rows_malformed", "rows_in_dataset", "answers_by",
        "unreadable", "unreadable_reasons", "classes",        "seconds",         "new_tokens"};
    json_t *control = gather_load(g, "control/eval.json"), *details = json_object();
    json_object_set_new(g->data, "accuracy", json_array());
    add_score(g, g->eval, "teacher_accuracy", "teacher", "test rows");
    add_score(g, g->eval, "student_accuracy", "student", "test rows");
    add_score(g, control, "student_accuracy", "control, label only", "test rows");
    add_score(g, g->eval, "agreement", "student and teacher agree", "test rows");
    copy_keys(g->eval, kept, RT_COUNT(kept), details);
    json_object_set_new(g->data, "test", details);
    json_t *confusion = json_object(), *examples = json_object();
    copy_keys(g->eval, (const char *const[]){"examples_right", "examples_wrong"}, 2, examples);
    if (json_is_object(json_object_get(g->eval, "confusion")))
        json_object_set(confusion, "student", json_object_get(g->eval, "confusion"));
    json_object_set_new(g->data, "confusion", confusion);
    json_object_set_new(g->data, "student_examples", examples);
    say_unscored(g);
    json_decref(control);
}

static void add_config_text(gathering *g)
{
    char path[PATH_MAX];
    rt_buf text = {0};
    rt_error why = {0};
    rt_status st = rt_fs_join(path, sizeof path, g->ask->run_dir, "config.yaml", &why);
    if (st == RT_OK) st = rt_fs_read(path, CONFIG_BYTES_MAX, &text, &why);
    if (st == RT_OK)
        json_object_set_new(g->data, "config", gather_text(text.data, CONFIG_BYTES_MAX));
    else
        gather_miss(g, "The settings of the run are not known: %s", why.text);
    if (g->ask->config_problem != NULL)
        gather_miss(g, "config.yaml cannot be used: %s", g->ask->config_problem);
    rt_buf_free(&text);
}

/* A folder without any of these has never been a run's. */
static rt_status check_folder(const gathering *g, rt_error *err)
{
    static const char *const signs[] = {"config.yaml", "result.json", "plan.jsonl", "metrics.jsonl",
                                        "corpus"};
    char path[PATH_MAX];
    const char *folder = g->ask->run_dir;
    if (!rt_fs_exists(folder))
        return rt_fail(err, RT_NOTFOUND, "%s does not exist: has this run started?", folder);
    if (rt_fs_exists(g->dataset)) return RT_OK;
    for (size_t i = 0; i < RT_COUNT(signs); i++) {
        rt_status st = rt_fs_join(path, sizeof path, folder, signs[i], err);
        if (st != RT_OK) return st;
        if (rt_fs_exists(path)) return RT_OK;
    }
    return rt_fail(err, RT_NOTFOUND, "%s: found no file of a run, expected config.yaml or dataset/",
                   folder);
}

rt_status report_gather(const report_request *ask, json_t **out, rt_error *err)
{
    char dataset[PATH_MAX];
    rt_status st = rt_fs_join(dataset, sizeof dataset, ask->run_dir, "dataset", err);
    gathering g = {.ask = ask, .dataset = ask->dataset != NULL ? ask->dataset : dataset};
    if (st == RT_OK) st = check_folder(&g, err);
    if (st != RT_OK) return st;
    g.missing = json_array();
    g.data = json_pack("{s:i, s:s, s:o}", "report", 1, "retort", RT_VERSION, "missing", g.missing);
    if (g.data == NULL) return rt_fail(err, RT_NOMEM, "report");
    add_time(g.data, ask->now_ms);
    g.result = gather_load(&g, "result.json");
    g.eval = gather_load(&g, "eval.json");
    add_run(&g);
    add_scores(&g);
    if ((st = gather_dataset(&g, err)) != RT_OK) goto out;
    gather_rows(&g);
    add_training(&g);
    if ((st = gather_curves(&g, err)) != RT_OK) goto out;
    add_summary(&g);
    gather_checksums(&g);
    add_config_text(&g);
    *out = g.data;
    g.data = NULL;
out:
    json_decref(g.data);
    json_decref(g.result);
    json_decref(g.eval);
    return st;
}
