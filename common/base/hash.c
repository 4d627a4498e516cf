#include "common/base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(((rt_sha256 *)0)->opaque),
               "rt_sha256 must hold libsodium's state");

static rt_id id_from_xxh(XXH128_hash_t h)
{
    return (rt_id){.high = h.high64, .low = h.low64};
}

rt_id rt_id_of(const void *bytes, size_t n_bytes)
{
    return id_from_xxh(XXH3_128bits(bytes, n_bytes));
}

rt_id rt_id_of_two(const void *a, size_t n_a, const void *b, size_t n_b)
{
    uint64_t boundary = n_a;
    XXH3_state_t *state = XXH3_createState();
    RT_ASSERT(state != NULL);
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, &boundary, sizeof boundary);
    XXH3_128bits_update(state, a, n_a);
    XXH3_128bits_update(state, b, n_b);
    rt_id id = id_from_xxh(XXH3_128bits_digest(state));
    XXH3_freeState(state);
    return id;
}

bool rt_id_equal(rt_id a, rt_id b)
{
    return a.high == b.high && a.low == b.low;
}

int rt_id_compare(rt_id a, rt_id b)
{
    if (a.high != b.high) return a.high < b.high ? -1 : 1;
    if (a.low != b.low) return a.low < b.low ? -1 : 1;
    return 0;
}

/* Not by printf and not digit by digit through branches: done for each line of a large corpus. */
static void half_to_hex(uint64_t half, char *out)
{
    for (int i = 15; i >= 0; i--, half >>= 4) out[i] = "0123456789abcdef"[half & 15];
}

void rt_id_to_hex(rt_id id, char out[RT_ID_HEX_SIZE])
{
    half_to_hex(id.high, out);
    half_to_hex(id.low, out + 16);
    out[32] = '\0';
}

/* 1 + value of a lower-case digit; 0: it is none. */
static const unsigned char digit_values[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16};

static bool half_from_hex(const char *hex, uint64_t *out)
{
    uint64_t half = 0;
    for (int i = 0; i < 16; i++) {
        unsigned char v = digit_values[(unsigned char)hex[i]];
        if (v == 0) return false; /* the end of the text, too */
        half = half << 4 | (uint64_t)(v - 1);
    }
    *out = half;
    return true;
}

bool rt_id_from_hex(const char *hex, rt_id *out)
{
    rt_id id;
    if (!half_from_hex(hex, &id.high) || !half_from_hex(hex + 16, &id.low) || hex[32] != '\0')
        return false;
    *out = id;
    return true;
}

uint64_t rt_hash64(const void *bytes, size_t n_bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, n_bytes, seed);
}

/* The state is the library's own; it is never looked into. */
rt_hash64_parts *rt_hash64_begin(uint64_t seed)
{
    XXH3_state_t *state = XXH3_createState();
    if (state != NULL) XXH3_64bits_reset_withSeed(state, seed);
    return (rt_hash64_parts *)(void *)state;
}

void rt_hash64_add(rt_hash64_parts *h, const void *bytes, size_t n_bytes)
{
    XXH3_64bits_update((XXH3_state_t *)(void *)h, bytes, n_bytes);
}

uint64_t rt_hash64_end(rt_hash64_parts *h)
{
    XXH3_state_t *state = (XXH3_state_t *)(void *)h;
    uint64_t hash = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return hash;
}

void rt_sha256_begin(rt_sha256 *state)
{
    crypto_hash_sha256_init((crypto_hash_sha256_state *)(void *)state->opaque);
}

void rt_sha256_add(rt_sha256 *state, const void *bytes, size_t n_bytes)
{
    crypto_hash_sha256_update((crypto_hash_sha256_state *)(void *)state->opaque, bytes, n_bytes);
}

void rt_sha256_end(rt_sha256 *state, char hex[RT_SHA256_HEX_SIZE])
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final((crypto_hash_sha256_state *)(void *)state->opaque, digest);
    sodium_bin2hex(hex, RT_SHA256_HEX_SIZE, digest, sizeof digest);
}

void rt_sha256_of(const void *bytes, size_t n_bytes, char hex[RT_SHA256_HEX_SIZE])
{
    rt_sha256 state;
    rt_sha256_begin(&state);
    rt_sha256_add(&state, bytes, n_bytes);
    rt_sha256_end(&state, hex);
}

rt_status rt_sha256_file(const char *path, char hex[RT_SHA256_HEX_SIZE], rt_error *err)
{
    rt_sha256 state;
    unsigned char block[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return rt_fail(err, RT_IO, "open %s: %s", path, strerror(errno));
    rt_sha256_begin(&state);
    for (;;) {
        ssize_t n = read(fd, block, sizeof block);
        if (n == 0) break;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            rt_status st = rt_fail(err, RT_IO, "read %s: %s", path, strerror(errno));
            close(fd);
            return st;
        }
        rt_sha256_add(&state, block, (size_t)n);
    }
    close(fd);
    rt_sha256_end(&state, hex);
    return RT_OK;
}
