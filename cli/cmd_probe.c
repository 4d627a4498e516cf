#include <stdio.h>

#include "cli/command.h"
#include "common/base/clock.h"
#include "worker/runtime/alive_sign.h"

static const option_def probe_options[] = {
    {"--file", "FILE", "net.alive_file of the process", NULL},
    {"--beat-max-ms", "MS", "oldest sign of life", "30000"},
    {"--work-max-ms", "MS", "longest work between two turns of the main thread", "900000"},
    {"--ready", NULL, "also: is the coordinator heard?", NULL},
    {"--heard-max-ms", "MS", "--ready: longest silence of the coordinator", "10000"},
    {0},
};

static rt_status read_limits(const options *o, alive_limits *out, rt_error *err)
{
    const uint64_t day_ms = 86400000;
    uint64_t heard_max_ms = 0;
    rt_status st = options_u64(o, "--beat-max-ms", 1, day_ms, &out->beat_max_ms, err);
    if (st == RT_OK) st = options_u64(o, "--work-max-ms", 1, day_ms, &out->work_max_ms, err);
    if (st == RT_OK) st = options_u64(o, "--heard-max-ms", 1, day_ms, &heard_max_ms, err);
    out->heard_max_ms = options_has(o, "--ready") ? heard_max_ms : 0;
    return st;
}

static int run(const options *o)
{
    rt_error err = {0};
    alive_limits limits = {0};
    alive_sign sign;
    const char *path = options_value(o, "--file");
    rt_status st = read_limits(o, &limits, &err);
    if (st == RT_OK && path == NULL)
        st = rt_fail(&err, RT_INVALID, "probe needs --file FILE, the net.alive_file of a process");
    if (st == RT_OK) st = alive_sign_read(path, &sign, &err);
    if (st == RT_OK) st = alive_sign_judge(&sign, rt_clock_mono_ms(), &limits, &err);
    if (st != RT_OK) return command_fail(o, &err);
    puts(options_has(o, "--ready") ? "ready" : "alive");
    return EXIT_CODE_OK;
}

const command cmd_probe = {
    .name = "probe",
    .summary = "is a worker on this machine alive, and ready?",
    .synopsis = "--file FILE [--ready] [--beat-max-ms MS] [--work-max-ms MS] [--heard-max-ms MS]",
    .description =
        "Reads the signs of life that a teacher, student or shard writes to net.alive_file\n"
        "and says whether the process still turns; with --ready also whether it hears its\n"
        "coordinator. For the probes of a supervisor, run where the process runs: exit code 0\n"
        "is yes. The coordinator itself is asked over HTTP, /healthz and /readyz.\n",
    .options = probe_options,
    .examples = "retort probe --file /tmp/retort.alive\n"
                "retort probe --file /tmp/retort.alive --ready\n",
    .run = run,
};
