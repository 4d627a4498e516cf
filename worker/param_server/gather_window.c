#include "worker/param_server/gather_window.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Step s lies in slot s % n. */
struct gather_window {
    uint64_t version;
    uint64_t n;
    size_t n_params;
    gather **gathers;     /* [n] */
    step_record *records; /* [n] */
};

rt_status gather_window_new(size_t n_floats, size_t n_params, uint32_t micro_batches_max,
                            uint64_t n_ahead, gather_window **out, rt_error *err)
{
    rt_status st = RT_OK;
    gather_window *w = rt_calloc(1, sizeof *w);
    if (w == NULL) return rt_fail(err, RT_NOMEM, "gathering of steps");
    w->n = n_ahead + 1;
    w->n_params = n_params;
    w->gathers = rt_calloc(w->n, sizeof(gather *));
    w->records = rt_calloc(w->n, sizeof *w->records);
    if (w->gathers == NULL || w->records == NULL) {
        st = rt_fail(err, RT_NOMEM, "gathering of %" PRIu64 " steps", w->n);
        goto out;
    }
    for (uint64_t i = 0; i < w->n; i++) {
        if ((st = gather_new(n_floats, micro_batches_max, &w->gathers[i], err)) != RT_OK) goto out;
        w->records[i].sum_squares = rt_calloc(n_params, sizeof(double));
        if (w->records[i].sum_squares == NULL) {
            st = rt_fail(err, RT_NOMEM, "sums of %zu parameters", n_params);
            goto out;
        }
    }
    *out = w;
    w = NULL;
out:
    gather_window_free(w);
    return st;
}

void gather_window_free(gather_window *w)
{
    if (w == NULL) return;
    for (uint64_t i = 0; w->gathers != NULL && i < w->n; i++) gather_free(w->gathers[i]);
    for (uint64_t i = 0; w->records != NULL && i < w->n; i++) free(w->records[i].sum_squares);
    free(w->gathers);
    free(w->records);
    free(w);
}

static void begin_step(gather_window *w, uint64_t step)
{
    step_record *r = &w->records[step % w->n];
    gather_begin(w->gathers[step % w->n], step);
    memset(r->staleness, 0, sizeof r->staleness);
    memset(r->sum_squares, 0, w->n_params * sizeof *r->sum_squares);
}

void gather_window_begin(gather_window *w, uint64_t version, bool moves)
{
    RT_ASSERT(!moves || version == w->version + 1);
    w->version = version;
    for (uint64_t i = moves ? w->n - 1 : 0; i < w->n; i++) begin_step(w, version + i);
}

uint64_t gather_window_version(const gather_window *w)
{
    return w->version;
}

static bool is_inside(const gather_window *w, uint64_t step)
{
    return step >= w->version && step - w->version < w->n;
}

gather *gather_window_at(gather_window *w, uint64_t step)
{
    return is_inside(w, step) ? w->gathers[step % w->n] : NULL;
}

step_record *gather_window_record(gather_window *w, uint64_t step)
{
    return is_inside(w, step) ? &w->records[step % w->n] : NULL;
}
