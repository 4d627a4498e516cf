/* Reads corpus and dataset, renders prompts, counts tokens.
 *
 * All prompts of a large corpus need not be counted to know what they cost: at most SAMPLE_MAX rows,
 * evenly spaced among those that are to be asked about, stand for all.
 */
#include "cli/dry_run.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/batch_walk.h"
#include "cli/dry_evaluation.h"
#include "cli/dry_teacher.h"
#include "cli/launch/progress.h"
#include "common/base/fs.h"
#include "common/dataset/archive.h"
#include "common/text/display.h"
#include "coordinator/corpus_source.h"
#include "worker/runtime/run_path.h"
#include "worker/teacher/run.h"

#define SAMPLE_MAX 2000
#define COLUMNS    96

typedef struct shown_row {
    example example;
    rt_buf prompt;
    uint64_t n_tokens;
} shown_row;

enum { SHARE_NONE, SHARE_EXPECTED, SHARE_ALL, N_SHARES };

typedef struct dry_run {
    const config *config;
    corpus_source *corpus;
    archive *dataset; /* NULL: none yet */
    dry_teacher teacher, second;
    config *second_config; /* NULL: one teacher */
    uint64_t n_labelled, n_rejected, n_pending;
    shown_row *rows;       /* [n_rows], the first that are pending */
    label_record *records; /* [n_rows]: what a recorded teacher wrote; NULL for others */
    size_t n_rows, n_show;
    uint64_t n_cached; /* questions of open rows that the answer cache can answer */
    bool knows_cached;
    projection first;                 /* of the first teacher alone */
    projection with_second[N_SHARES]; /* of both; the same three times where there is no second */
    bool evaluates; /* the teacher will be asked about the rows of eval.files too */
    dry_evaluation evaluation;
} dry_run;

/* How many rows come to the second teacher shows only in the run: none, as many as is assumed, all. */
static double share_of(const dry_run *d, int i)
{
    return i == SHARE_NONE ? 0 : i == SHARE_ALL ? 1 : d->config->escalate.expected_share;
}

static bool is_recorded(const dry_run *d)
{
    return dry_teacher_is_recorded(&d->teacher);
}

static rt_status open_dataset(dry_run *d, rt_error *err)
{
    char folder[PATH_MAX];
    rt_status st = run_path(d->config, "dataset", folder, sizeof folder, err);
    if (st != RT_OK || !rt_fs_exists(folder)) return st;
    archive_options how = {.read_only = true, .corpus = corpus_source_index(d->corpus)};
    return archive_open_with(folder, &how, &d->dataset, err);
}

static rt_status open_all(dry_run *d, rt_error *err)
{
    char folder[PATH_MAX];
    const config *c = d->config;
    rt_status st = run_path(c, "corpus", folder, sizeof folder, err);
    if (st == RT_OK) st = corpus_source_of_corpus(c, folder, &d->corpus, err);
    if (st == RT_OK) st = open_dataset(d, err);
    if (st == RT_OK) st = dry_teacher_open(c, &d->teacher, err);
    if (st == RT_OK && c->escalate.config[0] != '\0') {
        st = config_load_second(c, &d->second_config, err);
        if (st == RT_OK) st = dry_teacher_open(d->second_config, &d->second, err);
    }
    if (st == RT_OK && d->evaluates)
        st = dry_evaluation_open(c, d->second_config, &d->evaluation, err);
    if (st != RT_OK) return st;
    d->rows = rt_calloc(d->n_show, sizeof *d->rows);
    return d->rows == NULL ? rt_fail(err, RT_NOMEM, "%zu rows", d->n_show) : RT_OK;
}

static void close_all(dry_run *d)
{
    for (size_t i = 0; d->rows != NULL && i < d->n_rows; i++) {
        example_free(&d->rows[i].example);
        rt_buf_free(&d->rows[i].prompt);
    }
    if (d->records != NULL) label_records_free(d->records, d->n_rows);
    free(d->records);
    free(d->rows);
    dry_evaluation_close(&d->evaluation);
    dry_teacher_close(&d->teacher);
    dry_teacher_close(&d->second);
    config_free(d->second_config);
    archive_close(d->dataset);
    corpus_source_free(d->corpus);
}

