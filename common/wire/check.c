#include "common/wire/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/utf8.h"
#include "common/wire/messages.h"

/* Lists by message and field; a list that is not named here is short. */
typedef struct list_limit {
    const char *message;
    const char *field;
    size_t n_max;
} list_limit;

#define SHORT_LIST_MAX 8

static const list_limit list_limits[] = {
    {"retort.Heartbeat", "counters", 1024},
    {"retort.Heartbeat", "histograms", 64},
    {"retort.Histogram", "buckets", 64},
    {"retort.RunState", "servers", 1024},
    {"retort.LeaseGrant", "examples", WIRE_LIST_MAX},
    {"retort.ServerReport", "param_index", WIRE_LIST_MAX},
    {"retort.ServerReport", "sum_squares", WIRE_LIST_MAX},
    {"retort.ServerReport", "saved_files", 64},
    {"retort.ServerReport", "staleness", WIRE_STALE_MAX},
    {"retort.Rows", "ids", WIRE_ROWS_MAX},
    {"retort.MicroBatch", "seqs", WIRE_LIST_MAX},
    {"retort.MicroBatch", "ids", WIRE_IDS_MAX},
};

static size_t list_limit_of(const char *message, const char *field)
{
    for (size_t i = 0; i < RT_COUNT(list_limits); i++)
        if (strcmp(list_limits[i].message, message) == 0 &&
            strcmp(list_limits[i].field, field) == 0)
            return list_limits[i].n_max;
    return SHORT_LIST_MAX;
}

/* Bytes of one element in memory; 0 for a type that the contract does not use. */
static size_t element_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM: return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return 8;
    case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING: return sizeof(char *);
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_MESSAGE: return sizeof(ProtobufCMessage *);
    }
    return 0;
}

static const char *check_text(const char *text)
{
    size_t n = text == NULL ? 0 : strlen(text);
    if (n > WIRE_TEXT_MAX) return "is longer than 8 MiB";
    return n > 0 && !utf8_is_valid(text, n) ? "is not valid UTF-8" : NULL;
}

/* What is wrong with one scalar, or NULL. */
static const char *check_value(const ProtobufCFieldDescriptor *f, const void *value)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING: return check_text(*(char *const *)value);
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)value)->len > WIRE_BYTES_MAX ? "is larger than 8 MiB"
                                                                          : NULL;
    case PROTOBUF_C_TYPE_FLOAT: return isfinite(*(const float *)value) ? NULL : "is not finite";
    case PROTOBUF_C_TYPE_DOUBLE: return isfinite(*(const double *)value) ? NULL : "is not finite";
    case PROTOBUF_C_TYPE_ENUM:
        return protobuf_c_enum_descriptor_get_value(f->descriptor, *(const int *)value) == NULL
                   ? "has a value unknown here"
                   : NULL;
    default: return NULL;
    }
}

static rt_status check_field(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
                             rt_status bad, rt_error *err)
{
    const char *base = (const char *)m;
    const char *message = m->descriptor->name;
    const void *first = base + f->offset;
    size_t n = 1;
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        n = *(const size_t *)(const void *)(base + f->quantifier_offset);
        first = *(void *const *)first;
        size_t n_max = list_limit_of(message, f->name);
        if (n > n_max)
            return rt_fail(err, bad, "%s.%s: %zu entries, the limit is %zu", message, f->name, n,
                           n_max);
    } else if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
               *(const uint32_t *)(const void *)(base + f->quantifier_offset) != f->id) {
        return RT_OK;
    }
    size_t size = element_size(f->type);
    for (size_t i = 0; i < n; i++) {
        const void *value = (const char *)first + i * size;
        if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
            const ProtobufCMessage *child = *(ProtobufCMessage *const *)value;
            rt_status st = child == NULL ? RT_OK : wire_check(child, bad, err);
            if (st != RT_OK) return st;
            continue;
        }
        const char *wrong = check_value(f, value);
        if (wrong != NULL) return rt_fail(err, bad, "%s.%s[%zu] %s", message, f->name, i, wrong);
    }
    return RT_OK;
}

rt_status wire_check(const ProtobufCMessage *m, rt_status bad, rt_error *err)
{
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        rt_status st = check_field(m, &m->descriptor->fields[i], bad, err);
        if (st != RT_OK) return st;
    }
    return RT_OK;
}

static void *budget_alloc(void *data, size_t n)
{
    size_t *left = data;
    if (n > *left) return NULL;
    *left -= n;
    return malloc(n);
}

static void budget_free(void *data, void *memory)
{
    (void)data;
    free(memory);
}

ProtobufCMessage *wire_unpack(const ProtobufCMessageDescriptor *type, const void *bytes, size_t n)
{
    size_t budget = 65536 + 32 * n;
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};
    return protobuf_c_message_unpack(type, &allocator, n, bytes);
}

void wire_unpacked_free(ProtobufCMessage *m)
{
    size_t unused = 0;
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &unused};
    if (m != NULL) protobuf_c_message_free_unpacked(m, &allocator);
}

rt_status wire_pack(const ProtobufCMessage *m, size_t n_max, rt_buf *out, rt_error *err)
{
    rt_status st = wire_check(m, RT_INVALID, err);
    if (st != RT_OK) return st;
    size_t n = protobuf_c_message_get_packed_size(m);
    if (n > n_max)
        return rt_fail(err, RT_INVALID, "%s: %zu bytes, the limit is %zu", m->descriptor->name, n,
                       n_max);
    if ((st = rt_buf_reserve(out, n + 1, err)) != RT_OK) return st;
    out->n += protobuf_c_message_pack(m, (uint8_t *)out->data + out->n);
    out->data[out->n] = '\0';
    return RT_OK;
}
