#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/dataset/archive.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_student.h"
#include "worker/evaluate/evaluate.h"
#include "worker/evaluate/student_answers.h"

static const tiny_lesson lessons[] = {
    {"predict: sun\n", "yes"},
    {"predict: moon\n", "no"},
    {"predict: rock\n", "no"},
    {"predict: fire\n", "yes"},
    {"predict: cloud\n", "perhaps"},
    {"explain: sun\n", "It shines."},
    {"solve: sun\n", "It shines. Answer: yes"},
};

static const char yaml[] = "name: t\n"
                           "run_dir: \"%s\"\n"
                           "threads: 1\n"
                           "corpus:\n  files: [x.jsonl]\n  gold: \"{gold}\"\n"
                           "task:\n  answer: class\n  classes: [\"yes\", \"no\"]\n"
                           "  markers: [\"Answer:\"]\n"
                           "teacher:\n  files: [x.jsonl]\n  match_field: \"{input}\"\n"
                           "eval:\n  batch: 2\n  max_new_tokens: 20\n";

static const char rows_text[] = "{\"input\": \"sun\", \"gold\": \"yes\"}\n"
                                "{\"input\": \"moon\", \"gold\": \"Yes\"}\n"
                                "{\"input\": \"rock\", \"gold\": \"no\"}\n"
                                "{\"input\": \"fire\", \"gold\": \"yes\"}\n"
                                "{\"input\": \"cloud\", \"gold\": \"no\"}\n";

/* A student in <run>/student and five rows it has learnt: three right, one wrong, one unreadable. */
typedef struct exam {
    char *folder;
    config *config;
    gold_rows rows;
    eval_result result;
    char model[1024];
} exam;

static exam exam_new(void)
{
    exam e = {.folder = temp_folder_new()};
    char text[2048];
    rt_error err = {0};
    snprintf(text, sizeof text, yaml, e.folder);
    cr_assert_eq(config_parse("test", text, strlen(text), NULL, &e.config, &err), RT_OK, "%s",
                 err.text);
    temp_folder_write_text(e.folder, "rows.jsonl", rows_text);
    tiny_student_write(e.folder, lessons, RT_COUNT(lessons), 200);
    snprintf(e.model, sizeof e.model, "%s", e.folder);
    cr_assert_eq(
        gold_rows_read(e.config, temp_folder_path(e.folder, "rows.jsonl"), 0, &e.rows, &err), RT_OK,
        "%s", err.text);
    return e;
}

static void exam_free(exam *e)
{
    eval_result_free(&e->result);
    gold_rows_free(&e->rows);
    config_free(e->config);
    temp_folder_free(e->folder);
}

static void add_record(archive *a, const char *input, const char *gold, const char *label)
{
    label_record r = {.id = rt_id_of_two("task", 4, input, strlen(input)),
                      .input = (char *)input,
                      .gold = (char *)gold,
                      .label = (char *)label,
                      .reason = label == NULL ? "no_marker" : NULL,
                      .raw = label == NULL ? "?" : NULL,
                      .meta = "{}"};
    rt_error err = {0};
    cr_assert_eq(archive_append(a, &r, &err), RT_OK, "%s", err.text);
}

static void write_dataset(const exam *e)
{
    archive *a = NULL;
    rt_error err = {0};
    cr_assert_eq(archive_open(temp_folder_path(e->folder, "dataset"), &a, &err), RT_OK, "%s",
                 err.text);
    add_record(a, "sun", "yes", "yes");
    add_record(a, "moon", "YES", "no");
    add_record(a, "sea", "no", NULL);
    add_record(a, "lake", NULL, "no");
    cr_assert_eq(archive_sync(a, &err), RT_OK);
    archive_close(a);
}

/* Knows the sun and the moon, one of them wrongly. */
static rt_status ask_fake(void *context, const gold_row *rows, size_t n, char **labels,
                          bool *left_out, rt_error *err)
{
    (void)err, (void)left_out;
    ++*(int *)context;
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].input, "sun") == 0 || strcmp(rows[i].input, "moon") == 0)
            labels[i] = strdup("yes");
    return RT_OK;
}