static archive_state state_of(const dry_run *d, size_t i)
{
    if (d->dataset == NULL) return ARCHIVE_ABSENT;
    return archive_find(d->dataset, corpus_source_ids(d->corpus)[i]);
}

static void count_states(dry_run *d)
{
    for (size_t i = 0; i < corpus_source_n(d->corpus); i++) {
        archive_state state = state_of(d, i);
        d->n_labelled += state == ARCHIVE_LABELLED;
        d->n_rejected += state == ARCHIVE_REJECTED;
        d->n_pending += state == ARCHIVE_ABSENT;
    }
}

/* Row i is pending: its prompts count when it is one of the sample, and the first teacher's is kept
 * when it is one of the first. */
static rt_status take_row(dry_run *d, size_t i, bool is_shown, bool is_sampled, rt_error *err)
{
    shown_row one = {0};
    rt_buf other = {0};
    uint64_t n_other = 0;
    rt_status st = corpus_source_read(d->corpus, i, &one.example, err);
    if (st == RT_OK)
        st = dry_teacher_prompt(&d->teacher, one.example.input, is_sampled, &one.prompt,
                                &one.n_tokens, err);
    if (st == RT_OK && d->second_config != NULL && is_sampled)
        st = dry_teacher_prompt(&d->second, one.example.input, true, &other, &n_other, err);
    rt_buf_free(&other);
    if (st == RT_OK && is_shown) {
        d->rows[d->n_rows++] = one;
        return RT_OK;
    }
    example_free(&one.example);
    rt_buf_free(&one.prompt);
    return st;
}

static rt_status take_rows(dry_run *d, rt_error *err)
{
    rt_status st = RT_OK;
    uint64_t every = d->n_pending / SAMPLE_MAX + 1, i_pending = 0;
    bool counts = !is_recorded(d) || d->second_config != NULL;
    for (size_t i = 0; st == RT_OK && i < corpus_source_n(d->corpus); i++) {
        if (state_of(d, i) != ARCHIVE_ABSENT) continue;
        bool is_shown = i_pending < d->n_show, is_sampled = i_pending % every == 0;
        i_pending++;
        if (is_shown || (is_sampled && counts)) st = take_row(d, i, is_shown, is_sampled, err);
    }
    return st;
}

/* A recorded teacher costs nothing: what it says about the rows can be shown. So can what a second
 * one says, if it is recorded too; any other is not asked. */
static rt_status ask_recorded(dry_run *d, rt_error *err)
{
    static char none[] = "";
    labeller l = {0};
    config c = *d->config; /* shares its texts */
    if (d->second_config != NULL && !dry_teacher_is_recorded(&d->second)) c.escalate.config = none;
    label_counts counts = {0};
    shard_example *examples = rt_calloc(d->n_rows, sizeof *examples);
    label_record *records = rt_calloc(d->n_rows, sizeof *records);
    rt_status st = examples == NULL || records == NULL ? rt_fail(err, RT_NOMEM, "rows")
                                                       : labeller_open(&c, &l, err);
    if (st != RT_OK) goto out;
    for (size_t i = 0; i < d->n_rows; i++) {
        const example *e = &d->rows[i].example;
        const char *source_id = e->source_id == NULL ? "" : e->source_id;
        examples[i] = (shard_example){.id = e->id, .input = e->input, .source_id = source_id};
    }
    if ((st = label_shard(&l, examples, d->n_rows, records, &counts, err)) != RT_OK) goto out;
    d->records = records;
    records = NULL;
out:
    labeller_close(&l);
    free(examples);
    free(records);
    return st;
}

