#include <limits.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/process_probe.h"

static const option_def probe_options[] = {
    {"--pid", "N", "the process to look at; in a container, 1", NULL},
    {"--file", "FILE", "net.alive_file of the process", NULL},
    {"--address", "HOST:PORT", "a coordinator's stats address", NULL},
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

/* One of three ways to ask. */
static rt_status ask(const options *o, const alive_limits *limits, rt_error *err)
{
    const char *file = options_value(o, "--file"), *address = options_value(o, "--address");
    uint64_t pid = 0;
    rt_status st = options_u64(o, "--pid", 1, INT_MAX, &pid, err);
    if (st != RT_OK) return st;
    if ((file != NULL) + (address != NULL) + (pid != 0) != 1)
        return rt_fail(err, RT_INVALID,
                       "probe needs one of --file FILE (net.alive_file of a process), --pid N and "
                       "--address HOST:PORT");
    if (file != NULL) return file_probe(file, limits, err);
    if (address != NULL)
        return address_probe(address, options_has(o, "--ready") ? "/readyz" : "/healthz", err);
    return process_probe(pid, limits, err);
}

static int run(const options *o)
{
    rt_error err = {0};
    alive_limits limits = {0};
    rt_status st = read_limits(o, &limits, &err);
    if (st == RT_OK) st = ask(o, &limits, &err);
    if (st != RT_OK) return command_fail(o, &err);
    puts(options_has(o, "--ready") ? "ready" : "alive");
    return EXIT_CODE_OK;
}

const command cmd_probe = {
    .name = "probe",
    .summary = "is a process of a run on this machine alive, and ready?",
    .synopsis = "--pid N | --file FILE | --address HOST:PORT [--ready] [--beat-max-ms MS]\n"
                "[--work-max-ms MS] [--heard-max-ms MS]",
    .description =
        "For the probes of a supervisor, run where the process runs: exit code 0 is yes.\n"
        "\n"
        "--file reads the signs of life that a teacher, student or shard writes to\n"
        "net.alive_file and says whether the process still turns; with --ready also whether\n"
        "it hears its coordinator. --address asks a coordinator over HTTP, /healthz or with\n"
        "--ready /readyz; no key is needed. --pid (in a container 1) finds out from the\n"
        "process's own command line and configuration which of the two it is, also for\n"
        "`retort serve`, and refuses one that is stopped or dead.\n",
    .options = probe_options,
    .examples = "retort probe --pid 1\n"
                "retort probe --file /tmp/retort.alive --ready\n"
                "retort probe --address 127.0.0.1:8080 --ready\n",
    .run = run,
};
