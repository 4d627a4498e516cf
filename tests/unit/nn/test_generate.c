/* Decoding: the cache against full forward passes, sampling, limits, and a published model. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/rng.h"
#include "common/nn/generate.h"
#include "common/nn/sample.h"
#include "tests/unit/nn/toy.h"

static generate_options greedy(size_t max_new_tokens)
{
    return (generate_options){.max_new_tokens = max_new_tokens, .top_p = 1, .seed = 7};
}

/* Random prompts of 1, 2, 3 ... tokens. */
static void make_prompts(uint32_t *ids, generate_prompt *prompts, size_t n, size_t n_vocab)
{
    rng_key key = rng_key_make(11, "prompts", (rt_id){0}, 0);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        prompts[i] =
            (generate_prompt){.ids = ids + at, .n_ids = 1 + i * 5 % 9, .record_id = {.low = i}};
        for (size_t j = 0; j < prompts[i].n_ids; j++, at++)
            ids[at] = (uint32_t)rng_below(key, at, n_vocab);
    }
}

/* Prompts and answers as sequences to evaluate. Returns new; free() it. */
static toy_batch *batch_of_answers(const model *m, const generate_prompt *prompts,
                                   const generated *out, size_t n)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    for (size_t i = 0; i < n; i++) {
        bool stopped = out[i].finish == FINISH_STOP;
        uint32_t *ids = b->ids + b->n_tokens;
        memcpy(ids, prompts[i].ids, prompts[i].n_ids * sizeof *ids);
        memcpy(ids + prompts[i].n_ids, out[i].ids, out[i].n_ids * sizeof *ids);
        if (stopped) ids[prompts[i].n_ids + out[i].n_ids] = model_get_config(m)->eos_id;
        b->seqs[i] = (packed_seq){.first = b->n_tokens,
                                  .n_prompt = prompts[i].n_ids,
                                  .n_target = out[i].n_ids + stopped,
                                  .weight = 1};
        b->n_tokens += prompts[i].n_ids + out[i].n_ids + stopped;
    }
    b->n_seqs = n;
    return b;
}

/* Every token must be the arg max of a full forward pass, and the log-probabilities must agree. */
static void check_against_forward(model *m, const generate_prompt *prompts, const generated *out,
                                  size_t n, bool is_greedy)
{
    toy_batch *b = batch_of_answers(m, prompts, out, n);
    rt_error err = {0};
    double wanted = 0, scores[TOY_SEQS_MAX];
    for (size_t i = 0; i < n; i++) wanted += out[i].sum_logprob;
    packed_batch view = toy_view(b);
    loss_spec spec = toy_spec(b, 1, 0);
    loss_sums sums;
    cr_assert_eq(model_evaluate(m, &view, &spec, &sums, &err), RT_OK, "%s", err.text);
    cr_expect_float_eq(sums.loss[0], -wanted, 1e-3, "%g against %g", sums.loss[0], -wanted);
    if (is_greedy) cr_expect_eq(sums.n_exact[0], n);
    cr_assert_eq(model_score(m, &view, scores, &err), RT_OK, "%s", err.text);
    for (size_t i = 0; i < n; i++) cr_expect_float_eq(scores[i], out[i].sum_logprob, 1e-4);
    free(b);
}

static void expect_decoding_like_forward(model_config c)
{
    model *m = toy_model(&c, 3);
    toy_stir(m, 8);
    enum { N = 30 };
    uint32_t ids[9 * N];
    generate_prompt prompts[N];
    generated out[N];
    rt_error err = {0};
    make_prompts(ids, prompts, N, c.n_vocab);
    generate_options options = greedy(40);
    cr_assert_eq(generate(m, prompts, N, &options, out, &err), RT_OK, "%s", err.text);
    size_t n_stopped = 0;
    for (size_t i = 0; i < N; i++) {
        n_stopped += out[i].finish == FINISH_STOP;
        cr_expect(out[i].finish == FINISH_STOP || out[i].n_ids == 40);
    }
    cr_expect(n_stopped > 0 && n_stopped < N, "%zu of %d stopped: both ends are wanted", n_stopped,
              N);
    check_against_forward(m, prompts, out, N, true);
    generated_free(out, N);
    model_free(m);
}

