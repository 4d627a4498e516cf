#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/launch/launcher.h"
#include "cli/launch/progress.h"
#include "cli/stats_client.h"

#define TIMEOUT_MS 5000

static const option_def stats_options[] = {
    {"--address", "HOST:PORT", "coordinator's stats address (default: that of the run)", NULL},
    {"--key-file", "FILE", "file whose first line is the key (default: net.http_key_file)", NULL},
    {"--metrics", NULL, "print /metrics, Prometheus text", NULL},
    {0},
};

/* The address given, or the one that the run wrote down. */
static rt_status find_address(const options *o, char *out, size_t n_out, char *key_file,
                              size_t n_key_file, rt_error *err)
{
    char run_dir[4096];
    config *c = NULL;
    const char *given = options_value(o, "--address"), *key = options_value(o, "--key-file");
    snprintf(key_file, n_key_file, "%s", key != NULL ? key : "");
    if (given != NULL) {
        snprintf(out, n_out, "%s", given);
        return RT_OK;
    }
    rt_status st = options_load_config(o, &c, err);
    if (st == RT_OK) st = launch_run_dir(c, run_dir, sizeof run_dir, err);
    if (st == RT_OK) st = stats_address(run_dir, out, n_out, err);
    if (st == RT_OK && key == NULL) snprintf(key_file, n_key_file, "%s", c->net.http_key_file);
    config_free(c);
    return st;
}

static rt_status print_stats(const rt_buf *body, rt_error *err)
{
    run_stats s;
    rt_buf text = {0};
    rt_status st = run_stats_parse(body->data, body->n, &s, err);
    if (st == RT_OK) st = rt_buf_printf(&text, err, "stage %s\n", s.stage);
    if (st == RT_OK && s.labels) st = progress_label_line(&s, 80, &text, err);
    if (st == RT_OK && s.labels) st = rt_buf_add_text(&text, "\n", err);
    if (st == RT_OK && s.trains) st = progress_train_line(&s, 80, &text, err);
    if (st == RT_OK && s.trains) st = rt_buf_add_text(&text, "\n", err);
    if (st == RT_OK && s.trains) st = progress_student_line(&s, &text, err);
    if (st == RT_OK && s.problem[0] != '\0')
        st = rt_buf_printf(&text, err, "problem: %s\n", s.problem);
    if (st == RT_OK) fputs(text.data, stdout);
    rt_buf_free(&text);
    return st;
}

static int run(const options *o)
{
    rt_error err = {0};
    rt_buf body = {0};
    char address[256], key_file[4096];
    bool metrics = options_has(o, "--metrics");
    rt_status st = find_address(o, address, sizeof address, key_file, sizeof key_file, &err);
    if (st == RT_OK)
        st = stats_get(address, metrics ? "/metrics" : "/api/stats", key_file, TIMEOUT_MS, &body,
                       &err);
    if (st == RT_OK && (metrics || options_json(o)))
        fwrite(body.data, 1, body.n, stdout);
    else if (st == RT_OK)
        st = print_stats(&body, &err);
    rt_buf_free(&body);
    return st == RT_OK ? EXIT_CODE_OK : command_fail(o, &err);
}

const command cmd_stats = {
    .name = "stats",
    .summary = "what a running coordinator says of its run",
    .synopsis = "[--config FILE | --address HOST:PORT] [--key-file FILE] [--metrics | --json]",
    .description =
        "Asks the coordinator over HTTP. Without --address the address is read from\n"
        "RUN_DIR/coordinator.json. --json prints all of /api/stats, --metrics the Prometheus\n"
        "text; docs/stats.md explains every number.\n",
    .options = stats_options,
    .examples = "retort stats --config retort.yaml\n"
                "retort stats --address 127.0.0.1:8080 --metrics\n",
    .run = run,
};
