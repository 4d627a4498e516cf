#include "cli/command.h"
#include "cli/launch/run_command.h"

static int run(const options *o)
{
    return run_command(o, LAUNCH_LABEL, NULL);
}

const command cmd_label = {
    .name = "label",
    .summary = "only label a corpus: coordinator and teachers, no training",
    .synopsis = "[--config FILE] [--set key=value]... [--json]",
    .description =
        "Labels every example of the corpus and leaves the labelled dataset in\n"
        "RUN_DIR/dataset/labels.jsonl, the rejected examples with their reasons in\n"
        "rejected.jsonl. It can be interrupted and goes on where it was; `retort run` with the\n"
        "same configuration then trains on what is there.\n",
    .examples = "retort label --config retort.yaml\n"
                "retort eval --config retort.yaml --teacher\n",
    .run = run,
};
