#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/temp_folder.h"
#include "worker/runtime/run_path.h"
#include "worker/runtime/task_file.h"
#include "worker/runtime/task_rules.h"

static const char yaml[] = "name: t\n"
                           "corpus:\n  files: [x.jsonl]\n"
                           "task:\n  name: nli\n  answer: class\n  classes: [yes it is, no]\n"
                           "  markers: [\"Answer:\", \"So:\"]\n  stop_marks: [\"\\n\\nQ:\"]\n"
                           "teacher:\n  files: [x.jsonl]\n  match_field: \"{input}\"\n";

static config *config_of(const char *const *sets)
{
    config *c = NULL;
    rt_error err = {0};
    cr_assert_eq(config_parse("test", yaml, strlen(yaml), sets, &c, &err), RT_OK, "%s", err.text);
    return c;
}

Test(task_rules, are_those_of_the_config)
{
    config *c = config_of(NULL);
    answer_rules rules = answer_rules_of(c);
    cr_expect_eq(rules.kind, RULE_CLASS);
    cr_assert_eq(rules.n_markers, 2);
    cr_expect_str_eq(rules.markers[1], "So:");
    cr_assert_eq(rules.n_stop_marks, 1);
    cr_assert_eq(rules.n_classes, 2);
    cr_expect_str_eq(rules.classes[0], "yes it is");
    config_free(c);
}

Test(run_path, is_below_the_folder_of_the_run)
{
    static const char *const sets[] = {"run_dir=/tmp/here", NULL};
    char path[64];
    config *c = config_of(NULL);
    cr_assert_eq(run_path(c, "dataset", path, sizeof path, NULL), RT_OK);
    cr_expect_str_eq(path, "runs/t/dataset");
    cr_assert_eq(run_path(c, "", path, sizeof path, NULL), RT_OK);
    cr_expect_str_eq(path, "runs/t");
    cr_expect_eq(run_path(c, "dataset", path, 14, NULL), RT_FULL);
    config_free(c);
    c = config_of(sets);
    cr_assert_eq(run_path(c, "dataset", path, sizeof path, NULL), RT_OK);
    cr_expect_str_eq(path, "/tmp/here/dataset");
    config_free(c);
}

typedef struct cache_case {
    char run_dir[24], dir[24], expected[32];
} cache_case;

ParameterizedTestParameters(cache_path, lies_beside_the_folder_of_the_run)
{
    static cache_case cases[] = {
        {"", "", "runs/.answers"},        {"/tmp/here", "", "/tmp/.answers"},
        {"here", "", "./.answers"},       {"a/b//", "", "a/.answers"},
        {"/here", "", "/.answers"},       {".", "", "./../.answers"},
        {"a/..", "", "a/../../.answers"}, {"/", "", "/.answers"},
        {"", "/data/paid", "/data/paid"}, {"", "off", ""},
    };
    return cr_make_param_array(cache_case, cases, sizeof cases / sizeof *cases);
}
ParameterizedTest(cache_case *c, cache_path, lies_beside_the_folder_of_the_run)
{
    char run_dir[48], dir[48], path[64];
    const char *const sets[] = {run_dir, dir, NULL};
    snprintf(run_dir, sizeof run_dir, "run_dir=%s", c->run_dir);
    snprintf(dir, sizeof dir, "cache.dir=%s", c->dir);
    config *conf = config_of(sets);
    cr_assert_eq(cache_path(conf, path, sizeof path, NULL), RT_OK);
    cr_expect_str_eq(path, c->expected);
    config_free(conf);
}

Test(cache_path, refuses_a_name_that_does_not_fit)
{
    char path[13];
    config *c = config_of(NULL);
    cr_expect_eq(cache_path(c, path, sizeof path, NULL), RT_FULL);
    config_free(c);
}

