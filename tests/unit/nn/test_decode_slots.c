/* Decoding in slots: against generate() for each prompt alone, whatever runs beside it. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/rng.h"
#include "common/nn/decode_slots.h"
#include "tests/unit/nn/toy.h"

enum { N_PROMPTS = 24, N_NEW = 30, LEN = 12 };

typedef struct crowd {
    uint32_t ids[N_PROMPTS][LEN];
    generate_prompt prompts[N_PROMPTS];
    generate_options options[N_PROMPTS];
} crowd;

/* Prompts of many lengths, each with options of its own. */
static void make_crowd(crowd *c, size_t n_vocab)
{
    rng_key key = rng_key_make(5, "crowd", (rt_id){0}, 0);
    for (size_t i = 0; i < N_PROMPTS; i++) {
        c->prompts[i] = (generate_prompt){
            .ids = c->ids[i], .n_ids = 1 + i * 7 % LEN, .record_id = {.low = i}, .sample = i % 2};
        for (size_t j = 0; j < LEN; j++)
            c->ids[i][j] = (uint32_t)rng_below(key, i * LEN + j, n_vocab);
        c->options[i] = (generate_options){.max_new_tokens = 1 + i * 11 % N_NEW,
                                           .temperature = i % 3 == 0 ? 0 : 0.5f * (float)(i % 3),
                                           .top_k = i % 4 == 1 ? 5 : 0,
                                           .top_p = i % 4 == 2 ? 0.8f : 1,
                                           .seed = i};
    }
}

/* What the slots have written of each prompt. */
typedef struct written {
    uint32_t ids[N_NEW];
    size_t n;
    double sum_logprob;
    bool done;
    finish_reason finish;
} written;

static void note(written *w, const decoded_token *t, uint32_t eos_id)
{
    cr_assert(!w->done);
    w->sum_logprob += t->logprob;
    if (t->id != eos_id) w->ids[w->n++] = t->id;
    w->done = t->ends;
    w->finish = t->finish;
}

/* Feed the crowd through a few slots, a new prompt as soon as there is room, at most `per_step` at
 * a time. Returns how many tokens of prompts were read. */
static uint64_t run_crowd(model *m, const crowd *c, size_t n_prompts, size_t n_slots,
                          size_t per_step, written *out)
{
    decode_slots *s = NULL;
    rt_error err = {0};
    size_t i_next = 0, n_done = 0, owner[N_PROMPTS];
    decoded_token tokens[N_PROMPTS];
    memset(out, 0, N_PROMPTS * sizeof *out);
    cr_assert_eq(decode_slots_new(m, n_slots, &s, &err), RT_OK, "%s", err.text);
    while (n_done < n_prompts) {
        size_t n = 0;
        for (size_t k = 0; k < per_step && i_next < n_prompts; k++) {
            uint32_t i_slot;
            if (decode_slots_n_free(s) == 0) break;
            cr_assert_eq(
                decode_slots_add(s, &c->prompts[i_next], &c->options[i_next], 0, &i_slot, &err),
                RT_OK, "%s", err.text);
            owner[i_slot] = i_next++;
        }
        cr_assert_eq(decode_slots_step(s, tokens, &n, &err), RT_OK, "%s", err.text);
        cr_assert(n > 0 && n <= n_slots);
        for (size_t i = 0; i < n; i++) {
            note(&out[owner[tokens[i].i_slot]], &tokens[i], model_get_config(m)->eos_id);
            n_done += tokens[i].ends;
        }
    }
    cr_expect_eq(decode_slots_n_used(s), 0);
    uint64_t n_read = decode_slots_n_tokens_read(s);
    decode_slots_free(s);
    return n_read;
}

static void expect_alone(model *m, const crowd *c, size_t n, const written *w)
{
    for (size_t i = 0; i < n; i++) {
        generated alone = {0};
        cr_assert_eq(generate(m, &c->prompts[i], 1, &c->options[i], &alone, NULL), RT_OK);
        cr_expect_eq(w[i].n, alone.n_ids, "prompt %zu: %zu tokens, alone %zu", i, w[i].n,
                     alone.n_ids);
        if (w[i].n == alone.n_ids)
            cr_expect_eq(memcmp(w[i].ids, alone.ids, alone.n_ids * sizeof *alone.ids), 0);
        cr_expect_eq(w[i].finish, alone.finish);
        cr_expect_float_eq(w[i].sum_logprob, alone.sum_logprob, 1e-4);
        generated_free(&alone, 1);
    }
}

