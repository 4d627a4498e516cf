/* Lists rejected rows, and gives them back to be asked for again. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/forget_rejected.h"
#include "cli/launch/launcher.h"
#include "common/base/fs.h"
#include "common/dataset/requeue.h"
#include "common/text/display.h"
#include "coordinator/training_files.h"

#define COLUMNS     96
#define SHOWN       20 /* records, unless asked for more or for JSON */
#define RAW_COLUMNS (4 * COLUMNS)

typedef struct listing {
    const char *reason;
    uint64_t n_max, n_shown;
    bool json;
    rt_buf text; /* scratch */
} listing;

static rt_status add_field(rt_buf *out, const char *name, const char *text, size_t columns,
                           rt_error *err)
{
    if (text == NULL) return RT_OK;
    rt_status st = rt_buf_printf(out, err, "    %-6s ", name);
    if (st == RT_OK) st = display_line(text, strlen(text), columns, out, err);
    return st == RT_OK ? rt_buf_add_text(out, "\n", err) : st;
}

static rt_status show_text(rt_buf *out, const label_record *r, rt_error *err)
{
    char hex[RT_ID_HEX_SIZE];
    rt_id_to_hex(r->id, hex);
    rt_status st = rt_buf_add_text(out, "\n", err);
    if (st == RT_OK) st = display_line(r->reason, strlen(r->reason), COLUMNS, out, err);
    if (st == RT_OK) st = rt_buf_printf(out, err, "  %s\n", hex);
    if (st == RT_OK) st = add_field(out, "input", r->input, COLUMNS, err);
    if (st == RT_OK) st = add_field(out, "gold", r->gold, COLUMNS, err);
    return st == RT_OK ? add_field(out, "raw", r->raw, RAW_COLUMNS, err) : st;
}

static rt_status show(void *context, const label_record *r, rt_error *err)
{
    listing *l = context;
    if (l->reason != NULL && strcmp(r->reason, l->reason) != 0) return RT_OK;
    if (l->n_shown == l->n_max) return RT_END;
    l->n_shown++;
    rt_buf_clear(&l->text);
    rt_status st = l->json ? label_record_to_json(r, &l->text, err) : show_text(&l->text, r, err);
    if (st != RT_OK) return st;
    if (fwrite(l->text.data, 1, l->text.n, stdout) != l->text.n)
        return rt_fail(err, RT_IO, "standard output cannot be written");
    return RT_OK;
}

/* "3 no_marker, 2 truncated" */
static void print_reasons(FILE *to, const archive *a)
{
    rt_buf text = {0};
    for (size_t i = 0; i < archive_n_reasons(a); i++) {
        uint64_t n;
        const char *name = archive_reason(a, i, &n);
        fprintf(to, "%s%" PRIu64 " ", i == 0 ? "" : ", ", n);
        rt_buf_clear(&text);
        if (display_line(name, strlen(name), COLUMNS, &text, NULL) == RT_OK) fputs(text.data, to);
    }
    rt_buf_free(&text);
}

static uint64_t count_of(const archive *a, const char *reason)
{
    uint64_t n;
    if (reason == NULL) return archive_n_rejected(a);
    for (size_t i = 0; i < archive_n_reasons(a); i++)
        if (strcmp(archive_reason(a, i, &n), reason) == 0) return n;
    return 0;
}

static void warn_unknown_reason(const archive *a, const char *reason)
{
    if (reason == NULL || count_of(a, reason) > 0) return;
    fprintf(stderr, "retort: no row was rejected for '%.100s'", reason);
    if (archive_n_reasons(a) > 0) {
        fputs("; the reasons here: ", stderr);
        print_reasons(stderr, a);
    }
    fputs("\n", stderr);
}

