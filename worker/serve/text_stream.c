#include "worker/serve/text_stream.h"

#include <string.h>

#include "common/text/utf8.h"

void text_stream_free(text_stream *s)
{
    rt_buf_free(&s->text);
}

/* Start of the first stop string that ends in text[n_before..), or SIZE_MAX. */
static size_t find_stop(const text_stream *s, size_t n_before)
{
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < s->n_stops; i++) {
        size_t n = strlen(s->stops[i]);
        size_t from = n_before >= n ? n_before - n + 1 : 0;
        const char *hit = memmem(s->text.data + from, s->text.n - from, s->stops[i], n);
        if (hit != NULL) first = RT_MIN(first, (size_t)(hit - s->text.data));
    }
    return first;
}

rt_status text_stream_add(text_stream *s, const char *bytes, size_t n, rt_error *err)
{
    size_t n_before = s->text.n;
    if (s->stopped) return RT_OK;
    rt_status st = rt_buf_add(&s->text, bytes, n, err);
    if (st != RT_OK || n == 0) return st;
    size_t end = find_stop(s, n_before);
    if (end == SIZE_MAX) return RT_OK;
    s->stopped = true;
    s->text.data[s->text.n = end] = '\0';
    return RT_OK;
}

/* Longest end of the text that begins a stop string. */
static size_t partial_stop(const text_stream *s)
{
    size_t most = 0;
    for (size_t i = 0; i < s->n_stops; i++) {
        size_t n = RT_MIN(strlen(s->stops[i]) - 1, s->text.n);
        for (; n > most; n--)
            if (memcmp(s->text.data + s->text.n - n, s->stops[i], n) == 0) break;
        most = RT_MAX(most, n);
    }
    return most;
}

size_t utf8_unfinished(const char *text, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = (unsigned char)text[n - back];
        if ((c & 0xC0) == 0x80) continue; /* in the middle of one */
        size_t length = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 1;
        return length > back && c <= 0xF4 ? back : 0;
    }
    return 0;
}

rt_status text_stream_take(text_stream *s, bool last, rt_buf *out, rt_error *err)
{
    size_t end = s->text.n;
    if (end == 0) return RT_OK;
    if (!last && !s->stopped) {
        end -= partial_stop(s);
        end -= utf8_unfinished(s->text.data, end);
    }
    if (end <= s->n_taken) return RT_OK;
    size_t n_before = out->n;
    rt_status st = utf8_repair(s->text.data + s->n_taken, end - s->n_taken, out, err);
    if (st != RT_OK) return st;
    for (size_t i = n_before; i < out->n; i++)
        if (out->data[i] == '\0') out->data[i] = ' ';
    s->n_taken = end;
    return RT_OK;
}
