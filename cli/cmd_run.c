#include "cli/command.h"
#include "cli/dry_run.h"
#include "cli/launch/run_command.h"

static int run(const options *o)
{
    if (options_has(o, "--dry-run")) return dry_run_command(o, true);
    return run_command(o, LAUNCH_ALL, NULL);
}

static const option_def own_options[] = {TRAIN_ANEW_OPTION, DRY_RUN_OPTIONS, {0}};

const command cmd_run = {
    .name = "run",
    .summary = "label a corpus, train a student and score it, all on this machine",
    .synopsis = "[--config FILE] [--set key=value]... [--train-anew] [--json]\n"
                "--dry-run [--show N] [--config FILE] [--set key=value]... [--json]",
    .description =
        "Starts every role as a process of its own on this machine: a Redis (unless queue.url\n"
        "is set), the coordinator, the parameter-server shards, students and teachers. What\n"
        "dies is started again. When the last step is done the student is exported and scored\n"
        "on eval.files, the control is trained if eval.control asks for it, and summary.json\n"
        "is written to the run directory.\n"
        "\n"
        "Ctrl-C lets every process finish what is in hand; the same command goes on from\n"
        "there, also after a crash of everything. A second Ctrl-C stops at once.\n"
        "\n"
        "A run whose budget left examples out goes on with a larger one, by itself as long as\n"
        "no student has learnt without them; else --train-anew puts that training aside.\n"
        "\n"
        "--dry-run shows the first prompts, the tokens of all of them and their price, and\n"
        "starts nothing: see `retort label --help`.\n"
        "\n"
        "Logs are in RUN_DIR/logs, process ids in RUN_DIR/launcher.json.\n",
    .options = own_options,
    .examples = "retort run --config examples/arithmetic/retort.yaml\n"
                "retort run --config retort.yaml --set launch.students=2 --set train.steps=500\n",
    .run = run,
    .computes = true,
};