Test(generate, cached_decoding_equals_full_forward_passes)
{
    model_config c = toy_config();
    c.tied = false;
    expect_decoding_like_forward(c);
}

Test(generate, so_it_does_with_shared_layers_and_a_factorised_embedding)
{
    model_config c = toy_config();
    c.n_layers = 3;
    c.n_layer_groups = 2;
    c.d_embed = 5;
    expect_decoding_like_forward(c);
}

/* What is kept in bfloat16 is off by one part in 512 at most, and so about are log-probabilities. */
static void expect_halves_near_forward(model_config c)
{
    enum { N = 20 };
    model *m = toy_model(&c, 3);
    toy_stir(m, 8);
    uint32_t ids[9 * N];
    generate_prompt prompts[N];
    generated exact[N], out[N], alone;
    rt_error err = {0};
    double scores[N];
    size_t n_other = 0;
    make_prompts(ids, prompts, N, c.n_vocab);
    generate_options options = greedy(20);
    cr_assert_eq(generate(m, prompts, N, &options, exact, &err), RT_OK, "%s", err.text);
    model *halves = toy_model(&c, 3);
    toy_stir(halves, 8);
    model_decode_in_halves(halves, true);
    cr_assert_eq(generate(halves, prompts, N, &options, out, &err), RT_OK, "%s", err.text);
    toy_batch *b = batch_of_answers(m, prompts, out, N);
    packed_batch view = toy_view(b);
    cr_assert_eq(model_score(m, &view, scores, &err), RT_OK, "%s", err.text);
    for (size_t i = 0; i < N; i++) {
        cr_expect_float_eq(out[i].sum_logprob, scores[i], 0.02 * fabs(scores[i]) + 0.02,
                           "%zu: %g against %g", i, out[i].sum_logprob, scores[i]);
        n_other += out[i].sum_logprob != exact[i].sum_logprob;
        cr_assert_eq(generate(halves, &prompts[i], 1, &options, &alone, &err), RT_OK);
        cr_expect_eq(alone.n_ids, out[i].n_ids);
        cr_expect_eq(memcmp(alone.ids, out[i].ids, alone.n_ids * sizeof *alone.ids), 0);
        generated_free(&alone, 1);
    }
    cr_expect_gt(n_other, N / 2, "nothing was rounded");
    generated_free(exact, N);
    generated_free(out, N);
    free(b);
    model_free(halves);
    model_free(m);
}

Test(generate, in_halves_is_near_full_forward_passes)
{
    expect_halves_near_forward(toy_config());
    expect_halves_near_forward(toy_t5_config());
}

Test(generate, sampling_repeats_and_depends_on_record_sample_and_seed)
{
    model_config c = toy_config();
    model *m = toy_model(&c, 3);
    enum { N = 4 };
    uint32_t ids[] = {3, 4, 5};
    generate_prompt prompts[N] = {{.ids = ids, .n_ids = 3, .record_id = {.low = 1}},
                                  {.ids = ids, .n_ids = 3, .record_id = {.low = 1}},
                                  {.ids = ids, .n_ids = 3, .record_id = {.low = 1}, .sample = 1},
                                  {.ids = ids, .n_ids = 3, .record_id = {.low = 2}}};
    generated a[N], b[N], other[N];
    generate_options options = greedy(30);
    options.temperature = 1;
    cr_assert_eq(generate(m, prompts, N, &options, a, NULL), RT_OK);
    cr_assert_eq(generate(m, prompts, N, &options, b, NULL), RT_OK);
    options.seed++;
    cr_assert_eq(generate(m, prompts, N, &options, other, NULL), RT_OK);
    for (size_t i = 0; i < N; i++) {
        cr_expect_eq(a[i].n_ids, b[i].n_ids);
        cr_expect_eq(memcmp(a[i].ids, b[i].ids, a[i].n_ids * sizeof *ids), 0);
        cr_expect_eq(a[i].sum_logprob, b[i].sum_logprob);
    }
    cr_expect(a[0].n_ids == a[1].n_ids && memcmp(a[0].ids, a[1].ids, a[0].n_ids * 4) == 0);
    cr_expect(a[0].n_ids != a[2].n_ids || memcmp(a[0].ids, a[2].ids, a[0].n_ids * 4) != 0);
    cr_expect(a[0].n_ids != a[3].n_ids || memcmp(a[0].ids, a[3].ids, a[0].n_ids * 4) != 0);
    cr_expect(a[0].n_ids != other[0].n_ids || memcmp(a[0].ids, other[0].ids, a[0].n_ids * 4) != 0);
    check_against_forward(m, prompts, a, N, false);
    generated_free(a, N);
    generated_free(b, N);
    generated_free(other, N);
    model_free(m);
}

