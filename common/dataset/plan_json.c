/* plan.jsonl: one line a segment, so that a resumed run can prove that it plans the same. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "common/dataset/plan.h"

static const char *const kind_names[] = {[PLAN_CHUNK] = "chunk", [PLAN_EPOCH] = "epoch"};

rt_status plan_segment_to_json(const plan_segment *s, rt_buf *out, rt_error *err)
{
    const uint64_t numbers[] = {s->index, s->epoch, s->first_step, s->n_steps, s->n_records};
    if ((unsigned)s->kind >= RT_COUNT(kind_names))
        return rt_fail(err, RT_INVALID, "plan segment of kind %d", (int)s->kind);
    for (size_t i = 0; i < RT_COUNT(numbers); i++)
        if (numbers[i] > INT64_MAX)
            return rt_fail(err, RT_INVALID, "plan segment with the number %" PRIu64, numbers[i]);
    return rt_buf_printf(out, err,
                         "{\"kind\":\"%s\",\"index\":%" PRIu64 ",\"epoch\":%" PRIu64
                         ",\"first_step\":%" PRIu64 ",\"n_steps\":%" PRIu64
                         ",\"n_records\":%" PRIu64 ",\"sha256\":\"%s\"}\n",
                         kind_names[s->kind], s->index, s->epoch, s->first_step, s->n_steps,
                         s->n_records, s->sha256);
}

static rt_status take_number(const json_t *object, const char *key, uint64_t *out, rt_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return rt_fail(err, RT_CORRUPT, "plan segment: %s: expected a number from 0", key);
    *out = (uint64_t)json_integer_value(value);
    return RT_OK;
}

static rt_status take_kind(const json_t *object, plan_kind *out, rt_error *err)
{
    const char *name = json_string_value(json_object_get(object, "kind"));
    for (size_t i = 0; name != NULL && i < RT_COUNT(kind_names); i++) {
        if (strcmp(name, kind_names[i]) != 0) continue;
        *out = (plan_kind)i;
        return RT_OK;
    }
    return rt_fail(err, RT_CORRUPT, "plan segment: kind '%s': expected chunk or epoch",
                   name == NULL ? "" : name);
}

static rt_status take_segment(const json_t *object, plan_segment *s, rt_error *err)
{
    rt_status st;
    uint64_t end;
    if ((st = take_kind(object, &s->kind, err)) != RT_OK) return st;
    if ((st = take_number(object, "index", &s->index, err)) != RT_OK) return st;
    if ((st = take_number(object, "epoch", &s->epoch, err)) != RT_OK) return st;
    if ((st = take_number(object, "first_step", &s->first_step, err)) != RT_OK) return st;
    if ((st = take_number(object, "n_steps", &s->n_steps, err)) != RT_OK) return st;
    if ((st = take_number(object, "n_records", &s->n_records, err)) != RT_OK) return st;
    if (s->epoch != (s->kind == PLAN_EPOCH ? s->index : 0))
        return rt_fail(err, RT_CORRUPT, "plan segment: epoch %" PRIu64 " of %s %" PRIu64, s->epoch,
                       kind_names[s->kind], s->index);
    if (__builtin_add_overflow(s->first_step, s->n_steps, &end) || s->n_steps > s->n_records)
        return rt_fail(err, RT_CORRUPT, "plan segment: %" PRIu64 " steps of %" PRIu64 " records",
                       s->n_steps, s->n_records);
    const char *sha = json_string_value(json_object_get(object, "sha256"));
    if (sha == NULL || strlen(sha) != RT_SHA256_HEX_SIZE - 1 ||
        strspn(sha, "0123456789abcdef") != RT_SHA256_HEX_SIZE - 1)
        return rt_fail(err, RT_CORRUPT, "plan segment: sha256: expected 64 hex digits");
    memcpy(s->sha256, sha, RT_SHA256_HEX_SIZE);
    return RT_OK;
}

rt_status plan_segment_from_json(const char *line, size_t n, plan_segment *out, rt_error *err)
{
    json_error_t where;
    plan_segment s = {0};
    json_t *object = json_loadb(line, n, JSON_REJECT_DUPLICATES, &where);
    if (object == NULL)
        return rt_fail(err, RT_CORRUPT, "plan segment: invalid JSON: %s at column %d", where.text,
                       where.column);
    rt_status st = take_segment(object, &s, err);
    json_decref(object);
    if (st == RT_OK) *out = s;
    return st;
}
