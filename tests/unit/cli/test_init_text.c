#include "cli/init_text.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/text/prompt.h"
#include "tests/support/temp_folder.h"
#include "worker/runtime/task_rules.h"

typedef struct init_case {
    char task[8], teacher[12];
} init_case;

static init_choice choose(const char *task, const char *teacher)
{
    init_choice choice = {.name = "my-task", .corpus = "rows/*.jsonl.gz", .model = ""};
    cr_assert_eq(init_find_task(task, &choice.task, NULL), RT_OK);
    cr_assert_eq(init_find_teacher(teacher, &choice.teacher, NULL), RT_OK);
    return choice;
}

static config *load(const init_choice *choice)
{
    rt_buf yaml = {0};
    rt_error err = {0};
    config *c = NULL;
    cr_assert_eq(init_config(choice, &yaml, &err), RT_OK, "%s", err.text);
    cr_assert_eq(config_parse("init", yaml.data, yaml.n, NULL, &c, &err), RT_OK, "%s\n%s", err.text,
                 yaml.data);
    rt_buf_free(&yaml);
    return c;
}

#define EACH_TASK(teacher)                                        \
    {"class", teacher}, {"choice", teacher}, {"number", teacher}, \
    {                                                             \
        "text", teacher                                           \
    }

ParameterizedTestParameters(init_text, writes_settings_that_load)
{
    static init_case cases[] = {EACH_TASK("recorded"), EACH_TASK("native"), EACH_TASK("openai")};
    return cr_make_param_array(init_case, cases, sizeof cases / sizeof *cases);
}
ParameterizedTest(init_case *k, init_text, writes_settings_that_load)
{
    init_choice choice = choose(k->task, k->teacher);
    config *c = load(&choice);
    cr_expect_eq(c->task.answer, choice.task);
    cr_expect_str_eq(c->name, "my-task");
    cr_expect_str_eq(c->task.name, "my-task");
    cr_assert_eq(c->corpus.files.n, 1);
    cr_expect_str_eq(c->corpus.files.items[0], "rows/*.jsonl.gz");
    cr_expect_eq(c->prompt.exemplars[0] != '\0', init_has_exemplars(&choice));
    if (strcmp(k->teacher, "recorded") == 0)
        cr_expect_str_eq(c->teacher.match_field, c->corpus.input);
    config_free(c);
}

/* One worked example: written as the prompt shows it, the parser finds its label. */
static void expect_parsed(const config *c, const answer_rules *rules, const json_t *example)
{
    const char *input = json_string_value(json_object_get(example, "input"));
    const char *label = json_string_value(json_object_get(example, "label"));
    const char *rationale = json_string_value(json_object_get(example, "rationale"));
    char text[1024];
    parsed_answer parsed = {0};
    cr_assert(input != NULL && label != NULL && rationale != NULL);
    const char *behind = strstr(c->prompt.exemplar_template, "{rationale}");
    cr_assert_not_null(behind);
    cr_expect(strstr(behind, c->task.markers.items[0]) != NULL, "the template has the marker");
    snprintf(text, sizeof text, "%s %s %s.", rationale, c->task.markers.items[0], label);
    cr_assert_eq(answer_parse(rules, input, text, strlen(text), false, &parsed, NULL), RT_OK);
    cr_expect_eq(parsed.status, PARSE_OK, "%s", text);
    /* A choice is canonical without its letter. */
    if (parsed.label != NULL) cr_expect(strstr(label, parsed.label) != NULL, "%s", parsed.label);
    if (parsed.rationale != NULL) cr_expect_str_eq(parsed.rationale, rationale);
    parsed_answer_free(&parsed);
}

ParameterizedTestParameters(init_text, shows_worked_examples_that_its_rules_can_read)
{
    static init_case cases[] = {EACH_TASK("native"), EACH_TASK("openai")};
    return cr_make_param_array(init_case, cases, sizeof cases / sizeof *cases);
}
ParameterizedTest(init_case *k, init_text, shows_worked_examples_that_its_rules_can_read)
{
    init_choice choice = choose(k->task, k->teacher);
    config *c = load(&choice);
    answer_rules rules = answer_rules_of(c);
    rt_buf lines = {0}, prompt = {0};
    rt_error err = {0};
    prompt_profile *p = NULL;
    char *folder = temp_folder_new();
    cr_assert_eq(init_exemplars(&choice, &lines, NULL), RT_OK);
    temp_folder_write(folder, "e.jsonl", lines.data, lines.n);
    prompt_profile_settings settings = {.instruction = c->prompt.instruction,
                                        .exemplars_path = temp_folder_path(folder, "e.jsonl"),
                                        .exemplar_template = c->prompt.exemplar_template,
                                        .question_template = c->prompt.template,
                                        .separator = c->prompt.separator};
    cr_assert_eq(prompt_profile_new(&settings, &p, &err), RT_OK, "%s", err.text);
    cr_expect_geq(prompt_profile_n_exemplars(p), 2);
    cr_assert_eq(prompt_profile_render(p, "MY QUESTION", &prompt, NULL), RT_OK);
    cr_expect(strstr(prompt.data, "MY QUESTION") != NULL);
    /* A run-on begins as the next example would. */
    cr_assert_eq(c->task.stop_marks.n, 1);
    cr_expect(strstr(prompt.data, c->task.stop_marks.items[0]) != NULL);
    for (char *line = strtok(lines.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        json_t *example = json_loads(line, 0, NULL);
        expect_parsed(c, &rules, example);
        json_decref(example);
    }
    rt_buf_free(&lines);
    rt_buf_free(&prompt);
    prompt_profile_free(p);
    config_free(c);
    temp_folder_free(folder);
}

Test(init_text, quotes_what_people_call_their_files)
{
    init_choice choice = choose("class", "native");
    choice.corpus = "my \"rows\": [1], #2.jsonl";
    choice.model = "a\\b: c";
    config *c = load(&choice);
    cr_expect_str_eq(c->corpus.files.items[0], choice.corpus);
    cr_expect_str_eq(c->teacher.model, choice.model);
    config_free(c);
    rt_buf out = {0};
    choice.corpus = "\xFF";
    cr_expect_eq(init_config(&choice, &out, NULL), RT_INVALID);
    rt_buf_free(&out);
}

Test(init_text, names_what_there_is_when_asked_for_something_else)
{
    answer_kind task;
    const char *teacher;
    rt_error err = {0};
    cr_expect_eq(init_find_task("clas", &task, &err), RT_INVALID);
    cr_expect(strstr(err.text, "did you mean class?") != NULL, "%s", err.text);
    cr_expect(strstr(err.text, "class, choice, number, text") != NULL, "%s", err.text);
    cr_expect_eq(init_find_teacher("gpt", &teacher, &err), RT_INVALID);
    cr_expect(strstr(err.text, "recorded, native, openai") != NULL, "%s", err.text);
}
