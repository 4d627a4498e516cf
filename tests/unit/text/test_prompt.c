#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/text/prompt.h"

static char folder[] = "/tmp/rt-prompt-XXXXXX";
static char path[64];

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/exemplars.jsonl", folder);
}

static void remove_folder(void)
{
    cr_assert_eq(rt_fs_remove_tree(folder, NULL), RT_OK);
}

TestSuite(prompt, .init = make_folder, .fini = remove_folder);

static void write_exemplars(const char *text)
{
    cr_assert_eq(rt_fs_write_atomic(path, text, strlen(text), NULL), RT_OK);
}

static prompt_profile_settings settings_of(const char *exemplars)
{
    return (prompt_profile_settings){.instruction = "Answer.",
                                     .exemplars_path = exemplars,
                                     .exemplar_template = "Q: {input}\nA: {rationale} So {label}.",
                                     .question_template = "Q: {input}\nA:",
                                     .separator = "\n\n"};
}

static prompt_profile *profile_of(const prompt_profile_settings *s)
{
    prompt_profile *p = NULL;
    rt_error err = {0};
    cr_assert_eq(prompt_profile_new(s, &p, &err), RT_OK, "%s", err.text);
    return p;
}

Test(prompt, renders_instruction_exemplars_and_question_in_order)
{
    write_exemplars("{\"input\": \"1+1?\", \"rationale\": \"One and one.\", \"label\": \"2\"}\n\n"
                    "{\"input\": \"2+2?\", \"rationale\": \"Twice two.\", \"label\": 4}\n");
    prompt_profile_settings s = settings_of(path);
    prompt_profile *p = profile_of(&s);
    rt_buf out = {0};
    cr_assert_eq(prompt_profile_render(p, "3+3?", &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "Answer.\n\nQ: 1+1?\nA: One and one. So 2.\n\n"
                               "Q: 2+2?\nA: Twice two. So 4.\n\nQ: 3+3?\nA:");
    cr_expect_eq(prompt_profile_n_exemplars(p), 2);
    rt_buf_free(&out);
    prompt_profile_free(p);
}

Test(prompt, zero_shot_without_instruction_is_the_question_alone)
{
    prompt_profile_settings s = settings_of("");
    s.instruction = "";
    prompt_profile *p = profile_of(&s);
    rt_buf out = {0};
    cr_assert_eq(prompt_profile_render(p, "a {b} c", &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "Q: a {b} c\nA:", "braces of the input are text");
    cr_expect_eq(prompt_profile_n_exemplars(p), 0);
    rt_buf_free(&out);
    prompt_profile_free(p);
}

Test(prompt, the_hash_depends_on_everything_but_the_input)
{
    write_exemplars("{\"input\": \"a\", \"rationale\": \"b\", \"label\": \"c\"}\n");
    prompt_profile_settings s = settings_of(path);
    prompt_profile *first = profile_of(&s), *again = profile_of(&s);
    cr_expect_eq(strlen(prompt_profile_hash(first)), 64);
    cr_expect_str_eq(prompt_profile_hash(first), prompt_profile_hash(again));
    prompt_profile_free(again);

    prompt_profile_settings others[4] = {s, s, s, s};
    others[0].instruction = "Answer!";
    others[1].question_template = "Q: {input} A:";
    others[2].separator = "\n";
    others[3].exemplar_template = "{input} {rationale} {label}";
    for (size_t i = 0; i < RT_COUNT(others); i++) {
        prompt_profile *other = profile_of(&others[i]);
        cr_expect_str_neq(prompt_profile_hash(first), prompt_profile_hash(other), "part %zu", i);
        prompt_profile_free(other);
    }
    write_exemplars("{\"input\": \"a\", \"rationale\": \"b\", \"label\": \"d\"}\n");
    prompt_profile *changed = profile_of(&s);
    cr_expect_str_neq(prompt_profile_hash(first), prompt_profile_hash(changed));
    prompt_profile_free(changed);
    prompt_profile_free(first);
}

typedef struct bad_case {
    const char *text;
    const char *expected;
} bad_case;

Test(prompt, a_bad_exemplar_is_named_by_file_and_line)
{
    static const bad_case cases[] = {
        {"{\"input\": \"a\", \"rationale\": \"b\", \"label\": \"c\"}\n{\"input\": ", ":2: "},
        {"[1]\n", ":1: expected an object"},
        {"\n\n{\"input\": \"a\", \"rationale\": \"b\"}\n", ":3: "},
        {"{\"input\": \"a\", \"label\": \"b\"}\n", "'rationale' is missing"},
        {"{\"input\": [], \"rationale\": \"b\", \"label\": \"c\"}\n", "'input' must be a string"},
        {"{\"input\": \"\xFF\", \"rationale\": \"b\", \"label\": \"c\"}\n", "invalid JSON"},
        {"\n", "holds no exemplar"},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        write_exemplars(cases[i].text);
        prompt_profile_settings s = settings_of(path);
        prompt_profile *p = NULL;
        rt_error err = {0};
        cr_expect_eq(prompt_profile_new(&s, &p, &err), RT_CORRUPT, "case %zu", i);
        cr_expect_not_null(strstr(err.text, cases[i].expected), "case %zu: %s", i, err.text);
        cr_expect_not_null(strstr(err.text, "exemplars.jsonl"), "case %zu: %s", i, err.text);
        cr_expect_null(p);
    }
}

Test(prompt, a_template_with_an_unknown_field_is_refused)
{
    prompt_profile *p = NULL;
    rt_error err = {0};
    prompt_profile_settings s = settings_of("");
    s.question_template = "{input} {label}";
    cr_expect_eq(prompt_profile_new(&s, &p, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "question template: unknown field {label}"), "%s",
                       err.text);
    s.question_template = "no field";
    cr_expect_eq(prompt_profile_new(&s, &p, &err), RT_INVALID);
    write_exemplars("{\"input\": \"a\", \"rationale\": \"b\", \"label\": \"c\"}\n");
    s = settings_of(path);
    s.exemplar_template = "{input} {answer}";
    cr_expect_eq(prompt_profile_new(&s, &p, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "exemplar template: unknown field {answer}"), "%s",
                       err.text);
}

Test(prompt, a_missing_file_is_not_found)
{
    prompt_profile *p = NULL;
    prompt_profile_settings s = settings_of("/nonexistent/exemplars.jsonl");
    rt_error err = {0};
    cr_expect_eq(prompt_profile_new(&s, &p, &err), RT_NOTFOUND);
    cr_expect_not_null(strstr(err.text, "/nonexistent/exemplars.jsonl"));
    prompt_profile_free(NULL);
}

Test(prompt, for_reasoning_sets_inputs_and_exemplars_apart_by_tags)
{
    write_exemplars("{\"input\": \"1+1?\", \"rationale\": \"One and one.\", \"label\": \"2\"}\n");
    prompt_profile_settings s = settings_of(path);
    prompt_profile *classic = profile_of(&s);
    s.reasoning = true;
    prompt_profile *p = profile_of(&s);
    rt_buf out = {0};
    cr_assert_eq(prompt_profile_render(p, "2+2?", &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "Answer.\n\n"
                               "<example>\nQ: <input>\n1+1?\n</input>\nA: One and one. So 2.\n"
                               "</example>\n\n"
                               "Q: <input>\n2+2?\n</input>\nA:");
    cr_expect_str_neq(prompt_profile_hash(p), prompt_profile_hash(classic));
    prompt_profile_free(p);
    prompt_profile_free(classic);
    rt_buf_free(&out);
}

Test(prompt, for_reasoning_refuses_to_tell_the_model_to_think)
{
    prompt_profile_settings s = settings_of("");
    prompt_profile *p = NULL;
    rt_error err = {0};
    s.instruction = "Think step by step.";
    p = profile_of(&s);
    prompt_profile_free(p);
    p = NULL;
    s.reasoning = true;
    cr_expect_eq(prompt_profile_new(&s, &p, &err), RT_INVALID);
    cr_expect_null(p);
    cr_expect_not_null(strstr(err.text, "step by step"), "%s", err.text);
}
