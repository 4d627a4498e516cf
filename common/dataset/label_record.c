/* A record is one JSON object on one line, keys always in one order:
 *
 *   {"id":"<32 hex>","input":..,"label":..,"rationale":..,"gold":..,"source_id":..,"topk":..,"meta":{..},
 *    "check":"<16 hex>"}
 *
 * "check" is that of common/base/line_check.h: a flipped bit inside a label would train the student on
 * it.
 */
#include "common/dataset/label_record.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/line_check.h"
#include "common/text/utf8.h"

/* Reals of meta (a temperature, a cost) print as people wrote them; 17 digits would show 0.7 as
 * 0.69999999999999996. */
#define META_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15))

void label_record_free(label_record *r)
{
    if (r == NULL) return;
    free(r->source_id);
    free(r->input);
    free(r->gold);
    free(r->label);
    free(r->rationale);
    free(r->reason);
    free(r->raw);
    free(r->topk);
    free(r->meta);
    *r = (label_record){0};
}

static rt_status add_json(rt_buf *out, const json_t *value, size_t flags, rt_error *err)
{
    char *text = json_dumps(value, flags | JSON_ENCODE_ANY);
    if (text == NULL) return rt_fail(err, RT_NOMEM, "record as JSON");
    rt_status st = rt_buf_add_text(out, text, err);
    free(text);
    return st;
}

/* ,"key":"text" and nothing when the text is absent; bytes that are not UTF-8 become U+FFFD. */
static rt_status add_text(rt_buf *out, const char *key, const char *text, rt_error *err)
{
    if (text == NULL) return RT_OK;
    rt_status st = RT_OK;
    rt_buf repaired = {0};
    json_t *value = NULL;
    size_t n = strlen(text);
    if (!utf8_is_valid(text, n)) {
        if ((st = utf8_repair(text, n, &repaired, err)) != RT_OK) goto out;
        text = repaired.data;
        n = repaired.n;
    }
    value = json_stringn(text, n);
    if (value == NULL) {
        st = rt_fail(err, RT_NOMEM, "record field %s", key);
        goto out;
    }
    if ((st = rt_buf_printf(out, err, ",\"%s\":", key)) != RT_OK) goto out;
    st = add_json(out, value, 0, err);
out:
    json_decref(value);
    rt_buf_free(&repaired);
    return st;
}

static rt_status add_meta(rt_buf *out, const char *meta, rt_error *err)
{
    if (meta == NULL) return RT_OK;
    json_error_t where;
    json_t *value = json_loads(meta, JSON_REJECT_DUPLICATES, &where);
    if (value == NULL)
        return rt_fail(err, RT_INVALID, "record meta: %s at column %d", where.text, where.column);
    rt_status st = RT_OK;
    if (!json_is_object(value))
        st = rt_fail(err, RT_INVALID, "record meta: expected a JSON object");
    if (st == RT_OK) st = rt_buf_add_text(out, ",\"meta\":", err);
    if (st == RT_OK) st = add_json(out, value, META_FLAGS, err);
    json_decref(value);
    return st;
}

static rt_status check_record(const label_record *r, rt_error *err)
{
    if (r->input == NULL) return rt_fail(err, RT_INVALID, "record without input");
    if ((r->label == NULL) == (r->reason == NULL))
        return rt_fail(err, RT_INVALID, "record with %s: expected exactly one of label and reason",
                       r->label == NULL ? "neither label nor reason" : "both label and reason");
    return RT_OK;
}

rt_status label_record_to_json(const label_record *r, rt_buf *out, rt_error *err)
{
    char hex[RT_ID_HEX_SIZE];
    size_t start = out->n;
    rt_id_to_hex(r->id, hex);
    rt_status st = check_record(r, err);
    if (st == RT_OK) st = rt_buf_printf(out, err, "{\"id\":\"%s\"", hex);
    if (st == RT_OK) st = add_text(out, "input", r->input, err);
    if (st == RT_OK) st = add_text(out, "label", r->label, err);
    if (st == RT_OK) st = add_text(out, "rationale", r->rationale, err);
    if (st == RT_OK) st = add_text(out, "gold", r->gold, err);
    if (st == RT_OK) st = add_text(out, "source_id", r->source_id, err);
    if (st == RT_OK) st = add_text(out, "reason", r->reason, err);
    if (st == RT_OK) st = add_text(out, "raw", r->raw, err);
    if (st == RT_OK) st = add_text(out, "topk", r->topk, err);
    if (st == RT_OK) st = add_meta(out, r->meta, err);
    if (st == RT_OK) st = line_check_close(out, start, err);
    if (st != RT_OK && out->n > start) {
        out->n = start;
        out->data[start] = '\0';
    }
    return st;
}

