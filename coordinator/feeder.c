#include "coordinator/feeder.h"

#include "common/base/status.h"

#define EMPTY_MS   1000
#define STALLS_MAX 6 /* doublings of the patience */

void feeder_rewind(feeder *f, uint64_t version)
{
    f->version = f->next = version;
    f->resend_below = version; /* the shards forgot what they had received */
    f->before_below = version + f->settings.lookahead_steps;
    f->began = true;
}

void feeder_set_version(feeder *f, uint64_t version)
{
    f->version = version;
    f->next = RT_MAX(f->next, version);
    if (!f->began) f->before_below = version + f->settings.lookahead_steps;
    f->began = true;
}

bool feeder_next(const feeder *f, uint64_t limit, uint64_t n_planned, uint64_t *step)
{
    uint64_t end = RT_MIN(limit, n_planned);
    end = RT_MIN(end, f->version + f->settings.lookahead_steps);
    if (f->next >= end) return false;
    uint64_t n_out = (f->next - f->version) * f->settings.micro_batches;
    if (f->next > f->version && n_out + f->settings.micro_batches > f->settings.batches_max)
        return false;
    *step = f->next;
    return true;
}

void feeder_published(feeder *f)
{
    f->next++;
}

bool feeder_is_resend(const feeder *f, uint64_t step)
{
    return step < f->resend_below;
}

bool feeder_must_wait(const feeder *f, uint64_t step, uint64_t n_in_stream, uint64_t n_of_step,
                      uint64_t n_max)
{
    return step < f->before_below && step > f->version && n_in_stream + n_of_step > n_max;
}

void feeder_resend(feeder *f)
{
    if (f->next == f->version) return;
    f->resend_below = f->next;
    f->before_below = RT_MAX(f->before_below, f->next);
    f->next = f->version;
    f->n_resends++;
}

bool feeder_watch(feeder *f, uint64_t progress, bool is_gathering, bool stream_empty,
                  uint64_t now_ms)
{
    bool idle = !is_gathering || f->next == f->version;
    if (idle || progress != f->progress) {
        f->progress = progress;
        f->progress_ms = now_ms;
        f->empty_ms = 0;
        f->n_stalls = 0;
        return false;
    }
    if (!stream_empty) f->empty_ms = 0;
    if (stream_empty && f->empty_ms == 0) f->empty_ms = now_ms == 0 ? 1 : now_ms;
    bool lost = f->empty_ms != 0 && now_ms - f->empty_ms >= EMPTY_MS;
    uint64_t patience_ms = f->settings.stall_ms << RT_MIN(f->n_stalls, (unsigned)STALLS_MAX);
    if (!lost && now_ms - f->progress_ms < patience_ms) return false;
    f->n_stalls++;
    f->progress_ms = now_ms;
    f->empty_ms = 0;
    return true;
}
