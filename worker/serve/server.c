#include "worker/serve/server.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "worker/serve/http.h"

/* How often the caller's thread looks around. */
#define SWEEP_MS 100
#define DRAIN_MS 5

struct server {
    served_model *model;
    api_gate *gate;
    serve_stats stats;
    engine *engine;
    http_side *http;
};

void server_close(server *s)
{
    if (s == NULL) return;
    if (s->engine != NULL) { /* no connection may sleep when the HTTP side ends */
        engine_abort(s->engine);
        while (engine_n_running(s->engine) > 0) rt_sleep_ms(1);
    }
    http_close(s->http);
    engine_close(s->engine);
    serve_stats_close(&s->stats);
    api_gate_close(s->gate);
    served_model_close(s->model);
    free(s);
}

rt_status server_open(const server_settings *how, server **out, rt_error *err)
{
    rt_status st = RT_OK;
    engine_settings engine_how = {.n_slots = how->n_slots,
                                  .n_threads = how->n_threads,
                                  .n_waiting_max = how->n_waiting_max,
                                  .timeout_ms = how->timeout_ms};
    server *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "server");
    if (how->key_file != NULL && (st = api_gate_open(how->key_file, &s->gate, err)) != RT_OK)
        goto out;
    if ((st = serve_stats_open(&s->stats, err)) != RT_OK) goto out;
    if ((st = served_model_open(how->model, how->name, how->halves, &s->model, err)) != RT_OK)
        goto out;
    if ((st = engine_open(s->model, &engine_how, &s->stats, &s->engine, err)) != RT_OK) goto out;
    http_context context = {.model = s->model,
                            .engine = s->engine,
                            .stats = &s->stats,
                            .gate = s->gate,
                            .limits = {.max_tokens = how->n_tokens_max},
                            .n_body_bytes_max = how->n_body_bytes_max,
                            .timeout_ms = how->timeout_ms,
                            .started_s = (int64_t)time(NULL)};
    if ((st = http_open(&context, how->bind, how->port, &s->http, err)) != RT_OK) goto out;
    rt_log_info("serve.open", "model=%s address=%s slots=%" PRIu64 " keys=%s", s->model->id,
                http_address(s->http), how->n_slots, s->gate != NULL ? "needed" : "none");
    *out = s;
    s = NULL;
out:
    server_close(s);
    return st;
}

const char *server_address(const server *s)
{
    return http_address(s->http);
}

const char *server_model(const server *s)
{
    return s->model->id;
}

void server_run(server *s)
{
    while (rt_stop_requested() == RT_STOP_NONE) {
        http_sweep(s->http);
        rt_sleep_ms(SWEEP_MS);
    }
    engine_drain(s->engine);
    http_drain(s->http);
    rt_log_info("serve.drain", "requests=%zu", engine_n_jobs(s->engine));
    while (engine_n_jobs(s->engine) > 0 && rt_stop_requested() == RT_STOP_DRAIN) {
        http_sweep(s->http);
        rt_sleep_ms(DRAIN_MS);
    }
}
