#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/base/base64.h"
#include "common/dataset/topk.h"

static topk_place place_of(size_t n, const char *const *tokens, const double *probabilities)
{
    topk_place p = {.n = n};
    for (size_t i = 0; i < n; i++)
        p.entries[i] = (topk_entry){
            .token = tokens[i], .n = strlen(tokens[i]), .logprob = log(probabilities[i])};
    return p;
}

static rt_buf text_of(const topk_writer *w)
{
    rt_buf text = {0};
    rt_error err = {0};
    cr_assert_eq(topk_text(w, &text, &err), RT_OK, "%s", err.text);
    return text;
}

static void expect_entry(const topk_place *p, size_t i, const char *token, double probability)
{
    const topk_entry *e = &p->entries[i];
    cr_assert_lt(i, p->n);
    cr_expect(e->n == strlen(token) && memcmp(e->token, token, e->n) == 0, "%zu: %.*s", i,
              (int)e->n, e->token);
    cr_expect_float_eq(exp(e->logprob), probability, 1e-6);
}

Test(topk, comes_back_in_order_with_what_is_left_beside_it)
{
    static const char *const first[] = {"b", "low", "high"}, *const second[] = {"only"};
    static const double some[] = {0.2, 0.1, 0.4}, all[] = {1};
    topk_writer w = {0};
    topk_reader r = {0};
    topk_place p = place_of(3, first, some), q = place_of(1, second, all), got;
    cr_assert_eq(topk_add(&w, &p, NULL), RT_OK);
    cr_assert_eq(topk_add(&w, &q, NULL), RT_OK);
    rt_buf text = text_of(&w);
    cr_assert_eq(topk_open(text.data, text.n, &r, NULL), RT_OK);
    cr_expect_eq(r.n_tokens, 2);
    cr_assert_eq(topk_next(&r, &got), RT_OK);
    cr_expect_eq(got.n, 3);
    expect_entry(&got, 0, "b", 0.2); /* the one that was written stays the first */
    expect_entry(&got, 1, "high", 0.4);
    expect_entry(&got, 2, "low", 0.1);
    cr_expect_float_eq(exp(got.log_tail), 0.3, 1e-6);
    cr_assert_eq(topk_next(&r, &got), RT_OK);
    expect_entry(&got, 0, "only", 1);
    cr_expect(isinf(got.log_tail) && got.log_tail < 0);
    cr_expect_eq(topk_next(&r, &got), RT_END);
    topk_close(&r);
    rt_buf_free(&text);
    topk_writer_free(&w);
}

/* A tail of a few millionths is told from none, and is not what rounding leaves. */
Test(topk, the_tail_is_as_exact_as_the_logprobs)
{
    topk_writer w = {0};
    topk_place p = {.n = 2};
    p.entries[0] = (topk_entry){.token = "a", .n = 1, .logprob = log(1 - 3e-6)};
    p.entries[1] = (topk_entry){.token = "b", .n = 1, .logprob = log(1e-6)};
    cr_assert_eq(topk_add(&w, &p, NULL), RT_OK);
    cr_expect_float_eq(exp(p.log_tail), 2e-6, 1e-9);
    p.entries[0].logprob = log(1 - 1.0000001e-6);
    cr_assert_eq(topk_add(&w, &p, NULL), RT_OK);
    cr_expect(isinf(p.log_tail));
    p.entries[0].logprob = 1e-4; /* a server's rounding */
    p.entries[1].logprob = -9999;
    cr_assert_eq(topk_add(&w, &p, NULL), RT_OK);
    cr_expect_eq(p.entries[0].logprob, 0);
    topk_writer_free(&w);
}

