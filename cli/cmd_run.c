#include "cli/command.h"
#include "cli/launch/run_command.h"

static int run(const options *o)
{
    return run_command(o, LAUNCH_ALL, NULL);
}

const command cmd_run = {
    .name = "run",
    .summary = "label a corpus, train a student and score it, all on this machine",
    .synopsis = "[--config FILE] [--set key=value]... [--json]",
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
        "Logs are in RUN_DIR/logs, process ids in RUN_DIR/launcher.json.\n",
    .examples = "retort run --config examples/arithmetic/retort.yaml\n"
                "retort run --config retort.yaml --set launch.students=2 --set train.steps=500\n",
    .run = run,
};
