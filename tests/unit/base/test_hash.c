#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/hash.h"

/* FIPS 180-4, published examples. */
static const char sha_abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char sha_empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

Test(hash, sha256_gives_the_published_answers)
{
    char hex[RT_SHA256_HEX_SIZE];
    rt_sha256_of("abc", 3, hex);
    cr_expect_str_eq(hex, sha_abc);
    rt_sha256_of("", 0, hex);
    cr_expect_str_eq(hex, sha_empty);
}

Test(hash, sha256_in_pieces_and_of_a_file_is_the_same)
{
    char hex[RT_SHA256_HEX_SIZE], path[] = "/tmp/rt-hash-XXXXXX";
    rt_error err = {0};
    rt_sha256 state;
    rt_sha256_begin(&state);
    rt_sha256_add(&state, "a", 1);
    rt_sha256_add(&state, "", 0);
    rt_sha256_add(&state, "bc", 2);
    rt_sha256_end(&state, hex);
    cr_expect_str_eq(hex, sha_abc);

    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "abc", 3), 3);
    close(fd);
    cr_expect_eq(rt_sha256_file(path, hex, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(hex, sha_abc);
    unlink(path);
    cr_expect_neq(rt_sha256_file(path, hex, &err), RT_OK);
    cr_expect_not_null(strstr(err.text, path), "%s", err.text);
}

Test(hash, an_id_survives_its_hex_form)
{
    char hex[RT_ID_HEX_SIZE];
    rt_id id = rt_id_of("text", 4), back = {0, 0};
    rt_id_to_hex(id, hex);
    cr_expect_eq(strlen(hex), 32);
    cr_expect(rt_id_from_hex(hex, &back));
    cr_expect(rt_id_equal(id, back));
    /* XXH3-128 of nothing, as its authors publish it: ids must not change between builds. */
    rt_id_to_hex(rt_id_of("", 0), hex);
    cr_expect_str_eq(hex, "99aa06d3014798d86001c324468d497f");
}

Test(hash, anything_but_32_digits_is_no_id)
{
    static const char *const bad[] = {"",
                                      "1",
                                      "99aa06d3014798d86001c324468d497",
                                      "99aa06d3014798d86001c324468d497f0",
                                      "99AA06d3014798d86001c324468d497f",
                                      "g9aa06d3014798d86001c324468d497f"};
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        rt_id id = {1, 2};
        cr_expect_not(rt_id_from_hex(bad[i], &id), "'%s'", bad[i]);
        cr_expect(rt_id_equal(id, (rt_id){1, 2}), "untouched");
    }
}

Test(hash, ids_of_two_parts_know_the_boundary)
{
    cr_expect_not(rt_id_equal(rt_id_of_two("ab", 2, "c", 1), rt_id_of_two("a", 1, "bc", 2)));
    cr_expect(rt_id_equal(rt_id_of_two("ab", 2, "c", 1), rt_id_of_two("ab", 2, "c", 1)));
}

Test(hash, ids_compare_as_their_hex_forms_do)
{
    static const rt_id ids[] = {{0, 0}, {0, 1}, {0, UINT64_MAX}, {1, 0}, {UINT64_MAX, 5}};
    for (size_t i = 0; i < RT_COUNT(ids); i++) {
        for (size_t k = 0; k < RT_COUNT(ids); k++) {
            char a[RT_ID_HEX_SIZE], b[RT_ID_HEX_SIZE];
            rt_id_to_hex(ids[i], a);
            rt_id_to_hex(ids[k], b);
            int by_text = strcmp(a, b), by_id = rt_id_compare(ids[i], ids[k]);
            cr_expect_eq((by_text > 0) - (by_text < 0), (by_id > 0) - (by_id < 0));
        }
    }
}

Test(hash, the_seed_changes_a_hash)
{
    cr_expect_eq(rt_hash64("abc", 3, 1), rt_hash64("abc", 3, 1));
    cr_expect_neq(rt_hash64("abc", 3, 1), rt_hash64("abc", 3, 2));
}
