/* Recordings of a real language model through the whole labelling path: the share of right labels
 * must be what the published parser reaches. The data lies beside the checkout and is skipped, with
 * a word, where it is absent. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/corpus/row_reader.h"
#include "worker/teacher/run.h"

#define SHARD 64

typedef struct recording_case {
    char file[32];
    char task[200];
    double expected; /* per cent */
} recording_case;

static const char yaml[] =
    "name: t\n"
    "corpus:\n  files: [\"%s\"]\n  input: \"{input}\"\n  gold: \"{gold}\"\n"
    "task:\n%s"
    "teacher:\n  backend: recorded\n  files: [\"%s\"]\n  match_field: \"{input}\"\n";

/* One shard of rows being filled. */
typedef struct tray {
    shard_example examples[SHARD];
    char *inputs[SHARD], *golds[SHARD];
    size_t n;
    uint64_t n_rows, n_right, n_labelled, n_rejected;
} tray;

static void label_tray(tray *t, const labeller *l)
{
    label_record records[SHARD] = {0};
    label_counts counts = {0};
    rt_error err = {0};
    cr_assert_eq(label_shard(l, t->examples, t->n, records, &counts, &err), RT_OK, "%s", err.text);
    t->n_labelled += counts.n_labelled;
    t->n_rejected += counts.n_rejected;
    for (size_t i = 0; i < t->n; i++) {
        t->n_rows++;
        t->n_right +=
            records[i].label != NULL && answer_equal(&l->rules, records[i].label, t->golds[i]);
        free(t->inputs[i]);
        free(t->golds[i]);
    }
    label_records_free(records, t->n);
    t->n = 0;
}

static char *render(row_reader *reader, const char *field)
{
    rt_buf text = {0};
    cr_assert_eq(row_reader_lookup(reader, field, &text, NULL), RT_OK, "field %s", field);
    return text.data;
}

static void label_file(tray *t, const labeller *l, const char *path)
{
    row_reader *reader = NULL;
    row source;
    rt_error err = {0};
    row_reader_options options = {.format = ROW_AUTO};
    cr_assert_eq(row_reader_open(&path, 1, &options, &reader, &err), RT_OK, "%s", err.text);
    while (row_reader_next(reader, &source, &err) == RT_OK) {
        cr_assert_null(source.problem);
        t->inputs[t->n] = render(reader, "input");
        t->golds[t->n] = render(reader, "gold");
        t->examples[t->n] =
            (shard_example){.id = rt_id_of(t->inputs[t->n], strlen(t->inputs[t->n])),
                            .input = t->inputs[t->n],
                            .source_id = "",
                            .gold = t->golds[t->n]};
        if (++t->n == SHARD) label_tray(t, l);
    }
    label_tray(t, l);
    row_reader_close(reader);
}

ParameterizedTestParameters(real_recordings, are_as_right_as_the_published_parser_makes_them)
{
    static recording_case cases[] = {
        {"esnli_valid",
         "  answer: class\n  classes: [entailment, neutral, contradiction]\n"
         "  markers: [\"Answer:\"]\n  stop_marks: [\"\\n\\nPremise:\"]\n",
         73.17},
        {"svamp_test",
         "  answer: equation\n  markers: [\"The answer is\"]\n  stop_marks: [\"\\n\\nQ:\"]\n",
         74.0},
        {"cqa_test",
         "  answer: choice\n  markers: [\"So the answer is\"]\n  stop_marks: [\"\\n\\nQ:\"]\n",
         77.23},
    };
    return cr_make_param_array(recording_case, cases, RT_COUNT(cases));
}
ParameterizedTest(recording_case *c, real_recordings,
                  are_as_right_as_the_published_parser_makes_them)
{
    char path[1024], text[4096];
    rt_error err = {0};
    config *settings = NULL;
    labeller l = {0};
    tray *t = calloc(1, sizeof *t);
    snprintf(path, sizeof path, "%s/../shared/data/%s.jsonl.gz", getenv("RT_SOURCE_DIR"), c->file);
    if (!rt_fs_exists(path)) {
        free(t);
        cr_skip("the recordings are not beside this checkout");
    }
    snprintf(text, sizeof text, yaml, path, c->task, path);
    cr_assert_eq(config_parse("test", text, strlen(text), NULL, &settings, &err), RT_OK, "%s",
                 err.text);
    cr_assert_eq(labeller_open(settings, &l, &err), RT_OK, "%s", err.text);
    label_file(t, &l, path);
    double share = 100 * (double)t->n_right / (double)t->n_rows;
    fprintf(stderr, "%s: %.2f %% of %zu right, %zu rejected\n", c->file, share, (size_t)t->n_rows,
            (size_t)t->n_rejected);
    cr_expect_float_eq(share, c->expected, 0.5, "%s: %.2f, expected %.2f", c->file, share,
                       c->expected);
    cr_expect_eq(t->n_labelled + t->n_rejected, t->n_rows);
    labeller_close(&l);
    config_free(settings);
    free(t);
}
