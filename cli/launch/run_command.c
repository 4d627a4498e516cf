#include "cli/launch/run_command.h"

#include <stdio.h>

#include "cli/launch/finish.h"
#include "cli/summary.h"
#include "common/base/clock.h"
#include "common/base/fs.h"

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
    uint64_t n_left_out = 0, n_not_asked = 0;
    rt_status st = summary_stopped(run_dir, &n_left_out, &n_not_asked, &err);
    if (st != RT_OK) return command_fail(o, &err);
    if (n_left_out + n_not_asked == 0) return EXIT_CODE_OK;
    fprintf(stderr, "retort: limits.budget is spent:");
    if (n_left_out > 0)
        fprintf(stderr, " %llu examples are left unlabelled;", (unsigned long long)n_left_out);
    if (n_not_asked > 0)
        fprintf(stderr, " the teacher was not asked about %llu rows of eval.files;",
                (unsigned long long)n_not_asked);
    fprintf(stderr, " docs/costs.md says how to go on\n");
    return EXIT_CODE_BUDGET;
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
    int code = st == RT_OK ? EXIT_CODE_OK : command_fail(o, &err);
    if (code != EXIT_CODE_OK) goto out;

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
