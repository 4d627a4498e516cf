/* What survives every process. Checkpoints, plan journal and tokens live here in memory; labels and
 * metrics are real files, and a crash takes from them what was not synced. Twins of
 * coordinator/checkpoint_stage.c, coordinator/plan_journal.h and common/dataset/token_cache.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/dataset/token_cache.h"
#include "coordinator/plan_journal.h"
#include "coordinator/shell.h"
#include "tests/sim/sim.h"

/* ---- slices of a checkpoint ---- */

static float *copy_floats(const float *from, size_t n)
{
    float *to = rt_calloc(n, sizeof *to);
    RT_ASSERT(to != NULL);
    if (n > 0) memcpy(to, from, n * sizeof *to);
    return to;
}

static void slice_clear(sim_slice *s)
{
    free(s->w);
    free(s->m);
    free(s->v);
    *s = (sim_slice){0};
}

void sim_slice_set(sim_slice *s, uint64_t version, const shard_model *model)
{
    size_t n = model->slice.n_floats;
    slice_clear(s);
    *s = (sim_slice){.there = true,
                     .version = version,
                     .n_floats = n,
                     .w = copy_floats(model->weights->floats, n),
                     .m = copy_floats(model->m, n),
                     .v = copy_floats(model->v, n)};
}

bool sim_slice_get(const sim_slice *s, shard_model *model)
{
    if (!s->there || s->n_floats != model->slice.n_floats) return false;
    size_t n_bytes = s->n_floats * sizeof(float);
    if (n_bytes == 0) return true;
    memcpy(model->weights->floats, s->w, n_bytes);
    memcpy(model->m, s->m, n_bytes);
    memcpy(model->v, s->v, n_bytes);
    return true;
}

void sim_disk_free(sim_disk *d)
{
    for (size_t i = 0; i < SIM_SHARDS_MAX; i++) slice_clear(&d->partial[i]);
    for (size_t i = 0; i < d->n_committed; i++)
        for (size_t k = 0; k < SIM_SHARDS_MAX; k++) slice_clear(&d->committed[i].slices[k]);
}

/* ---- coordinator/checkpoint_stage.c ---- */

const sim_checkpoint *sim_newest_checkpoint(void)
{
    const sim_checkpoint *newest = NULL;
    for (size_t i = 0; i < sim->disk.n_committed; i++) {
        const sim_checkpoint *c = &sim->disk.committed[i];
        if (c->good && (newest == NULL || c->version > newest->version)) newest = c;
    }
    return newest;
}

rt_status checkpoint_find(coordinator *co, uint64_t *version, rt_error *err)
{
    const sim_checkpoint *c = sim_newest_checkpoint();
    (void)err;
    *version = co->checkpoint = c == NULL ? 0 : c->version;
    return RT_OK;
}

/* A rename: all of it or nothing. A crash may come before or after. */
rt_status checkpoint_commit(coordinator *co, uint64_t version, rt_error *err)
{
    sim_disk *d = &sim->disk;
    sim_checkpoint *place = NULL;
    if (sim->current->doomed) return rt_fail(err, RT_IO, "the process is dying");
    for (size_t k = 0; k < sim->config.launch.servers; k++)
        if (!d->partial[k].there || d->partial[k].version != version)
            return rt_fail(err, RT_CORRUPT, "slice %zu of version %" PRIu64 " is not there", k,
                           version);
    for (size_t i = 0; i < d->n_committed; i++)
        if (d->committed[i].version == version) place = &d->committed[i];
    if (place == NULL) {
        sim_check(d->n_committed < SIM_STEPS_MAX, "more checkpoints than steps");
        place = &d->committed[d->n_committed++];
    }
    for (size_t k = 0; k < SIM_SHARDS_MAX; k++) slice_clear(&place->slices[k]);
    *place = (sim_checkpoint){.good = true, .version = version};
    memcpy(place->slices, d->partial, sizeof place->slices);
    memset(d->partial, 0, sizeof d->partial);
    co->checkpoint = version;
    sim_trace("commits version %" PRIu64, version);
    return RT_OK;
}

rt_status checkpoint_note_best(coordinator *co, rt_error *err)
{
    (void)co, (void)err;
    return RT_OK;
}

uint64_t checkpoint_best(const coordinator *co)
{
    const eval_score *best = eval_board_best(co->board);
    return best == NULL ? co->checkpoint : best->version;
}

