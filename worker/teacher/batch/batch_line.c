#include "worker/teacher/batch/batch_line.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void batch_ticket_print(const batch_ticket *ticket, char out[BATCH_CUSTOM_ID_SIZE])
{
    char hex[RT_ID_HEX_SIZE];
    rt_id_to_hex(ticket->record_id, hex);
    snprintf(out, BATCH_CUSTOM_ID_SIZE, "%s-%" PRIu32 "-%016" PRIx64, hex, ticket->sample,
             ticket->key_high);
}

bool batch_ticket_parse(const char *custom_id, batch_ticket *out)
{
    char hex[RT_ID_HEX_SIZE], again[BATCH_CUSTOM_ID_SIZE];
    batch_ticket ticket;
    if (strlen(custom_id) >= BATCH_CUSTOM_ID_SIZE) return false;
    snprintf(hex, sizeof hex, "%.32s", custom_id);
    if (!rt_id_from_hex(hex, &ticket.record_id)) return false;
    if (sscanf(custom_id + 32, "-%" SCNu32 "-%" SCNx64, &ticket.sample, &ticket.key_high) != 2)
        return false;
    batch_ticket_print(&ticket, again); /* signs, blanks, zeros, a tail: not ours */
    if (strcmp(again, custom_id) != 0) return false;
    *out = ticket;
    return true;
}

rt_status batch_line_write(const batch_ticket *ticket, const char *url, const char *body,
                           size_t n_body, rt_buf *out, rt_error *err)
{
    char custom_id[BATCH_CUSTOM_ID_SIZE];
    json_t *value = json_string(url);
    char *quoted = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY);
    batch_ticket_print(ticket, custom_id);
    rt_status st = quoted == NULL ? rt_fail(err, RT_NOMEM, "batch line")
                                  : rt_buf_printf(out, err,
                                                  "{\"custom_id\":\"%s\",\"method\":\"POST\","
                                                  "\"url\":%s,\"body\":",
                                                  custom_id, quoted);
    if (st == RT_OK) st = rt_buf_add(out, body, n_body, err);
    if (st == RT_OK) st = rt_buf_add(out, "}\n", 2, err);
    free(quoted);
    json_decref(value);
    return st;
}

void batch_result_free(batch_result *r)
{
    if (r == NULL) return;
    free(r->custom_id);
    rt_buf_free(&r->body);
    *r = (batch_result){0};
}

static rt_status load(const char *line, size_t n, json_t **out, rt_error *err)
{
    json_error_t where;
    json_t *root = json_loadb(line, n, 0, &where);
    if (root == NULL)
        return rt_fail(err, RT_CORRUPT, "invalid JSON: %s at column %d", where.text, where.column);
    if (json_string_value(json_object_get(root, "custom_id")) == NULL) {
        json_decref(root);
        return rt_fail(err, RT_CORRUPT, "expected an object with a custom_id");
    }
    *out = root;
    return RT_OK;
}

/* What a provider says went wrong: {"code","message"}, {"type",...}, or a bare text. */
static void take_error(const json_t *error, const char *fallback, batch_result *r)
{
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *type = json_string_value(json_object_get(error, "type"));
    const char *message = json_string_value(json_object_get(error, "message"));
    if (message == NULL) message = json_string_value(error);
    snprintf(r->code, sizeof r->code, "%s",
             code != NULL && code[0] != '\0'   ? code
             : type != NULL && type[0] != '\0' ? type
                                               : fallback);
    snprintf(r->message, sizeof r->message, "%s", message == NULL ? "" : message);
}

static bool is_nothing(const json_t *value)
{
    return value == NULL || json_is_null(value) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

static rt_status take_response(const json_t *response, batch_result *r, rt_error *err)
{
    char status[32];
    const json_t *code = json_object_get(response, "status_code");
    const json_t *body = json_object_get(response, "body");
    json_int_t number = json_is_integer(code) ? json_integer_value(code) : 200;
    if (number != 200) {
        snprintf(status, sizeof status, "status_%" JSON_INTEGER_FORMAT, number);
        const json_t *error = json_object_get(body, "error");
        take_error(error != NULL ? error : body, status, r);
        return RT_OK;
    }
    if (!json_is_object(body)) {
        take_error(NULL, "no_response", r);
        return RT_OK;
    }
    char *text = json_dumps(body, JSON_COMPACT);
    rt_status st = text == NULL ? rt_fail(err, RT_NOMEM, "batch answer")
                                : rt_buf_add_text(&r->body, text, err);
    free(text);
    return st;
}

rt_status batch_line_read(const char *line, size_t n, batch_result *out, rt_error *err)
{
    json_t *root = NULL;
    batch_result r = {0};
    rt_status st = load(line, n, &root, err);
    if (st != RT_OK) return st;
    const char *custom_id = json_string_value(json_object_get(root, "custom_id"));
    const json_t *error = json_object_get(root, "error");
    const json_t *response = json_object_get(root, "response");
    r.custom_id = rt_strndup(custom_id, strlen(custom_id));
    if (r.custom_id == NULL)
        st = rt_fail(err, RT_NOMEM, "batch answer");
    else if (!is_nothing(error))
        take_error(error, "error", &r);
    else if (response == NULL)
        st = rt_fail(err, RT_CORRUPT, "neither response nor error: is this a batch's input?");
    else
        st = take_response(response, &r, err);
    json_decref(root);
    if (st == RT_OK) {
        batch_result_free(out);
        *out = r;
    } else {
        batch_result_free(&r);
    }
    return st;
}

rt_status batch_line_custom_id(const char *line, size_t n, char out[BATCH_CUSTOM_ID_SIZE],
                               rt_error *err)
{
    json_t *root = NULL;
    rt_status st = load(line, n, &root, err);
    if (st != RT_OK) return st;
    snprintf(out, BATCH_CUSTOM_ID_SIZE, "%s",
             json_string_value(json_object_get(root, "custom_id")));
    json_decref(root);
    return RT_OK;
}
