/* Adds the states of a run up to the size of its corpus, from what is on disk and nothing else. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit_quality.h"
#include "cli/audit_survey.h"
#include "cli/command.h"
#include "cli/launch/launcher.h"
#include "cli/launch/progress.h"
#include "common/base/fs.h"
#include "common/corpus/manifest.h"
#include "common/dataset/archive.h"
#include "coordinator/survey_rules.h"

typedef struct audit {
    manifest_counts corpus;
    uint64_t n_labelled, n_rejected, n_pending;
    uint64_t n_foreign; /* in the dataset, not in the corpus */
    uint64_t n_twice;   /* lines of the dataset whose id was there before */
    uint64_t n_rationales;
    char sha256[RT_SHA256_HEX_SIZE];
    audit_quality quality;
    audit_survey survey;
} audit;

typedef struct counter {
    const manifest *corpus;
    audit *out;
} counter;

static rt_status count_record(void *context, const label_record *r, rt_error *err)
{
    counter *c = context;
    size_t i = manifest_find(c->corpus, r->id);
    if (i == SIZE_MAX) {
        c->out->n_foreign++;
        return RT_OK;
    }
    if (r->label != NULL)
        c->out->n_labelled++;
    else
        c->out->n_rejected++;
    return audit_quality_add(&c->out->quality, r, err);
}

static rt_status open_corpus(const config *c, const char *run_dir, manifest **out, rt_error *err)
{
    char folder[4096];
    rt_status st = rt_fs_join(folder, sizeof folder, run_dir, "corpus", err);
    if (st != RT_OK) return st;
    manifest_settings settings = {
        .task_name = c->task.name,
        .files = (const char *const *)c->corpus.files.items,
        .n_files = c->corpus.files.n,
        .reader = {.format = (row_format)c->corpus.format,
                   .paragraphs = c->corpus.unit == TEXT_PARAGRAPH},
        .input = c->corpus.input,
        .gold = c->corpus.gold,
        .source_id = c->corpus.source_id,
        .rows_max = c->corpus.rows_max,
        .bad_share_max = c->corpus.bad_share_max,
    };
    return manifest_open(folder, &settings, out, err);
}

static rt_status take_audit(const config *c, const char *run_dir, audit *out, rt_error *err)
{
    char folder[4096];
    manifest *m = NULL;
    archive *a = NULL;
    counter count = {.out = out};
    survey_settings beside = survey_settings_of(c);
    rt_status st = rt_fs_join(folder, sizeof folder, run_dir, "dataset", err);
    if (st == RT_OK && !rt_fs_exists(folder))
        st = rt_fail(err, RT_NOTFOUND, "%s does not exist: has this run started?", folder);
    if (st == RT_OK) st = open_corpus(c, run_dir, &m, err);
    if (st != RT_OK) goto out;
    count.corpus = m;
    archive_options how = {.read_only = true, .corpus = manifest_index(m)};
    if ((st = archive_open_with(folder, &how, &a, err)) != RT_OK) goto out;
    st = archive_scan(a, false, count_record, &count, err);
    if (st == RT_OK) st = archive_scan(a, true, count_record, &count, err);
    if (st == RT_OK)
        st = archive_sha256(a, manifest_index(m)->ids, manifest_n(m), out->sha256, err);
    if (st == RT_OK) st = audit_survey_take(&beside, a, m, &out->survey, err);
    if (st != RT_OK) goto out;
    out->corpus = *manifest_get_counts(m);
    out->n_rationales = archive_n_rationales(a);
    out->n_twice = archive_n_repeats(a); /* a scan shows the first line of an id only */
    out->n_pending = out->corpus.n_examples - out->n_labelled - out->n_rejected;
out:
    archive_close(a);
    manifest_free(m);
    return st;
}

static bool closes(const audit *a)
{
    const manifest_counts *n = &a->corpus;
    return a->n_foreign == 0 && a->n_twice == 0 &&
           n->n_rows == n->n_examples + n->n_duplicates + n->n_malformed &&
           n->n_examples == a->n_labelled + a->n_rejected + a->n_pending;
}

