#include "common/text/sim_hash.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"

static uint64_t hash_of(const char *text)
{
    text_units u = {0};
    cr_assert_eq(text_units_of(text, strlen(text), &u, NULL), RT_OK);
    uint64_t h;
    cr_assert_eq(sim_hash(&u, &h, NULL), RT_OK);
    text_units_free(&u);
    return h;
}

#define BIRD                                                                                    \
    "Birds have feathers and lay eggs, and a penguin does both, although it swims rather than " \
    "flies; therefore it counts among them."

Test(sim_hash, is_the_same_for_what_differs_in_case_and_punctuation)
{
    uint64_t h = hash_of(BIRD);
    cr_expect_eq(hash_of("birds HAVE feathers and lay eggs and a penguin does both - although it "
                         "swims rather than flies. Therefore it counts among them!"),
                 h);
    cr_expect_eq(hash_of(""), 0);
}

Test(sim_hash, tells_apart_what_only_has_the_phrases_of_its_kind)
{
    cr_expect_gt(
        sim_hash_distance(
            hash_of("The answer must be the place where the teacher was explaining the song "
                    "to all the students. Of the above choices, only music room makes sense."),
            hash_of("The answer must be something that the person in the car did to try to "
                    "kill the man. Of the above choices, only accelerate makes sense.")),
        SIM_NEAR);
}

Test(sim_hash, is_the_same_on_every_machine)
{
    cr_expect_eq(hash_of(BIRD), UINT64_C(0x2a9734b80d5655c9), "found %016llx",
                 (unsigned long long)hash_of(BIRD));
}

Test(sim_hash, lies_the_farther_the_more_words_differ)
{
    uint64_t h = hash_of(BIRD);
    unsigned other = sim_hash_distance(
        h, hash_of("Seven shells at two dollars are fourteen, and the lamp makes it nineteen."));
    unsigned changed = sim_hash_distance(
        h, hash_of("Birds have feathers and lay eggs, and an ostrich does both, although it runs "
                   "rather than flies; therefore it counts among them."));
    cr_expect_gt(other, 15);
    cr_expect_lt(changed, other);
    cr_expect_gt(changed, 0);
}

Test(sim_index, finds_every_hash_within_three_bits_and_none_beyond)
{
    rt_error err = {0};
    sim_index *ix = NULL;
    rng_key key = rng_key_make(1, "test", (rt_id){0}, 0);
    cr_assert_eq(sim_index_new(&ix, &err), RT_OK);
    for (uint32_t i = 0; i < 2000; i++)
        cr_assert_eq(sim_index_add(ix, rng_u64(key, i), i, &err), RT_OK);
    for (uint64_t t = 0; t < 4000; t++) {
        uint32_t i = (uint32_t)rng_below(key, 10000 + t, 2000);
        uint64_t h = rng_u64(key, i);
        unsigned n_bits = (unsigned)(t % 6);
        for (unsigned k = 0; k < n_bits; k++) /* distinct bits, in any block */
            h ^= UINT64_C(1) << ((t * 7 + k * 13) % 64);
        cr_expect_eq(sim_index_find(ix, h), n_bits <= SIM_NEAR ? i : SIM_NONE, "%u bits", n_bits);
    }
    sim_index_free(ix);
}

Test(sim_index, gives_the_one_that_was_added_first)
{
    rt_error err = {0};
    sim_index *ix = NULL;
    cr_assert_eq(sim_index_new(&ix, &err), RT_OK);
    cr_expect_eq(sim_index_find(ix, 0), SIM_NONE);
    cr_assert_eq(sim_index_add(ix, 7, 40, &err), RT_OK); /* three bits from 0 */
    cr_assert_eq(sim_index_add(ix, 1, 30, &err), RT_OK); /* one */
    cr_expect_eq(sim_index_find(ix, 0), 40);
    sim_index_free(ix);
}