/* ---- coordinator/plan_journal.h ---- */

rt_status plan_journal_open(const char *path, plan_journal **out, rt_error *err)
{
    (void)path, (void)err;
    *out = (plan_journal *)&sim->disk;
    return RT_OK;
}

void plan_journal_close(plan_journal *j)
{
    (void)j;
}

size_t plan_journal_n(const plan_journal *j)
{
    (void)j;
    return sim->disk.n_segments;
}

rt_status plan_journal_take(plan_journal *j, size_t i_segment, const plan_segment *s, rt_error *err)
{
    sim_disk *d = &sim->disk;
    (void)j;
    if (i_segment < d->n_segments) {
        const plan_segment *known = &d->segments[i_segment];
        bool same = known->kind == s->kind && known->index == s->index &&
                    known->first_step == s->first_step && known->n_steps == s->n_steps &&
                    strcmp(known->sha256, s->sha256) == 0;
        sim_check(same, "segment %zu is planned anew and differs", i_segment);
        return RT_OK;
    }
    if (sim->current->doomed) return rt_fail(err, RT_IO, "the process is dying");
    sim_check(i_segment < SIM_STEPS_MAX, "segment %zu", i_segment);
    d->segments[d->n_segments++] = *s;
    return RT_OK;
}

/* ---- common/dataset/token_cache.h: lengths and ids follow from the id of the record ---- */

struct token_cache {
    bool has[SIM_EXAMPLES_MAX];
    uint32_t ids[SIM_EXAMPLES_MAX][16];
};

rt_status token_cache_open(const char *path, const token_cache_settings *settings,
                           size_t n_examples, token_cache **out, rt_error *err)
{
    (void)path, (void)settings, (void)err;
    RT_ASSERT(n_examples <= SIM_EXAMPLES_MAX);
    *out = rt_calloc(1, sizeof **out);
    RT_ASSERT(*out != NULL);
    return RT_OK;
}

void token_cache_close(token_cache *c)
{
    free(c);
}

rt_status token_cache_add(token_cache *c, size_t i_example, const label_record *record,
                          rt_error *err)
{
    (void)err;
    uint64_t hash = rt_hash64(record->label, strlen(record->label), record->id.low);
    for (size_t i = 0; i < 16; i++) c->ids[i_example][i] = (uint32_t)(hash >> i) & 0xff;
    c->has[i_example] = true;
    return RT_OK;
}

token_seq token_cache_get(const token_cache *c, size_t i_example, student_task task)
{
    if (task != TASK_PREDICT || !c->has[i_example]) return (token_seq){0};
    uint32_t n_prompt = 2 + (uint32_t)(sim_example_id(i_example).low % 6);
    return (token_seq){.ids = c->ids[i_example], .n_prompt = n_prompt, .n_target = 2};
}

uint64_t token_cache_n_too_long(const token_cache *c)
{
    (void)c;
    return 0;
}

/* ---- labels.jsonl: what is synced stays ---- */

static const char *const dataset_files[2] = {"labels.jsonl", "rejected.jsonl"};

static uint64_t size_of(size_t i, char *path, size_t n_path)
{
    struct stat s;
    snprintf(path, n_path, "%s/dataset/%s", sim->folder, dataset_files[i]);
    return stat(path, &s) == 0 ? (uint64_t)s.st_size : 0;
}

rt_status __real_archive_sync(archive *a, rt_error *err);
rt_status __wrap_archive_sync(archive *a, rt_error *err);

/* The process may die before it and after it. */
rt_status __wrap_archive_sync(archive *a, rt_error *err)
{
    char path[256];
    sim_node *node = sim->current;
    if (!node->doomed && node->io_left >= 0 && node->io_left-- == 0) node->doomed = true;
    if (node->doomed) return rt_fail(err, RT_IO, "the process is dying");
    rt_status st = __real_archive_sync(a, err);
    for (size_t i = 0; st == RT_OK && i < 2; i++)
        sim->disk.synced[i] = size_of(i, path, sizeof path);
    return st;
}

void sim_disk_tear(void)
{
    char path[256];
    for (size_t i = 0; i < 2; i++) {
        uint64_t n = size_of(i, path, sizeof path), least = RT_MIN(sim->disk.synced[i], n);
        if (n > least && truncate(path, (off_t)sim_between(least, n)) != 0)
            sim_fail("cannot truncate %s", path);
    }
}
