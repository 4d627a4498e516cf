#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "common/base/clock.h"
#include "common/base/fs.h"
#include "worker/report/cards.h"
#include "worker/report/report.h"
#include "worker/runtime/run_path.h"

/* Where from and where to. */
typedef struct report_places {
    char run_dir[PATH_MAX], output[PATH_MAX];
    bool usual; /* output is the run's own report: its cards are written, too */
    config *config;
    rt_error problem; /* of a run's own config.yaml, which the report can do without */
} report_places;

/* With --run and without --config, the run's own settings, as far as they can be read. */
static rt_status load_config(const options *o, report_places *p, rt_error *err)
{
    char path[PATH_MAX];
    const char *run = options_value(o, "--run");
    if (run == NULL || options_has(o, "--config")) return options_load_config(o, &p->config, err);
    rt_status st = rt_fs_join(path, sizeof path, run, "config.yaml", err);
    if (st != RT_OK) return st;
    if (rt_fs_exists(path) && config_load(path, options_sets(o), &p->config, &p->problem) != RT_OK)
        fprintf(stderr, "retort: %s\n", p->problem.text);
    return RT_OK;
}

static rt_status find_places(const options *o, report_places *p, rt_error *err)
{
    const char *run = options_value(o, "--run"), *output = options_value(o, "--output");
    rt_status st = load_config(o, p, err);
    if (st != RT_OK) return st;
    if (run != NULL && strlen(run) < sizeof p->run_dir)
        snprintf(p->run_dir, sizeof p->run_dir, "%s", run);
    else if (run != NULL)
        st = rt_fail(err, RT_FULL, "--run: longer than %d bytes", PATH_MAX - 1);
    else
        st = run_path(p->config, "", p->run_dir, sizeof p->run_dir, err);
    p->usual = output == NULL;
    if (st == RT_OK && output == NULL)
        return rt_fs_join(p->output, sizeof p->output, p->run_dir, REPORT_NAME, err);
    if (st == RT_OK && strlen(output) >= sizeof p->output)
        st = rt_fail(err, RT_FULL, "--output: longer than %d bytes", PATH_MAX - 1);
    if (st == RT_OK) snprintf(p->output, sizeof p->output, "%s", output);
    return st;
}

static rt_status print_json(const json_t *data, rt_error *err)
{
    char *text = json_dumps(data, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
    if (text == NULL) return rt_fail(err, RT_NOMEM, "figures of a report");
    puts(text);
    free(text);
    return RT_OK;
}

static rt_status write_page(const report_places *p, const report_request *ask, const json_t *data,
                            rt_error *err)
{
    rt_buf page = {0};
    rt_status st = report_render(data, &page, err);
    if (st == RT_OK) st = rt_fs_write_atomic(p->output, page.data, page.n, err);
    rt_buf_free(&page);
    if (st == RT_OK && p->usual) st = dataset_card_write(ask, data, err);
    if (st == RT_OK && p->usual) st = model_card_add_scores(ask, data, err);
    if (st == RT_OK) printf("%s\n", p->output);
    return st;
}

static int run(const options *o)
{
    rt_error err = {0};
    report_places *p = rt_calloc(1, sizeof *p);
    json_t *data = NULL;
    rt_status st = p == NULL ? rt_fail(&err, RT_NOMEM, "report") : find_places(o, p, &err);
    if (st != RT_OK) goto out;
    report_request ask = {
        .run_dir = p->run_dir,
        .dataset = options_value(o, "--dataset"),
        .config = p->config,
        .config_problem = p->problem.status == RT_OK ? NULL : p->problem.text,
        .now_ms = rt_clock_wall_ms(),
    };
    if ((st = report_gather(&ask, &data, &err)) != RT_OK) goto out;
    st = options_json(o) ? print_json(data, &err) : write_page(p, &ask, data, &err);
out:
    json_decref(data);
    if (p != NULL) config_free(p->config);
    free(p);
    return st == RT_OK ? EXIT_CODE_OK : command_fail(o, &err);
}

static const option_def own_options[] = {
    {"--run", "FOLDER", "folder of the run (default: the one the settings name)", NULL},
    {"--dataset", "FOLDER", "dataset that was trained on (default: dataset/ of the run)", NULL},
    {"--output", "FILE", "where to (default: report.html in the run's folder)", NULL},
    {0},
};

const command cmd_report = {
    .name = "report",
    .summary = "write what happened in a run as one page: report.html",
    .synopsis = "[--run FOLDER | --config FILE] [--dataset FOLDER] [--output FILE] [--json]",
    .description =
        "Reads the files of a run and writes one HTML page that needs no network and no\n"
        "scripts: settings, where each row went, accuracy with intervals, what was confused\n"
        "with what, curves, examples right and wrong, rejections, time, cost, versions and\n"
        "checksums. A run that is not finished, has labels only, or lacks a file has a report,\n"
        "too: it says what is missing. `retort run`, `label` and `train` write one at their\n"
        "end. With --json the figures behind the page are printed and nothing is written.\n"
        "\n"
        "Without --output it also writes dataset/README.md, a dataset card that\n"
        "datasets.load_dataset() reads, and puts the scores into student/README.md.\n",
    .options = own_options,
    .examples = "retort report --run runs/arithmetic\n"
                "retort report --config retort.yaml --json | jq .accuracy\n",
    .run = run,
};
