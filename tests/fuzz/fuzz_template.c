/* Any text parses or is refused; what parses renders with every field there, and names its missing
 * field when none is. */
#include <stdlib.h>
#include <string.h>

#include "common/text/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static rt_status lookup_all(void *context, const char *field, rt_buf *out, rt_error *err)
{
    (void)context;
    return rt_buf_add_text(out, field, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char *text = rt_strndup((const char *)bytes, n);
    template *t = NULL;
    rt_buf out = {0};
    rt_error err = {0};
    if (text == NULL) return 0;
    if (template_parse(text, &t, &err) == RT_OK) {
        if (template_render(t, lookup_all, NULL, &out, &err) != RT_OK) abort();
        if (out.n > strlen(text)) abort(); /* a field's name is shorter than "{name}" */
        rt_buf_clear(&out);
        rt_status st = template_render_pairs(t, NULL, 0, &out, &err);
        if (st != (template_n_fields(t) > 0 ? RT_NOTFOUND : RT_OK)) abort();
    } else if (err.status != RT_INVALID) {
        abort();
    }
    rt_buf_free(&out);
    template_free(t);
    free(text);
    return 0;
}