static rt_status count_missing(void *context, const batch_ticket *ticket, const char *body,
                               size_t n_body, rt_buf *reply, rt_error *err)
{
    (void)context, (void)ticket, (void)body, (void)n_body, (void)reply, (void)err;
    return RT_OK;
}

/* First questions only: what is asked again after an answer that could not be parsed is another. */
static rt_status count_cached(void *context, const batch_ticket *ticket, bool is_last,
                              rt_error *err)
{
    (void)err;
    ((dry_run *)context)->n_cached += ticket->sample == 0 && is_last;
    return RT_OK;
}

/* What need not be paid again. Only where a cache is: a dry run makes none. */
static rt_status find_cached(dry_run *d, rt_error *err)
{
    char folder[PATH_MAX];
    batch_walk walk = {0};
    batch_handler handler = {.missing = count_missing, .known = count_cached, .context = d};
    if (d->config->teacher.backend != TEACHER_OPENAI) return RT_OK;
    rt_status st = cache_path(d->config, folder, sizeof folder, err);
    if (st != RT_OK || folder[0] == '\0' || !rt_fs_exists(folder)) return st;
    if ((st = batch_walk_open(d->config, &walk, err)) == RT_OK)
        st = batch_walk_run(&walk, &handler, err);
    d->knows_cached = st == RT_OK;
    batch_walk_close(&walk);
    return st;
}

static void project_all(dry_run *d)
{
    uint64_t n_paid = d->n_pending - RT_MIN(d->n_cached, d->n_pending);
    d->first = dry_teacher_project(&d->teacher, n_paid);
    for (int i = 0; i < N_SHARES; i++) {
        d->with_second[i] = d->first;
        if (d->second_config == NULL) continue;
        uint64_t n_rows = projection_rows(d->n_pending, share_of(d, i));
        projection more = dry_teacher_project(&d->second, n_rows);
        d->with_second[i] = projection_sum(&d->first, &more);
    }
}

/* Labelling and evaluation, if the second teacher sees that share. */
static projection project_whole(const dry_run *d, int i)
{
    projection evaluation = dry_evaluation_project(&d->evaluation, share_of(d, i));
    return projection_sum(&d->with_second[i], &evaluation);
}

static rt_status take_dry_run(dry_run *d, rt_error *err)
{
    rt_status st = open_all(d, err);
    if (st != RT_OK) return st;
    count_states(d);
    if ((st = take_rows(d, err)) != RT_OK) return st;
    if (is_recorded(d)) st = ask_recorded(d, err);
    if (st == RT_OK && !is_recorded(d)) st = find_cached(d, err);
    if (st == RT_OK) project_all(d);
    return st;
}

static const char *way_of_counting(const dry_run *d)
{
    return d->teacher.tokenizer != NULL ? "tokenizer" : "estimate";
}

/* ---- for people ---- */

static void print_text(const char *name, const char *text)
{
    rt_buf line = {0};
    if (text != NULL && display_line(text, strlen(text), COLUMNS, &line, NULL) == RT_OK)
        printf("  %-10s %s\n", name, line.data);
    rt_buf_free(&line);
}

static void print_row(const dry_run *d, size_t i)
{
    char hex[RT_ID_HEX_SIZE];
    rt_buf block = {0};
    const shown_row *one = &d->rows[i];
    rt_id_to_hex(one->example.id, hex);
    printf("\nrow %zu  %s", i + 1, hex);
    if (d->records == NULL) {
        printf("  %" PRIu64 " tokens\n", one->n_tokens);
        if (display_block(one->prompt.data, one->prompt.n, "  | ", &block, NULL) == RT_OK)
            fputs(block.data, stdout);
    } else {
        printf("\n");
        print_text("input", one->example.input);
        print_text("rationale", d->records[i].rationale);
        print_text("label", d->records[i].label);
        print_text("rejected", d->records[i].reason);
        print_text("raw", d->records[i].raw);
    }
    rt_buf_free(&block);
}

