/* Beam search: against every sequence there is, against greedy decoding, against full forward passes. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/rng.h"
#include "common/nn/beam.h"
#include "tests/unit/nn/toy.h"

enum { N_PROMPTS = 30, LEN = 9 };

typedef struct crowd {
    uint32_t ids[N_PROMPTS][LEN];
    generate_prompt prompts[N_PROMPTS];
} crowd;

static crowd crowd_of(size_t n_vocab)
{
    crowd c;
    rng_key key = rng_key_make(5, "crowd", (rt_id){0}, 0);
    for (size_t i = 0; i < N_PROMPTS; i++)
        for (size_t j = 0; j < LEN; j++)
            c.ids[i][j] = (uint32_t)rng_below(key, i * LEN + j, n_vocab);
    return c;
}

static void point(crowd *c)
{
    for (size_t i = 0; i < N_PROMPTS; i++)
        c->prompts[i] = (generate_prompt){.ids = c->ids[i], .n_ids = 1 + i * 5 % LEN};
}

static model *stirred(model_arch arch, size_t n_vocab, uint64_t seed)
{
    model_config c = arch == MODEL_ARCH_T5 ? toy_t5_config() : toy_config();
    c.n_vocab = n_vocab;
    model *m = toy_model(&c, seed);
    toy_stir(m, seed);
    return m;
}

static void search(model *m, const generate_prompt *prompts, size_t n, beam_options how,
                   generated *out)
{
    rt_error err = {0};
    cr_assert_eq(beam_search(m, prompts, n, &how, out, &err), RT_OK, "%s", err.text);
}

static void expect_same(const generated *a, const generated *b)
{
    cr_assert_eq(a->n_ids, b->n_ids);
    cr_expect_eq(memcmp(a->ids, b->ids, a->n_ids * sizeof *a->ids), 0);
    cr_expect_eq(a->finish, b->finish);
    cr_expect_eq(a->sum_logprob, b->sum_logprob);
}

static model_arch archs[] = {MODEL_ARCH_LLAMA, MODEL_ARCH_T5};

ParameterizedTestParameters(beam, of_one_is_greedy)
{
    return cr_make_param_array(model_arch, archs, RT_COUNT(archs));
}
ParameterizedTest(model_arch *arch, beam, of_one_is_greedy)
{
    model *m = stirred(*arch, 13, 8);
    crowd c = crowd_of(13);
    generated beams[N_PROMPTS], greedy[N_PROMPTS];
    generate_options options = {.max_new_tokens = 20, .top_p = 1};
    point(&c);
    search(m, c.prompts, N_PROMPTS, (beam_options){1, 20, 1}, beams);
    cr_assert_eq(generate(m, c.prompts, N_PROMPTS, &options, greedy, NULL), RT_OK);
    for (size_t i = 0; i < N_PROMPTS; i++) expect_same(&beams[i], &greedy[i]);
    generated_free(beams, N_PROMPTS);
    generated_free(greedy, N_PROMPTS);
    model_free(m);
}

/* ---- all sequences of four words ---- */

enum { N_WORDS = 4, N_NEW = 4, N_ALL = 1 + 3 + 9 + 27 + 81, ROOM = 4 };

typedef struct everything {
    uint32_t ids[N_ALL * (LEN + ROOM)];
    packed_seq seqs[N_ALL];
    size_t n_tokens, n;
    double sums[N_ALL];
} everything;

static void add_sequence(everything *all, const generate_prompt *prompt, const uint32_t *ids,
                         size_t n)
{
    uint32_t *at = all->ids + all->n_tokens;
    memcpy(at, prompt->ids, prompt->n_ids * sizeof *at);
    memcpy(at + prompt->n_ids, ids, n * sizeof *at);
    all->seqs[all->n++] =
        (packed_seq){.first = all->n_tokens, .n_prompt = prompt->n_ids, .n_target = n, .weight = 1};
    all->n_tokens += prompt->n_ids + n;
}

/* `ids` holds n words, none of them eos. */
static void add_all_behind(everything *all, const generate_prompt *prompt, uint32_t eos,
                           uint32_t *ids, size_t n)
{
    if (n == N_NEW) {
        add_sequence(all, prompt, ids, n);
        return;
    }
    for (ids[n] = 0; ids[n] < N_WORDS; ids[n]++) {
        if (ids[n] == eos)
            add_sequence(all, prompt, ids, n + 1);
        else
            add_all_behind(all, prompt, eos, ids, n + 1);
    }
}