Test(decode_slots, each_sequence_is_what_generate_gives_it_alone)
{
    model_config config = toy_config();
    model *m = toy_model(&config, 3);
    toy_stir(m, 8);
    crowd c;
    written w[N_PROMPTS];
    make_crowd(&c, config.n_vocab);
    static const size_t ways[][2] = {{1, 1}, {3, 1}, {7, 7}, {N_PROMPTS, N_PROMPTS}};
    for (size_t i = 0; i < RT_COUNT(ways); i++) {
        run_crowd(m, &c, N_PROMPTS, ways[i][0], ways[i][1], w);
        expect_alone(m, &c, N_PROMPTS, w);
    }
    size_t n_stopped = 0;
    for (size_t i = 0; i < N_PROMPTS; i++) n_stopped += w[i].finish == FINISH_STOP;
    cr_expect(n_stopped > 0 && n_stopped < N_PROMPTS, "%zu stopped: both ends are wanted",
              n_stopped);
    model_free(m);
}

Test(decode_slots, a_released_slot_takes_the_next_prompt_and_forgets_the_last)
{
    model_config config = toy_config();
    config.eos_id = 0;
    model *m = toy_model(&config, 3);
    uint32_t first[] = {3, 4, 5, 6}, second[] = {7, 8}, i_slot, other;
    generate_prompt a = {.ids = first, .n_ids = 4}, b = {.ids = second, .n_ids = 2};
    generate_options o = {.max_new_tokens = 6, .top_p = 1};
    decode_slots *s = NULL;
    decoded_token t;
    generated alone = {0};
    size_t n;
    cr_assert_eq(decode_slots_new(m, 1, &s, NULL), RT_OK);
    cr_assert_eq(decode_slots_add(s, &a, &o, 0, &i_slot, NULL), RT_OK);
    cr_expect_eq(decode_slots_add(s, &b, &o, 0, &other, NULL), RT_FULL);
    cr_assert_eq(decode_slots_step(s, &t, &n, NULL), RT_OK);
    cr_assert_eq(decode_slots_step(s, &t, &n, NULL), RT_OK);
    decode_slots_release(s, i_slot);
    decode_slots_release(s, i_slot);
    cr_expect_eq(decode_slots_n_free(s), 1);
    cr_assert_eq(decode_slots_step(s, &t, &n, NULL), RT_OK);
    cr_expect_eq(n, 0);
    cr_assert_eq(decode_slots_add(s, &b, &o, 0, &i_slot, NULL), RT_OK);
    cr_assert_eq(generate(m, &b, 1, &o, &alone, NULL), RT_OK);
    for (size_t i = 0; i < alone.n_ids; i++) {
        cr_assert_eq(decode_slots_step(s, &t, &n, NULL), RT_OK);
        cr_assert_eq(n, 1);
        cr_expect_eq(t.id, alone.ids[i]);
    }
    generated_free(&alone, 1);
    decode_slots_free(s);
    model_free(m);
}

/* Six samples of one prompt, and between them another: each prompt goes through the model once, and
 * each sample is the one that generate() draws alone. */
static void expect_one_reading(model_config config)
{
    enum { N = 8, N_SLOTS = 3, OTHER = 3 };
    static const size_t per_steps[] = {1, N_SLOTS};
    model *m = toy_model(&config, 3);
    uint32_t ids[] = {3, 4, 5, 6, 7}, other[] = {3, 4, 5, 6, 8};
    toy_stir(m, 8);
    for (size_t way = 0; way < RT_COUNT(per_steps); way++) {
        crowd c = {0};
        written w[N_PROMPTS];
        for (size_t i = 0; i < N; i++) {
            c.prompts[i] = (generate_prompt){
                .ids = i == OTHER ? other : ids, .n_ids = RT_COUNT(ids), .sample = (uint32_t)i};
            c.options[i] = (generate_options){
                .max_new_tokens = 4 + i, .temperature = 1, .top_p = 1, .seed = 9};
        }
        uint64_t n_read = run_crowd(m, &c, N, N_SLOTS, per_steps[way], w);
        cr_expect_eq(n_read, 2 * RT_COUNT(ids), "%zu tokens read", (size_t)n_read);
        expect_alone(m, &c, N, w);
    }
    model_free(m);
}

Test(decode_slots, samples_of_one_prompt_read_it_once)
{
    expect_one_reading(toy_config());
}

Test(decode_slots, so_they_do_in_an_encoder_decoder_and_with_a_factorised_embedding)
{
    model_config factorised = toy_config();
    factorised.d_embed = 5;
    factorised.n_layer_groups = 1;
    expect_one_reading(factorised);
    expect_one_reading(toy_t5_config());
}