static rt_status take_text(const json_t *object, const char *key, char **out, rt_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL || json_is_null(value)) return RT_OK;
    if (!json_is_string(value)) return rt_fail(err, RT_CORRUPT, "field %s: expected a string", key);
    *out = rt_strndup(json_string_value(value), json_string_length(value));
    return *out == NULL ? rt_fail(err, RT_NOMEM, "record field %s", key) : RT_OK;
}

static rt_status take_id(const json_t *object, rt_id *out, rt_error *err)
{
    const json_t *value = json_object_get(object, "id");
    if (!json_is_string(value)) return rt_fail(err, RT_CORRUPT, "no id");
    if (json_string_length(value) != RT_ID_HEX_SIZE - 1 ||
        !rt_id_from_hex(json_string_value(value), out))
        return rt_fail(err, RT_CORRUPT, "id is '%.40s', expected 32 hex digits",
                       json_string_value(value));
    return RT_OK;
}

static rt_status take_meta(const json_t *object, char **out, rt_error *err)
{
    const json_t *value = json_object_get(object, "meta");
    if (value == NULL || json_is_null(value)) return RT_OK;
    if (!json_is_object(value)) return rt_fail(err, RT_CORRUPT, "field meta: expected an object");
    *out = json_dumps(value, META_FLAGS);
    return *out == NULL ? rt_fail(err, RT_NOMEM, "record meta") : RT_OK;
}

static rt_status take_fields(const json_t *object, label_record *r, rt_error *err)
{
    rt_status st;
    if (!json_is_object(object)) return rt_fail(err, RT_CORRUPT, "expected a JSON object");
    if ((st = take_id(object, &r->id, err)) != RT_OK) return st;
    if ((st = take_text(object, "input", &r->input, err)) != RT_OK) return st;
    if ((st = take_text(object, "label", &r->label, err)) != RT_OK) return st;
    if ((st = take_text(object, "rationale", &r->rationale, err)) != RT_OK) return st;
    if ((st = take_text(object, "gold", &r->gold, err)) != RT_OK) return st;
    if ((st = take_text(object, "source_id", &r->source_id, err)) != RT_OK) return st;
    if ((st = take_text(object, "reason", &r->reason, err)) != RT_OK) return st;
    if ((st = take_text(object, "raw", &r->raw, err)) != RT_OK) return st;
    if ((st = take_text(object, "topk", &r->topk, err)) != RT_OK) return st;
    if ((st = take_meta(object, &r->meta, err)) != RT_OK) return st;
    if ((st = check_record(r, err)) != RT_OK) {
        if (err != NULL) err->status = RT_CORRUPT;
        return RT_CORRUPT;
    }
    return RT_OK;
}

rt_status label_record_from_json(const char *text, size_t n, label_record *out, rt_error *err)
{
    rt_status st;
    label_record r = {0};
    json_error_t where;
    json_t *object = NULL;
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r')) n--;
    if ((st = line_check_verify(text, n, err)) != RT_OK) return st;
    object = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    if (object == NULL) {
        bool nomem = json_error_code(&where) == json_error_out_of_memory;
        return nomem ? rt_fail(err, RT_NOMEM, "record of %zu bytes", n)
                     : rt_fail(err, RT_CORRUPT, "invalid JSON: %s at column %d", where.text,
                               where.column);
    }
    st = take_fields(object, &r, err);
    json_decref(object);
    if (st == RT_OK) {
        *out = r;
        r = (label_record){0};
    }
    label_record_free(&r);
    return st;
}
