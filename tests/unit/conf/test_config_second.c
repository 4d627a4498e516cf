#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>

#include "common/conf/config.h"
#include "tests/support/temp_folder.h"

static const char first[] =
    "name: two\n"
    "seed: 5\n"
    "corpus: {files: [q.jsonl], gold: \"{a}\"}\n"
    "teacher: {files: [cheap.jsonl], match_field: \"{input}\", attempts_max: 7}\n"
    "prompt: {instruction: \"Be brief, $${NAME}.\"}\n"
    "quality: {samples: 5, reject_if: [repeats]}\n"
    "queue: {password: \"${NOBODY_SET_THIS}\"}\n"
    "limits: {price_input: 0.1, price_cached_input: 0.05, price_output: 0.4, budget: 3}\n"
    "escalate: {config: \"%s\", when_confidence_below: 0.6}\n";

/* Load `yaml` as the second teacher of the above. */
static rt_status load(const char *yaml, config **out, rt_error *err)
{
    char text[4096];
    config *base = NULL;
    char *folder = temp_folder_new();
    temp_folder_write_text(folder, "strong.yaml", yaml);
    snprintf(text, sizeof text, first, temp_folder_path(folder, "strong.yaml"));
    rt_error why = {0};
    cr_assert_eq(config_parse("t.yaml", text, strlen(text), NULL, &base, &why), RT_OK, "%s",
                 why.text);
    rt_status st = config_load_second(base, out, err);
    config_free(base);
    temp_folder_free(folder);
    return st;
}

Test(config_second, has_its_own_sections_whole_and_the_runs_others)
{
    rt_error err = {0};
    config *c = NULL;
    cr_assert_eq(load("teacher: {backend: native, model: m}\nquality: {samples: 2}\n", &c, &err),
                 RT_OK, "%s", err.text);
    cr_expect_eq(c->teacher.backend, TEACHER_NATIVE);
    cr_expect_str_eq(c->teacher.model, "m");
    cr_expect_eq(c->teacher.files.n, 0, "nothing is left of the first teacher");
    cr_expect_eq(c->teacher.attempts_max, 2, "what is left out has its default");
    cr_expect_eq(c->quality.samples, 2);
    cr_expect_eq(c->quality.reject_if.n, 0);
    cr_expect_str_eq(c->prompt.instruction, "Be brief, ${NAME}.", "not written: the run's");
    cr_expect_eq(c->seed, 5);
    cr_expect_str_eq(c->corpus.gold, "{a}");
    cr_expect_str_eq(c->queue.password, "${NOBODY_SET_THIS}");
    cr_expect_str_eq(c->escalate.config, "", "nobody comes after the second");
    config_free(c);
}

Test(config_second, keeps_the_runs_quality_where_it_has_none)
{
    rt_error err = {0};
    config *c = NULL;
    cr_assert_eq(load("teacher: {backend: native, model: m}\n", &c, &err), RT_OK, "%s", err.text);
    cr_expect_eq(c->quality.samples, 5);
    cr_expect_eq(c->quality.reject_if.n, 1);
    config_free(c);
}

Test(config_second, has_its_own_prices_all_or_none)
{
    rt_error err = {0};
    config *c = NULL;
    cr_assert_eq(load("teacher: {backend: native, model: m}\n", &c, &err), RT_OK, "%s", err.text);
    cr_expect_eq(c->limits.price_input, 0.1);
    config_free(c);
    cr_assert_eq(load("teacher: {backend: native, model: m}\nlimits: {price_input: 2}\n", &c, &err),
                 RT_OK, "%s", err.text);
    cr_expect_eq(c->limits.price_input, 2);
    cr_expect_eq(c->limits.price_cached_input, 0, "as price_input, and not as the run's");
    cr_expect_eq(c->limits.price_output, 0);
    cr_expect_eq(c->limits.budget, 3, "the run's");
    config_free(c);
}

Test(config_second, refuses_a_price_that_nobody_would_count)
{
    rt_error err = {0};
    config *base = NULL, *c = NULL;
    char text[1024], *folder = temp_folder_new();
    temp_folder_write_text(folder, "strong.yaml",
                           "teacher: {backend: native, model: m}\nlimits: {price_output: 2}\n");
    snprintf(text, sizeof text,
             "corpus: {files: [q.jsonl]}\nteacher: {files: [c.jsonl], match_field: \"{input}\"}\n"
             "escalate: {config: \"%s\"}\n",
             temp_folder_path(folder, "strong.yaml"));
    cr_assert_eq(config_parse("t", text, strlen(text), NULL, &base, &err), RT_OK, "%s", err.text);
    cr_expect_eq(config_load_second(base, &c, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "strong.yaml:2: limits.price_output: has a price"), "%s",
                       err.text);
    config_free(base);
    temp_folder_free(folder);
}

typedef struct refusal_case {
    char yaml[160];
    char contains[120];
} refusal_case;

ParameterizedTestParameters(config_second, refuses_what_is_no_second_teacher)
{
    static refusal_case cases[] = {
        {"", "the file is empty"},
        {"prompt: {instruction: x}\n", "found no section teacher"},
        {"teacher: {backend: native, model: m}\nseed: 3\n",
         "strong.yaml:2: seed: does not belong here"},
        {"teacher: {backend: native, model: m}\nescalate: {config: x}\n",
         "strong.yaml:2: escalate.config: does not belong here"},
        {"teacher: {backend: native, model: m}\nlimits: {budget: 9}\n",
         "strong.yaml:2: limits.budget: does not belong here"},
        {"teacher:\n  backend: native\n", "strong.yaml: teacher.model: found nothing"},
        {"teacher:\n  backend: nativ\n", "strong.yaml:2: teacher.backend: found 'nativ'"},
        {"teacher: [\n", "strong.yaml"},
    };
    return cr_make_param_array(refusal_case, cases, RT_COUNT(cases));
}
ParameterizedTest(refusal_case *k, config_second, refuses_what_is_no_second_teacher)
{
    rt_error err = {0};
    config *c = NULL;
    cr_expect_eq(load(k->yaml, &c, &err), RT_INVALID);
    cr_expect_null(c);
    cr_expect_eq(strncmp(err.text, "escalate.config: ", 17), 0, "%s", err.text);
    cr_expect_not_null(strstr(err.text, k->contains), "'%s' lacks '%s'", err.text, k->contains);
}

Test(config_second, names_a_file_that_is_not_there)
{
    rt_error err = {0};
    config *base = NULL, *c = NULL;
    char text[4096];
    snprintf(text, sizeof text, first, "/nowhere/strong.yaml");
    cr_assert_eq(config_parse("t.yaml", text, strlen(text), NULL, &base, &err), RT_OK);
    cr_expect_neq(config_load_second(base, &c, &err), RT_OK);
    cr_expect_not_null(strstr(err.text, "/nowhere/strong.yaml"), "%s", err.text);
    config_free(base);
}