Test(topk, refuses_what_are_no_probabilities_and_adds_nothing)
{
    static char long_token[TOPK_TOKEN_BYTES_MAX + 1];
    const topk_entry bad[][2] = {
        {{"a", 1, 0.5}, {"b", 1, -1}},         {{"a", 1, log(0.7)}, {"b", 1, log(0.4)}},
        {{"a", 1, NAN}, {"b", 1, -1}},         {{"a", 1, -INFINITY}, {"b", 1, -1}},
        {{long_token, 256, -1}, {"b", 1, -2}},
    };
    topk_writer w = {0};
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        topk_place p = {.n = 2, .entries = {bad[i][0], bad[i][1]}};
        cr_expect_eq(topk_add(&w, &p, NULL), RT_INVALID, "%zu", i);
    }
    topk_place none = {.n = 0};
    cr_expect_eq(topk_add(&w, &none, NULL), RT_INVALID);
    cr_expect_eq(w.n_tokens, 0);
    cr_expect_eq(w.places.n, 0);
    rt_buf text = text_of(&w);
    cr_expect_eq(text.n, 0, "no tokens, no text");
    rt_buf_free(&text);
    topk_writer_free(&w);
}

Test(topk, what_does_not_fit_is_left_out_at_the_end_and_told)
{
    enum { N = 20000 };
    static const char *const tokens[] = {"token"};
    static const double half[] = {0.5};
    topk_writer w = {0};
    topk_reader r = {0};
    topk_place p = place_of(1, tokens, half);
    for (int i = 0; i < N; i++) cr_assert_eq(topk_add(&w, &p, NULL), RT_OK);
    rt_buf text = text_of(&w);
    cr_assert_eq(topk_open(text.data, text.n, &r, NULL), RT_OK);
    cr_expect_eq(r.n_tokens, N);
    cr_expect_eq(r.n_places, (TOPK_BYTES_MAX - 9) / (1 + 4 + 4 + 1 + 5));
    cr_expect_leq(r.bytes.n, TOPK_BYTES_MAX);
    topk_close(&r);
    rt_buf_free(&text);
    topk_writer_free(&w);
}

static rt_buf sample(void)
{
    static const char *const tokens[] = {"\xe3\x81", "", "x"};
    static const double some[] = {0.25, 0.25, 0.125};
    topk_writer w = {0};
    topk_place p = place_of(3, tokens, some);
    for (int i = 0; i < 3; i++) cr_assert_eq(topk_add(&w, &p, NULL), RT_OK);
    rt_buf text = text_of(&w);
    topk_writer_free(&w);
    return text;
}

/* Bytes as docs/dataset.md has them: whoever reads them elsewhere relies on it. */
Test(topk, is_written_as_it_was)
{
    rt_buf text = sample();
    cr_expect_str_eq(text.data, "AQMAAAADAAAAA6AXe78YcrG/AuOBGHKxvwCSFQXAAXgDoBd7vxhy"
                                "sb8C44EYcrG/AJIVBcABeAOgF3u/GHKxvwLjgRhysb8AkhUFwAF4");
    rt_buf_free(&text);
}

Test(topk, damage_is_refused_or_still_a_text_of_its_kind)
{
    rt_buf text = sample(), bytes = {0}, again = {0};
    topk_reader r = {0};
    topk_place place;
    cr_assert_eq(rt_base64_decode(text.data, text.n, &bytes, NULL), RT_OK);
    for (size_t n = 0; n < bytes.n; n++) {
        rt_buf_clear(&again);
        cr_assert_eq(rt_base64_encode(bytes.data, n, &again, NULL), RT_OK);
        cr_expect_eq(topk_open(again.data, again.n, &r, NULL), RT_CORRUPT, "%zu bytes", n);
    }
    for (size_t i = 0; i < bytes.n * 8; i++) {
        bytes.data[i / 8] ^= (char)(1 << i % 8);
        rt_buf_clear(&again);
        cr_assert_eq(rt_base64_encode(bytes.data, bytes.n, &again, NULL), RT_OK);
        if (topk_open(again.data, again.n, &r, NULL) == RT_OK)
            while (topk_next(&r, &place) == RT_OK) cr_assert_leq(place.n, TOPK_ENTRIES_MAX);
        topk_close(&r);
        bytes.data[i / 8] ^= (char)(1 << i % 8);
    }
    rt_buf_free(&text);
    rt_buf_free(&bytes);
    rt_buf_free(&again);
}
