#include <criterion/criterion.h>
#include <string.h>

#include "common/wire/seal.h"

static rt_buf sealed(const char *text)
{
    rt_buf b = {0};
    cr_assert_eq(rt_buf_add_text(&b, text, NULL), RT_OK);
    cr_assert_eq(wire_seal(&b, NULL), RT_OK);
    return b;
}

Test(seal, gives_back_what_was_sealed)
{
    rt_buf b = sealed("some bytes");
    size_t n = b.n;
    cr_assert_eq(wire_unseal(b.data, &n, NULL), RT_OK);
    cr_expect_eq(n, strlen("some bytes"));
    rt_buf_free(&b);
}

Test(seal, notices_every_turned_bit_but_those_of_its_own_mark)
{
    rt_buf b = sealed("some bytes");
    size_t n_body = strlen("some bytes");
    for (size_t bit = 0; bit < b.n * 8; bit++) {
        size_t n = b.n;
        rt_error why = {0};
        bool in_mark = bit / 8 == n_body || bit / 8 == n_body + 1;
        b.data[bit / 8] = (char)(b.data[bit / 8] ^ (1 << bit % 8));
        rt_status st = wire_unseal(b.data, &n, &why);
        cr_expect_eq(st, in_mark ? RT_OK : RT_CORRUPT, "bit %zu", bit);
        b.data[bit / 8] = (char)(b.data[bit / 8] ^ (1 << bit % 8));
    }
    rt_buf_free(&b);
}

Test(seal, lets_a_message_without_one_pass)
{
    const char *texts[] = {"", "x", "longer than a seal is"};
    for (size_t i = 0; i < RT_COUNT(texts); i++) {
        size_t n = strlen(texts[i]);
        cr_expect_eq(wire_unseal(texts[i], &n, NULL), RT_OK);
        cr_expect_eq(n, strlen(texts[i]));
    }
}
