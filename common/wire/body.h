/* Bodies of the envelope: plain structs to and from protobuf-c's, one pair of functions per
 * message. Inside common/wire only. */
#ifndef RT_WIRE_BODY_H
#define RT_WIRE_BODY_H

#include "common/base/arena.h"
#include "common/wire/messages.h"
#include "proto/envelope.pb-c.h"

/* Point e's body at structs in the arena that borrow from *m. */
RT_MUST_USE rt_status wire_body_to_pb(const wire_message *m, arena *a, Retort__Envelope *e,
                                      rt_error *err);
/* Relations between fields, in both directions; `bad` is the status of a failure. */
RT_MUST_USE rt_status wire_body_check(const Retort__Envelope *e, rt_status bad, rt_error *err);
/* Copy e's body into *m, whose type is set and whose body is zero. What was copied before a
 * failure is left in *m for wire_message_free(). */
RT_MUST_USE rt_status wire_body_from_pb(const Retort__Envelope *e, wire_message *m, rt_error *err);

/* quota_body.c: the pair of messages about limits and money. */
bool wire_quota_report_to_pb(const wire_quota_report *in, arena *a, Retort__QuotaReport *pb);
void wire_quota_report_from_pb(const Retort__QuotaReport *pb, wire_quota_report *out);
/* What is wrong with it, or NULL. */
const char *wire_quota_report_wrong(const Retort__QuotaReport *pb);
bool wire_quota_grant_to_pb(const wire_quota_grant *in, arena *a, Retort__QuotaGrant *pb);
void wire_quota_grant_from_pb(const Retort__QuotaGrant *pb, wire_quota_grant *out);
const char *wire_quota_grant_wrong(const Retort__QuotaGrant *pb);

#define WIRE_MICRO_BATCHES_MAX (1u << 20) /* of one step */

/* New copy of a string, "" for NULL; false on out of memory. */
bool wire_take_text(char **out, const char *text);

/* Ids as 16 bytes, high half first, big-endian. */
void wire_id_to_bytes(rt_id id, uint8_t out[16]);
/* False unless n is 16. */
bool wire_id_from_bytes(const ProtobufCBinaryData *bytes, rt_id *out);

#endif
