/* Values inside a line of JSON, as they were written.
 *
 * A JSON library hands out numbers as double or int64, so 1.10 and 12345678901234567890 cannot be
 * printed as they stood. Here a value is a slice of the line. The line must have been accepted by
 * jansson before; on anything else the answers are useless but the reads stay inside the slice.
 */
#ifndef RT_CORPUS_JSON_SLICE_H
#define RT_CORPUS_JSON_SLICE_H

#include "common/base/bytes.h"

typedef struct json_slice {
    const char *text;
    size_t n;
} json_slice;

/* Follow a name such as "question.choices.0" through objects and arrays. A key that holds the dots
 * itself is found first. False when there is nothing. `rest` is "" or, at an array of objects, what
 * is to be looked up in each element. */
bool json_slice_find(json_slice value, const char *name, json_slice *out, const char **rest);

bool json_slice_is_null(json_slice value);

/* Append as text: strings decoded, numbers and booleans as written, arrays as lettered choices
 * ("(a) first\n(b) second", `rest` looked up in each element), objects as JSON. RT_NOTFOUND for
 * null and for an element without `rest`. */
RT_MUST_USE rt_status json_slice_print(json_slice value, const char *rest, rt_buf *out,
                                       rt_error *err);

#endif
