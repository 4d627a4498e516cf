/* A config back to text: as YAML, and as the bytes of its fingerprint. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/conf/expand.h"
#include "common/conf/writer.h"

#define NUMBER_SIZE 40

/* The shortest form that reads back as the same number. */
static void print_double(double x, char out[NUMBER_SIZE])
{
    double back;
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, NUMBER_SIZE, "%.*g", digits, x);
        if (rt_parse_double(out, &back) && back == x) return;
    }
}

/* Value of a setting in the struct as one text or, of a list, several; a number is written into
 * `number`. *texts points into c or at *one. */
static size_t value_texts(const config *c, const setting *s, char number[NUMBER_SIZE],
                          const char **one, const char *const **texts)
{
    const char *field = (const char *)c + s->offset;
    *one = number;
    *texts = one;
    switch (s->type) {
    case SETTING_TEXT:
    case SETTING_SECRET:
        *one = *(char *const *)field;
        if (*one == NULL) *one = "";
        break;
    case SETTING_LIST: {
        const text_list *list = (const text_list *)field;
        *texts = (const char *const *)list->items;
        return list->n;
    }
    case SETTING_U64: snprintf(number, NUMBER_SIZE, "%" PRIu64, *(const uint64_t *)field); break;
    case SETTING_DOUBLE: print_double(*(const double *)field, number); break;
    case SETTING_BOOL: *one = *(const bool *)field ? "true" : "false"; break;
    case SETTING_ENUM: {
        unsigned value = (unsigned)*(const answer_kind *)field, n = 0;
        while (s->names[n] != NULL) n++;
        RT_ASSERT(value < n);
        *one = s->names[value];
        break;
    }
    }
    return 1;
}

/* Texts are escaped, as the reader expands them; a secret stays as written, it is not expanded. */
static rt_status print_setting(const config *c, const setting *s, writer *w, rt_error *err)
{
    rt_status st = RT_OK;
    char number[NUMBER_SIZE];
    const char *one;
    const char *const *texts;
    size_t n = value_texts(c, s, number, &one, &texts);
    if (s->type != SETTING_TEXT && s->type != SETTING_LIST) return writer_add(w, s, texts, n, err);
    rt_buf *escaped = rt_calloc(n, sizeof *escaped);
    const char **pointers = rt_calloc(n, sizeof *pointers);
    if (escaped == NULL || pointers == NULL) {
        st = rt_fail(err, RT_NOMEM, "%s", s->path);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        if ((st = expand_escape(texts[i], &escaped[i], err)) != RT_OK) goto out;
        pointers[i] = escaped[i].data;
    }
    st = writer_add(w, s, pointers, n, err);
out:
    for (size_t i = 0; escaped != NULL && i < n; i++) rt_buf_free(&escaped[i]);
    free(escaped);
    free(pointers);
    return st;
}

rt_status config_print(const config *c, rt_buf *out, rt_error *err)
{
    writer *w = NULL;
    rt_status st = writer_new(out, &w, err);
    for (size_t i = 0; st == RT_OK && i < settings_count(); i++)
        st = print_setting(c, settings_at(i), w, err);
    if (st == RT_OK) st = writer_end(w, err);
    writer_free(w);
    return st;
}

/* Lengths stand before the texts, so that no two configs have the same bytes. */
rt_status config_fingerprint(const config *c, char out[33], rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf bytes = {0};
    for (size_t i = 0; i < settings_count(); i++) {
        const setting *s = settings_at(i);
        char number[NUMBER_SIZE];
        const char *one;
        const char *const *texts;
        if (!s->decides_student) continue;
        size_t n = value_texts(c, s, number, &one, &texts);
        if ((st = rt_buf_printf(&bytes, err, "%s %zu\n", s->path, n)) != RT_OK) goto out;
        for (size_t j = 0; j < n; j++) {
            st = rt_buf_printf(&bytes, err, "%zu %s\n", strlen(texts[j]), texts[j]);
            if (st != RT_OK) goto out;
        }
    }
    rt_id_to_hex(rt_id_of(bytes.data, bytes.n), out);
out:
    rt_buf_free(&bytes);
    return st;
}
