#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/secrets_guard.h"
#include "cli/stay.h"
#include "common/base/stop.h"
#include "worker/teacher/run.h"

/* Two teachers must not share a name: host and process tell them apart. */
static void default_name(char out[64])
{
    char host[40] = "host";
    if (gethostname(host, sizeof host - 1) != 0) snprintf(host, sizeof host, "host");
    snprintf(out, 64, "teacher-%s-%ld", host, (long)getpid());
}

static int run_teacher(const options *o)
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
    secrets_guard(c, false);
    rt_status st = teacher_run(c, name, &err);
    if (st == RT_OK && options_has(o, "--stay")) stay_until_stopped(c);
    /* Leaving when asked to is what a supervisor expects of it. */
    if (st != RT_OK && st != RT_CANCELLED) code = command_fail(o, &err);
out:
    config_free(c);
    return code;
}

static const option_def teacher_options[] = {
    {"--name", "NAME", "name among the workers (default: teacher-HOST-PID)", NULL},
    STAY_OPTION,
    {0},
};

const command cmd_teacher = {
    .name = "teacher",
    .summary = "label leased shards of the corpus",
    .synopsis = "--config FILE [--name NAME] [--stay] [--set KEY=VALUE]...",
    .description = "Registers with the coordinator, leases shards of examples, asks the teacher\n"
                   "that `teacher` in the settings names, and publishes one record an example.\n"
                   "Any number of teachers may run; each may die at any time. Leaves by itself\n"
                   "when every example is labelled or rejected. On SIGTERM it finishes what is\n"
                   "quick and leaves the rest to its lease.\n",
    .options = teacher_options,
    .examples = "retort teacher --config gsm8k.yaml --name teacher-3\n",
    .run = run_teacher,
    .computes = true,
};
