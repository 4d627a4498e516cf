/* Settings written as YAML, in the order of the table, sections opened and closed on the way.
 *
 *     writer *w = NULL;
 *     if ((st = writer_new(&out, &w, err)) != RT_OK) goto out;
 *     for (...) if ((st = writer_add(w, settings_at(i), texts, n_texts, err)) != RT_OK) goto out;
 *     st = writer_end(w, err);
 *     writer_free(w);
 */
#ifndef RT_CONF_WRITER_H
#define RT_CONF_WRITER_H

#include "common/conf/settings.h"

typedef struct writer writer;

/* Adds to *out, which must outlive the writer. Returns new; freed with writer_free(). */
RT_MUST_USE rt_status writer_new(rt_buf *out, writer **w, rt_error *err);
void writer_free(writer *w);
/* Texts and items of lists are quoted, so that nothing in them is taken for YAML. */
RT_MUST_USE rt_status writer_add(writer *w, const setting *s, const char *const *texts,
                                 size_t n_texts, rt_error *err);
RT_MUST_USE rt_status writer_end(writer *w, rt_error *err);

#endif
