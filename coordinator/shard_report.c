#include "coordinator/shard_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void *copy_bytes(const void *from, size_t n_bytes)
{
    void *to = malloc(n_bytes == 0 ? 1 : n_bytes);
    if (to != NULL && n_bytes > 0) memcpy(to, from, n_bytes);
    return to;
}

rt_status shard_report_copy(const wire_server_report *from, wire_server_report *out, rt_error *err)
{
    wire_server_report r = *from;
    const char *problem = from->problem == NULL ? "" : from->problem;
    r.param_index = copy_bytes(from->param_index, from->n_params * sizeof *r.param_index);
    r.sum_squares = copy_bytes(from->sum_squares, from->n_params * sizeof *r.sum_squares);
    r.received = copy_bytes(from->received, from->n_received);
    r.problem = rt_strndup(problem, strlen(problem));
    r.saved_files = rt_calloc(from->n_saved_files, sizeof *r.saved_files);
    r.n_saved_files = 0;
    bool ok = r.param_index != NULL && r.sum_squares != NULL && r.received != NULL &&
              r.problem != NULL && r.saved_files != NULL;
    for (size_t i = 0; ok && i < from->n_saved_files; i++) {
        const wire_saved_file *f = &from->saved_files[i];
        r.saved_files[i] = (wire_saved_file){.name = rt_strndup(f->name, strlen(f->name)),
                                             .n_bytes = f->n_bytes,
                                             .sha256 = rt_strndup(f->sha256, strlen(f->sha256))};
        r.n_saved_files++;
        ok = r.saved_files[i].name != NULL && r.saved_files[i].sha256 != NULL;
    }
    if (!ok) {
        wire_server_report_free(&r);
        return rt_fail(err, RT_NOMEM, "report of shard %" PRIu32, from->shard);
    }
    *out = r;
    return RT_OK;
}
