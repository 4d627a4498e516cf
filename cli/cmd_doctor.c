#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/doctor/doctor.h"
#include "common/base/stop.h"

static void check_all(doctor *d)
{
    static void (*const checks[])(doctor *) = {
        check_files,  check_corpus, check_eval,   check_teachers, check_student,
        check_memory, check_redis,  check_places, check_machine,
    };
    for (size_t i = 0; i < RT_COUNT(checks) && rt_stop_requested() == RT_STOP_NONE; i++)
        checks[i](d);
    corpus_sample_free(&d->rows);
}

/* False when there are no settings to go by. */
static bool check_config(const options *o, report *r, config **out)
{
    rt_error err = {0};
    char fingerprint[33];
    finding f;
    rt_status st = options_load_config(o, out, &err);
    if (st == RT_OK) st = config_fingerprint(*out, fingerprint, &err);
    if (st == RT_OK) {
        f = finding_ok("%s: settings are valid (fingerprint %s)", options_config_path(o),
                       fingerprint);
    } else {
        f = finding_of_error(&err, "correct the setting that is named; retort init writes a config "
                                   "to begin with");
    }
    finding_expect(&f, "settings as in docs/config.md");
    report_add(r, "config", f);
    return st == RT_OK;
}

static rt_status print_end(const options *o, const report *r, rt_error *err)
{
    rt_buf sum = {0};
    rt_status st = RT_OK;
    if (options_json(o)) {
        json_t *list = report_to_json(r);
        if (list == NULL) return rt_fail(err, RT_NOMEM, "report as JSON");
        json_dumpf(list, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(list);
    } else if ((st = report_sum(r, &sum, err)) == RT_OK) {
        printf("\n%s", sum.data);
    }
    rt_buf_free(&sum);
    return st;
}

static int run(const options *o)
{
    rt_error err = {0};
    config *c = NULL;
    report *r = NULL;
    int code = EXIT_CODE_OK;
    rt_status st = RT_OK;
    if (options_has(o, "--ask") && options_has(o, "--offline")) {
        rt_fail(&err, RT_INVALID, "doctor: found --ask and --offline, expected one of them");
        return command_fail(o, &err);
    }
    /* What modules log is what the report says, said twice. */
    if (!options_has(o, "--log-level")) rt_log_init(RT_LOG_ERROR, "doctor");
    rt_stop_install();
    st = report_new(options_json(o) ? NULL : stdout, isatty(STDOUT_FILENO) == 1, &r, &err);
    if (st != RT_OK) return command_fail(o, &err);
    if (check_config(o, r, &c)) {
        doctor d = {.config = c,
                    .report = r,
                    .offline = options_has(o, "--offline"),
                    .asks = options_has(o, "--ask")};
        check_all(&d);
    }
    report_end(r);
    code = report_exit_code(r);
    if ((st = print_end(o, r, &err)) != RT_OK) code = command_fail(o, &err);
    if (rt_stop_requested() != RT_STOP_NONE) code = EXIT_CODE_INTERRUPTED;
    report_free(r);
    config_free(c);
    return code;
}

static const option_def own_options[] = {
    {"--ask", NULL, "send each server's teacher one small real request, which costs a little",
     NULL},
    {"--offline", NULL, "ask no server: neither teachers nor the Redis of queue.url", NULL},
    {0},
};

const command cmd_doctor = {
    .name = "doctor",
    .summary = "check everything a run needs, before anything is spent",
    .synopsis = "[--config FILE] [--set key=value]... [--json] [--ask | --offline]",
    .description =
        "Looks at what `retort run` with the same settings will need, one line each: ok, warn\n"
        "or fail, what was found, what was expected, and what to do about it.\n"
        "\n"
        "config, files        the settings, and the files that they name\n"
        "corpus, eval         the first rows, read as a run reads them\n"
        "teacher.*            a server: is it there, is its certificate good, does it take\n"
        "                     the key and have the model (its list of models is asked for,\n"
        "                     which costs nothing); a model folder: its weights and its\n"
        "                     tokenizer; recorded texts: how many rows they answer\n"
        "*.prompt             the first prompts, and whether they fit\n"
        "escalate.*           the same of the second teacher\n"
        "tokenizer, student   its vocabulary, its shape, and whether inputs fit\n"
        "memory, open_files   an estimate against what there is (warnings)\n"
        "redis                the launcher's own is started for a moment; that of queue.url\n"
        "                     is asked for version, role, maxmemory and policy\n"
        "run_dir, disk, cache can they be written, is there room\n"
        "address              those that the settings fix: are they free\n"
        "\n"
        "Nothing is labelled, written or kept, and without --ask nothing is spent. --ask sends\n"
        "each server's teacher one request of 16 tokens, with the fields that a run sends, and\n"
        "shows latency, tokens, price and the limits that the server tells. It does not count\n"
        "for limits.budget.\n"
        "\n"
        "Ends with 0 when nothing failed (warnings do not count), else with the code with\n"
        "which a run would end for the first failure: 2 a setting, 3 data, 4 the\n"
        "environment. --json prints one array of {check, status, found, expected, fix}.\n",
    .options = own_options,
    .examples = "retort doctor\n"
                "retort doctor --config retort.yaml --set teacher.model=other --ask\n"
                "retort doctor --json | jq '.[] | select(.status != \"ok\")'\n",
    .run = run,
};
