#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "common/base/rng.h"

static rng_key raw_key(uint32_t k0, uint32_t k1, uint32_t c2, uint32_t c3)
{
    return (rng_key){.key = {k0, k1}, .prefix = {c2, c3}};
}

static void expect_block(rng_key key, uint64_t i, const uint32_t expected[4])
{
    uint32_t out[4];
    rng_block(key, i, out);
    for (int k = 0; k < 4; k++) cr_expect_eq(out[k], expected[k], "word %d: %08x", k, out[k]);
}

/* The known answers that the authors publish with Random123 (kat_vectors, philox4x32 10). */
Test(rng, gives_the_published_answers_of_philox4x32_10)
{
    expect_block(raw_key(0, 0, 0, 0), 0,
                 (uint32_t[]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    expect_block(raw_key(0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff), UINT64_MAX,
                 (uint32_t[]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    expect_block(raw_key(0xa4093822, 0x299f31d0, 0x13198a2e, 0x03707344), 0x85a308d3243f6a88u,
                 (uint32_t[]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

Test(rng, a_stream_depends_on_seed_name_id_and_epoch)
{
    rt_id id = {1, 2}, other = {2, 1};
    uint64_t base = rng_u64(rng_key_make(1, "dropout", id, 3), 0);
    cr_expect_eq(rng_u64(rng_key_make(1, "dropout", id, 3), 0), base);
    cr_expect_neq(rng_u64(rng_key_make(2, "dropout", id, 3), 0), base);
    cr_expect_neq(rng_u64(rng_key_make(1, "sample", id, 3), 0), base);
    cr_expect_neq(rng_u64(rng_key_make(1, "dropout", other, 3), 0), base);
    cr_expect_neq(rng_u64(rng_key_make(1, "dropout", id, 4), 0), base);
    cr_expect_neq(rng_u64(rng_key_make(1, "dropout", id, 3), 1), base);
}

Test(rng, uniform_and_normal_have_their_moments)
{
    enum { N = 100000 };
    rng_key key = rng_key_make(7, "moments", (rt_id){0}, 0);
    double sum = 0, sum_normal = 0, sum_square = 0;
    for (uint64_t i = 0; i < N; i++) {
        float u = rng_uniform(key, i), z = rng_normal(key, i);
        cr_assert(u >= 0.0f && u < 1.0f);
        cr_assert(isfinite(z));
        sum += (double)u;
        sum_normal += (double)z;
        sum_square += (double)z * (double)z;
    }
    cr_expect_float_eq(sum / N, 0.5, 0.005);
    cr_expect_float_eq(sum_normal / N, 0.0, 0.02);
    cr_expect_float_eq(sum_square / N, 1.0, 0.03);
}

Test(rng, below_stays_below_and_reaches_every_value_alike)
{
    size_t counts[7] = {0};
    rng_key key = rng_key_make(7, "below", (rt_id){0}, 0);
    for (uint64_t i = 0; i < 70000; i++) {
        uint64_t v = rng_below(key, i, 7);
        cr_assert_lt(v, 7);
        counts[v]++;
    }
    for (int i = 0; i < 7; i++) cr_expect_float_eq((double)counts[i], 10000.0, 500.0);
    cr_expect_eq(rng_below(key, 0, 1), 0);
    cr_expect_lt(rng_below(key, 0, UINT64_MAX), UINT64_MAX);
}

Test(rng, permute_keeps_every_value_once_and_repeats)
{
    uint32_t a[1000], b[1000];
    bool seen[1000] = {false};
    size_t n_moved = 0;
    rng_key key = rng_key_make(7, "permute", (rt_id){0}, 0);
    for (uint32_t i = 0; i < 1000; i++) a[i] = b[i] = i;
    rng_permute(key, a, 1000);
    rng_permute(key, b, 1000);
    cr_expect_arr_eq(a, b, sizeof a);
    for (uint32_t i = 0; i < 1000; i++) {
        cr_assert_lt(a[i], 1000);
        cr_expect_not(seen[a[i]]);
        seen[a[i]] = true;
        n_moved += a[i] != i;
    }
    cr_expect_gt(n_moved, 900);
    rng_permute(key, a, 0);
    rng_permute(key, NULL, 0);
}