Test(score, counts_right_wrong_and_unreadable_answers)
{
    exam e = exam_new();
    rt_error err = {0};
    eval_options how = {.model = e.model, .n_show = 5};
    cr_assert_eq(evaluate_student(e.config, &e.rows, &how, &e.result, &err), RT_OK, "%s", err.text);
    const eval_result *r = &e.result;
    cr_expect(r->has_student);
    cr_expect_eq(r->student.n, 5);
    cr_expect_eq(r->student.n_right, 3);
    cr_expect_float_eq(r->student.share, 0.6, 1e-9);
    cr_expect(r->student.low > 0.2 && r->student.high < 0.9);
    cr_expect_eq(r->n_unreadable, 1);
    cr_assert_eq(r->n_reasons, 1);
    cr_expect_str_eq(r->reasons[0].name, "bad_label");
    cr_assert_eq(r->n_classes, 2);
    cr_expect_str_eq(r->classes[0].name, "yes");
    cr_expect_eq(r->classes[0].student.n, 3);
    cr_expect_eq(r->classes[0].student.n_right, 2);
    cr_expect_not(r->has_teacher);
    cr_expect_not(r->has_agreement);
    cr_expect_eq(r->n_in_dataset, 0);
    cr_assert_eq(r->n_shown, 5);
    cr_expect_str_eq(r->shown[4].input, "cloud");
    cr_expect_str_eq(r->shown[4].wrote, "perhaps");
    cr_expect_null(r->shown[4].label);
    cr_expect_not(r->shown[1].right);
    cr_expect(r->shown[0].right);
    exam_free(&e);
}

Test(score, compares_with_a_teacher_who_is_asked_and_with_the_dataset)
{
    exam e = exam_new();
    rt_error err = {0};
    int n_asked = 0;
    eval_teacher teacher = {.ask = ask_fake, .context = &n_asked};
    eval_options how = {.model = e.model, .teacher = &teacher, .dataset = true};
    write_dataset(&e);
    cr_assert_eq(evaluate_student(e.config, &e.rows, &how, &e.result, &err), RT_OK, "%s", err.text);
    const eval_result *r = &e.result;
    cr_expect_eq(n_asked, 1);
    cr_expect(r->has_teacher);
    cr_expect_eq(r->teacher.n, 5);
    cr_expect_eq(r->teacher.n_right, 2);
    cr_expect_eq(r->n_in_dataset, 2);
    cr_expect(r->has_agreement);
    cr_expect_eq(r->agreement.n, 2, "only rows that the teacher labelled");
    cr_expect_eq(r->agreement.n_right, 1);
    cr_expect(r->has_dataset);
    cr_expect_eq(r->dataset.n, 3, "rows with a true answer, rejected ones too");
    cr_expect_eq(r->dataset.n_right, 1);
    cr_expect_eq(r->n_dataset_rejected, 1);
    exam_free(&e);
}

/* Shown the sun only: of the rest nothing is known, and nothing is wrong. */
static rt_status ask_poor(void *context, const gold_row *rows, size_t n, char **labels,
                          bool *left_out, rt_error *err)
{
    (void)context, (void)err;
    for (size_t i = 0; i < n; i++) {
        left_out[i] = strcmp(rows[i].input, "sun") != 0;
        if (!left_out[i]) labels[i] = strdup("yes");
    }
    return RT_OK;
}

static rt_status ask_penniless(void *context, const gold_row *rows, size_t n, char **labels,
                               bool *left_out, rt_error *err)
{
    (void)context, (void)rows, (void)labels, (void)err;
    for (size_t i = 0; i < n; i++) left_out[i] = true;
    return RT_OK;
}

