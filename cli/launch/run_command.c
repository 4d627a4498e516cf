#include "cli/launch/run_command.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/launch/finish.h"
#include "cli/secrets_guard.h"
#include "cli/summary.h"
#include "common/base/clock.h"
#include "common/base/fs.h"
#include "coordinator/training_files.h"

static const char *level_text(rt_log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    return names[level];
}

static int fail_with(const options *o, rt_error *err, exit_code code)
{
    command_fail(o, err);
    return code;
}

/* The run is complete; a script should still see that examples were left out. */
static int budget_code(const options *o, const char *run_dir)
{
    rt_error err = {0};
    summary_left left;
    rt_status st = summary_stopped(run_dir, &left, &err);
    if (st != RT_OK) return command_fail(o, &err);
    if (left.n_left_out + left.n_not_asked == 0) return EXIT_CODE_OK;
    fprintf(stderr, "retort: limits.budget is spent:");
    if (left.n_left_out > 0)
        fprintf(stderr, " %" PRIu64 " examples are left unlabelled;", left.n_left_out);
    if (left.n_not_asked > 0)
        fprintf(stderr, " the teacher was not asked about %" PRIu64 " rows of eval.files;",
                left.n_not_asked);
    if (left.needs_new_training)
        fputs(
            " a student was trained without them: with a larger budget, --train-anew labels them, "
            "keeps this training in the run's folder and trains a student on all (docs/costs.md)\n",
            stderr);
    else
        fputs(" the same command with a larger budget goes on with them (docs/costs.md)\n", stderr);
    return EXIT_CODE_BUDGET;
}

/* Before anything starts: nothing of the old training is there for the new one. */
static rt_status train_anew(const config *c, const char *run_dir, rt_error *err)
{
    run_folder folder = {.lock_fd = -1};
    char kept_in[RUN_PATH_SIZE] = "";
    if (!rt_fs_exists(run_dir)) return RT_OK;
    rt_status st = run_folder_open(c, &folder, err);
    if (st == RT_OK) st = training_files_retire(&folder, c, kept_in, err);
    run_folder_close(&folder);
    if (st == RT_OK && kept_in[0] != '\0')
        fprintf(stderr,
                "the training so far is kept in %s; to go on later, leave out --train-anew\n",
                kept_in);
    return st;
}

int run_command(const options *o, launch_stage stage, const char *dataset)
{
    rt_error err = {0};
    config *c = NULL;
    rt_buf text = {0};
    char run_dir[4096];
    double started_s = rt_clock_mono_s();
    rt_status st = options_load_config(o, &c, &err);
    if (st == RT_OK && stage != LAUNCH_TRAIN) st = config_check_corpus(c, &err);
    if (st == RT_OK) st = launch_run_dir(c, run_dir, sizeof run_dir, &err);
    if (st == RT_OK && stage != LAUNCH_TRAIN && options_has(o, "--train-anew"))
        st = train_anew(c, run_dir, &err);
    int code = st == RT_OK ? EXIT_CODE_OK : command_fail(o, &err);
    if (code != EXIT_CODE_OK) goto out;

    secrets_guard(c, false);
    launch_options how = {.stage = stage,
                          .config_path = options_config_path(o),
                          .sets = options_sets(o),
                          .dataset = dataset,
                          .log_level = level_text(options_log_level(o)),
                          .quiet = options_json(o)};
    exit_code ended = launch_run(c, &how, &err);
    if (ended == EXIT_CODE_OK) ended = finish_run(c, &how, started_s, &err);
    if (ended != EXIT_CODE_OK) {
        code = fail_with(o, &err, ended);
        goto out;
    }
    if ((st = summary_print(run_dir, options_json(o), &text, &err)) != RT_OK) {
        code = command_fail(o, &err);
        goto out;
    }
    fputs(text.data, stdout);
    code = budget_code(o, run_dir);
out:
    rt_buf_free(&text);
    config_free(c);
    return code;
}