static rt_status list(const options *o, archive *a, rt_error *err)
{
    listing l = {.reason = options_value(o, "--reason"), .json = options_json(o)};
    l.n_max = l.json ? 0 : SHOWN;
    rt_status st = options_u64(o, "--limit", 0, UINT32_MAX, &l.n_max, err);
    if (st != RT_OK) return st;
    if (l.n_max == 0) l.n_max = UINT64_MAX;
    warn_unknown_reason(a, l.reason);
    if (!l.json) {
        uint64_t n_all = archive_n_labelled(a) + archive_n_rejected(a);
        printf("%" PRIu64 " of %" PRIu64 " rows were rejected%s", archive_n_rejected(a), n_all,
               archive_n_rejected(a) > 0 ? ": " : "");
        print_reasons(stdout, a);
        printf("\n");
    }
    st = archive_scan(a, true, show, &l, err);
    if (st == RT_END) st = RT_OK;
    uint64_t n_left = count_of(a, l.reason) - l.n_shown;
    if (st == RT_OK && !l.json && n_left > 0)
        printf("\n%" PRIu64 " more; --limit 0 shows all\n", n_left);
    rt_buf_free(&l.text);
    return st;
}

/* What training has read must stay: the student is a function of dataset, config and seed. */
static rt_status check_untrained(const options *o, const config *c, const run_folder *folder,
                                 rt_error *err)
{
    training_files files = {0};
    char kept_in[RUN_PATH_SIZE] = "";
    rt_status st = training_files_look(folder, c, SIZE_MAX, &files, err);
    if (st != RT_OK || files.n_covered == 0) return st;
    if (!options_has(o, "--train-anew"))
        return rt_fail(
            err, RT_INVALID,
            "training has begun with these labels (plan.jsonl or tokenizer.model exists in "
            "%s), and rows that are asked for again would change the student in its middle: "
            "requeue before training (`retort label`), or add --train-anew, which moves "
            "this training to retired-N there",
            folder->path);
    st = training_files_retire(folder, c, kept_in, err);
    if (st == RT_OK && kept_in[0] != '\0')
        fprintf(stderr, "the training so far is kept in %s\n", kept_in);
    return st;
}

static void print_requeued(const requeue_result *done)
{
    if (done->n_requeued == 0)
        printf("nothing to requeue; %" PRIu64 " rows stay rejected\n", done->n_kept);
    else
        printf("%" PRIu64 " rows are pending again, %" PRIu64 " stay rejected; their old records "
               "are in %s\n`retort label` or `retort run` with the same settings asks for them\n",
               done->n_requeued, done->n_kept, done->kept_in);
}