static void print_count(const char *name, uint64_t likely, uint64_t most)
{
    char a[32], b[32];
    progress_thousands(likely, a);
    progress_thousands(most, b);
    printf("  %-11s about %s tokens, at most %s\n", name, a, b);
}

/* Small sums keep their digits. */
static void print_money(const char *before, double sum, const char *currency)
{
    printf("%s%.*f %s", before, sum >= 1 ? 2 : 4, sum, currency);
}

static void print_price(const dry_run *d)
{
    projection likely = project_whole(d, SHARE_EXPECTED), most = project_whole(d, SHARE_ALL);
    const limits_config *l = &d->config->limits;
    if (!likely.is_priced) {
        if (d->teacher.tokenizer == NULL || d->second_config != NULL)
            printf("  %-11s not known: set limits.price_input and limits.price_output\n", "price");
        return;
    }
    printf("  %-11s ", "price");
    print_money("about ", likely.cost_likely, l->currency);
    print_money(", at most ", most.cost_max, l->currency);
    if (l->budget > 0) {
        printf("\n  %-11s ", "budget");
        print_money("", l->budget, l->currency);
        if (likely.cost_likely > l->budget)
            printf(": it will not do, the run stops when it is reached");
    }
    printf("\n");
}

static void print_share(const dry_run *d, int i)
{
    char a[32], b[32], name[32];
    const projection *p = &d->with_second[i];
    snprintf(name, sizeof name, "%.3g %%", 100 * share_of(d, i));
    printf("  %11s ", name);
    if (p->is_priced) {
        print_money("about ", p->cost_likely, d->config->limits.currency);
        print_money(", at most ", p->cost_max, d->config->limits.currency);
    } else {
        progress_thousands(p->n_prompt_likely + p->n_completion_likely, a);
        progress_thousands(p->n_prompt_max + p->n_completion_max, b);
        printf("about %s tokens, at most %s", a, b);
    }
    printf("%s\n", i == SHARE_EXPECTED ? "   assumed: escalate.expected_share" : "");
}

/* What both teachers come to, by how many rows the second one sees. */
static void print_second(const dry_run *d)
{
    if (d->second_config == NULL) return;
    const char *name = d->second_config->teacher.name;
    printf("  %-11s %s%sasked about what the first rejects or is not sure of", "2nd teacher", name,
           name[0] == '\0' ? "" : ", ");
    if (dry_teacher_is_recorded(&d->second)) {
        printf(": recorded, nothing is paid\n");
        return;
    }
    printf(";\n  %-11s how many rows that is shows only in the run. Both teachers, if it is\n", "");
    for (int i = 0; i < N_SHARES; i++) print_share(d, i);
}

static void print_costs(const dry_run *d)
{
    const dry_teacher *t = &d->teacher;
    printf("  %-11s %.0f tokens on average, the longest seen %" PRIu64 " (%s%s)\n", "a prompt",
           dry_teacher_prompt_mean(t), t->n_tokens_max,
           t->tokenizer != NULL ? "counted by the model's tokenizer"
                                : "estimated: a Latin letter is a quarter of a token",
           t->n_sampled < d->n_pending ? ", from a sample" : "");
    if (t->n_too_long > 0)
        printf("  %-11s %" PRIu64 " of %" PRIu64
               " are beyond prompt.max_prompt_tokens and will be rejected\n",
               "too long", t->n_too_long, t->n_sampled);
    print_count("prompts", d->first.n_prompt_likely, d->first.n_prompt_max);
    print_count("answers", d->first.n_completion_likely, d->first.n_completion_max);
    if (d->config->quality.samples > 1)
        printf("  %-11s %" PRIu64 " for each row\n", "texts", d->config->quality.samples);
}

