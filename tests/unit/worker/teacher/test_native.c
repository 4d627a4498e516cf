#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/dataset/topk.h"
#include "common/text/utf8.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_student.h"
#include "worker/teacher/backend.h"
#include "worker/teacher/native_top.h"

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

/* With 20 alternatives at the start of an untrained model's text, most of it sampled: the tokens joined
 * are the text, and of each place the probabilities and the tail are one. */
Test(native, keeps_the_likely_tokens_of_each_place)
{
    school s = school_new("  top_logprobs: 20\n", 3), plain = school_new("", 3);
    enum { N = 3 };
    backend_answer answers[N] = {{0}}, without[N] = {{0}};
    backend_request requests[N] = {ask("Is it red?\n", 0), ask("Is it red?\n", 1),
                                   ask("Is it cold?\n", 0)};
    complete(&s, requests, N, 1.0, answers);
    complete(&plain, requests, N, 1.0, without);
    for (size_t i = 0; i < N; i++) {
        topk_reader r = {0};
        topk_place p;
        rt_buf joined = {0}, repaired = {0};
        double sum = 0;
        rt_error err = {0};
        cr_expect_null(without[i].topk);
        cr_expect_str_eq(without[i].text, answers[i].text);
        cr_assert_not_null(answers[i].topk);
        cr_assert_eq(topk_open(answers[i].topk, strlen(answers[i].topk), &r, &err), RT_OK, "%s",
                     err.text);
        cr_expect_eq(r.n_tokens, answers[i].n_completion_tokens);
        cr_expect_eq(r.n_places, r.n_tokens);
        while (topk_next(&r, &p) == RT_OK) {
            double mass = exp(p.log_tail);
            cr_expect(p.n > 1 && p.n <= 21);
            for (size_t k = 0; k < p.n; k++) {
                mass += exp(p.entries[k].logprob);
                for (size_t o = 0; o < k; o++)
                    cr_expect(p.entries[o].n != p.entries[k].n ||
                              memcmp(p.entries[o].token, p.entries[k].token, p.entries[k].n) != 0);
            }
            cr_expect_float_eq(mass, 1, 1e-5);
            cr_assert_eq(rt_buf_add(&joined, p.entries[0].token, p.entries[0].n, &err), RT_OK);
            sum += p.entries[0].logprob;
        }
        cr_assert_eq(utf8_repair(joined.data, joined.n, &repaired, &err), RT_OK);
        cr_assert_eq(repaired.n, answers[i].n_text);
        cr_expect_eq(memcmp(repaired.data, answers[i].text, repaired.n), 0);
        cr_expect_geq(sum, answers[i].sum_logprob - 1e-2); /* more: of the same bytes are one */
        rt_buf_free(&joined);
        rt_buf_free(&repaired);
        topk_close(&r);
    }
    backend_answers_free(answers, N);
    backend_answers_free(without, N);
    school_free(&s);
    school_free(&plain);
}

static uint32_t id_of(const tokenizer *t, const char *piece)
{
    uint32_t id = 0;
    while (id < tokenizer_size(t) && strcmp(tokenizer_piece(t, id), piece) != 0) id++;
    cr_assert_lt(id, tokenizer_size(t), "no piece '%s'", piece);
    return id;
}

static token_choice choice(uint32_t id, double probability)
{
    return (token_choice){.id = id, .logprob = (float)log(probability)};
}

static void expect_entry(const topk_entry *e, const char *token, double probability)
{
    cr_expect_eq(e->n, strlen(token));
    cr_expect_eq(memcmp(e->token, token, strlen(token)), 0);
    cr_expect_float_eq(exp(e->logprob), probability, 1e-6);
}