static rt_status print_requeued_json(const requeue_result *done, bool forgets, uint64_t n_forgotten,
                                     rt_error *err)
{
    json_t *root = json_pack("{s:I, s:I, s:s}", "requeued", (json_int_t)done->n_requeued,
                             "rejected", (json_int_t)done->n_kept, "kept_in", done->kept_in);
    if (root == NULL) return rt_fail(err, RT_NOMEM, "requeued rows");
    if (forgets) json_object_set_new(root, "forgotten", json_integer((json_int_t)n_forgotten));
    json_dumpf(root, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(root);
    return RT_OK;
}

static rt_status requeue(const options *o, const config *c, const char *dataset, rt_error *err)
{
    run_folder folder = {.lock_fd = -1};
    requeue_result done = {0};
    archive *a = NULL;
    bool forgets = options_has(o, "--forget-answers");
    uint64_t n_forgotten = 0;
    const char *reason = options_value(o, "--reason");
    if (options_value(o, "--limit") != NULL)
        return rt_fail(err, RT_INVALID, "--limit: --requeue takes all rows, or those of --reason");
    rt_status st = run_folder_hold(c, &folder, err);
    if (st == RT_OK) st = check_untrained(o, c, &folder, err);
    if (st == RT_OK && (st = archive_open_read_only(dataset, &a, err)) == RT_OK)
        warn_unknown_reason(a, reason);
    archive_close(a);
    /* First the answers: whoever is killed in between does it again and finds the rows still here. */
    if (st == RT_OK && forgets) st = forget_rejected(c, dataset, reason, &n_forgotten, err);
    if (st == RT_OK) st = archive_requeue(dataset, reason, &done, err);
    run_folder_close(&folder);
    if (st != RT_OK) return st;
    if (options_json(o)) return print_requeued_json(&done, forgets, n_forgotten, err);
    print_requeued(&done);
    if (forgets)
        printf("%" PRIu64 " of their answers are no longer in the answer cache\n", n_forgotten);
    return RT_OK;
}

static int run(const options *o)
{
    rt_error err = {0};
    config *c = NULL;
    archive *a = NULL;
    char run_dir[RUN_PATH_SIZE], dataset[RUN_PATH_SIZE];
    rt_status st = options_load_config(o, &c, &err);
    if (st == RT_OK) st = launch_run_dir(c, run_dir, sizeof run_dir, &err);
    if (st == RT_OK) st = rt_fs_join(dataset, sizeof dataset, run_dir, "dataset", &err);
    if (st == RT_OK && !rt_fs_exists(dataset))
        st = rt_fail(&err, RT_NOTFOUND, "%s does not exist: has this run started?", dataset);
    if (st != RT_OK) goto out;
    if (options_has(o, "--forget-answers") && !options_has(o, "--requeue")) {
        st = rt_fail(&err, RT_INVALID, "--forget-answers: goes with --requeue");
        goto out;
    }
    if (options_has(o, "--requeue")) {
        st = requeue(o, c, dataset, &err);
        goto out;
    }
    if ((st = archive_open_read_only(dataset, &a, &err)) == RT_OK) st = list(o, a, &err);
out:
    archive_close(a);
    config_free(c);
    return st == RT_OK ? EXIT_CODE_OK : command_fail(o, &err);
}

static const option_def own_options[] = {
    {"--reason", "REASON", "only rows rejected for this reason, such as no_marker", NULL},
    {"--limit", "N", "show at most N rows, 0: all (default 20; all with --json)", NULL},
    {"--requeue", NULL, "take the rows out, so that the next run asks for them again", NULL},
    {"--forget-answers", NULL, "with --requeue: take their answers out of the cache too", NULL},
    {"--train-anew", NULL, "with --requeue: put a training that has begun aside first", NULL},
    {0},
};

const command cmd_rejections = {
    .name = "rejections",
    .summary = "list the rejected rows of a run, or have them asked for again",
    .synopsis = "[--reason REASON] [--limit N] [--config FILE] [--set key=value]... [--json]\n"
                "--requeue [--forget-answers] [--train-anew] [--reason REASON] [--config FILE] "
                "[--set key=value]... [--json]",
    .description =
        "Shows why rows of the corpus have no label: how many for each reason, then the rows\n"
        "with their input and the teacher's text, cut to a line. With --json each row is one\n"
        "line of JSON, whole, as in RUN_DIR/dataset/rejected.jsonl. It takes no lock and may be\n"
        "run at any time.\n"
        "\n"
        "--requeue takes the rows out of rejected.jsonl; they are pending then, and the next\n"
        "`retort label` or `retort run` asks the teacher again. Their old records are kept in\n"
        "rejected.jsonl.requeued-N beside it. It is refused while a coordinator works on the\n"
        "run, and once training has begun: what a student was trained on does not change. With\n"
        "--train-anew that training is moved to RUN_DIR/retired-N and the next run trains\n"
        "another student. A\n"
        "teacher that always answers alike (recorded, native) rejects the same rows again\n"
        "unless its files have changed. A server's answers (openai) are kept in the cache: a\n"
        "row that was rejected for its text gets the same text again, at no cost, until prompt,\n"
        "model or sampling change, or cache.dir names another folder.\n"
        "--forget-answers takes the answers to these rows, of both teachers, out of the cache,\n"
        "for every run that shares it: they are asked and paid for once more. Give the settings\n"
        "of the run, for they say what was asked. A server that always answers alike will do so\n"
        "again.\n",
    .options = own_options,
    .examples = "retort rejections --config retort.yaml\n"
                "retort rejections --reason no_marker --json | jq -r .raw\n"
                "retort rejections --requeue --reason timeout\n"
                "retort rejections --requeue --forget-answers --reason no_marker\n",
    .run = run,
};