/* What `price` holds of it, or its tokens. */
static void print_evaluation(const dry_run *d)
{
    char n[3][32];
    projection likely = dry_evaluation_project(&d->evaluation, share_of(d, SHARE_EXPECTED));
    projection most = dry_evaluation_project(&d->evaluation, share_of(d, SHARE_ALL));
    progress_thousands(d->evaluation.n_rows, n[0]);
    printf("  %-11s %s rows of eval.files, because of eval.teacher: ", "evaluation", n[0]);
    if (likely.is_priced) {
        print_money("about ", likely.cost_likely, d->config->limits.currency);
        print_money(", at most ", most.cost_max, d->config->limits.currency);
        printf("\n");
        return;
    }
    progress_thousands(likely.n_prompt_likely + likely.n_completion_likely, n[1]);
    progress_thousands(most.n_prompt_max + most.n_completion_max, n[2]);
    printf("about %s tokens, at most %s\n", n[1], n[2]);
}

/* Whether anything can cost something. */
static bool asks_somebody(const dry_run *d)
{
    return !is_recorded(d) || (d->second_config != NULL && !dry_teacher_is_recorded(&d->second));
}

static void print_all(const dry_run *d)
{
    char n[6][32];
    const manifest_counts *rows = corpus_source_counts(d->corpus);
    const uint64_t counts[] = {rows->n_examples, rows->n_duplicates, rows->n_malformed,
                               d->n_labelled,    d->n_rejected,      d->n_pending};
    for (size_t i = 0; i < RT_COUNT(counts); i++) progress_thousands(counts[i], n[i]);
    printf("A dry run: nothing is started, nobody is asked.\n\n");
    printf("  %-11s %s examples, %s duplicates, %s malformed rows\n", "corpus", n[0], n[1], n[2]);
    printf("  %-11s %s labelled, %s rejected, %s to be asked about\n", "state", n[3], n[4], n[5]);
    if (is_recorded(d))
        printf("  %-11s recorded texts: no prompt is sent, nothing is paid\n", "teacher");
    else
        print_costs(d);
    print_second(d);
    if (d->evaluates && asks_somebody(d)) print_evaluation(d);
    if (asks_somebody(d)) print_price(d);
    if (d->knows_cached) {
        progress_thousands(d->n_cached, n[0]);
        printf("  %-11s %s of these rows are answered there, and cost nothing\n", "cache", n[0]);
    }
    for (size_t i = 0; i < d->n_rows; i++) print_row(d, i);
}

/* ---- for programs ---- */

static void set_text(json_t *to, const char *key, const char *text)
{
    if (text != NULL) json_object_set_new(to, key, json_string(text));
}

static json_t *row_to_json(const dry_run *d, size_t i)
{
    char hex[RT_ID_HEX_SIZE];
    const shown_row *one = &d->rows[i];
    rt_id_to_hex(one->example.id, hex);
    json_t *out = json_pack("{s:s, s:s}", "id", hex, "input", one->example.input);
    if (d->records == NULL) {
        set_text(out, "prompt", one->prompt.data);
        json_object_set_new(out, "prompt_tokens", json_integer((json_int_t)one->n_tokens));
    } else {
        set_text(out, "rationale", d->records[i].rationale);
        set_text(out, "label", d->records[i].label);
        set_text(out, "reason", d->records[i].reason);
        set_text(out, "raw", d->records[i].raw);
    }
    return out;
}

static void add_costs(json_t *to, const projection *likely, const projection *most)
{
    if (!likely->is_priced) return;
    json_object_set_new(to, "cost", json_real(likely->cost_likely));
    json_object_set_new(to, "cost_max", json_real(most->cost_max));
}

static json_t *tokens_to_json(const projection *p)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "prompt_tokens", (json_int_t)p->n_prompt_likely,
                     "prompt_tokens_max", (json_int_t)p->n_prompt_max, "completion_tokens",
                     (json_int_t)p->n_completion_likely, "completion_tokens_max",
                     (json_int_t)p->n_completion_max);
}