static const uint32_t *target(const everything *all, size_t i)
{
    return all->ids + all->seqs[i].first + all->seqs[i].n_prompt;
}

static double score(const everything *all, size_t i, double length_penalty)
{
    return all->sums[i] / pow((double)all->seqs[i].n_target, length_penalty);
}

typedef struct exact_case {
    model_arch arch;
    double length_penalty;
} exact_case;

ParameterizedTestParameters(beam, of_all_finds_the_best_of_all_sequences)
{
    static exact_case cases[] = {{MODEL_ARCH_LLAMA, 0},   {MODEL_ARCH_LLAMA, 1},
                                 {MODEL_ARCH_LLAMA, 0.6}, {MODEL_ARCH_T5, 0},
                                 {MODEL_ARCH_T5, 1},      {MODEL_ARCH_T5, 2}};
    return cr_make_param_array(exact_case, cases, RT_COUNT(cases));
}
ParameterizedTest(exact_case *e, beam, of_all_finds_the_best_of_all_sequences)
{
    crowd c = crowd_of(N_WORDS);
    size_t n_stopped = 0, n_long = 0, n_beyond_greedy = 0;
    point(&c);
    for (size_t i = 0; i < N_PROMPTS; i++) {
        model *m = stirred(e->arch, N_WORDS, i);
        everything *all = rt_calloc(1, sizeof *all);
        uint32_t ids[N_NEW], eos = model_get_config(m)->eos_id;
        generated out = {0}, greedy = {0};
        size_t best = 0;
        add_all_behind(all, &c.prompts[i], eos, ids, 0);
        cr_assert_eq(all->n, (size_t)N_ALL);
        packed_batch batch = {
            .ids = all->ids, .n_tokens = all->n_tokens, .seqs = all->seqs, .n_seqs = all->n};
        cr_assert_eq(model_score(m, &batch, all->sums, NULL), RT_OK);
        for (size_t k = 1; k < all->n; k++)
            if (score(all, k, e->length_penalty) > score(all, best, e->length_penalty)) best = k;
        search(m, &c.prompts[i], 1, (beam_options){BEAMS_MAX, N_NEW, e->length_penalty}, &out);
        search(m, &c.prompts[i], 1, (beam_options){1, N_NEW, e->length_penalty}, &greedy);
        bool stops = target(all, best)[all->seqs[best].n_target - 1] == eos;
        cr_expect_eq(out.finish, stops ? FINISH_STOP : FINISH_LENGTH);
        cr_assert_eq(out.n_ids, all->seqs[best].n_target - stops, "seed %zu", i);
        cr_expect_eq(memcmp(out.ids, target(all, best), out.n_ids * sizeof *ids), 0);
        cr_expect_float_eq(out.sum_logprob, all->sums[best], 1e-4);
        n_stopped += stops && out.n_ids > 0;
        n_long += !stops;
        n_beyond_greedy +=
            out.n_ids != greedy.n_ids || memcmp(out.ids, greedy.ids, out.n_ids * sizeof *ids) != 0;
        generated_free(&out, 1);
        generated_free(&greedy, 1);
        free(all);
        model_free(m);
    }
    cr_expect(n_stopped > 0 && n_long > 0 && n_beyond_greedy > 0, "%zu %zu %zu", n_stopped, n_long,
              n_beyond_greedy);
}

/* ---- long texts, where beams change their parents often ---- */

static void score_all(model *m, const generate_prompt *prompts, const generated *out, double *sums)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    for (size_t i = 0; i < N_PROMPTS; i++) {
        uint32_t *ids = b->ids + b->n_tokens;
        bool stopped = out[i].finish == FINISH_STOP;
        size_t n_prompt = prompts[i].n_ids, n_target = out[i].n_ids + stopped;
        memcpy(ids, prompts[i].ids, n_prompt * sizeof *ids);
        memcpy(ids + n_prompt, out[i].ids, out[i].n_ids * sizeof *ids);
        if (stopped) ids[n_prompt + out[i].n_ids] = model_get_config(m)->eos_id;
        b->seqs[b->n_seqs++] = (packed_seq){
            .first = b->n_tokens, .n_prompt = n_prompt, .n_target = n_target, .weight = 1};
        b->n_tokens += n_prompt + n_target;
    }
    packed_batch view = toy_view(b);
    cr_assert_eq(model_score(m, &view, sums, NULL), RT_OK);
    free(b);
}