Test(decode_slots, a_prompt_that_was_overwritten_is_read_again)
{
    model_config config = toy_config();
    model *m = toy_model(&config, 3);
    uint32_t ids[] = {3, 4, 5, 6}, longer[] = {3, 4, 5, 6, 7}, i_slot;
    generate_prompt prompts[] = {{.ids = ids, .n_ids = 4},
                                 {.ids = ids, .n_ids = 4},
                                 {.ids = longer, .n_ids = 5},
                                 {.ids = ids, .n_ids = 4}};
    static const uint64_t read_after[] = {4, 4, 9, 13};
    generate_options o = {.max_new_tokens = 3, .top_p = 1};
    decode_slots *s = NULL;
    toy_stir(m, 8);
    cr_assert_eq(decode_slots_new(m, 1, &s, NULL), RT_OK);
    for (size_t i = 0; i < RT_COUNT(prompts); i++) {
        generated alone = {0};
        decoded_token t = {0};
        size_t n, n_new = 0;
        cr_assert_eq(generate(m, &prompts[i], 1, &o, &alone, NULL), RT_OK);
        cr_assert_eq(decode_slots_add(s, &prompts[i], &o, 0, &i_slot, NULL), RT_OK);
        while (!t.ends) {
            cr_assert_eq(decode_slots_step(s, &t, &n, NULL), RT_OK);
            if (t.id != config.eos_id) cr_expect_eq(t.id, alone.ids[n_new++]);
        }
        cr_expect_eq(n_new, alone.n_ids);
        cr_expect_eq(decode_slots_n_tokens_read(s), read_after[i]);
        generated_free(&alone, 1);
    }
    decode_slots_free(s);
    model_free(m);
}

Test(decode_slots, alternatives_are_sorted_and_hold_the_choice)
{
    model_config config = toy_config();
    model *m = toy_model(&config, 3);
    uint32_t ids[] = {3, 4}, i_slot;
    generate_prompt p = {.ids = ids, .n_ids = 2};
    generate_options o = {.max_new_tokens = 4, .top_p = 1};
    decode_slots *s = NULL;
    decoded_token t = {0};
    size_t n;
    cr_assert_eq(decode_slots_new(m, 2, &s, NULL), RT_OK);
    cr_assert_eq(decode_slots_add(s, &p, &o, DECODE_TOP_MAX, &i_slot, NULL), RT_OK);
    while (!t.ends) {
        double sum = 0;
        cr_assert_eq(decode_slots_step(s, &t, &n, NULL), RT_OK);
        cr_assert_eq(t.n_top, config.n_vocab); /* fewer words than asked for */
        cr_expect_eq(t.top[0].id, t.id);
        cr_expect_float_eq(t.top[0].logprob, t.logprob, 1e-6);
        for (size_t i = 0; i < t.n_top; i++) {
            sum += exp((double)t.top[i].logprob);
            if (i > 0) cr_expect_leq(t.top[i].logprob, t.top[i - 1].logprob);
        }
        cr_expect_float_eq(sum, 1, 1e-4);
    }
    decode_slots_free(s);
    model_free(m);
}

Test(decode_slots, rejects_bad_input_and_changes_nothing)
{
    model_config config = toy_config();
    config.seq_len_max = 6;
    model *m = toy_model(&config, 3);
    uint32_t ids[] = {3, 4, 5, 6, 7, 8}, wild[] = {3, 13}, i_slot = 77;
    generate_prompt good = {.ids = ids, .n_ids = 5};
    generate_prompt bad[] = {
        {.ids = ids, .n_ids = 0}, {.ids = ids, .n_ids = 6}, {.ids = wild, .n_ids = 2}};
    generate_options o = {.max_new_tokens = 3, .top_p = 1}, none = {.top_p = 1},
                     hot = {.max_new_tokens = 3, .top_p = 1, .temperature = NAN};
    decode_slots *s = NULL;
    rt_error err = {0};
    cr_expect_eq(decode_slots_new(m, 0, &s, &err), RT_INVALID);
    cr_expect_eq(decode_slots_new(m, DECODE_SLOTS_MAX + 1, &s, &err), RT_INVALID);
    cr_assert_eq(decode_slots_new(m, 2, &s, &err), RT_OK);
    for (size_t i = 0; i < RT_COUNT(bad); i++)
        cr_expect_eq(decode_slots_add(s, &bad[i], &o, 0, &i_slot, &err), RT_INVALID);
    cr_expect_eq(decode_slots_add(s, &good, &none, 0, &i_slot, &err), RT_INVALID);
    cr_expect_eq(decode_slots_add(s, &good, &hot, 0, &i_slot, &err), RT_INVALID);
    cr_expect_eq(decode_slots_add(s, &good, &o, DECODE_TOP_MAX + 1, &i_slot, &err), RT_INVALID);
    cr_expect_eq(i_slot, 77);
    cr_expect_eq(decode_slots_n_free(s), 2);
    decode_slots_free(s);
    model_free(m);
}
