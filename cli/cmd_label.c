#include "cli/command.h"
#include "cli/dry_run.h"
#include "cli/launch/run_command.h"

static int run(const options *o)
{
    if (options_has(o, "--dry-run")) return dry_run_command(o, false);
    return run_command(o, LAUNCH_LABEL, NULL);
}

static const option_def own_options[] = {TRAIN_ANEW_OPTION, DRY_RUN_OPTIONS, {0}};

const command cmd_label = {
    .name = "label",
    .summary = "only label a corpus: coordinator and teachers, no training",
    .synopsis = "[--config FILE] [--set key=value]... [--train-anew] [--json]\n"
                "--dry-run [--show N] [--config FILE] [--set key=value]... [--json]",
    .description =
        "Labels every example of the corpus and leaves the labelled dataset in\n"
        "RUN_DIR/dataset/labels.jsonl, the rejected examples with their reasons in\n"
        "rejected.jsonl. It can be interrupted and goes on where it was; `retort run` with the\n"
        "same configuration then trains on what is there.\n"
        "\n"
        "--dry-run reads the corpus and shows the first prompts as the teacher would get them,\n"
        "the tokens of all of them, and their price where limits.price_input and price_output\n"
        "are set. It starts nothing and asks nobody.\n",
    .options = own_options,
    .examples = "retort label --dry-run --config retort.yaml\n"
                "retort label --config retort.yaml\n"
                "retort eval --config retort.yaml --teacher\n",
    .run = run,
    .computes = true,
};