typedef struct long_case {
    model_arch arch;
    size_t n_beams;
    double length_penalty;
} long_case;

ParameterizedTestParameters(beam, sums_are_those_of_full_passes_and_no_worse_than_greedy)
{
    static long_case cases[] = {{MODEL_ARCH_LLAMA, 2, 0}, {MODEL_ARCH_LLAMA, 4, 0},
                                {MODEL_ARCH_LLAMA, 7, 1}, {MODEL_ARCH_T5, 2, 0},
                                {MODEL_ARCH_T5, 4, 0},    {MODEL_ARCH_T5, 7, 1}};
    return cr_make_param_array(long_case, cases, RT_COUNT(cases));
}
ParameterizedTest(long_case *l, beam, sums_are_those_of_full_passes_and_no_worse_than_greedy)
{
    model *m = stirred(l->arch, 13, 8);
    crowd c = crowd_of(13);
    generated out[N_PROMPTS], greedy[N_PROMPTS];
    double sums[N_PROMPTS];
    size_t n_better = 0;
    point(&c);
    search(m, c.prompts, N_PROMPTS, (beam_options){l->n_beams, 40, l->length_penalty}, out);
    search(m, c.prompts, N_PROMPTS, (beam_options){1, 40, 0}, greedy);
    score_all(m, c.prompts, out, sums);
    for (size_t i = 0; i < N_PROMPTS; i++) {
        cr_expect_float_eq(out[i].sum_logprob, sums[i], 1e-3, "%zu: %g against %g", i,
                           out[i].sum_logprob, sums[i]);
        for (size_t j = 0; j < out[i].n_ids; j++)
            cr_expect_neq(out[i].ids[j], model_get_config(m)->eos_id);
        if (l->length_penalty > 0) continue;
        cr_expect_geq(out[i].sum_logprob, greedy[i].sum_logprob - 1e-4, "prompt %zu", i);
        n_better += out[i].sum_logprob > greedy[i].sum_logprob + 0.1;
    }
    if (l->length_penalty == 0) cr_expect_gt(n_better, 0);
    generated_free(out, N_PROMPTS);
    generated_free(greedy, N_PROMPTS);
    model_free(m);
}

/* A model that gives each of its 13 words the same probability. */
static model *plain(uint32_t eos_id)
{
    model_config c = toy_config();
    c.eos_id = eos_id;
    model *m = toy_model(&c, 1);
    memset(model_weights(m), 0, model_table(m)->n_total * sizeof(float));
    return m;
}

Test(beam, of_equals_the_lowest_id_is_taken)
{
    uint32_t prompt_id = 5;
    generate_prompt prompt = {.ids = &prompt_id, .n_ids = 1};
    generated out = {0};
    /* eos 2 is no better than 0 and 1, which go on: the text 0 0 0 */
    model *m = plain(2);
    search(m, &prompt, 1, (beam_options){2, 3, 0}, &out);
    cr_assert_eq(out.n_ids, 3);
    for (size_t i = 0; i < 3; i++) cr_expect_eq(out.ids[i], 0);
    cr_expect_eq(out.finish, FINISH_LENGTH);
    cr_expect_float_eq(out.sum_logprob, -3 * log(13), 1e-5);
    generated_free(&out, 1);
    model_free(m);
}

Test(beam, eos_among_the_best_ends_a_text_and_counts_in_its_length)
{
    uint32_t prompt_id = 5;
    generate_prompt prompt = {.ids = &prompt_id, .n_ids = 1};
    model *m = plain(0);
    for (int length_penalty = 0; length_penalty < 3; length_penalty++) {
        generated out = {0};
        search(m, &prompt, 1, (beam_options){2, 3, length_penalty}, &out);
        /* -log 13 / 1 against -2 log 13 / 2 ^ alpha: equal at 1, where the first stays */
        size_t n_wanted = length_penalty == 2 ? 1 : 0;
        cr_expect_eq(out.n_ids, n_wanted, "%d: %zu", length_penalty, out.n_ids);
        cr_expect_eq(out.finish, FINISH_STOP);
        cr_expect_float_eq(out.sum_logprob, -(double)(n_wanted + 1) * log(13), 1e-5);
        generated_free(&out, 1);
    }
    model_free(m);
}