/* Against a full forward pass of each beginning: a text that is scored with one word behind it. */
Test(generate, tells_the_likeliest_tokens_of_each_place)
{
    enum { N = 6, N_TOP = 4 };
    model_config c = toy_config();
    model *m = toy_model(&c, 3);
    toy_stir(m, 8);
    uint32_t ids[9 * N];
    generate_prompt prompts[N];
    generated out[N], without[N];
    generate_options options = greedy(20);
    size_t n_places = 0, n_unlikely = 0;
    options.temperature = 1;
    make_prompts(ids, prompts, N, c.n_vocab);
    cr_assert_eq(generate(m, prompts, N, &options, without, NULL), RT_OK);
    options.n_top = N_TOP;
    cr_assert_eq(generate(m, prompts, N, &options, out, NULL), RT_OK);
    for (size_t i = 0; i < N; i++) {
        double sum = 0;
        uint32_t text[64];
        memcpy(text, prompts[i].ids, prompts[i].n_ids * sizeof *text);
        cr_assert_eq(out[i].n_ids, without[i].n_ids);
        cr_expect_eq(out[i].sum_logprob, without[i].sum_logprob);
        cr_expect_null(without[i].top);
        for (size_t j = 0; j < out[i].n_ids; j++) {
            const token_choice *top = out[i].top + j * N_TOP;
            size_t n_text = prompts[i].n_ids + j;
            double all[13], nth = 0;
            for (uint32_t w = 0; w < 13; w++) {
                packed_seq seq = {.n_prompt = n_text, .n_target = 1, .weight = 1};
                packed_batch batch = {
                    .ids = text, .n_tokens = n_text + 1, .seqs = &seq, .n_seqs = 1};
                text[n_text] = w;
                cr_assert_eq(model_score(m, &batch, &all[w], NULL), RT_OK);
            }
            for (size_t k = 0; k < N_TOP; k++)
                cr_expect_float_eq((double)top[k].logprob, all[top[k].id], 1e-4);
            for (uint32_t w = 0; w < 13; w++) nth += all[w] > (double)top[N_TOP - 1].logprob + 1e-4;
            cr_expect_lt(nth, N_TOP);
            cr_expect_eq(out[i].chosen[j].id, out[i].ids[j]);
            cr_expect_float_eq((double)out[i].chosen[j].logprob, all[out[i].ids[j]], 1e-4);
            n_unlikely += (double)out[i].chosen[j].logprob < (double)top[N_TOP - 1].logprob;
            sum += (double)out[i].chosen[j].logprob;
            text[n_text] = out[i].ids[j];
            n_places++;
        }
        if (out[i].finish == FINISH_LENGTH) cr_expect_float_eq(sum, out[i].sum_logprob, 1e-4);
    }
    cr_expect(n_places > 10 && n_unlikely > 0, "%zu %zu", n_places, n_unlikely);
    options.n_top = DECODE_TOP_MAX + 1;
    cr_expect_eq(generate(m, prompts, 1, &options, out, NULL), RT_INVALID);
    generated_free(out, N);
    generated_free(without, N);
    model_free(m);
}

/* Samples of records: each prompt goes through the model once, and each sample is the one that is
 * drawn when nothing can be copied. */