Test(score, rows_that_the_budget_left_out_do_not_count_for_the_teacher)
{
    exam e = exam_new();
    rt_error err = {0};
    rt_buf json = {0};
    eval_teacher poor = {.ask = ask_poor}, penniless = {.ask = ask_penniless};
    eval_options how = {.model = e.model, .teacher = &poor};
    cr_assert_eq(evaluate_student(e.config, &e.rows, &how, &e.result, &err), RT_OK, "%s", err.text);
    cr_expect(e.result.has_teacher);
    cr_expect_eq(e.result.teacher.n, 1);
    cr_expect_eq(e.result.teacher.n_right, 1);
    cr_expect_eq(e.result.n_teacher_left_out, 4);
    cr_expect_eq(e.result.student.n, 5);
    eval_result_free(&e.result);
    how.teacher = &penniless;
    cr_assert_eq(evaluate_student(e.config, &e.rows, &how, &e.result, &err), RT_OK, "%s", err.text);
    cr_expect_not(e.result.has_teacher);
    cr_assert_eq(eval_result_to_json(&e.result, &json, &err), RT_OK);
    cr_expect_not_null(strstr(json.data, "\"teacher_left_out\": 5"));
    rt_buf_free(&json);
    exam_free(&e);
}

Test(score, the_dataset_alone_needs_no_student)
{
    exam e = exam_new();
    rt_error err = {0};
    gold_rows none = {0};
    eval_options how = {.dataset = true};
    cr_expect_eq(evaluate_student(e.config, &none, &how, &e.result, &err), RT_NOTFOUND);
    cr_expect_not_null(strstr(err.text, "dataset"), "%s", err.text);
    write_dataset(&e);
    cr_assert_eq(evaluate_student(e.config, &none, &how, &e.result, &err), RT_OK, "%s", err.text);
    cr_expect_eq(e.result.dataset.n_right, 1);
    cr_expect_not(e.result.has_student);
    exam_free(&e);
}

Test(score, reports_as_json_and_as_a_table)
{
    exam e = exam_new();
    rt_error err = {0};
    rt_buf json = {0}, table = {0};
    eval_options how = {.model = e.model, .n_show = 1};
    cr_assert_eq(evaluate_student(e.config, &e.rows, &how, &e.result, &err), RT_OK, "%s", err.text);
    cr_assert_eq(eval_result_to_json(&e.result, &json, &err), RT_OK);
    cr_assert_eq(eval_result_to_table(&e.result, &table, &err), RT_OK);
    json_t *root = json_loads(json.data, 0, NULL);
    cr_assert_not_null(root);
    json_t *student = json_object_get(root, "student_accuracy");
    cr_expect_eq(json_integer_value(json_object_get(student, "right")), 3);
    cr_expect_eq(json_integer_value(json_object_get(student, "of")), 5);
    cr_expect(json_is_null(json_object_get(root, "teacher_accuracy")));
    cr_expect_eq(json_array_size(json_object_get(root, "examples")), 1);
    cr_expect_str_eq(json_string_value(json_object_get(root, "answers_by")), "predict");
    cr_expect_not_null(strstr(table.data, "60.00 %"), "%s", table.data);
    cr_expect_not_null(strstr(table.data, "bad_label 1"), "%s", table.data);
    json_decref(root);
    rt_buf_free(&json);
    rt_buf_free(&table);
    exam_free(&e);
}

