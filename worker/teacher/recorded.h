/* A recorded teacher: texts written earlier, found by the example's input or by its id at the
 * source.
 *
 *     recorded *r = NULL;
 *     if ((st = recorded_open(&settings, &r, err)) != RT_OK) goto out;
 *     st = recorded_find(r, key, strlen(key), 0, &text, &truncated, &found, err);
 *
 * Memory holds some forty bytes a row; the texts lie in an unlinked temporary file, so a recording
 * larger than memory is fine. The rows of one key, in their order, are its samples 0, 1, ...; with
 * samples_max 1 the first row wins.
 */
#ifndef RT_WORKER_TEACHER_RECORDED_H
#define RT_WORKER_TEACHER_RECORDED_H

#include "common/base/bytes.h"

typedef struct recorded recorded;

/* All borrowed during recorded_open(). */
typedef struct recorded_settings {
    const char *const *files; /* paths and globs, JSON lines, also .gz .zst */
    size_t n_files;
    const char *key_template;  /* of the input or the id, over a row's fields */
    const char *text_template; /* of the text */
    size_t samples_max;        /* of one key; 0 counts as 1 */
} recorded_settings;

typedef struct recorded_counts {
    uint64_t n_rows, n_keys, n_bad;
    uint64_t n_duplicates; /* beyond samples_max of their key */
} recorded_counts;

/* RT_CORRUPT when no row can be used; rows that cannot are counted and the first is named in the
 * log. Returns new; recorded_close(). */
RT_MUST_USE rt_status recorded_open(const recorded_settings *settings, recorded **out,
                                    rt_error *err);
void recorded_close(recorded *r);
/* Replace *text with the text of the key's row number `sample`. White space around a key does not count. *truncated: the row
 * says "finish_reason": "length". */
RT_MUST_USE rt_status recorded_find(recorded *r, const char *key, size_t n_key, uint32_t sample,
                                    rt_buf *text, bool *truncated, bool *found, rt_error *err);
const recorded_counts *recorded_get_counts(const recorded *r);

#endif
