#include "common/conf/writer.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct writer {
    yaml_emitter_t emitter;
    bool is_open; /* emitter is initialised */
    rt_buf *out;
    const char *section;
};

static int on_bytes(void *data, unsigned char *bytes, size_t n)
{
    rt_buf *out = data;
    return rt_buf_add(out, bytes, n, NULL) == RT_OK;
}

/* libyaml takes the event in any case. `made` is what the event's constructor returned: 0 for lack
 * of memory, as all text was checked to be UTF-8 before. */
static rt_status emit(writer *w, int made, yaml_event_t *event, rt_error *err)
{
    if (!made || !yaml_emitter_emit(&w->emitter, event))
        return rt_fail(err, RT_NOMEM, "writing settings as YAML: %s",
                       w->emitter.problem != NULL ? w->emitter.problem : "out of memory");
    return RT_OK;
}

static rt_status emit_text(writer *w, const char *text, bool is_quoted, rt_error *err)
{
    yaml_event_t e;
    yaml_scalar_style_t style =
        is_quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE;
    int made = yaml_scalar_event_initialize(&e, NULL, NULL, (const yaml_char_t *)text,
                                            (int)strlen(text), !is_quoted, is_quoted, style);
    return emit(w, made, &e, err);
}

static rt_status emit_mapping_start(writer *w, rt_error *err)
{
    yaml_event_t e;
    int made = yaml_mapping_start_event_initialize(&e, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE);
    return emit(w, made, &e, err);
}

static rt_status emit_mapping_end(writer *w, rt_error *err)
{
    yaml_event_t e;
    int made = yaml_mapping_end_event_initialize(&e);
    return emit(w, made, &e, err);
}

static rt_status emit_list(writer *w, const char *const *texts, size_t n_texts, rt_error *err)
{
    yaml_event_t e;
    int made = yaml_sequence_start_event_initialize(&e, NULL, NULL, 1, YAML_FLOW_SEQUENCE_STYLE);
    rt_status st = emit(w, made, &e, err);
    for (size_t i = 0; st == RT_OK && i < n_texts; i++) st = emit_text(w, texts[i], true, err);
    if (st != RT_OK) return st;
    made = yaml_sequence_end_event_initialize(&e);
    return emit(w, made, &e, err);
}

rt_status writer_new(rt_buf *out, writer **w_out, rt_error *err)
{
    rt_status st = RT_OK;
    yaml_event_t e;
    int made;
    writer *w = calloc(1, sizeof *w);
    if (w == NULL || !yaml_emitter_initialize(&w->emitter)) {
        st = rt_fail(err, RT_NOMEM, "YAML emitter");
        goto out;
    }
    w->is_open = true;
    w->out = out;
    w->section = "";
    yaml_emitter_set_output(&w->emitter, on_bytes, out);
    yaml_emitter_set_unicode(&w->emitter, 1);
    yaml_emitter_set_width(&w->emitter, -1);
    made = yaml_stream_start_event_initialize(&e, YAML_UTF8_ENCODING);
    if ((st = emit(w, made, &e, err)) != RT_OK) goto out;
    made = yaml_document_start_event_initialize(&e, NULL, NULL, NULL, 1);
    if ((st = emit(w, made, &e, err)) != RT_OK) goto out;
    if ((st = emit_mapping_start(w, err)) != RT_OK) goto out;
    *w_out = w;
    w = NULL;
out:
    writer_free(w);
    return st;
}

void writer_free(writer *w)
{
    if (w == NULL) return;
    if (w->is_open) yaml_emitter_delete(&w->emitter);
    free(w);
}

rt_status writer_add(writer *w, const setting *s, const char *const *texts, size_t n_texts,
                     rt_error *err)
{
    rt_status st = RT_OK;
    if (strcmp(w->section, s->section) != 0) {
        if (w->section[0] != '\0') st = emit_mapping_end(w, err);
        w->section = s->section;
        if (st == RT_OK) st = emit_text(w, s->section, false, err);
        if (st == RT_OK) st = emit_mapping_start(w, err);
        if (st != RT_OK) return st;
    }
    if ((st = emit_text(w, s->key, false, err)) != RT_OK) return st;
    if (s->type == SETTING_LIST) return emit_list(w, texts, n_texts, err);
    RT_ASSERT(n_texts == 1);
    return emit_text(w, texts[0], s->type == SETTING_TEXT || s->type == SETTING_SECRET, err);
}

rt_status writer_end(writer *w, rt_error *err)
{
    yaml_event_t e;
    rt_status st = RT_OK;
    if (w->section[0] != '\0') st = emit_mapping_end(w, err);
    if (st == RT_OK) st = emit_mapping_end(w, err);
    if (st != RT_OK) return st;
    if ((st = emit(w, yaml_document_end_event_initialize(&e, 1), &e, err)) != RT_OK) return st;
    if ((st = emit(w, yaml_stream_end_event_initialize(&e), &e, err)) != RT_OK) return st;
    if (!yaml_emitter_flush(&w->emitter)) return rt_fail(err, RT_NOMEM, "settings as YAML");
    return RT_OK;
}