Test(student_answers, come_back_in_the_order_of_the_inputs)
{
    exam e = exam_new();
    rt_error err = {0};
    answering_student *s = NULL;
    student_spec spec = {0};
    student_answer answers[4] = {{0}};
    char long_input[400] = "";
    while (strlen(long_input) < 390) strcat(long_input, "sun ");
    const char *inputs[] = {"rock", long_input, "sun", "moon"};
    cr_assert_eq(answering_student_open(e.model, 1, false, &s, &err), RT_OK, "%s", err.text);
    cr_assert_eq(student_spec_of(e.config, &spec, &err), RT_OK);
    answer_settings how = {.spec = &spec, .task = TASK_PREDICT, .batch = 2, .max_new_tokens = 8};
    cr_assert_eq(answer_inputs(s, &how, inputs, 4, answers, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(answers[0].label, "no");
    cr_expect_str_eq(answers[2].label, "yes");
    cr_expect_str_eq(answers[3].label, "no");
    cr_expect_str_eq(answers[0].finish_reason, "stop");
    cr_expect_str_eq(answers[1].problem, "prompt_too_long");
    cr_expect_null(answers[1].label);
    cr_expect_str_eq(answers[1].raw, "");
    student_answers_free(answers, 4);
    student_spec_free(&spec);
    answering_student_close(s);
    exam_free(&e);
}

/* A student that has hardly begun: beams find what greedy decoding passes by. */
Test(student_answers, of_beams_are_never_less_likely_than_greedy_ones)
{
    enum { N = 6 };
    exam e = exam_new();
    rt_error err = {0};
    answering_student *s = NULL;
    student_spec spec = {0};
    student_answer greedy[N] = {{0}}, beams[N] = {{0}};
    const char *inputs[N] = {"rock sun", "sun sun", "rock rock rock", "it", "yes", "a sun no rock"};
    size_t n_better = 0;
    tiny_student_write(e.folder, lessons, RT_COUNT(lessons), 3);
    cr_assert_eq(answering_student_open(e.model, 1, false, &s, &err), RT_OK, "%s", err.text);
    cr_assert_eq(student_spec_of(e.config, &spec, &err), RT_OK);
    answer_settings how = {.spec = &spec, .task = TASK_SOLVE, .batch = 4, .max_new_tokens = 12};
    cr_assert_eq(answer_inputs(s, &how, inputs, N, greedy, &err), RT_OK, "%s", err.text);
    how.beams = 4;
    cr_assert_eq(answer_inputs(s, &how, inputs, N, beams, &err), RT_OK, "%s", err.text);
    for (size_t i = 0; i < N; i++) {
        cr_expect_geq(beams[i].sum_logprob, greedy[i].sum_logprob - 1e-4);
        n_better += beams[i].sum_logprob > greedy[i].sum_logprob + 1e-2;
    }
    cr_expect_gt(n_better, 0);
    student_answers_free(greedy, N);
    student_answers_free(beams, N);
    student_spec_free(&spec);
    answering_student_close(s);
    exam_free(&e);
}

Test(student_answers, solve_and_explain_read_the_rationale)
{
    exam e = exam_new();
    rt_error err = {0};
    answering_student *s = NULL;
    student_spec spec = {0};
    student_answer answer = {0};
    const char *input = "sun";
    cr_assert_eq(answering_student_open(e.model, 1, false, &s, &err), RT_OK, "%s", err.text);
    cr_assert_eq(student_spec_of(e.config, &spec, &err), RT_OK);
    answer_settings how = {.spec = &spec, .task = TASK_SOLVE, .batch = 2, .max_new_tokens = 20};
    cr_assert_eq(answer_inputs(s, &how, &input, 1, &answer, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(answer.label, "yes");
    cr_expect_str_eq(answer.rationale, "It shines.");
    student_answers_free(&answer, 1);
    how.task = TASK_EXPLAIN;
    cr_assert_eq(answer_inputs(s, &how, &input, 1, &answer, &err), RT_OK, "%s", err.text);
    cr_expect_null(answer.label);
    cr_expect_str_eq(answer.rationale, "It shines.");
    student_answers_free(&answer, 1);
    student_spec_free(&spec);
    answering_student_close(s);
    exam_free(&e);
}

static bool stop_after_first(void *context, size_t n_done, size_t n)
{
    *(size_t *)context = n_done;
    cr_expect_eq(n, 5);
    return false;
}

Test(student_answers, stop_between_batches_and_write_nothing)
{
    exam e = exam_new();
    rt_error err = {0};
    size_t n_done = 0;
    eval_options how = {
        .model = e.model, .progress = stop_after_first, .progress_context = &n_done};
    cr_expect_eq(evaluate_student(e.config, &e.rows, &how, &e.result, &err), RT_CANCELLED);
    cr_expect_eq(n_done, 2);
    cr_expect_null(e.result.model);
    exam_free(&e);
}

Test(student_answers, name_a_folder_that_is_no_student)
{
    rt_error err = {0};
    answering_student *s = NULL;
    cr_expect_eq(answering_student_open("/nowhere", 1, false, &s, &err), RT_NOTFOUND);
    cr_expect_not_null(strstr(err.text, "/nowhere"), "%s", err.text);
    cr_expect_null(s);
}
