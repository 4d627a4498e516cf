/* Bodies of the data plane: parameters out, gradients in. */
#include <string.h>

#include "common/wire/body.h"
#include "common/wire/check.h"

/* ---- what is shared --------------------------------------------------------------------- */

static bool shared_to_pb(const shared_block_ref *in, arena *a, Retort__Shared **out)
{
    if (in->n_bytes == 0) return true;
    Retort__Shared *pb = arena_alloc(a, sizeof *pb);
    if (pb == NULL) return false;
    retort__shared__init(pb);
    pb->host = in->host;
    pb->pid = in->pid;
    pb->fd = in->fd;
    pb->token = in->token;
    pb->offset = in->offset;
    pb->n_bytes = in->n_bytes;
    pb->checksum = in->checksum;
    *out = pb;
    return true;
}

static shared_block_ref shared_from_pb(const Retort__Shared *pb)
{
    if (pb == NULL) return (shared_block_ref){0};
    return (shared_block_ref){.host = pb->host,
                              .pid = pb->pid,
                              .fd = pb->fd,
                              .token = pb->token,
                              .offset = pb->offset,
                              .n_bytes = pb->n_bytes,
                              .checksum = pb->checksum};
}

/* ---- pull ------------------------------------------------------------------------------- */

void wire_pull_to_pb(const wire_pull *in, Retort__Pull *pb)
{
    pb->version = in->version;
    pb->element = (Retort__Element)in->element;
    pb->staleness = in->staleness;
    pb->shares = in->shares;
}

void wire_pull_from_pb(const Retort__Pull *pb, wire_pull *out)
{
    *out = (wire_pull){.version = pb->version,
                       .element = (wire_element)pb->element,
                       .staleness = pb->staleness,
                       .shares = pb->shares};
}

bool wire_pulled_to_pb(const wire_pulled *in, arena *a, Retort__Pulled *pb)
{
    pb->status = (Retort__PullStatus)in->status;
    pb->version = in->version;
    pb->n_floats = in->n_floats;
    pb->waited_ms = in->waited_ms;
    pb->element = (Retort__Element)in->element;
    pb->generation = in->generation;
    return shared_to_pb(&in->shared, a, &pb->shared);
}

void wire_pulled_from_pb(const Retort__Pulled *pb, wire_pulled *out)
{
    *out = (wire_pulled){.status = (wire_pull_status)pb->status,
                         .version = pb->version,
                         .n_floats = pb->n_floats,
                         .waited_ms = pb->waited_ms,
                         .element = (wire_element)pb->element,
                         .generation = pb->generation,
                         .shared = shared_from_pb(pb->shared)};
}

/* ---- push ------------------------------------------------------------------------------- */

static bool rows_to_pb(const wire_rows *in, arena *a, Retort__Rows **out)
{
    if (!in->present) return true;
    Retort__Rows *pb = arena_alloc(a, sizeof *pb);
    if (pb == NULL) return false;
    retort__rows__init(pb);
    pb->param = in->param;
    pb->ids = in->ids;
    pb->n_ids = in->n;
    *out = pb;
    return true;
}

static bool rows_from_pb(const Retort__Rows *pb, wire_rows *out)
{
    if (pb == NULL) return true;
    out->ids = rt_calloc(pb->n_ids, sizeof *out->ids);
    if (out->ids == NULL) return false;
    if (pb->n_ids > 0) memcpy(out->ids, pb->ids, pb->n_ids * sizeof *out->ids);
    out->param = pb->param;
    out->n = pb->n_ids;
    out->present = true;
    return true;
}

bool wire_push_to_pb(const wire_push *in, arena *a, Retort__Push *pb)
{
    pb->step = in->step;
    pb->index = in->index;
    pb->n_micro_batches = in->n_micro_batches;
    pb->n_floats = in->n_floats;
    pb->element = (Retort__Element)in->element;
    pb->version = in->version;
    pb->generation = in->generation;
    pb->norm = in->norm;
    pb->sums = wire_sums_to_pb(&in->sums, a);
    return pb->sums != NULL && shared_to_pb(&in->shared, a, &pb->shared) &&
           rows_to_pb(&in->rows, a, &pb->rows);
}

bool wire_push_from_pb(const Retort__Push *pb, wire_push *out)
{
    out->step = pb->step;
    out->index = pb->index;
    out->n_micro_batches = pb->n_micro_batches;
    out->n_floats = pb->n_floats;
    out->element = (wire_element)pb->element;
    out->version = pb->version;
    out->generation = pb->generation;
    out->norm = pb->norm;
    out->shared = shared_from_pb(pb->shared);
    wire_sums_from_pb(pb->sums, &out->sums);
    return rows_from_pb(pb->rows, &out->rows);
}

const char *wire_push_wrong(const Retort__Push *pb)
{
    if (pb->n_micro_batches > WIRE_MICRO_BATCHES_MAX || pb->index >= pb->n_micro_batches)
        return "push: index is not below n_micro_batches, or that is beyond its limit";
    if (pb->rows == NULL) return NULL;
    if (pb->rows->n_ids > WIRE_ROWS_MAX) return "push: more rows than its limit";
    for (size_t i = 1; i < pb->rows->n_ids; i++)
        if (pb->rows->ids[i] <= pb->rows->ids[i - 1]) return "push: rows are not ascending";
    return NULL;
}

void wire_pushed_to_pb(const wire_pushed *in, Retort__Pushed *pb)
{
    pb->status = (Retort__PushStatus)in->status;
    pb->version = in->version;
    pb->took_us = in->took_us;
}

void wire_pushed_from_pb(const Retort__Pushed *pb, wire_pushed *out)
{
    *out = (wire_pushed){
        .status = (wire_push_status)pb->status, .version = pb->version, .took_us = pb->took_us};
}