static void expect_prompts_read_once(model_config c)
{
    enum { N_RECORDS = 5, N_SAMPLES = 4, N = N_RECORDS * N_SAMPLES };
    model *m = toy_model(&c, 3);
    uint32_t ids[9 * N_RECORDS];
    generate_prompt records[N_RECORDS], prompts[N];
    generated out[N];
    size_t n_read = 0, n_of_records = 0, n_differ = 0;
    generate_options options = greedy(20);
    options.temperature = 1;
    toy_stir(m, 8);
    make_prompts(ids, records, N_RECORDS, c.n_vocab);
    for (size_t i = 0; i < N; i++) {
        prompts[i] = records[i / N_SAMPLES];
        prompts[i].sample = (uint32_t)(i % N_SAMPLES);
    }
    cr_assert_eq(generate(m, prompts, N, &options, out, NULL), RT_OK);
    for (size_t i = 0; i < N; i++) {
        generated alone = {0};
        cr_assert_eq(generate(m, &prompts[i], 1, &options, &alone, NULL), RT_OK);
        cr_expect_eq(alone.n_read, prompts[i].n_ids);
        cr_assert_eq(out[i].n_ids, alone.n_ids, "sample %zu", i);
        cr_expect_eq(memcmp(out[i].ids, alone.ids, alone.n_ids * sizeof *alone.ids), 0);
        cr_expect_float_eq(out[i].sum_logprob, alone.sum_logprob, 1e-4);
        n_differ += i % N_SAMPLES > 0 && (out[i].n_ids != out[i - 1].n_ids ||
                                          out[i].sum_logprob != out[i - 1].sum_logprob);
        n_read += out[i].n_read;
        if (i % N_SAMPLES == 0) n_of_records += prompts[i].n_ids;
        generated_free(&alone, 1);
    }
    cr_expect_eq(n_read, n_of_records);
    cr_expect_gt(n_differ, N_RECORDS);
    generated_free(out, N);
    model_free(m);
}

Test(generate, reads_the_prompt_of_several_samples_once)
{
    expect_prompts_read_once(toy_config());
    expect_prompts_read_once(toy_t5_config());
}

/* 100 samples are two groups; a prompt of each is read in each, wherever its samples stand. */
Test(generate, reads_equal_prompts_once_in_each_group)
{
    enum { N = 100 };
    model_config c = toy_config();
    model *m = toy_model(&c, 3);
    uint32_t a[] = {3, 4, 5}, b[] = {3, 4, 6};
    generate_prompt prompts[N];
    generated out[N];
    size_t n_read = 0;
    generate_options options = greedy(3);
    for (size_t i = 0; i < N; i++)
        prompts[i] = (generate_prompt){.ids = i % 2 == 0 ? a : b, .n_ids = 3, .sample = 7};
    cr_assert_eq(generate(m, prompts, N, &options, out, NULL), RT_OK);
    for (size_t i = 0; i < N; i++) {
        n_read += out[i].n_read;
        cr_assert_eq(out[i].n_ids, out[i % 2].n_ids);
        cr_expect_eq(memcmp(out[i].ids, out[i % 2].ids, out[i].n_ids * sizeof *a), 0);
    }
    cr_expect_eq(n_read, 2 * 2 * 3);
    generated_free(out, N);
    model_free(m);
}

Test(generate, stops_at_seq_len_max)
{
    model_config c = toy_config();
    c.seq_len_max = 6;
    c.eos_id = 0;
    model *m = toy_model(&c, 3);
    uint32_t ids[] = {3, 4, 5, 6, 7, 8};
    generate_prompt prompts[] = {{.ids = ids, .n_ids = 5}, {.ids = ids, .n_ids = 2}};
    generated out[2] = {{0}};
    generate_options options = greedy(100);
    cr_assert_eq(generate(m, prompts, 2, &options, out, NULL), RT_OK);
    for (size_t i = 0; i < 2; i++)
        if (out[i].finish == FINISH_LENGTH)
            cr_expect_eq(out[i].n_ids, c.seq_len_max - prompts[i].n_ids);
    generated_free(out, 2);
    model_free(m);
}

Test(generate, rejects_bad_input_and_writes_nothing)
{
    model_config c = toy_config();
    c.seq_len_max = 6;
    model *m = toy_model(&c, 3);
    uint32_t ids[] = {3, 4, 5, 6, 7, 8}, wild[] = {3, 13};
    generate_prompt good = {.ids = ids, .n_ids = 5};
    generate_prompt bad[] = {
        {.ids = ids, .n_ids = 0}, {.ids = ids, .n_ids = 6}, {.ids = wild, .n_ids = 2}};
    generated out = {.n_ids = 77};
    rt_error err = {0};
    generate_options options = greedy(3);
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        cr_expect_eq(generate(m, &bad[i], 1, &options, &out, &err), RT_INVALID);
        cr_expect_gt(strlen(err.text), 0);
    }
    generate_options odd[4] = {greedy(0), greedy(3), greedy(3), greedy(3)};
    odd[1].temperature = -1;
    odd[2].top_p = 0;
    odd[3].temperature = NAN;
    for (size_t i = 0; i < RT_COUNT(odd); i++)
        cr_expect_eq(generate(m, &good, 1, &odd[i], &out, &err), RT_INVALID);
    cr_expect_eq(out.n_ids, 77);
    cr_expect_eq(generate(m, NULL, 0, &options, NULL, &err), RT_OK);
    model_free(m);
}