static void print_json(const audit *a)
{
    json_t *root = json_pack(
        "{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "closes", closes(a), "rows",
        (json_int_t)a->corpus.n_rows, "malformed", (json_int_t)a->corpus.n_malformed, "duplicates",
        (json_int_t)a->corpus.n_duplicates, "examples", (json_int_t)a->corpus.n_examples,
        "labelled", (json_int_t)a->n_labelled, "rejected", (json_int_t)a->n_rejected, "pending",
        (json_int_t)a->n_pending, "rationales", (json_int_t)a->n_rationales, "foreign",
        (json_int_t)a->n_foreign, "twice", (json_int_t)a->n_twice, "dataset_sha256", a->sha256);
    json_t *quality = audit_quality_json(&a->quality), *survey = audit_survey_json(&a->survey);
    if (survey != NULL) json_object_set_new(quality, "survey", survey);
    json_object_set_new(root, "quality", quality);
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    putchar('\n');
    json_decref(root);
}

static void print_row(const char *name, uint64_t n, const char *note)
{
    char text[32];
    progress_thousands(n, text);
    printf("  %-12s %12s  %s\n", name, text, note);
}

static void print_table(const audit *a, const char *quality)
{
    print_row("rows", a->corpus.n_rows, "read from the corpus files");
    print_row("- malformed", a->corpus.n_malformed, "listed in corpus/malformed.jsonl");
    print_row("- duplicates", a->corpus.n_duplicates, "folded into the first of their kind");
    print_row("= examples", a->corpus.n_examples, "");
    print_row("labelled", a->n_labelled, "in dataset/labels.jsonl");
    print_row("rejected", a->n_rejected, "in dataset/rejected.jsonl, each with its reason");
    print_row("pending", a->n_pending, "not labelled yet, or leased to a teacher");
    if (a->n_foreign > 0) print_row("foreign", a->n_foreign, "in the dataset, not in the corpus");
    if (a->n_twice > 0) print_row("twice", a->n_twice, "lines whose id was there before");
    printf("%s\n  dataset_sha256 %s\n  %s\n", quality, a->sha256,
           closes(a) ? "The audit closes: every example is in exactly one state."
                     : "The audit does NOT close: see the lines above.");
}

static int run(const options *o)
{
    rt_error err = {0};
    config *c = NULL;
    audit a = {0};
    rt_buf quality = {0};
    int code;
    char run_dir[4096];
    rt_status st = options_load_config(o, &c, &err);
    if (st == RT_OK) st = launch_run_dir(c, run_dir, sizeof run_dir, &err);
    if (st == RT_OK) st = take_audit(c, run_dir, &a, &err);
    config_free(c);
    if (st == RT_OK && !options_json(o)) st = audit_quality_text(&a.quality, &quality, &err);
    if (st == RT_OK && !options_json(o)) st = audit_survey_text(&a.survey, &quality, &err);
    if (st == RT_OK && options_value(o, "--verdicts") != NULL)
        st = audit_survey_write(&a.survey, options_value(o, "--verdicts"), &err);
    if (st != RT_OK) {
        code = command_fail(o, &err);
        goto out;
    }
    if (options_json(o))
        print_json(&a);
    else
        print_table(&a, quality.data == NULL ? "" : quality.data);
    code = closes(&a) ? EXIT_CODE_OK : EXIT_CODE_AUDIT;
out:
    rt_buf_free(&quality);
    audit_quality_free(&a.quality);
    audit_survey_free(&a.survey);
    return code;
}

static const option_def own_options[] = {
    {"--verdicts", "FILE", "write a line of JSON for each near duplicate and boilerplate", NULL},
    {0},
};

const command cmd_audit = {
    .name = "audit",
    .summary = "account for every row of a run's corpus",
    .synopsis = "[--verdicts FILE] [--config FILE] [--set key=value]... [--json]",
    .description =
        "Reads the corpus manifest and the dataset of a run from disk, adds up the states of\n"
        "all examples, and says whether they make the whole: exit code 0 when they do, 5 when\n"
        "they do not. Below that it shows how good the labels are as far as their records tell:\n"
        "reasons of rejection, filters that a rationale tripped, how sure the votes were, rows\n"
        "shown to a second teacher, and tokens and cost by teacher. Where near_duplicate or\n"
        "boilerplate is listed among the filters, rationales are compared with each other, too.\n"
        "It takes no lock and may be run at any time, also while a run is going.\n",
    .options = own_options,
    .examples = "retort audit --config retort.yaml\n"
                "retort audit --set 'quality.note_if=[\"near_duplicate\"]' --verdicts twins.jsonl\n"
                "retort audit --config retort.yaml --json | jq .pending\n",
    .run = run,
};
