#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/temp_folder.h"
#include "tests/support/tiny_student.h"
#include "worker/teacher/backend.h"

static const tiny_lesson lessons[] = {
    {"Is it red?\n", "It glows. Answer: yes"},
    {"Is it cold?\n", "It burns. Answer: no"},
};

/* A teacher that knows two answers by heart. */
typedef struct school {
    char *folder;
    config *config;
    backend *backend;
} school;

static const char yaml[] = "name: t\n"
                           "threads: 1\n"
                           "corpus:\n  files: [x.jsonl]\n"
                           "task:\n  answer: text\n  markers: [\"Answer:\"]\n"
                           "teacher:\n  backend: native\n  model: \"%s\"\n  max_new_tokens: 20\n%s";

static rt_status school_open(school *s, const char *more, unsigned n_steps, rt_error *err)
{
    char text[2048];
    rt_error why = {0};
    s->folder = temp_folder_new();
    tiny_student_write(s->folder, lessons, RT_COUNT(lessons), n_steps);
    snprintf(text, sizeof text, yaml, s->folder, more);
    cr_assert_eq(config_parse("test", text, strlen(text), NULL, &s->config, &why), RT_OK, "%s",
                 why.text);
    return backend_open(s->config, &s->backend, err);
}

static school school_new(const char *more, unsigned n_steps)
{
    school s = {0};
    rt_error err = {0};
    cr_assert_eq(school_open(&s, more, n_steps, &err), RT_OK, "%s", err.text);
    return s;
}

static void school_free(school *s)
{
    backend_close(s->backend);
    config_free(s->config);
    temp_folder_free(s->folder);
}

static backend_request ask(const char *prompt, uint32_t sample)
{
    return (backend_request){.record_id = rt_id_of(prompt, strlen(prompt)),
                             .sample = sample,
                             .input = prompt,
                             .source_id = "",
                             .prompt = prompt,
                             .n_prompt = strlen(prompt)};
}

static void complete(school *s, const backend_request *requests, size_t n, double temperature,
                     backend_answer *answers)
{
    backend_sampling sampling = {.temperature = temperature, .top_p = 1, .seed = 5};
    rt_error err = {0};
    cr_assert_eq(backend_complete(s->backend, requests, n, &sampling, answers, &err), RT_OK, "%s",
                 err.text);
}

Test(native, writes_what_its_model_has_learnt_and_accounts_for_it)
{
    school s = school_new("", 150);
    backend_answer answers[2] = {{0}};
    backend_request requests[] = {ask(lessons[1].prompt, 0), ask(lessons[0].prompt, 0)};
    complete(&s, requests, 2, 0, answers);
    cr_expect_str_eq(answers[0].text, "It burns. Answer: no");
    cr_expect_str_eq(answers[1].text, "It glows. Answer: yes");
    cr_expect_str_eq(answers[0].finish_reason, "stop");
    cr_expect_not(answers[0].truncated);
    cr_expect(answers[0].has_logprob);
    cr_expect_gt(answers[0].sum_logprob, -1.0);
    cr_expect_leq(answers[0].sum_logprob, 0.0);
    cr_expect_gt(answers[0].n_prompt_tokens, 1);
    cr_expect_gt(answers[0].n_completion_tokens, 1);
    cr_expect(backend_can(s.backend, BACKEND_CAN_GENERATE | BACKEND_FIXED_UNIT));
    backend_answers_free(answers, 2);
    school_free(&s);
}

Test(native, a_sample_is_a_function_of_record_and_number)
{
    school s = school_new("", 0);
    backend_answer first[3] = {{0}}, again[3] = {{0}};
    backend_request requests[] = {ask("Is it red?\n", 1), ask("Is it red?\n", 2),
                                  ask("Is it cold?\n", 1)};
    complete(&s, requests, 3, 1.0, first);
    complete(&s, requests, 3, 1.0, again);
    for (size_t i = 0; i < 3; i++) cr_expect_str_eq(first[i].text, again[i].text);
    cr_expect_str_neq(first[0].text, first[1].text);
    backend_answers_free(first, 3);
    backend_answers_free(again, 3);
    school_free(&s);
}

Test(native, a_prompt_beyond_the_budget_is_left_out_of_the_batch)
{
    school s = school_new("prompt:\n  max_prompt_tokens: 10\n", 0);
    backend_answer answers[2] = {{0}};
    backend_request requests[] = {ask("red red red red red red red red red red red red", 0),
                                  ask("red", 0)};
    complete(&s, requests, 2, 0, answers);
    cr_expect_str_eq(answers[0].reason, "prompt_too_long");
    cr_expect_null(answers[0].text);
    cr_expect_null(answers[1].reason);
    cr_expect_not_null(answers[1].text);
    backend_answers_free(answers, 2);
    school_free(&s);
}

Test(native, without_a_budget_leaves_room_for_the_longest_text)
{
    char prompt[200] = "";
    school s = school_new("", 0);
    backend_answer answer = {0};
    while (strlen(prompt) < 180) strcat(prompt, "red ");
    backend_request request = ask(prompt, 0);
    complete(&s, &request, 1, 0, &answer);
    cr_expect_str_eq(answer.reason, "prompt_too_long");
    cr_expect_gt(answer.n_prompt_tokens, TINY_SEQ_LEN_MAX - 20);
    backend_answers_free(&answer, 1);
    school_free(&s);
}

Test(native, scores_a_known_text_above_an_unknown_one)
{
    school s = school_new("", 150);
    rt_error err = {0};
    char long_text[400] = "";
    double scores[3] = {0};
    while (strlen(long_text) < 380) strcat(long_text, "red ");
    const char *texts[] = {"It glows. Answer: yes", "It burns. Answer: no", long_text};
    backend_request requests[] = {ask(lessons[0].prompt, 0), ask(lessons[0].prompt, 0),
                                  ask(lessons[0].prompt, 0)};
    cr_assert_eq(backend_score(s.backend, requests, texts, 3, scores, &err), RT_OK, "%s", err.text);
    cr_expect_gt(scores[0], scores[1] + 1);
    cr_expect_leq(scores[0], 0);
    cr_expect(isnan(scores[2]), "a text beyond the model's length has no score");
    school_free(&s);
}

Test(native, says_what_its_folder_lacks)
{
    school s = {0};
    rt_error err = {0};
    cr_assert_eq(school_open(&s, "", 0, &err), RT_OK);
    backend_close(s.backend);
    s.backend = NULL;
    unlink(temp_folder_path(s.folder, "model.safetensors"));
    cr_expect_neq(backend_open(s.config, &s.backend, &err), RT_OK);
    cr_expect_not_null(strstr(err.text, "teacher.model"), "%s", err.text);
    unlink(temp_folder_path(s.folder, "tokenizer.model"));
    cr_expect_eq(backend_open(s.config, &s.backend, &err), RT_NOTFOUND);
    cr_expect_not_null(strstr(err.text, "spiece.model"), "%s", err.text);
    cr_expect_null(s.backend);
    school_free(&s);
}