/* How often each id comes out of a sampler over 20000 evenly spread draws. */
static void count_draws(generate_options options, const float *logits, size_t n, double *share)
{
    sampler *s = NULL;
    const size_t n_draws = 20000;
    cr_assert_eq(sampler_new(n, &options, &s, NULL), RT_OK);
    for (size_t i = 0; i < n; i++) share[i] = 0;
    for (size_t i = 0; i < n_draws; i++) {
        double logprob;
        share[sampler_choose(s, logits, ((double)i + 0.5) / (double)n_draws, &logprob)] +=
            1.0 / (double)n_draws;
    }
    sampler_free(s);
}

Test(sampler, follows_temperature_top_k_and_top_p)
{
    /* p = .1 .4 .2 .3 at temperature 1 */
    float logits[] = {logf(0.1f), logf(0.4f), logf(0.2f), logf(0.3f)};
    double share[4];
    generate_options o = {.temperature = 1, .top_p = 1};
    count_draws(o, logits, 4, share);
    double plain[] = {0.1, 0.4, 0.2, 0.3};
    for (size_t i = 0; i < 4; i++) cr_expect_float_eq(share[i], plain[i], 1e-3);

    o.temperature = 0.5f; /* squares: .01 .16 .04 .09 over .30 */
    count_draws(o, logits, 4, share);
    double cold[] = {0.01 / 0.3, 0.16 / 0.3, 0.04 / 0.3, 0.09 / 0.3};
    for (size_t i = 0; i < 4; i++) cr_expect_float_eq(share[i], cold[i], 1e-3);

    o.temperature = 1;
    o.top_k = 2;
    count_draws(o, logits, 4, share);
    double two[] = {0, 0.4 / 0.7, 0, 0.3 / 0.7};
    for (size_t i = 0; i < 4; i++) cr_expect_float_eq(share[i], two[i], 1e-3);

    o.top_k = 0;
    o.top_p = 0.75f; /* .4 + .3 is not enough, + .2 is */
    count_draws(o, logits, 4, share);
    double nucleus[] = {0, 0.4 / 0.9, 0.2 / 0.9, 0.3 / 0.9};
    for (size_t i = 0; i < 4; i++) cr_expect_float_eq(share[i], nucleus[i], 1e-3);

    o.top_k = 3;
    o.top_p = 0.5f; /* of .9: .4 is not enough, .7 is */
    count_draws(o, logits, 4, share);
    for (size_t i = 0; i < 4; i++) cr_expect_float_eq(share[i], two[i], 1e-3);
}

Test(sampler, greedy_takes_the_lowest_of_equals_and_top_k_agrees_with_sorting)
{
    float logits[300];
    rng_key key = rng_key_make(1, "logits", (rt_id){0}, 0);
    for (size_t i = 0; i < 300; i++) logits[i] = (float)rng_below(key, i, 40);
    logits[17] = logits[200] = 50;
    generate_options o = {.top_p = 1};
    sampler *s = NULL;
    double logprob;
    cr_assert_eq(sampler_new(300, &o, &s, NULL), RT_OK);
    cr_expect_eq(sampler_choose(s, logits, 0, &logprob), 17);
    cr_expect_float_eq(logprob, log(0.5), 2e-3);
    sampler_free(s);
    double all[300], most[300];
    o.temperature = 20;
    count_draws(o, logits, 300, all);
    o.top_k = 299;
    count_draws(o, logits, 300, most);
    size_t n_gone = 0;
    for (size_t i = 0; i < 300; i++) n_gone += all[i] > 0 && most[i] == 0;
    cr_expect_leq(n_gone, 1);
    o.top_k = 2;
    count_draws(o, logits, 300, most);
    cr_expect_float_eq(most[17], 0.5, 1e-3);
    cr_expect_float_eq(most[200], 0.5, 1e-3);
}
