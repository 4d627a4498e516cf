/* Batch files of providers: the open questions of a run out, their answers into the cache. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/batch_walk.h"
#include "cli/command.h"
#include "cli/launch/progress.h"
#include "common/base/id_index.h"
#include "common/base/stop.h"
#include "common/corpus/row_reader.h"
#include "common/text/display.h"
#include "worker/teacher/batch/batch_results.h"
#include "worker/teacher/batch/batch_writer.h"

#define LINE_BYTES_MAX ((size_t)64 << 20)

/* ---- write ---- */

typedef struct writing {
    const char *url;
    bool two_step;
    batch_writer *writer;
    id_index under_way; /* custom_ids of earlier files */
    uint64_t n_written, n_known, n_under_way;
    rt_buf line; /* scratch */
} writing;

static rt_id id_of(const char *custom_id)
{
    return rt_id_of(custom_id, strlen(custom_id));
}

static rt_status write_question(void *context, const batch_ticket *ticket, const char *body,
                                size_t n_body, rt_buf *reply, rt_error *err)
{
    writing *w = context;
    char custom_id[BATCH_CUSTOM_ID_SIZE];
    (void)reply; /* nobody has answered yet */
    batch_ticket_print(ticket, custom_id);
    if (id_index_find(&w->under_way, id_of(custom_id)) != SIZE_MAX) {
        w->n_under_way++;
        return RT_OK;
    }
    rt_buf_clear(&w->line);
    rt_status st = batch_line_write(ticket, w->url, body, n_body, &w->line, err);
    if (st == RT_OK) st = batch_writer_add(w->writer, w->line.data, w->line.n, err);
    if (st == RT_OK) w->n_written++;
    return st;
}

static rt_status count_known_question(void *context, const batch_ticket *ticket, bool is_last,
                                      rt_error *err)
{
    (void)ticket, (void)is_last, (void)err;
    ((writing *)context)->n_known++;
    return RT_OK;
}

/* Files that were sent and are not answered yet: what stands there is not written again. */
static rt_status read_under_way(const options *o, writing *w, rt_error *err)
{
    row_reader *reader = NULL;
    row one;
    row_reader_options how = {.format = ROW_JSONL, .row_bytes_max = LINE_BYTES_MAX};
    rt_status st = RT_OK;
    const char *patterns[1];
    for (unsigned i = 1; st == RT_OK && i < options_n_args(o); i++) {
        patterns[0] = options_arg(o, i);
        if ((st = row_reader_open(patterns, 1, &how, &reader, err)) != RT_OK) break;
        while (st == RT_OK && (st = row_reader_next(reader, &one, err)) == RT_OK) {
            char custom_id[BATCH_CUSTOM_ID_SIZE];
            size_t at;
            bool added;
            rt_error why = {0};
            if (one.problem != NULL ||
                batch_line_custom_id(one.raw, one.n_raw, custom_id, &why) != RT_OK)
                st = rt_fail(err, RT_CORRUPT, "%s:%" PRIu64 ": %s", one.file, one.line,
                             one.problem != NULL ? one.problem : why.text);
            else
                st = id_index_add(&w->under_way, id_of(custom_id), &at, &added, err);
        }
        if (st == RT_END) st = RT_OK;
        row_reader_close(reader);
        reader = NULL;
    }
    return st;
}

static void print_written(const options *o, const writing *w, uint64_t n_files)
{
    const char *folder = options_value(o, "--output");
    char n[3][32];
    if (options_json(o)) {
        json_t *root = json_pack("{s:s, s:I, s:I, s:I, s:I}", "folder", folder, "files",
                                 (json_int_t)n_files, "requests", (json_int_t)w->n_written, "known",
                                 (json_int_t)w->n_known, "under_way", (json_int_t)w->n_under_way);
        json_dumpf(root, stdout, JSON_COMPACT);
        printf("\n");
        json_decref(root);
        return;
    }
    progress_thousands(w->n_written, n[0]);
    progress_thousands(w->n_known, n[1]);
    progress_thousands(w->n_under_way, n[2]);
    if (n_files > 0)
        printf("wrote %s requests in %" PRIu64 " files: %s/batch-0001.jsonl ...\n", n[0], n_files,
               folder);
    else
        printf("nothing to ask: no file was written\n");
    printf("%s answers are in the cache already, %s requests are under way in the files given\n",
           n[1], n[2]);
    if (n_files > 0)
        printf(
            "\nSend the files to the provider (endpoint %s). When results come, also in part:\n\n"
            "  retort batch read RESULTS ERRORS ...\n"
            "  retort run\n",
            w->url);
    if (n_files > 0 && w->two_step)
        printf("\nOf two steps the second is written once the first is answered: read, then write "
               "again.\n");
}

