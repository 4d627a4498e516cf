#include "common/cache/answer_file.h"

#include <string.h>

static const char magic[8] = {'R', 'T', 'A', 'N', 'S', 'W', 'R', '1'};

static void put_u64(unsigned char *to, uint64_t v)
{
    for (int i = 0; i < 8; i++) to[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t get_u64(const unsigned char *from)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v |= (uint64_t)from[i] << (8 * i);
    return v;
}

static uint64_t hash_of(const unsigned char *header, const void *payload, size_t n)
{
    return rt_hash64(payload, n, rt_hash64(header, ANSWER_FILE_HEADER - 8, 0));
}

void answer_file_header(rt_id key, const void *payload, size_t n,
                        unsigned char out[ANSWER_FILE_HEADER])
{
    memcpy(out, magic, sizeof magic);
    put_u64(out + 8, key.high);
    put_u64(out + 16, key.low);
    put_u64(out + 24, n);
    put_u64(out + 32, hash_of(out, payload, n));
}

rt_status answer_file_decode(rt_id key, const void *bytes, size_t n_bytes, const char **payload,
                             size_t *n, rt_error *err)
{
    const unsigned char *b = bytes;
    if (n_bytes < ANSWER_FILE_HEADER)
        return rt_fail(err, RT_CORRUPT, "answer of %zu bytes, expected at least %d", n_bytes,
                       ANSWER_FILE_HEADER);
    if (memcmp(b, magic, sizeof magic) != 0)
        return rt_fail(err, RT_CORRUPT, "not an answer: wrong first bytes");
    if (get_u64(b + 8) != key.high || get_u64(b + 16) != key.low)
        return rt_fail(err, RT_CORRUPT, "answer of another key");
    size_t n_payload = n_bytes - ANSWER_FILE_HEADER;
    if (get_u64(b + 24) != n_payload)
        return rt_fail(err, RT_CORRUPT, "answer of %zu bytes, expected %llu", n_payload,
                       (unsigned long long)get_u64(b + 24));
    if (get_u64(b + 32) != hash_of(b, b + ANSWER_FILE_HEADER, n_payload))
        return rt_fail(err, RT_CORRUPT, "answer with a wrong checksum");
    *payload = (const char *)b + ANSWER_FILE_HEADER;
    *n = n_payload;
    return RT_OK;
}
