/* Text as it is written, token by token: ended by stop strings, handed out in whole characters.
 *
 *     text_stream out = {.stops = stops, .n_stops = 2};
 *     text_stream_add(&out, bytes, n, err);               // out.stopped: a stop string was met
 *     text_stream_take(&out, false, &piece, err);         // what may be sent already
 *     text_stream_take(&out, true, &piece, err);          // the rest, at the end
 *
 *     written:  T h e   a n s w e r   i s   4 2 \n \n Q
 *               \____ taken ____/ \___ safe __/ \__ held: could become the stop string "\n\nQ:"
 *
 * The text ends before the first stop string. Held back is what may still become a stop string, and
 * a character of which bytes are missing. Invalid bytes are handed out as U+FFFD and zero bytes as
 * blanks, so the pieces joined are the repaired text.
 */
#ifndef RT_WORKER_SERVE_TEXT_STREAM_H
#define RT_WORKER_SERVE_TEXT_STREAM_H

#include "common/base/bytes.h"

/* Zero-initialise, then set the stops; text_stream_free(). */
typedef struct text_stream {
    const char *const *stops; /* [n_stops], not empty; borrows */
    size_t n_stops;
    rt_buf text; /* all of it, as bytes, without stop string */
    size_t n_taken;
    bool stopped;
} text_stream;

void text_stream_free(text_stream *s);
/* Bytes that come after a stop string are dropped. */
RT_MUST_USE rt_status text_stream_add(text_stream *s, const char *bytes, size_t n, rt_error *err);
/* Append what can be handed out, valid UTF-8, to *out. `last`: nothing follows. */
RT_MUST_USE rt_status text_stream_take(text_stream *s, bool last, rt_buf *out, rt_error *err);

/* Length of an unfinished character at the end of text[0..n), 0 to 3. */
size_t utf8_unfinished(const char *text, size_t n);

#endif
