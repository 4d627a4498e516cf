/* LabelRecord: absent and empty text differ, so a bit mask says what is there. */
#include "common/wire/messages.h"

#include <stdlib.h>
#include <string.h>

#include "common/wire/body.h"
#include "common/wire/check.h"
#include "proto/queue.pb-c.h"

enum {
    PRESENT_SOURCE_ID = 1u << 0,
    PRESENT_GOLD = 1u << 1,
    PRESENT_LABEL = 1u << 2,
    PRESENT_RATIONALE = 1u << 3,
    PRESENT_REASON = 1u << 4,
    PRESENT_RAW = 1u << 5,
    PRESENT_META = 1u << 6,
    PRESENT_TOPK = 1u << 7,
};

/* A record is labelled (label, no reason) or rejected (reason, no label). */
static const char *wrong_state(bool has_label, bool has_reason)
{
    if (has_label == has_reason)
        return has_label ? "label_record: it has a label and a reason for rejection"
                         : "label_record: it has neither label nor reason for rejection";
    return NULL;
}

rt_status wire_encode_label(const label_record *r, rt_buf *out, rt_error *err)
{
    uint8_t id[16];
    Retort__LabelRecord pb = RETORT__LABEL_RECORD__INIT;
    const char *wrong = wrong_state(r->label != NULL, r->reason != NULL);
    if (wrong != NULL) return rt_fail(err, RT_INVALID, "%s", wrong);
    wire_id_to_bytes(r->id, id);
    pb.id = (ProtobufCBinaryData){sizeof id, id};
    pb.source_id = r->source_id;
    pb.input = r->input;
    pb.gold = r->gold;
    pb.label = r->label;
    pb.rationale = r->rationale;
    pb.reason = r->reason;
    if (r->raw != NULL) pb.raw = (ProtobufCBinaryData){strlen(r->raw), (uint8_t *)r->raw};
    pb.meta = r->meta;
    pb.topk = r->topk;
    pb.present = (r->source_id != NULL ? PRESENT_SOURCE_ID : 0u) |
                 (r->gold != NULL ? PRESENT_GOLD : 0u) | (r->label != NULL ? PRESENT_LABEL : 0u) |
                 (r->rationale != NULL ? PRESENT_RATIONALE : 0u) |
                 (r->reason != NULL ? PRESENT_REASON : 0u) | (r->raw != NULL ? PRESENT_RAW : 0u) |
                 (r->meta != NULL ? PRESENT_META : 0u) | (r->topk != NULL ? PRESENT_TOPK : 0u);
    return wire_pack(&pb.base, WIRE_ENVELOPE_MAX, out, err);
}

static bool take_present(char **out, const char *text, bool present)
{
    return !present || wire_take_text(out, text);
}

static bool copy_texts(const Retort__LabelRecord *pb, label_record *r)
{
    uint32_t p = pb->present;
    if ((p & PRESENT_RAW) != 0) {
        r->raw = rt_strndup(pb->raw.len > 0 ? (const char *)pb->raw.data : "", pb->raw.len);
        if (r->raw == NULL) return false;
    }
    return wire_take_text(&r->input, pb->input) &&
           take_present(&r->source_id, pb->source_id, (p & PRESENT_SOURCE_ID) != 0) &&
           take_present(&r->gold, pb->gold, (p & PRESENT_GOLD) != 0) &&
           take_present(&r->label, pb->label, (p & PRESENT_LABEL) != 0) &&
           take_present(&r->rationale, pb->rationale, (p & PRESENT_RATIONALE) != 0) &&
           take_present(&r->reason, pb->reason, (p & PRESENT_REASON) != 0) &&
           take_present(&r->meta, pb->meta, (p & PRESENT_META) != 0) &&
           take_present(&r->topk, pb->topk, (p & PRESENT_TOPK) != 0);
}

rt_status wire_decode_label(const void *bytes, size_t n, label_record *out, rt_error *err)
{
    rt_status st = RT_OK;
    label_record r = {0};
    const char *wrong = NULL;
    Retort__LabelRecord *pb = NULL;
    if (n <= WIRE_ENVELOPE_MAX)
        pb = (Retort__LabelRecord *)wire_unpack(&retort__label_record__descriptor, bytes, n);
    if (pb == NULL) {
        st = rt_fail(err, RT_CORRUPT, "label_record: %zu bytes that do not parse", n);
        goto out;
    }
    if ((st = wire_check(&pb->base, RT_CORRUPT, err)) != RT_OK) goto out;
    wrong = wrong_state((pb->present & PRESENT_LABEL) != 0, (pb->present & PRESENT_REASON) != 0);
    if (wrong == NULL && !wire_id_from_bytes(&pb->id, &r.id))
        wrong = "label_record: its id is not 16 bytes long";
    if (wrong == NULL && pb->raw.len > 0 && memchr(pb->raw.data, '\0', pb->raw.len) != NULL)
        wrong = "label_record: its raw text holds a zero byte";
    if (wrong != NULL) {
        st = rt_fail(err, RT_CORRUPT, "%s", wrong);
        goto out;
    }
    if (!copy_texts(pb, &r)) {
        st = rt_fail(err, RT_NOMEM, "label_record");
        goto out;
    }
    *out = r;
    r = (label_record){0};
out:
    label_record_free(&r);
    wire_unpacked_free((ProtobufCMessage *)pb);
    return st;
}
