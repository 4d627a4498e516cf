#include "common/http_server/api_keys.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/fs.h"
#include "common/base/hash.h"

#define FILE_BYTES_MAX ((size_t)8 << 20)

struct api_keys {
    char (*hashes)[RT_SHA256_HEX_SIZE]; /* [n] */
    size_t n;
};

void api_keys_free(api_keys *keys)
{
    if (keys == NULL) return;
    free(keys->hashes);
    free(keys);
}

static rt_status add_key(api_keys *keys, const char *key, size_t n, size_t line, rt_error *err)
{
    if (n > API_KEY_BYTES_MAX)
        return rt_fail(err, RT_INVALID, "line %zu: the key has %zu bytes, at most %d", line, n,
                       API_KEY_BYTES_MAX);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)key[i] <= ' ' || (unsigned char)key[i] > '~')
            return rt_fail(err, RT_INVALID, "line %zu: a key is made of printable ASCII, no blanks",
                           line);
    if (keys->n == API_KEYS_MAX) return rt_fail(err, RT_INVALID, "more than %d keys", API_KEYS_MAX);
    void *more = reallocarray(keys->hashes, keys->n + 1, sizeof *keys->hashes);
    if (more == NULL) return rt_fail(err, RT_NOMEM, "API keys");
    keys->hashes = more;
    rt_sha256_of(key, n, keys->hashes[keys->n++]);
    return RT_OK;
}

rt_status api_keys_parse(const char *text, size_t n, api_keys **out, rt_error *err)
{
    rt_status st = RT_OK;
    size_t i_line = 0;
    api_keys *keys = rt_calloc(1, sizeof *keys);
    if (keys == NULL) return rt_fail(err, RT_NOMEM, "API keys");
    for (size_t at = 0; st == RT_OK && at < n;) {
        const char *line = text + at, *end = memchr(line, '\n', n - at);
        size_t n_line = end != NULL ? (size_t)(end - line) : n - at;
        at += n_line + 1;
        i_line++;
        if (n_line > 0 && line[n_line - 1] == '\r') n_line--;
        if (n_line > 0 && line[0] != '#') st = add_key(keys, line, n_line, i_line, err);
    }
    if (st == RT_OK && keys->n == 0) st = rt_fail(err, RT_INVALID, "holds no key");
    if (st != RT_OK) {
        api_keys_free(keys);
        return st;
    }
    *out = keys;
    return RT_OK;
}

rt_status api_keys_load(const char *path, api_keys **out, rt_error *err)
{
    rt_buf text = {0};
    rt_status st = rt_fs_read(path, FILE_BYTES_MAX, &text, err);
    if (st == RT_OK) {
        st = api_keys_parse(text.data != NULL ? text.data : "", text.n, out, err);
        if (st != RT_OK) st = rt_wrap(err, st, "%s", path);
    }
    if (text.data != NULL) explicit_bzero(text.data, text.capacity);
    rt_buf_free(&text);
    return st;
}

rt_status api_keys_first(const char *path, rt_buf *out, rt_error *err)
{
    rt_buf text = {0};
    api_keys *keys = NULL;
    rt_status st = rt_fs_read(path, FILE_BYTES_MAX, &text, err);
    if (st == RT_OK && text.n == 0) st = rt_fail(err, RT_INVALID, "%s holds no key", path);
    if (st == RT_OK) {
        st = api_keys_parse(text.data, text.n, &keys, err);
        if (st != RT_OK) st = rt_wrap(err, st, "%s", path);
    }
    const char *line = text.data;
    while (st == RT_OK && (*line == '#' || *line == '\n' || *line == '\r'))
        line += strcspn(line, "\n") + 1; /* a key is there: the end is never passed */
    if (st == RT_OK) {
        rt_buf_clear(out);
        st = rt_buf_printf(out, err, "Bearer %.*s", (int)strcspn(line, "\r\n"), line);
    }
    api_keys_free(keys);
    if (text.data != NULL) explicit_bzero(text.data, text.capacity);
    rt_buf_free(&text);
    return st;
}

/* All bytes, whatever the first ones say. */
static unsigned differs(const char *a, const char *b)
{
    unsigned difference = 0;
    for (size_t i = 0; i < RT_SHA256_HEX_SIZE; i++)
        difference |= (unsigned)((unsigned char)a[i] ^ (unsigned char)b[i]);
    return difference;
}

bool api_keys_allow(const api_keys *keys, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    char hash[RT_SHA256_HEX_SIZE];
    unsigned n_equal = 0;
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *key = authorization + sizeof scheme - 1;
    key += strspn(key, " ");
    rt_sha256_of(key, strlen(key), hash);
    for (size_t i = 0; i < keys->n; i++) n_equal += differs(hash, keys->hashes[i]) == 0;
    return n_equal > 0;
}