static rt_status run_write(const options *o, const config *c, rt_error *err)
{
    const char *folder = options_value(o, "--output");
    batch_walk walk = {0};
    writing w = {.url = batch_url(c), .two_step = c->teacher.two_step};
    batch_handler handler = {
        .missing = write_question, .known = count_known_question, .context = &w};
    uint64_t n_files = 0;
    if (folder == NULL)
        return rt_fail(err, RT_INVALID, "batch write: give a new folder, --output FOLDER");
    rt_status st = batch_writer_open(folder, &batch_limits_default, &w.writer, err);
    if (st == RT_OK) st = read_under_way(o, &w, err);
    if (st == RT_OK) st = batch_walk_open(c, &walk, err);
    if (st == RT_OK) st = batch_walk_run(&walk, &handler, err);
    if (st == RT_OK) st = batch_writer_commit(w.writer, &n_files, err);
    if (st == RT_OK) print_written(o, &w, n_files);
    batch_walk_close(&walk);
    batch_writer_close(w.writer);
    id_index_free(&w.under_way);
    rt_buf_free(&w.line);
    return st;
}

/* ---- read ---- */

typedef struct reading {
    batch_results *results;
    uint64_t n_known;   /* answers that the cache had before */
    uint64_t n_missing; /* questions without an answer */
} reading;

static rt_status look_up(void *context, const batch_ticket *ticket, const char *body, size_t n_body,
                         rt_buf *reply, rt_error *err)
{
    reading *r = context;
    char custom_id[BATCH_CUSTOM_ID_SIZE];
    batch_result result = {0};
    rt_error why = {0};
    (void)body;
    (void)n_body;
    batch_ticket_print(ticket, custom_id);
    rt_status st = batch_results_find(r->results, custom_id, &result, &why);
    if (st == RT_OK) {
        rt_buf_free(reply);
        *reply = result.body;
        result.body = (rt_buf){0};
    } else if (st == RT_NOTFOUND) {
        r->n_missing++;
        st = RT_OK;
    } else {
        st = rt_fail(err, st, "%s", why.text);
    }
    batch_result_free(&result);
    return st;
}

static rt_status count_known_answer(void *context, const batch_ticket *ticket, bool is_last,
                                    rt_error *err)
{
    reading *r = context;
    char custom_id[BATCH_CUSTOM_ID_SIZE];
    (void)is_last, (void)err;
    batch_ticket_print(ticket, custom_id);
    r->n_known += batch_results_has(r->results, custom_id);
    return RT_OK;
}

static json_t *codes_to_json(const batch_results *results)
{
    json_t *codes = json_object();
    for (size_t i = 0; i < batch_results_n_codes(results); i++) {
        uint64_t n;
        const char *name = batch_results_code(results, i, &n);
        json_object_set_new(codes, name, json_integer((json_int_t)n));
    }
    return codes;
}

static void print_codes(const batch_results *results)
{
    rt_buf name = {0};
    for (size_t i = 0; i < batch_results_n_codes(results); i++) {
        uint64_t n;
        const char *code = batch_results_code(results, i, &n);
        rt_buf_clear(&name);
        if (display_line(code, strlen(code), 64, &name, NULL) == RT_OK)
            printf("%s%" PRIu64 " %s", i == 0 ? " (" : ", ", n, name.data);
    }
    printf("%s\n", batch_results_n_codes(results) > 0 ? ")" : "");
    rt_buf_free(&name);
}

static void print_read(const options *o, const reading *r, const batch_walk *walk)
{
    batch_results_counts n = batch_results_count(r->results);
    uint64_t n_used = walk->n_taken + walk->n_unusable + r->n_known;
    uint64_t n_foreign = n.n_answers > n_used ? n.n_answers - n_used : 0;
    uint64_t n_left = r->n_missing + walk->n_unusable;
    if (options_json(o)) {
        json_t *root = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "lines",
                                 (json_int_t)n.n_lines, "taken", (json_int_t)walk->n_taken, "known",
                                 (json_int_t)r->n_known, "unusable", (json_int_t)walk->n_unusable,
                                 "foreign", (json_int_t)n_foreign, "failed", (json_int_t)n.n_failed,
                                 "unreadable", (json_int_t)n.n_unreadable, "missing",
                                 (json_int_t)n_left, "failed_by_code", codes_to_json(r->results));
        json_dumpf(root, stdout, JSON_COMPACT);
        printf("\n");
        json_decref(root);
        return;
    }
    printf("%" PRIu64 " lines: %" PRIu64 " answers taken into the cache, %" PRIu64
           " known before, %" PRIu64 " failed",
           n.n_lines, walk->n_taken, r->n_known, n.n_failed);
    print_codes(r->results);
    if (walk->n_unusable > 0)
        printf("%" PRIu64 " answers hold nothing that can be used\n", walk->n_unusable);
    if (n_foreign > 0)
        printf("%" PRIu64
               " answers are to no question of these settings: of rows that have a label, "
               "of another corpus, or asked before prompt or model changed\n",
               n_foreign);
    if (n.n_unreadable > 0)
        printf("%" PRIu64 " lines are no output of a batch; the log names them\n", n.n_unreadable);
    printf("%" PRIu64
           " requests are left: `retort run` asks the server, `retort batch write` writes "
           "them again\n",
           n_left);
}

