#include "common/base/base64.h"

#include <sodium.h>

#define VARIANT sodium_base64_VARIANT_ORIGINAL

rt_status rt_base64_encode(const void *bytes, size_t n, rt_buf *out, rt_error *err)
{
    size_t n_text = sodium_base64_encoded_len(n, VARIANT); /* its end included */
    rt_status st = rt_buf_reserve(out, n_text, err);
    if (st != RT_OK) return st;
    sodium_bin2base64(out->data + out->n, n_text, n > 0 ? bytes : (const void *)"", n, VARIANT);
    out->n += n_text - 1;
    return RT_OK;
}

rt_status rt_base64_decode(const char *text, size_t n, rt_buf *out, rt_error *err)
{
    size_t n_bytes = 0;
    rt_status st = rt_buf_reserve(out, n / 4 * 3 + 3, err);
    if (st != RT_OK) return st;
    bool ok = sodium_base642bin((unsigned char *)out->data + out->n, n / 4 * 3 + 2, text, n, NULL,
                                &n_bytes, NULL, VARIANT) == 0;
    out->data[out->n + (ok ? n_bytes : 0)] = '\0';
    if (!ok) return rt_fail(err, RT_CORRUPT, "%zu bytes that are no base64", n);
    out->n += n_bytes;
    return RT_OK;
}
