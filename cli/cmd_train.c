#include "cli/command.h"
#include "cli/launch/run_command.h"

static const option_def train_options[] = {
    {"--dataset", "FOLDER", "folder with labels.jsonl (required)", NULL},
    {0},
};

static int run(const options *o)
{
    const char *dataset = options_value(o, "--dataset");
    if (dataset == NULL) {
        rt_error err = {0};
        rt_status st = rt_fail(&err, RT_INVALID,
                               "retort train needs --dataset FOLDER, a folder with labels.jsonl");
        (void)st; /* command_fail reads it from err */
        return command_fail(o, &err);
    }
    return run_command(o, LAUNCH_TRAIN, dataset);
}

const command cmd_train = {
    .name = "train",
    .summary = "train a student from an existing labelled dataset",
    .synopsis = "--dataset FOLDER [--config FILE] [--set key=value]... [--json]",
    .description =
        "Trains on FOLDER/labels.jsonl, which any run or any other tool may have written: one\n"
        "JSON object a line with id, input, label and optionally rationale (docs/dataset.md).\n"
        "Nothing is labelled and the dataset is not changed. Everything else is as in\n"
        "`retort run`.\n",
    .options = train_options,
    .examples = "retort train --dataset runs/esnli/dataset --config retort.yaml \\\n"
                "    --set run_dir=runs/label-only --set train.preset=label-only\n",
    .run = run,
    .computes = true,
};
