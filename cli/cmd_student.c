#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/secrets_guard.h"
#include "cli/stay.h"
#include "common/base/stop.h"
#include "worker/student/run.h"

/* Two students must not share a name: host and process tell them apart. */
static void default_name(char out[64])
{
    char host[40] = "host";
    if (gethostname(host, sizeof host - 1) != 0) snprintf(host, sizeof host, "host");
    snprintf(out, 64, "student-%s-%ld", host, (long)getpid());
}

static int run_student(const options *o)
{
    rt_error err = {0};
    config *c = NULL;
    char name[64];
    int code = EXIT_CODE_OK;
    default_name(name);
    if (options_value(o, "--name") != NULL)
        snprintf(name, sizeof name, "%s", options_value(o, "--name"));
    rt_stop_install();
    if (options_load_config(o, &c, &err) != RT_OK) {
        code = command_fail(o, &err);
        goto out;
    }
    secrets_guard(c, c->net.shared_memory);
    rt_status st = student_run(c, name, &err);
    if (st == RT_OK && options_has(o, "--stay")) stay_until_stopped(c);
    /* Leaving when asked to is what a supervisor expects of it. */
    if (st != RT_OK && st != RT_CANCELLED) code = command_fail(o, &err);
out:
    config_free(c);
    return code;
}

static const option_def student_options[] = {
    {"--name", "NAME", "name among the workers (default: student-HOST-PID)", NULL},
    STAY_OPTION,
    {0},
};

const command cmd_student = {
    .name = "student",
    .summary = "compute gradients of micro-batches",
    .synopsis = "--config FILE [--name NAME] [--stay] [--set KEY=VALUE]...",
    .description = "Registers with the coordinator, takes micro-batches from the queue, pulls the\n"
                   "parameters of their step from all shards, and pushes gradients back. Any\n"
                   "number of students may run, on any number of machines; each may die at any\n"
                   "time, and neither changes a bit of the result. `threads` in the settings is\n"
                   "for each of them. Leaves by itself when training is complete. On SIGTERM it\n"
                   "delivers the micro-batch in hand first.\n",
    .options = student_options,
    .examples = "retort student --config gsm8k.yaml --name student-1\n"
                "retort student --config gsm8k.yaml --set threads=8\n",
    .run = run_student,
    .computes = true,
};
