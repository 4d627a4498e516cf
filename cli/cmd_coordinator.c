#include "cli/command.h"
#include "cli/secrets_guard.h"
#include "cli/stay.h"
#include "common/base/heap.h"
#include "common/base/open_files.h"

#include <string.h>

#include "common/base/stop.h"
#include "coordinator/coordinator.h"

static const option_def coordinator_options_table[] = {
    {"--stage", "STAGE", "all, label or train", "all", "all label train"},
    {"--dataset", "FOLDER", "stage train: folder with labels.jsonl, only read", NULL},
    STAY_OPTION,
    {0},
};

static rt_status read_stage(const options *o, coordinator_options *out, rt_error *err)
{
    static const char *const names[] = {"all", "label", "train"};
    const char *text = options_value(o, "--stage");
    out->dataset = options_value(o, "--dataset");
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        if (strcmp(text, names[i]) != 0) continue;
        out->stage = (run_stage)i;
        bool trains = out->stage == STAGE_TRAIN;
        if (trains == (out->dataset != NULL)) return RT_OK;
        if (trains) return rt_fail(err, RT_INVALID, "--stage train needs --dataset FOLDER");
        return rt_fail(err, RT_INVALID, "--dataset belongs to --stage train; this is --stage %s",
                       text);
    }
    return rt_fail(err, RT_INVALID, "--stage: found '%.40s', expected all, label or train", text);
}

static int run(const options *o)
{
    rt_error err = {0};
    config *c = NULL;
    coordinator_options how = {.stage = STAGE_ALL};
    rt_stop_install();
    rt_status st = read_stage(o, &how, &err);
    how.stays = options_has(o, "--stay");
    if (st == RT_OK) st = options_load_config(o, &c, &err);
    if (st == RT_OK && how.stage != STAGE_TRAIN) st = config_check_corpus(c, &err);
    if (st == RT_OK) secrets_guard(c, false);
    (void)rt_open_files_raise();
    rt_heap_return_large();
    if (st == RT_OK) st = coordinator_run(c, &how, &err);
    config_free(c);
    return st == RT_OK ? EXIT_CODE_OK : command_fail(o, &err);
}

const command cmd_coordinator = {
    .name = "coordinator",
    .summary = "lead a run: lease, archive, plan, feed, order",
    .synopsis = "[--config FILE] [--stage all|label|train] [--dataset FOLDER] [--stay]",
    .description =
        "The one process that knows the whole run. It binds net.coordinator_bind, writes\n"
        "where it is reached to RUN_DIR/coordinator.json, and answers statistics over HTTP at\n"
        "net.http. There is one for each run directory; started again with the same settings\n"
        "it goes on where the run was. Ends when the stage is complete; SIGTERM drains. With\n"
        "--stay it then goes on answering statistics until SIGTERM.\n",
    .options = coordinator_options_table,
    .examples = "retort coordinator --config retort.yaml\n"
                "retort coordinator --config retort.yaml --stage train --dataset runs/a/dataset\n",
    .run = run,
};