/* Of both teachers together, for each share of the rows that the second one may see. */
static json_t *second_to_json(const dry_run *d)
{
    json_t *shares = json_array();
    for (int i = 0; i < N_SHARES; i++) {
        json_t *one = tokens_to_json(&d->with_second[i]);
        json_object_set_new(one, "share", json_real(share_of(d, i)));
        add_costs(one, &d->with_second[i], &d->with_second[i]);
        json_array_append_new(shares, one);
    }
    return json_pack("{s:s, s:f, s:o}", "teacher", d->second_config->teacher.name, "expected_share",
                     share_of(d, SHARE_EXPECTED), "both", shares);
}

static json_t *evaluation_to_json(const dry_run *d)
{
    projection likely = dry_evaluation_project(&d->evaluation, share_of(d, SHARE_EXPECTED));
    projection most = dry_evaluation_project(&d->evaluation, share_of(d, SHARE_ALL));
    json_t *out = tokens_to_json(&likely);
    json_object_set_new(out, "rows", json_integer((json_int_t)d->evaluation.n_rows));
    add_costs(out, &likely, &most);
    return out;
}

static json_t *costs_to_json(const dry_run *d)
{
    json_t *out = tokens_to_json(&d->first);
    projection likely = project_whole(d, SHARE_EXPECTED), most = project_whole(d, SHARE_ALL);
    json_object_set_new(out, "counted_by", json_string(way_of_counting(d)));
    json_object_set_new(out, "prompt_tokens_longest",
                        json_integer((json_int_t)d->teacher.n_tokens_max));
    json_object_set_new(out, "sampled", json_integer((json_int_t)d->teacher.n_sampled));
    json_object_set_new(out, "too_long", json_integer((json_int_t)d->teacher.n_too_long));
    if (d->knows_cached) json_object_set_new(out, "cached", json_integer((json_int_t)d->n_cached));
    if (d->second_config != NULL) json_object_set_new(out, "second", second_to_json(d));
    if (d->evaluates) json_object_set_new(out, "evaluation", evaluation_to_json(d));
    if (likely.is_priced)
        json_object_set_new(out, "currency", json_string(d->config->limits.currency));
    add_costs(out, &likely, &most);
    return out;
}

static rt_status print_json(const dry_run *d, rt_error *err)
{
    const manifest_counts *rows = corpus_source_counts(d->corpus);
    json_t *shown = json_array();
    for (size_t i = 0; i < d->n_rows; i++) json_array_append_new(shown, row_to_json(d, i));
    json_t *root =
        json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "dry_run", 1, "rows",
                  (json_int_t)rows->n_rows, "examples", (json_int_t)rows->n_examples, "duplicates",
                  (json_int_t)rows->n_duplicates, "malformed", (json_int_t)rows->n_malformed,
                  "labelled", (json_int_t)d->n_labelled, "rejected", (json_int_t)d->n_rejected,
                  "pending", (json_int_t)d->n_pending, "shown", shown);
    if (root == NULL) return rt_fail(err, RT_NOMEM, "dry run");
    if (asks_somebody(d)) json_object_set_new(root, "projection", costs_to_json(d));
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
    printf("\n");
    json_decref(root);
    return RT_OK;
}

int dry_run_command(const options *o, bool whole_run)
{
    rt_error err = {0};
    config *c = NULL;
    dry_run d = {0};
    uint64_t n_show = 0;
    rt_status st = options_u64(o, "--show", 0, 100000, &n_show, &err);
    if (st == RT_OK) st = options_load_config(o, &c, &err);
    if (st == RT_OK) st = config_check_corpus(c, &err);
    d.config = c;
    d.n_show = n_show;
    d.evaluates = st == RT_OK && whole_run && c->eval.teacher;
    if (st == RT_OK) st = take_dry_run(&d, &err);
    if (st == RT_OK && options_json(o))
        st = print_json(&d, &err);
    else if (st == RT_OK)
        print_all(&d);
    close_all(&d);
    config_free(c);
    return st == RT_OK ? EXIT_CODE_OK : command_fail(o, &err);
}