/* The byte piece of a letter beside the letter, and two that have no text. */
Test(native_top, tokens_of_the_same_bytes_are_one)
{
    school s = school_new("", 0);
    tokenizer *t = NULL;
    token_table *table = NULL;
    topk_reader r = {0};
    topk_place p;
    rt_buf text = {0};
    cr_assert_eq(tokenizer_load(temp_folder_path(s.folder, "tokenizer.model"), &t, NULL), RT_OK);
    cr_assert_eq(token_table_new(t, &table, NULL), RT_OK);
    uint32_t letter = id_of(t, "l");
    token_choice chosen = choice(id_of(t, "<0x6C>"), 0.25);
    token_choice top[] = {choice(letter, 0.3), chosen, choice(tokenizer_eos(t), 0.1),
                          choice(tokenizer_pad(t), 0.05)};
    generated g = {.n_ids = 1, .ids = &chosen.id, .chosen = &chosen, .top = top, .n_top = 4};
    cr_assert_eq(native_top_text(table, &g, &text, NULL), RT_OK);
    cr_assert_eq(topk_open(text.data, text.n, &r, NULL), RT_OK);
    cr_assert_eq(topk_next(&r, &p), RT_OK);
    cr_assert_eq(p.n, 2);
    expect_entry(&p.entries[0], "l", 0.55);
    expect_entry(&p.entries[1], "", 0.15);
    cr_expect_float_eq(exp(p.log_tail), 0.3, 1e-6);
    top[0].logprob = chosen.logprob = NAN; /* of a broken model */
    cr_assert_eq(native_top_text(table, &g, &text, NULL), RT_OK);
    cr_expect_eq(text.n, 0);
    topk_close(&r);
    rt_buf_free(&text);
    token_table_free(table);
    tokenizer_free(t);
    school_free(&s);
}

/* A piece that begins with a blank, the i-th of them. */
static uint32_t id_with_blank(const tokenizer *t, size_t i)
{
    for (uint32_t id = 0; id < tokenizer_size(t); id++) {
        const char *piece = tokenizer_piece(t, id);
        bool has = strncmp(piece, "\xe2\x96\x81", 3) == 0 && strlen(piece) > 3;
        if (has && i-- == 0) return id;
    }
    cr_assert(false, "too few pieces with a blank");
    return 0;
}

Test(native_top, only_the_start_of_a_text_has_no_leading_blank)
{
    school s = school_new("", 0);
    tokenizer *t = NULL;
    token_table *table = NULL;
    topk_reader r = {0};
    topk_place p;
    rt_buf text = {0};
    cr_assert_eq(tokenizer_load(temp_folder_path(s.folder, "tokenizer.model"), &t, NULL), RT_OK);
    cr_assert_eq(token_table_new(t, &table, NULL), RT_OK);
    uint32_t a = id_with_blank(t, 0), b = id_with_blank(t, 1), ids[] = {a, a};
    token_choice chosen[] = {choice(a, 0.5), choice(a, 0.5)};
    token_choice top[] = {choice(a, 0.5), choice(b, 0.2), choice(a, 0.5), choice(b, 0.2)};
    generated g = {.n_ids = 2, .ids = ids, .chosen = chosen, .top = top, .n_top = 2};
    cr_assert_eq(native_top_text(table, &g, &text, NULL), RT_OK);
    cr_assert_eq(topk_open(text.data, text.n, &r, NULL), RT_OK);
    for (size_t i = 0; topk_next(&r, &p) == RT_OK; i++) {
        char texts[2][64];
        snprintf(texts[0], sizeof texts[0], "%s%s", i == 0 ? "" : " ", tokenizer_piece(t, a) + 3);
        snprintf(texts[1], sizeof texts[1], "%s%s", i == 0 ? "" : " ", tokenizer_piece(t, b) + 3);
        cr_assert_eq(p.n, 2);
        expect_entry(&p.entries[0], texts[0], 0.5);
        expect_entry(&p.entries[1], texts[1], 0.2);
    }
    cr_expect_eq(r.n_tokens, 2);
    topk_close(&r);
    rt_buf_free(&text);
    token_table_free(table);
    tokenizer_free(t);
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
