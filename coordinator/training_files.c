#include "coordinator/training_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/ckpt/manifest.h"
#include "coordinator/plan_journal.h"

#define RETIRED_MAX 10000

reopening reopening_of(const training_files *files, bool covered_is_settled)
{
    if (files->n_covered == 0 || covered_is_settled) return REOPEN_FREELY;
    return files->has_begun ? REOPEN_NEVER : REOPEN_WITH_NEW_PLAN;
}

static rt_status has_bytes(const run_folder *folder, const char *name, bool *out, rt_error *err)
{
    char path[RUN_PATH_SIZE];
    struct stat info;
    rt_status st = run_folder_path(folder, name, path, err);
    *out = st == RT_OK && stat(path, &info) == 0 && info.st_size > 0;
    return st;
}

/* How far plan.jsonl has read. With train.steps 0 its length follows from every label. */
static rt_status planned(const run_folder *folder, const config *c, size_t n_examples, size_t *out,
                         rt_error *err)
{
    char path[RUN_PATH_SIZE];
    bool exists = false;
    plan_journal *journal = NULL;
    rt_status st = has_bytes(folder, "plan.jsonl", &exists, err);
    *out = 0;
    if (st != RT_OK || !exists) return st;
    st = run_folder_path(folder, "plan.jsonl", path, err);
    if (st == RT_OK) st = plan_journal_open(path, &journal, err);
    if (st == RT_OK)
        *out = c->train.steps == 0
                   ? n_examples
                   : plan_journal_n_covered(journal, c->train.chunk_size, n_examples);
    plan_journal_close(journal);
    return st;
}

static bool trains_tokenizer(const config *c)
{
    return c->tokenizer.model[0] == '\0';
}

static rt_status look_for_steps(const run_folder *folder, bool *out, rt_error *err)
{
    char path[RUN_PATH_SIZE];
    uint64_t *versions = NULL;
    size_t n = 0;
    rt_status st = has_bytes(folder, "metrics.jsonl", out, err);
    if (st != RT_OK || *out) return st;
    st = run_folder_path(folder, "checkpoints", path, err);
    if (st != RT_OK || !rt_fs_exists(path)) return st;
    st = ckpt_list(path, &versions, &n, err);
    *out = n > 0;
    free(versions);
    return st;
}

rt_status training_files_look(const run_folder *folder, const config *c, size_t n_examples,
                              training_files *out, rt_error *err)
{
    training_files files = {0};
    bool has_tokenizer = false;
    rt_status st = planned(folder, c, n_examples, &files.n_covered, err);
    if (st == RT_OK) st = has_bytes(folder, "tokenizer.model", &has_tokenizer, err);
    if (st == RT_OK) st = look_for_steps(folder, &files.has_begun, err);
    if (st != RT_OK) return st;
    size_t n_first = (size_t)RT_MIN(c->train.chunk_size, (uint64_t)n_examples);
    if (has_tokenizer && trains_tokenizer(c)) files.n_covered = RT_MAX(files.n_covered, n_first);
    *out = files;
    return RT_OK;
}

static rt_status remove_file(const run_folder *folder, const char *name, rt_error *err)
{
    char path[RUN_PATH_SIZE];
    rt_status st = run_folder_path(folder, name, path, err);
    if (st != RT_OK || unlink(path) == 0 || errno == ENOENT) return st;
    return rt_fail(err, RT_IO, "remove %s: %s", path, strerror(errno));
}

rt_status training_files_drop(const run_folder *folder, const config *c, rt_error *err)
{
    rt_status st = remove_file(folder, "tokens.bin", err);
    if (st == RT_OK && trains_tokenizer(c)) st = remove_file(folder, "tokenizer.model", err);
    return st == RT_OK ? remove_file(folder, "plan.jsonl", err) : st;
}

/* The first retired-N that is not there yet. */
static rt_status make_place(const run_folder *folder, char out[RUN_PATH_SIZE], rt_error *err)
{
    for (unsigned i = 1; i <= RETIRED_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "retired-%u", i);
        rt_status st = run_folder_path(folder, name, out, err);
        if (st != RT_OK) return st;
        if (mkdir(out, 0755) == 0) return RT_OK;
        if (errno != EEXIST) return rt_fail(err, RT_IO, "make %s: %s", out, strerror(errno));
    }
    return rt_fail(err, RT_FULL, "%s: holds %d retired trainings", folder->path, RETIRED_MAX);
}

static rt_status move_aside(const run_folder *folder, const char *name, char place[RUN_PATH_SIZE],
                            rt_error *err)
{
    char from[RUN_PATH_SIZE], to[RUN_PATH_SIZE];
    rt_status st = run_folder_path(folder, name, from, err);
    if (st != RT_OK || !rt_fs_exists(from)) return st;
    if (place[0] == '\0' && (st = make_place(folder, place, err)) != RT_OK) return st;
    if ((st = rt_fs_join(to, sizeof to, place, name, err)) != RT_OK) return st;
    if (rename(from, to) != 0)
        return rt_fail(err, RT_IO, "move %s to %s: %s", from, to, strerror(errno));
    return RT_OK;
}

static rt_status has_training(const run_folder *folder, bool *out, rt_error *err)
{
    static const char *const signs[] = {"plan.jsonl", "metrics.jsonl", "checkpoints",
                                        "tokenizer.model", "student"};
    rt_status st = RT_OK;
    *out = false;
    for (size_t i = 0; st == RT_OK && !*out && i < RT_COUNT(signs); i++) {
        char path[RUN_PATH_SIZE];
        st = run_folder_path(folder, signs[i], path, err);
        *out = st == RT_OK && rt_fs_exists(path);
    }
    return st;
}

/* Weights go before the plan they came of, and the plan last: a plan without weights is trained from the
 * start, weights without their plan would go on under another. */
rt_status training_files_retire(const run_folder *folder, const config *c,
                                char kept_in[RUN_PATH_SIZE], rt_error *err)
{
    static const char *const names[] = {"checkpoints", "metrics.jsonl",   "tensorboard",  "student",
                                        "eval.json",   "result.json",     "summary.json", "control",
                                        "report.html", "tokenizer.model", "plan.jsonl"};
    bool has_any = false;
    rt_status st = has_training(folder, &has_any, err);
    kept_in[0] = '\0';
    for (size_t i = 0; st == RT_OK && has_any && i < RT_COUNT(names); i++)
        st = move_aside(folder, names[i], kept_in, err);
    if (st == RT_OK) st = training_files_drop(folder, c, err);
    if (st == RT_OK && kept_in[0] != '\0') {
        st = rt_fs_sync_dir(folder->path, err);
        rt_log_info("training.retired", "kept_in=%s", kept_in);
    }
    return st;
}
