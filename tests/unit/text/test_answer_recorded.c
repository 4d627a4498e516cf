/* The parse machine against recorded PaLM-540B output: the teacher's accuracy must come out as the
 * reference parser's does. The data lies beside a checkout, not in it; without it the tests are
 * skipped and say so. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/text/answer.h"

#define LINE_BYTES_MAX (1 << 20)

typedef struct recorded_set {
    const char *file;
    answer_rules rules;
    double expected;   /* percent, of all rows */
    double tolerance;  /* points */
    size_t n_expected; /* rows */
} recorded_set;

typedef struct tally {
    size_t n_rows;
    size_t n_right;
    size_t n_same_as_reference; /* the same label, or none in both */
    size_t n_by_status[PARSE_BAD_EQUATION + 1];
} tally;

static const char *member(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    cr_assert_not_null(text, "field %s", name);
    return text;
}

static void count_row(const recorded_set *set, const json_t *row, tally *t)
{
    parsed_answer a = {0};
    parse_status gold_status = PARSE_EMPTY;
    char *gold = NULL;
    rt_error err = {0};
    const char *input = member(row, "input"), *raw = member(row, "teacher_raw");
    const char *reference = member(row, "teacher_label");
    cr_assert_eq(answer_parse(&set->rules, input, raw, strlen(raw), false, &a, &err), RT_OK, "%s",
                 err.text);
    cr_assert_eq(
        answer_canonical(&set->rules, input, member(row, "gold"), &gold_status, &gold, &err), RT_OK,
        "%s", err.text);
    t->n_rows++;
    t->n_by_status[a.status]++;
    bool is_right =
        a.status == PARSE_OK && gold != NULL && answer_equal(&set->rules, a.label, gold);
    bool is_same = a.status == PARSE_OK ? strcmp(a.label, reference) == 0 : reference[0] == '\0';
    t->n_right += is_right;
    t->n_same_as_reference += is_same;
    if (!is_same && getenv("RT_TEST_VERBOSE") != NULL)
        printf("%s: %s '%s', reference '%s', gold '%s'\n", member(row, "id"),
               parse_status_name(a.status), a.label == NULL ? "" : a.label, reference,
               member(row, "gold"));
    free(gold);
    parsed_answer_free(&a);
}

static bool count_file(const recorded_set *set, tally *t)
{
    char path[4096];
    const char *root = getenv("RT_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/../shared/data/%s.jsonl.gz", root == NULL ? "." : root,
             set->file);
    gzFile file = gzopen(path, "rb");
    if (file == NULL) return false;
    char *line = malloc(LINE_BYTES_MAX);
    cr_assert_not_null(line);
    while (gzgets(file, line, LINE_BYTES_MAX) != NULL) {
        json_t *row = json_loads(line, 0, NULL);
        cr_assert_not_null(row, "%s, row %zu", set->file, t->n_rows);
        count_row(set, row, t);
        json_decref(row);
    }
    free(line);
    gzclose(file);
    return true;
}

static void check_set(const recorded_set *set)
{
    tally t = {0};
    if (!count_file(set, &t)) cr_skip_test("%s is absent: recorded data is not beside", set->file);
    double accuracy = 100.0 * (double)t.n_right / (double)t.n_rows;
    printf("%-16s %s accuracy %.2f (reference %.2f), same label %.2f, ok %zu of %zu:", set->file,
           set->rules.lenient ? "lenient" : "default", accuracy, set->expected,
           100.0 * (double)t.n_same_as_reference / (double)t.n_rows, t.n_by_status[PARSE_OK],
           t.n_rows);
    for (int i = PARSE_OK + 1; i <= PARSE_BAD_EQUATION; i++)
        printf(" %s %zu", parse_status_name((parse_status)i), t.n_by_status[i]);
    printf("\n");
    cr_expect_eq(t.n_rows, set->n_expected);
    cr_expect(fabs(accuracy - set->expected) <= set->tolerance, "%s: %.2f, expected %.2f",
              set->file, accuracy, set->expected);
}

static const char *const nli_classes[] = {"entailment", "neutral", "contradiction"};
static const char *const nli_markers[] = {"Answer:"};
static const char *const nli_stops[] = {"\n\nPremise"};
static const char *const svamp_markers[] = {"The answer is"};
static const char *const cqa_markers[] = {"So the answer is"};
static const char *const q_stops[] = {"\n\nQ:", "\nQ:"};

static const answer_rules nli = {.kind = RULE_CLASS,
                                 .markers = nli_markers,
                                 .n_markers = 1,
                                 .stop_marks = nli_stops,
                                 .n_stop_marks = 1,
                                 .classes = nli_classes,
                                 .n_classes = 3};
static const answer_rules svamp = {.kind = RULE_EQUATION,
                                   .markers = svamp_markers,
                                   .n_markers = 1,
                                   .stop_marks = q_stops,
                                   .n_stop_marks = 2};
static const answer_rules cqa = {.kind = RULE_CHOICE,
                                 .markers = cqa_markers,
                                 .n_markers = 1,
                                 .stop_marks = q_stops,
                                 .n_stop_marks = 2};

Test(answer_recorded, esnli_valid_scores_as_with_the_reference_parser)
{
    check_set(&(recorded_set){"esnli_valid", nli, 73.17, 0.5, 9842});
}

Test(answer_recorded, esnli_train_scores_as_with_the_reference_parser)
{
    check_set(&(recorded_set){"esnli_train10k", nli, 69.86, 0.5, 10000});
}

Test(answer_recorded, svamp_test_scores_as_with_the_reference_parser)
{
    check_set(&(recorded_set){"svamp_test", svamp, 74.0, 0.5, 200});
}

Test(answer_recorded, svamp_train_scores_as_with_the_reference_parser)
{
    check_set(&(recorded_set){"svamp_train", svamp, 73.25, 0.5, 800});
}

Test(answer_recorded, cqa_test_scores_as_with_the_reference_parser)
{
    check_set(&(recorded_set){"cqa_test", cqa, 77.23, 0.5, 1221});
}

Test(answer_recorded, cqa_train_scores_as_with_the_reference_parser)
{
    check_set(&(recorded_set){"cqa_train", cqa, 74.26, 0.5, 9741});
}

Test(answer_recorded, lenient_reading_finds_more_right_answers_in_svamp)
{
    answer_rules rules = svamp;
    rules.lenient = true;
    check_set(&(recorded_set){"svamp_test", rules, 77.5, 0.01, 200});
}

Test(answer_recorded, lenient_reading_finds_more_right_answers_in_cqa)
{
    answer_rules rules = cqa;
    rules.lenient = true;
    check_set(&(recorded_set){"cqa_test", rules, 78.30, 0.3, 1221});
}
