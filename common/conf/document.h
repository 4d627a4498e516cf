/* A config file as written: the text of each setting and the line it stands on.
 *
 *     document *d = NULL;
 *     if ((st = document_parse("retort.yaml", yaml, n_yaml, &d, err)) != RT_OK) goto out;
 *     if ((st = document_set(d, "train.steps=100", err)) != RT_OK) goto out;
 *     const document_value *v = document_at(d, settings_index(s));
 *
 * This layer knows names and shape (a section holds settings, a setting is one text or one list of
 * texts), not types: what a text means is the business of resolve.c. Aliases, tags and nesting
 * beyond that shape are refused while the events arrive, so a small file cannot unfold into a
 * large one.
 */
#ifndef RT_CONF_DOCUMENT_H
#define RT_CONF_DOCUMENT_H

#include "common/conf/settings.h"

#define DOCUMENT_BYTES_MAX (1 << 20)

typedef struct document_value {
    bool is_set;
    bool is_list;
    bool from_sets; /* came from --set */
    size_t line;    /* from 1; 0 from --set */
    char **texts;   /* one, or the items of the list */
    size_t n_texts;
} document_value;

typedef struct document document;

/* Returns new; freed with document_free(). */
RT_MUST_USE rt_status document_parse(const char *name, const char *yaml, size_t n_yaml,
                                     document **out, rt_error *err);
void document_free(document *d);
/* Replace one setting by "key.path=value"; a list is written as YAML: ["a", "b"]. */
RT_MUST_USE rt_status document_set(document *d, const char *assignment, rt_error *err);
/* Replace all settings of a section, or the setting of a path, by those of another document, which
 * loses them. */
void document_take(document *d, document *from, const char *section_or_path);
/* Value of a setting, is_set false when it is not written. Valid until the next document_set(). */
const document_value *document_at(const document *d, size_t i_setting);

/* Fail with "file:line: path: message", "--set path: message", or "file: path: message" when the
 * setting is not written. */
RT_MUST_USE rt_status document_fail(const document *d, const setting *s, rt_error *err,
                                    const char *fmt, ...) RT_PRINTF(4, 5);

/* Text as it may stand in a message: short, on one line, UTF-8. */
#define FOUND_SIZE 72
void quote_found(const char *text, size_t n, char out[FOUND_SIZE]);

/* True when the bytes are UTF-8 (no surrogates, no overlong forms); else *i_bad is the first byte
 * that is not. */
bool text_is_utf8(const char *text, size_t n, size_t *i_bad);

#endif
