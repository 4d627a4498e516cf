#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/launch/launcher.h"
#include "cli/launch/progress.h"
#include "cli/stats_client.h"
#include "cli/watch/watch.h"

#define TIMEOUT_MS 5000

static const option_def stats_options[] = {
    {"--address", "HOST:PORT", "coordinator's stats address (default: that of the run)", NULL},
    {"--key-file", "FILE", "file whose first line is the key (default: net.http_key_file)", NULL},
    {"--metrics", NULL, "print /metrics, Prometheus text", NULL},
    {"--watch", NULL, "stay and look again: a full screen on a terminal, else lines", NULL},
    {"--interval", "SECONDS", "time between two looks of --watch", "1"},
    {0},
};

/* Where the coordinator is, and the key it may want. */
typedef struct stats_place {
    char run_dir[4096]; /* "": the address was given */
    char address[256];  /* "": the run says it */
    char key_file[4096];
} stats_place;

static rt_status find_place(const options *o, stats_place *out, rt_error *err)
{
    config *c = NULL;
    const char *given = options_value(o, "--address"), *key = options_value(o, "--key-file");
    *out = (stats_place){0};
    snprintf(out->key_file, sizeof out->key_file, "%s", key != NULL ? key : "");
    snprintf(out->address, sizeof out->address, "%s", given != NULL ? given : "");
    if (given != NULL) return RT_OK;
    rt_status st = options_load_config(o, &c, err);
    if (st == RT_OK) st = launch_run_dir(c, out->run_dir, sizeof out->run_dir, err);
    if (st == RT_OK && key == NULL)
        snprintf(out->key_file, sizeof out->key_file, "%s", c->net.http_key_file);
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

static rt_status look_once(const options *o, stats_place *place, rt_error *err)
{
    rt_buf body = {0};
    bool metrics = options_has(o, "--metrics");
    rt_status st = RT_OK;
    if (place->address[0] == '\0')
        st = stats_address(place->run_dir, place->address, sizeof place->address, err);
    if (st == RT_OK)
        st = stats_get(place->address, metrics ? "/metrics" : "/api/stats", place->key_file,
                       TIMEOUT_MS, &body, err);
    if (st == RT_OK && (metrics || options_json(o)))
        fwrite(body.data, 1, body.n, stdout);
    else if (st == RT_OK)
        st = print_stats(&body, err);
    rt_buf_free(&body);
    return st;
}

static rt_status check_watch(const options *o, double *interval_s, rt_error *err)
{
    bool watches = options_has(o, "--watch");
    if (watches && options_has(o, "--metrics"))
        return rt_fail(err, RT_INVALID, "--watch and --metrics do not go together");
    if (!watches && options_has(o, "--interval"))
        return rt_fail(err, RT_INVALID, "--interval needs --watch");
    return options_double(o, "--interval", 0.1, 3600, interval_s, err);
}

static int run(const options *o)
{
    rt_error err = {0};
    stats_place place;
    double interval_s = 1;
    rt_status st = check_watch(o, &interval_s, &err);
    if (st == RT_OK) st = find_place(o, &place, &err);
    if (st == RT_OK && options_has(o, "--watch")) {
        watch_settings settings = {.run_dir = place.run_dir,
                                   .address = place.address,
                                   .key_file = place.key_file,
                                   .interval_ms = (unsigned)(interval_s * 1000),
                                   .as_json = options_json(o)};
        exit_code code = watch_run(&settings, &err);
        if (err.status != RT_OK) command_fail(o, &err);
        return code;
    }
    if (st == RT_OK) st = look_once(o, &place, &err);
    return st == RT_OK ? EXIT_CODE_OK : command_fail(o, &err);
}

const command cmd_stats = {
    .name = "stats",
    .summary = "what a running coordinator says of its run",
    .synopsis = "[--config FILE | --address HOST:PORT] [--key-file FILE] [--metrics | --json]\n"
                "--watch [--interval SECONDS] [--json] [--config FILE | --address HOST:PORT]\n",
    .description =
        "Asks the coordinator over HTTP. Without --address the address is read from\n"
        "RUN_DIR/coordinator.json. --json prints all of /api/stats, --metrics the Prometheus\n"
        "text; docs/stats.md explains every number.\n"
        "\n"
        "--watch stays. On a terminal it takes the whole screen: progress, the flow of rows,\n"
        "curves, workers and events, as far as the size allows; q leaves, and the run goes on.\n"
        "It waits for a coordinator that is not there yet or starts again. Elsewhere it prints\n"
        "a line for each look, with --json all of /api/stats as one line, and leaves when the\n"
        "run has ended. NO_COLOR is honoured.\n",
    .options = stats_options,
    .examples = "retort stats --config retort.yaml\n"
                "retort stats --watch\n"
                "retort stats --address 127.0.0.1:8080 --metrics\n",
    .run = run,
};
