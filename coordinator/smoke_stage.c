/* Around the gate: what the first rows came to, kept in <run>/smoke.json for people and for the
 * next start of the run. */
#include "coordinator/smoke_stage.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/text/display.h"
#include "coordinator/shell.h"

#define SHOWN_MAX    16  /* rows kept in smoke.json */
#define TEXT_COLUMNS 400 /* of each of their texts */

static bool passed_before(const char *path)
{
    json_t *top = json_load_file(path, 0, NULL);
    bool passed = json_is_true(json_object_get(top, "passed"));
    json_decref(top);
    return passed;
}

rt_status smoke_begin(coordinator *co, rt_error *err)
{
    char path[RUN_PATH_SIZE];
    const label_config *l = &co->config->label;
    co->smoke = (smoke_gate){.state = SMOKE_PASSED, .shard_size = l->shard_size};
    if (co->stage == STAGE_TRAIN) return RT_OK;
    rt_status st = run_folder_path(&co->folder, "smoke.json", path, err);
    if (st != RT_OK) return st;
    co->smoke = smoke_gate_new(l->smoke_rows, l->shard_size, corpus_source_n(co->corpus),
                               l->smoke_rejected_share_max);
    if (co->smoke.state == SMOKE_WAITING && passed_before(path)) smoke_gate_skip(&co->smoke);
    lease_table_limit(co->leases, smoke_gate_n_shards(&co->smoke));
    if (co->smoke.state == SMOKE_WAITING)
        rt_log_info("smoke.begin", "rows=%" PRIu64, co->smoke.n_rows);
    return RT_OK;
}

static void set_text(json_t *one, const char *key, const char *text)
{
    rt_buf line = {0};
    if (text == NULL) return;
    if (display_line(text, strlen(text), TEXT_COLUMNS, &line, NULL) == RT_OK)
        json_object_set_new(one, key, json_stringn(line.data, line.n));
    rt_buf_free(&line);
}

static json_t *record_to_json(const label_record *r)
{
    json_t *one = json_object();
    set_text(one, "input", r->input);
    set_text(one, "label", r->label);
    set_text(one, "rationale", r->rationale);
    set_text(one, "reason", r->reason);
    set_text(one, "raw", r->raw);
    return one;
}

/* The first of them, in corpus order; a row that is not there yet is left out. */
static rt_status records_to_json(coordinator *co, json_t *list, rt_error *err)
{
    const rt_id *ids = corpus_source_ids(co->corpus);
    uint64_t n = RT_MIN(RT_MIN(co->smoke.n_rows, co->config->label.smoke_rows), SHOWN_MAX);
    for (uint64_t i = 0; i < n; i++) {
        label_record r = {0};
        if (archive_find(co->archive, ids[i]) == ARCHIVE_ABSENT) continue;
        rt_status st = archive_read(co->archive, ids[i], &r, err);
        if (st != RT_OK) return st;
        json_array_append_new(list, record_to_json(&r));
        label_record_free(&r);
    }
    return RT_OK;
}

static rt_status keep(coordinator *co, rt_error *err)
{
    char path[RUN_PATH_SIZE];
    json_t *list = json_array();
    json_t *top =
        json_pack("{s:b, s:I, s:I, s:I, s:o}", "passed", co->smoke.state == SMOKE_PASSED, "rows",
                  (json_int_t)co->smoke.n_rows, "labelled", (json_int_t)co->smoke.n_labelled,
                  "rejected", (json_int_t)co->smoke.n_rejected, "shown", list);
    rt_status st = top == NULL ? rt_fail(err, RT_NOMEM, "smoke.json")
                               : run_folder_path(&co->folder, "smoke.json", path, err);
    if (st == RT_OK) st = records_to_json(co, list, err);
    char *text = st == RT_OK ? json_dumps(top, JSON_INDENT(2)) : NULL;
    if (st == RT_OK)
        st = text == NULL ? rt_fail(err, RT_NOMEM, "%s", path)
                          : rt_fs_write_atomic(path, text, strlen(text), err);
    free(text);
    json_decref(top);
    return st;
}

/* "7 no_marker, 2 truncated": of all rejected rows there are, for the first ones are all of them. */
static void list_reasons(const coordinator *co, char *out, size_t n_out)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < archive_n_reasons(co->archive) && n < n_out; i++) {
        uint64_t count;
        const char *name = archive_reason(co->archive, i, &count);
        int k =
            snprintf(out + n, n_out - n, "%s%" PRIu64 " %.64s", i == 0 ? "" : ", ", count, name);
        n += k > 0 ? (size_t)k : 0;
    }
}

static rt_status fail(const coordinator *co, rt_error *err)
{
    char reasons[256];
    list_reasons(co, reasons, sizeof reasons);
    return rt_fail(
        err, RT_CORRUPT,
        "of the first %" PRIu64 " rows %" PRIu64
        " were rejected (%s), more than label.smoke_rejected_share_max = %g allows; the "
        "rest was not asked about. `retort rejections` shows what the teacher wrote; with "
        "a better prompt or parser begin in another run_dir, or raise the setting to go "
        "on",
        co->smoke.n_rows, co->smoke.n_rejected, reasons, co->smoke.share_max);
}

rt_status smoke_turn(coordinator *co, rt_error *err)
{
    uint64_t n_labelled = 0, n_rejected = 0;
    uint64_t n_all = archive_n_labelled(co->archive) + archive_n_rejected(co->archive);
    if (co->smoke.state == SMOKE_FAILED) return fail(co, err);
    if (co->smoke.state != SMOKE_WAITING || n_all == co->smoke_seen) return RT_OK;
    co->smoke_seen = n_all;
    const rt_id *ids = corpus_source_ids(co->corpus);
    for (uint64_t i = 0; i < co->smoke.n_rows; i++) {
        archive_state state = archive_find(co->archive, ids[i]);
        n_labelled += state == ARCHIVE_LABELLED;
        n_rejected += state == ARCHIVE_REJECTED;
    }
    if (!smoke_gate_see(&co->smoke, n_labelled, n_rejected)) return RT_OK;
    bool passed = co->smoke.state == SMOKE_PASSED;
    rt_log_info("smoke.end", "passed=%d labelled=%" PRIu64 " rejected=%" PRIu64, passed, n_labelled,
                n_rejected);
    rt_status st = keep(co, err);
    if (st != RT_OK) return st;
    lease_table_limit(co->leases, smoke_gate_n_shards(&co->smoke));
    return passed ? RT_OK : fail(co, err);
}