ParameterizedTestParameters(beam, a_prompt_gets_alone_what_it_gets_among_others)
{
    return cr_make_param_array(model_arch, archs, RT_COUNT(archs));
}
ParameterizedTest(model_arch *arch, beam, a_prompt_gets_alone_what_it_gets_among_others)
{
    model *m = stirred(*arch, 13, 4);
    crowd c = crowd_of(13);
    generated out[N_PROMPTS], again[N_PROMPTS];
    beam_options how = {5, 12, 1};
    point(&c);
    search(m, c.prompts, N_PROMPTS, how, out);
    search(m, c.prompts, N_PROMPTS, how, again);
    for (size_t i = 0; i < N_PROMPTS; i++) {
        generated alone = {0};
        expect_same(&out[i], &again[i]);
        search(m, &c.prompts[i], 1, how, &alone);
        cr_assert_eq(alone.n_ids, out[i].n_ids);
        cr_expect_eq(memcmp(alone.ids, out[i].ids, alone.n_ids * sizeof *alone.ids), 0);
        cr_expect_float_eq(alone.sum_logprob, out[i].sum_logprob, 1e-4);
        generated_free(&alone, 1);
    }
    generated_free(out, N_PROMPTS);
    generated_free(again, N_PROMPTS);
    model_free(m);
}

ParameterizedTestParameters(beam, stops_at_seq_len_max)
{
    return cr_make_param_array(model_arch, archs, RT_COUNT(archs));
}
ParameterizedTest(model_arch *arch, beam, stops_at_seq_len_max)
{
    model_config config = *arch == MODEL_ARCH_T5 ? toy_t5_config() : toy_config();
    config.seq_len_max = 6;
    config.eos_id = 0;
    model *m = toy_model(&config, 3);
    uint32_t ids[] = {3, 4, 5, 6, 7};
    size_t n_long = 0;
    generate_prompt prompts[] = {
        {.ids = ids, .n_ids = 5}, {.ids = ids, .n_ids = 2}, {.ids = ids, .n_ids = 1}};
    generated out[3] = {{0}};
    search(m, prompts, 3, (beam_options){4, 100, 2}, out);
    for (size_t i = 0; i < 3; i++) {
        size_t most = config.seq_len_max - prompts[i].n_ids;
        n_long += out[i].finish == FINISH_LENGTH;
        cr_expect(out[i].finish == FINISH_LENGTH ? out[i].n_ids == most : out[i].n_ids < most);
    }
    cr_expect_gt(n_long, 0);
    generated_free(out, 3);
    model_free(m);
}

Test(beam, rejects_bad_input_and_writes_nothing)
{
    model_config config = toy_config();
    model *m = toy_model(&config, 3);
    uint32_t ids[] = {3, 4}, wild[] = {3, 13};
    generate_prompt good = {.ids = ids, .n_ids = 2}, bad = {.ids = wild, .n_ids = 2};
    generated out = {.n_ids = 77};
    beam_options odd[] = {{0, 3, 1},  {BEAMS_MAX + 1, 3, 1},          {2, 0, 1},
                          {2, 3, -1}, {2, 3, LENGTH_PENALTY_MAX + 1}, {2, 3, NAN}};
    for (size_t i = 0; i < RT_COUNT(odd); i++) {
        rt_error err = {0};
        cr_expect_eq(beam_search(m, &good, 1, &odd[i], &out, &err), RT_INVALID);
        cr_expect_gt(strlen(err.text), 0);
    }
    beam_options fine = {2, 3, 1};
    cr_expect_eq(beam_search(m, &bad, 1, &fine, &out, NULL), RT_INVALID);
    cr_expect_eq(beam_search(m, NULL, 0, &fine, NULL, NULL), RT_OK);
    cr_expect_eq(out.n_ids, 77);
    model_free(m);
}

/* Logits that are no numbers: some text comes back, of ids that there are. */
Test(beam, a_broken_model_gets_an_answer)
{
    model *m = stirred(MODEL_ARCH_LLAMA, 13, 1);
    uint32_t id = 5;
    generate_prompt prompt = {.ids = &id, .n_ids = 1};
    generated out = {0};
    for (size_t i = 0; i < model_table(m)->n_total; i++) model_weights(m)[i] = NAN;
    search(m, &prompt, 1, (beam_options){4, 5, 1}, &out);
    cr_expect_leq(out.n_ids, 5);
    for (size_t i = 0; i < out.n_ids; i++) cr_expect_lt(out.ids[i], 13);
    generated_free(&out, 1);
    model_free(m);
}
