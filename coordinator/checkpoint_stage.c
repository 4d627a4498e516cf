/* Checkpoints on disk: find a good one, commit one, note the best, remove the rest. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/ckpt/manifest.h"
#include "coordinator/shell.h"

/* A checkpoint of this run, not one that was put there from another. */
static rt_status check_origin(const coordinator *co, const ckpt_manifest *m, rt_error *err)
{
    const tokenizer *t = tokenizer_stage_get(co->tokenizer);
    if (strcmp(m->fingerprint, co->folder.fingerprint) != 0)
        return rt_fail(err, RT_CORRUPT,
                       "checkpoint %" PRIu64
                       " in %s was made with other settings (fingerprint %s, expected %s)",
                       m->version, co->checkpoints, m->fingerprint, co->folder.fingerprint);
    if (t != NULL && strcmp(m->tokenizer_sha256, tokenizer_sha256(t)) != 0)
        return rt_fail(err, RT_CORRUPT,
                       "checkpoint %" PRIu64
                       " in %s was made with another tokenizer (SHA-256 %s, %s has %s)",
                       m->version, co->checkpoints, m->tokenizer_sha256,
                       tokenizer_stage_path(co->tokenizer), tokenizer_sha256(t));
    return RT_OK;
}

rt_status checkpoint_find(coordinator *co, uint64_t *version, rt_error *err)
{
    ckpt_manifest m = {0};
    rt_error why = {0};
    rt_status st = ckpt_newest_good(co->checkpoints, &m, &why);
    if (st == RT_NOTFOUND) {
        *version = co->checkpoint = 0;
        return RT_OK;
    }
    if (st != RT_OK) return rt_fail(err, st, "%s", why.text);
    st = check_origin(co, &m, err);
    if (st == RT_OK) *version = co->checkpoint = m.version;
    ckpt_manifest_free(&m);
    return st;
}

rt_status checkpoint_commit(coordinator *co, uint64_t version, rt_error *err)
{
    rt_status st = RT_OK;
    size_t n = step_control_saved_files(co->steps, NULL, 0);
    const wire_saved_file **saved = rt_calloc(n, sizeof *saved);
    ckpt_manifest m = {.version = version,
                       .n_shards = (uint32_t)co->config->launch.servers,
                       .files = rt_calloc(n, sizeof(ckpt_file)),
                       .n_files = n};
    if (saved == NULL || m.files == NULL) {
        st = rt_fail(err, RT_NOMEM, "checkpoint %" PRIu64, version);
        goto out;
    }
    step_control_saved_files(co->steps, saved, n);
    for (size_t i = 0; i < n; i++) {
        snprintf(m.files[i].name, sizeof m.files[i].name, "%s", saved[i]->name);
        snprintf(m.files[i].sha256, sizeof m.files[i].sha256, "%s", saved[i]->sha256);
        m.files[i].n_bytes = saved[i]->n_bytes;
    }
    snprintf(m.fingerprint, sizeof m.fingerprint, "%s", co->folder.fingerprint);
    snprintf(m.tokenizer_sha256, sizeof m.tokenizer_sha256, "%s",
             tokenizer_sha256(tokenizer_stage_get(co->tokenizer)));
    if ((st = ckpt_commit(co->checkpoints, &m, err)) != RT_OK) goto out;
    co->checkpoint = version;
    rt_log_info("checkpoint.committed", "version=%" PRIu64 " files=%zu", version, n);
    tell(co, EVENT_CHECKPOINT, "", "version %" PRIu64 " is on disk", version);
out:
    ckpt_manifest_free(&m);
    free(saved);
    return st;
}

uint64_t checkpoint_best(const coordinator *co)
{
    const eval_score *best = eval_board_best(co->board);
    return best == NULL ? co->checkpoint : best->version;
}

static rt_status write_best(const coordinator *co, rt_error *err)
{
    char path[RUN_PATH_SIZE];
    const eval_score *best = eval_board_best(co->board);
    rt_status st = rt_fs_join(path, sizeof path, co->checkpoints, "best.json", err);
    if (st != RT_OK) return st;
    json_t *top = best == NULL ? json_pack("{s:I, s:s, s:n}", "version", (json_int_t)co->checkpoint,
                                           "metric", "last", "value")
                               : json_pack("{s:I, s:s, s:f}", "version", (json_int_t)best->version,
                                           "metric", eval_board_metric_name(co->board), "value",
                                           eval_board_metric(co->board, best));
    char *text = top == NULL ? NULL : json_dumps(top, JSON_INDENT(2));
    st = text == NULL ? rt_fail(err, RT_NOMEM, "%s", path)
                      : rt_fs_write_atomic(path, text, strlen(text), err);
    free(text);
    json_decref(top);
    return st;
}

rt_status checkpoint_note_best(coordinator *co, rt_error *err)
{
    uint64_t best = checkpoint_best(co);
    if (co->checkpoint == 0) return RT_OK;
    rt_status st = write_best(co, err);
    if (st != RT_OK) return st;
    return ckpt_prune(co->checkpoints, co->config->train.checkpoints_kept, &best, 1, err);
}