/* "completed" may mean that every row failed: then the command has failed, too. */
static rt_status check_any(const reading *r, const batch_walk *walk, rt_error *err)
{
    batch_results_counts n = batch_results_count(r->results);
    if (walk->n_taken + r->n_known > 0 || n.n_lines == 0) return RT_OK;
    uint64_t n_code = 0;
    const char *code = batch_results_code(r->results, 0, &n_code);
    return rt_fail(err, RT_CORRUPT,
                   "none of %" PRIu64 " lines has an answer to a question of this run: %" PRIu64
                   " failed (%" PRIu64 " %s), %" PRIu64 " are no output of a batch, %" PRIu64
                   " answer other questions",
                   n.n_lines, n.n_failed, n_code, code == NULL ? "so" : code, n.n_unreadable,
                   n.n_answers);
}

static rt_status run_read(const options *o, const config *c, rt_error *err)
{
    batch_walk walk = {0};
    reading r = {0};
    batch_handler handler = {.missing = look_up, .known = count_known_answer, .context = &r};
    if (options_n_args(o) < 2)
        return rt_fail(err, RT_INVALID, "batch read: give the files that the provider returned");
    rt_status st = batch_results_new(&r.results, err);
    for (unsigned i = 1; st == RT_OK && i < options_n_args(o); i++)
        st = batch_results_add(r.results, options_arg(o, i), err);
    if (st == RT_OK) st = batch_walk_open(c, &walk, err);
    if (st == RT_OK) st = batch_walk_run(&walk, &handler, err);
    if (st == RT_OK && (st = check_any(&r, &walk, err)) == RT_OK) print_read(o, &r, &walk);
    batch_walk_close(&walk);
    batch_results_free(r.results);
    return st;
}

static int run(const options *o)
{
    static const char *const actions[] = {"write", "read", NULL};
    const char *action = options_arg(o, 0);
    rt_error err = {0};
    config *c = NULL;
    rt_status st = RT_OK;
    bool writes = strcmp(action, "write") == 0;
    if (!writes && strcmp(action, "read") != 0) {
        const char *nearest = options_nearest(action, actions);
        rt_fail(&err, RT_INVALID, "batch: found '%.100s', expected write or read%s%s%s", action,
                nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "",
                nearest != NULL ? "?" : "");
        return command_fail(o, &err);
    }
    rt_stop_install();
    st = options_load_config(o, &c, &err);
    if (st == RT_OK) st = writes ? run_write(o, c, &err) : run_read(o, c, &err);
    config_free(c);
    return st == RT_OK ? EXIT_CODE_OK : command_fail(o, &err);
}

static const option_def own_options[] = {
    {"--output", "FOLDER", "write: a folder that does not exist yet", NULL},
    {0},
};

const command cmd_batch = {
    .name = "batch",
    .summary = "write the open questions as batch files, read the answers back",
    .synopsis = "write --output FOLDER [FILES UNDER WAY...] [--config FILE]\n"
                "read FILES... [--config FILE]",
    .description =
        "write  puts what the run would ask its teacher (backend openai) into files for a\n"
        "       provider's batch service, batch-0001.jsonl and so on, of at most 50,000 lines\n"
        "       and 200 MB each. What has a record or an answer in the cache is left out, and so\n"
        "       is what stands in the FILES that were sent before and are not answered yet.\n"
        "read   takes the provider's output and error files, in any order, finished or not, into\n"
        "       the answer cache. Files may be .gz or .zst. Failed and expired lines are counted\n"
        "       by their code. Reading a file twice changes nothing.\n"
        "\n"
        "`retort run` then finds the answers in the cache and asks the server only for what is\n"
        "missing. A row whose answer cannot be parsed is asked about again, warmer: that question\n"
        "is written with the next `batch write`, and so is the second of two steps. No key is needed, nobody is asked. The answers\n"
        "are taken only when prompt, model and sampling are those of the settings.\n",
    .options = own_options,
    .examples = "retort batch write --output batch-1\n"
                "retort batch read output.jsonl errors.jsonl\n"
                "retort batch write --output batch-2 batch-1/batch-0002.jsonl\n",
    .n_args_min = 1,
    .n_args_max = UINT32_MAX,
    .words = "write read",
    .run = run,
};
