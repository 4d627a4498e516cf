#include "common/dataset/topk.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/base64.h"

#define VERSION 1
#define N_HEAD  9
#define SUM_MAX 1.001 /* rounding of the server's own */

void topk_writer_free(topk_writer *w)
{
    rt_buf_free(&w->places);
    *w = (topk_writer){0};
}

static void put_u32(char out[4], uint32_t x)
{
    for (int i = 0; i < 4; i++) out[i] = (char)(x >> (8 * i) & 0xff);
}

static uint32_t get_u32(const char *bytes)
{
    uint32_t x = 0;
    for (int i = 0; i < 4; i++) x |= (uint32_t)(unsigned char)bytes[i] << (8 * i);
    return x;
}

static void put_f32(char out[4], double x)
{
    /* What a server calls minus infinity may be beyond a float: as little as can be said. */
    float f = x < -1e30 && isfinite(x) ? -1e30f : (float)x;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    put_u32(out, bits);
}

static double get_f32(const char *bytes)
{
    uint32_t bits = get_u32(bytes);
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

static int by_falling_logprob(const void *a, const void *b)
{
    const topk_entry *x = a, *y = b;
    if (x->logprob != y->logprob) return x->logprob < y->logprob ? 1 : -1;
    size_t n = RT_MIN(x->n, y->n); /* equals: by their bytes, so that one place is one text */
    int order = n > 0 ? memcmp(x->token, y->token, n) : 0;
    return order != 0 ? order : (x->n > y->n) - (x->n < y->n);
}

/* Entries in order, and what is left beside them. False when they are no probabilities. */
static bool complete(topk_place *place)
{
    double sum = 0;
    if (place->n == 0 || place->n > TOPK_ENTRIES_MAX) return false;
    for (size_t i = 0; i < place->n; i++) {
        topk_entry *e = &place->entries[i];
        if (!isfinite(e->logprob) || e->logprob > 1e-3 || e->n > TOPK_TOKEN_BYTES_MAX) return false;
        e->logprob = RT_MIN(e->logprob, 0);
        sum += exp(e->logprob);
    }
    if (sum > SUM_MAX) return false;
    qsort(place->entries + 1, place->n - 1, sizeof *place->entries, by_falling_logprob);
    place->log_tail = 1 - sum < TOPK_TAIL_MIN ? -INFINITY : log1p(-sum);
    return true;
}

rt_status topk_add(topk_writer *w, topk_place *place, rt_error *err)
{
    char number[4], length;
    size_t n_bytes = 1 + sizeof number;
    if (!complete(place))
        return rt_fail(err, RT_INVALID,
                       "log-probabilities of a token are none: above 0, or of a "
                       "sum above 1");
    for (size_t i = 0; i < place->n; i++) n_bytes += sizeof number + 1 + place->entries[i].n;
    if (w->n_places < w->n_tokens || N_HEAD + w->places.n + n_bytes > TOPK_BYTES_MAX) {
        w->n_tokens++; /* what is left out is left out at the end */
        return RT_OK;
    }
    rt_status st = rt_buf_reserve(&w->places, n_bytes, err);
    length = (char)place->n;
    if (st == RT_OK) st = rt_buf_add(&w->places, &length, 1, err);
    put_f32(number, place->log_tail);
    if (st == RT_OK) st = rt_buf_add(&w->places, number, sizeof number, err);
    for (size_t i = 0; st == RT_OK && i < place->n; i++) {
        const topk_entry *e = &place->entries[i];
        put_f32(number, e->logprob);
        length = (char)e->n;
        st = rt_buf_add(&w->places, number, sizeof number, err);
        if (st == RT_OK) st = rt_buf_add(&w->places, &length, 1, err);
        if (st == RT_OK && e->n > 0) st = rt_buf_add(&w->places, e->token, e->n, err);
    }
    if (st != RT_OK) return st;
    w->n_tokens++;
    w->n_places++;
    return RT_OK;
}

rt_status topk_text(const topk_writer *w, rt_buf *out, rt_error *err)
{
    char head[N_HEAD] = {VERSION};
    rt_buf bytes = {0};
    rt_buf_clear(out);
    put_u32(head + 1, w->n_tokens);
    put_u32(head + 5, w->n_places);
    rt_status st = rt_buf_add(out, "", 0, err);
    if (st != RT_OK || w->n_tokens == 0) return st;
    st = rt_buf_add(&bytes, head, sizeof head, err);
    if (st == RT_OK && w->places.n > 0) st = rt_buf_add(&bytes, w->places.data, w->places.n, err);
    if (st == RT_OK) st = rt_base64_encode(bytes.data, bytes.n, out, err);
    rt_buf_free(&bytes);
    return st;
}

void topk_close(topk_reader *r)
{
    rt_buf_free(&r->bytes);
    *r = (topk_reader){0};
}

/* The place at *at, which moves behind it; false when the bytes end before, or hold no numbers. */
static bool read_place(const rt_buf *b, size_t *at, topk_place *out)
{
    size_t i = *at;
    if (b->n - i < 5) return false;
    out->n = (unsigned char)b->data[i];
    out->log_tail = get_f32(b->data + i + 1);
    if (out->n == 0 || out->n > TOPK_ENTRIES_MAX || !(out->log_tail <= 0)) return false;
    i += 5;
    for (size_t k = 0; k < out->n; k++) {
        topk_entry *e = &out->entries[k];
        if (b->n - i < 5) return false;
        e->logprob = get_f32(b->data + i);
        e->n = (unsigned char)b->data[i + 4];
        i += 5;
        if (b->n - i < e->n || !(e->logprob <= 0) || !isfinite(e->logprob)) return false;
        e->token = b->data + i;
        i += e->n;
    }
    *at = i;
    return true;
}

rt_status topk_next(topk_reader *r, topk_place *out)
{
    if (r->i_place == r->n_places) return RT_END;
    r->i_place++;
    bool ok = read_place(&r->bytes, &r->at, out);
    RT_ASSERT(ok); /* topk_open() has seen all of them */
    return RT_OK;
}

static bool is_whole(const topk_reader *r)
{
    topk_place place;
    size_t at = N_HEAD;
    if (r->n_places > r->n_tokens) return false;
    for (uint32_t i = 0; i < r->n_places; i++)
        if (!read_place(&r->bytes, &at, &place)) return false;
    return at == r->bytes.n;
}

rt_status topk_open(const char *text, size_t n, topk_reader *out, rt_error *err)
{
    topk_reader r = {.at = N_HEAD};
    rt_status st = RT_OK;
    if (n / 4 * 3 > TOPK_BYTES_MAX + 3)
        st = rt_fail(err, RT_CORRUPT, "topk: %zu bytes, expected at most %zu", n,
                     TOPK_BYTES_MAX / 3 * 4 + 4);
    if (st == RT_OK) st = rt_base64_decode(text, n, &r.bytes, err);
    if (st == RT_OK && (r.bytes.n < N_HEAD || r.bytes.data[0] != VERSION))
        st = rt_fail(err, RT_CORRUPT, "topk: not of version %d", VERSION);
    if (st == RT_OK) {
        r.n_tokens = get_u32(r.bytes.data + 1);
        r.n_places = get_u32(r.bytes.data + 5);
        if (!is_whole(&r)) st = rt_fail(err, RT_CORRUPT, "topk: damaged");
    }
    if (st == RT_OK) {
        *out = r;
        r = (topk_reader){0};
    }
    topk_close(&r);
    return st;
}
