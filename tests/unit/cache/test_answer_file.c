#include "common/cache/answer_file.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define N_PAYLOAD 21
static const char payload[N_PAYLOAD + 1] = "{\"label\":\"(d) math\"}\n";

static rt_id key_of(uint64_t n)
{
    return (rt_id){.high = n, .low = ~n};
}

static rt_buf file_of(rt_id key, const char *text, size_t n)
{
    rt_buf b = {0};
    unsigned char header[ANSWER_FILE_HEADER];
    answer_file_header(key, text, n, header);
    cr_assert_eq(rt_buf_add(&b, header, sizeof header, NULL), RT_OK);
    cr_assert_eq(rt_buf_add(&b, text, n, NULL), RT_OK);
    return b;
}

static rt_status decode(rt_id key, const void *bytes, size_t n)
{
    const char *found = NULL;
    size_t n_found = 0;
    rt_error err = {0};
    rt_status st = answer_file_decode(key, bytes, n, &found, &n_found, &err);
    cr_expect_eq(st != RT_OK, err.text[0] != '\0');
    cr_expect_eq(st != RT_OK, found == NULL);
    return st;
}

Test(answer_file, gives_back_the_payload)
{
    const char *found = NULL;
    size_t n = 0;
    rt_buf b = file_of(key_of(7), payload, N_PAYLOAD);
    cr_assert_eq(answer_file_decode(key_of(7), b.data, b.n, &found, &n, NULL), RT_OK);
    cr_expect_eq(n, N_PAYLOAD);
    cr_expect_eq(memcmp(found, payload, n), 0);
    rt_buf_free(&b);
    b = file_of(key_of(8), "", 0);
    cr_assert_eq(answer_file_decode(key_of(8), b.data, b.n, &found, &n, NULL), RT_OK);
    cr_expect_eq(n, 0);
    rt_buf_free(&b);
}

Test(answer_file, refuses_a_file_cut_at_any_byte)
{
    rt_buf b = file_of(key_of(7), payload, N_PAYLOAD);
    for (size_t n = 0; n < b.n; n++) {
        char *cut = malloc(n + 1); /* its own size, so that a read beyond is seen */
        memcpy(cut, b.data, n);
        cr_expect_eq(decode(key_of(7), cut, n), RT_CORRUPT, "cut at %zu", n);
        free(cut);
    }
    rt_buf_free(&b);
}

Test(answer_file, refuses_any_flipped_bit)
{
    rt_buf b = file_of(key_of(7), payload, N_PAYLOAD);
    for (size_t i = 0; i < b.n * 8; i++) {
        b.data[i / 8] ^= (char)(1 << i % 8);
        cr_expect_eq(decode(key_of(7), b.data, b.n), RT_CORRUPT, "bit %zu", i);
        b.data[i / 8] ^= (char)(1 << i % 8);
    }
    cr_expect_eq(decode(key_of(7), b.data, b.n), RT_OK);
    rt_buf_free(&b);
}

Test(answer_file, refuses_a_longer_file_and_another_key)
{
    rt_buf b = file_of(key_of(7), payload, N_PAYLOAD);
    cr_expect_eq(decode(key_of(8), b.data, b.n), RT_CORRUPT);
    cr_assert_eq(rt_buf_add(&b, "x", 1, NULL), RT_OK);
    cr_expect_eq(decode(key_of(7), b.data, b.n), RT_CORRUPT);
    rt_buf_free(&b);
}

Test(answer_file, has_the_same_bytes_on_every_machine)
{
    static const unsigned char golden[ANSWER_FILE_HEADER] = {
        'R',  'T',  'A',  'N',  'S',  'W',  'R',  '1',  8, 7, 6, 5, 4, 3, 2, 1, /* magic, high */
        24,   23,   22,   21,   20,   19,   18,   17,   5, 0, 0, 0, 0, 0, 0, 0, /* low, n */
        0xa6, 0x65, 0x5c, 0x2e, 0xb0, 0x45, 0x54, 0x01,                         /* hash */
    };
    unsigned char header[ANSWER_FILE_HEADER];
    rt_id key = {.high = 0x0102030405060708, .low = 0x1112131415161718};
    answer_file_header(key, "hello", 5, header);
    cr_expect_eq(memcmp(header, golden, sizeof golden), 0);
}