Test(student_spec, comes_back_from_its_file_as_it_was)
{
    static const char *const sets[] = {"train.preset=rationale-first", NULL};
    char *folder = temp_folder_new();
    rt_error err = {0};
    student_spec spec = {0}, again = {0};
    config *c = config_of(sets);
    cr_assert_eq(student_spec_of(c, &spec, &err), RT_OK, "%s", err.text);
    config_free(c); /* the spec has copies */
    cr_assert_eq(student_spec_write(&spec, folder, &err), RT_OK, "%s", err.text);
    cr_assert_eq(student_spec_read(folder, &again, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(again.task_name, "nli");
    cr_expect_eq(again.answers_by, TASK_SOLVE);
    cr_expect_not(again.explains);
    cr_expect_eq(again.rules.kind, RULE_CLASS);
    cr_assert_eq(again.rules.n_markers, 2);
    cr_expect_str_eq(again.rules.markers[0], "Answer:");
    cr_assert_eq(again.rules.n_classes, 2);
    cr_expect_str_eq(again.rules.classes[0], "yes it is");
    cr_expect_str_eq(again.label_format, spec.label_format);
    student_spec_free(&spec);
    student_spec_free(&again);
    temp_folder_free(folder);
}

Test(student_spec, a_step_by_step_student_predicts_and_explains)
{
    static const char *const sets[] = {"train.preset=step-by-step", NULL};
    student_spec spec = {0};
    config *c = config_of(sets);
    cr_assert_eq(student_spec_of(c, &spec, NULL), RT_OK);
    cr_expect_eq(spec.answers_by, TASK_PREDICT);
    cr_expect(spec.explains);
    student_spec_free(&spec);
    config_free(c);
}

Test(student_spec, reads_labels_behind_the_marker_that_the_student_was_taught)
{
    static const char *const sets[] = {"task.label_format=#### {label}", NULL};
    student_spec spec = {0};
    parsed_answer parsed = {0};
    rt_error err = {0};
    config *c = config_of(sets);
    cr_assert_eq(student_spec_of(c, &spec, &err), RT_OK, "%s", err.text);
    cr_assert_eq(spec.rules.n_markers, 3);
    cr_expect_str_eq(spec.rules.markers[0], "####");
    cr_assert_eq(answer_parse(&spec.rules, "x", "Hm. #### no", 11, false, &parsed, &err), RT_OK);
    cr_expect_eq(parsed.status, PARSE_OK);
    cr_expect_str_eq(parsed.label, "no");
    parsed_answer_free(&parsed);
    student_spec_free(&spec);
    config_free(c);
}

typedef struct bad_file {
    char text[160];
} bad_file;

ParameterizedTestParameters(student_spec, refuses_a_bad_file_by_name)
{
    static bad_file cases[] = {
        {""},
        {"[]"},
        {"{\"format\": \"retort-student\"}"},
        {"{\"format\": \"other\", \"version\": 1, \"task\": \"t\", \"answer\": \"text\","},
        {"not json at all"},
    };
    return cr_make_param_array(bad_file, cases, RT_COUNT(cases));
}
ParameterizedTest(bad_file *c, student_spec, refuses_a_bad_file_by_name)
{
    char *folder = temp_folder_new();
    student_spec spec = {0};
    rt_error err = {0};
    cr_expect_eq(student_spec_read(folder, &spec, &err), RT_NOTFOUND);
    temp_folder_write_text(folder, STUDENT_SPEC_FILE, c->text);
    cr_expect_eq(student_spec_read(folder, &spec, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, STUDENT_SPEC_FILE), "%s", err.text);
    cr_expect_null(spec.task_name);
    temp_folder_free(folder);
}

Test(student_spec, refuses_an_unknown_kind_of_answer)
{
    char *folder = temp_folder_new();
    student_spec spec = {0};
    rt_error err = {0};
    temp_folder_write_text(
        folder, STUDENT_SPEC_FILE,
        "{\"format\":\"retort-student\",\"version\":1,\"task\":\"t\",\"answer\":\"poem\","
        "\"markers\":[],\"stop_marks\":[],\"classes\":[],\"label_format\":\"{label}\","
        "\"answers_by\":\"predict\"}");
    cr_expect_eq(student_spec_read(folder, &spec, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "poem"), "%s", err.text);
    temp_folder_free(folder);
}
