#include "worker/export/dataset_rows.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/id_index.h"
#include "common/ckpt/file_sink.h"
#include "common/dataset/archive.h"
#include "worker/runtime/task_rules.h"

typedef struct writer {
    row_style style;
    file_sink sink;
    rt_buf rows;
    archive *dataset;
    id_index seen; /* pairs with records that were rejected before */
    dataset_rows_result result;
} writer;

static rt_status flush_rows(writer *w, rt_error *err)
{
    rt_status st = w->rows.n > 0 ? file_sink_put(&w->sink, w->rows.data, w->rows.n, err) : RT_OK;
    rt_buf_clear(&w->rows);
    return st;
}

static bool is_pairs(const writer *w)
{
    return w->style.format == ROWS_PREFERENCE;
}

static rt_status visit(void *context, const label_record *r, rt_error *err)
{
    writer *w = context;
    size_t n = 0;
    bool is_wrong = false;
    rt_status st = RT_OK;
    w->result.n_records++;
    if (is_pairs(w)) st = dataset_label_is_wrong(&w->style.rules, r, &is_wrong, err);
    w->result.n_known_wrong += is_wrong;
    if (st != RT_OK || is_wrong) return st;
    if ((st = dataset_rows_of(&w->style, r, &w->rows, &n, err)) != RT_OK) return st;
    w->result.n_rows += n;
    if (is_pairs(w)) w->result.n_from_others += n;
    return flush_rows(w, err);
}

/* The same text of the same example was asked for and rejected again: one pair. */
static rt_status is_new_pair(writer *w, const label_record *r, bool *out, rt_error *err)
{
    const char *raw = r->raw != NULL ? r->raw : "";
    size_t i;
    rt_id key = rt_id_of_two(&r->id, sizeof r->id, raw, strlen(raw));
    return id_index_add(&w->seen, key, &i, out, err);
}

static rt_status take_rejected(writer *w, const label_record *rejected, rt_error *err)
{
    label_record r = {0};
    bool is_wrong = false, is_new = false;
    size_t n = 0;
    if (archive_find(w->dataset, rejected->id) != ARCHIVE_LABELLED) return RT_OK;
    rt_status st = is_new_pair(w, rejected, &is_new, err);
    if (st != RT_OK || !is_new) return st;
    if ((st = archive_read(w->dataset, rejected->id, &r, err)) != RT_OK) return st;
    st = dataset_label_is_wrong(&w->style.rules, &r, &is_wrong, err);
    if (st == RT_OK && !is_wrong) st = dataset_pair_of(&w->style, &r, rejected, &w->rows, &n, err);
    w->result.n_rows += n;
    w->result.n_from_requeue += n;
    label_record_free(&r);
    return st == RT_OK ? flush_rows(w, err) : st;
}

static rt_status read_requeued(writer *w, const char *path, FILE *file, rt_error *err)
{
    char *text = NULL;
    size_t n_room = 0;
    ssize_t n;
    rt_status st = RT_OK;
    for (size_t i_line = 1; st == RT_OK && (n = getline(&text, &n_room, file)) > 0; i_line++) {
        label_record r = {0};
        if (text[n - 1] == '\n') n--;
        st = label_record_from_json(text, (size_t)n, &r, err);
        if (st != RT_OK)
            st = rt_wrap(err, st, "%s:%zu", path, i_line);
        else if (r.reason != NULL)
            st = take_rejected(w, &r, err);
        label_record_free(&r);
    }
    free(text);
    return st;
}

/* rejected.jsonl.requeued-1, -2, ... as far as there are any. */
static rt_status visit_requeued(writer *w, const char *folder, rt_error *err)
{
    rt_status st = RT_OK;
    for (unsigned i = 1; st == RT_OK; i++) {
        char path[PATH_MAX], name[48];
        snprintf(name, sizeof name, "rejected.jsonl.requeued-%u", i);
        if ((st = rt_fs_join(path, sizeof path, folder, name, err)) != RT_OK) break;
        FILE *file = fopen(path, "re");
        if (file == NULL && errno == ENOENT) break;
        if (file == NULL) return rt_fail(err, RT_IO, "open %s: %s", path, strerror(errno));
        st = read_requeued(w, path, file, err);
        fclose(file);
    }
    return st;
}

rt_status dataset_rows_export(const config *c, const dataset_rows_request *ask,
                              dataset_rows_result *out, rt_error *err)
{
    writer w = {.sink = {.fd = -1},
                .style = {.format = ask->format,
                          .label_only = ask->label_only,
                          .label_format = c->task.label_format,
                          .marker = c->task.markers.n > 0 ? c->task.markers.items[0] : "",
                          .rules = answer_rules_of(c)}};
    if (!rt_fs_exists(ask->folder))
        return rt_fail(err, RT_NOTFOUND, "%s does not exist: expected a folder with labels.jsonl",
                       ask->folder);
    rt_status st = archive_open_read_only(ask->folder, &w.dataset, err);
    if (st == RT_OK) st = file_sink_open(&w.sink, ask->output, err);
    if (st == RT_OK) st = archive_scan(w.dataset, false, visit, &w, err);
    if (st == RT_OK && is_pairs(&w)) st = visit_requeued(&w, ask->folder, err);
    if (st == RT_OK) st = file_sink_commit(&w.sink, w.result.sha256, err);
    if (st == RT_OK) *out = w.result;
    file_sink_close(&w.sink);
    id_index_free(&w.seen);
    archive_close(w.dataset);
    rt_buf_free(&w.rows);
    return st;
}
