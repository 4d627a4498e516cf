/* Templates such as "{question}\nAnswer Choices:\n{choices}" over named fields.
 *
 * "{name}" is replaced by the field, "{{" and "}}" are braces. Dotted names reach into objects and
 * "{choices}" of a JSON array becomes "(a) first\n(b) second". A missing field is an error that
 * names it.
 */
#ifndef RT_TEXT_TEMPLATE_H
#define RT_TEXT_TEMPLATE_H

#include "common/base/bytes.h"

typedef struct template template;

/* Parse. RT_INVALID names the column of an unbalanced brace. Returns new; template_free(). */
RT_MUST_USE rt_status template_parse(const char *text, template **out, rt_error *err);
void template_free(template *t);

/* Looks a field up: appends its text to *out and returns RT_OK, or RT_NOTFOUND. */
typedef rt_status (*template_lookup)(void *context, const char *field, rt_buf *out, rt_error *err);

/* Append the rendered text. RT_NOTFOUND names the missing field. */
RT_MUST_USE rt_status template_render(const template *t, template_lookup lookup, void *context,
                                      rt_buf *out, rt_error *err);

/* Fields as plain pairs, for callers that hold a few strings. */
typedef struct template_pair {
    const char *name;
    const char *value; /* NULL: missing */
} template_pair;
RT_MUST_USE rt_status template_render_pairs(const template *t, const template_pair *pairs,
                                            size_t n_pairs, rt_buf *out, rt_error *err);
size_t template_n_fields(const template *t);
const char *template_field(const template *t, size_t i);

#endif
