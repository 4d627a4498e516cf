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

/* param_body.c: what students and shards say to each other. */
void wire_pull_to_pb(const wire_pull *in, Retort__Pull *pb);
void wire_pull_from_pb(const Retort__Pull *pb, wire_pull *out);
bool wire_pulled_to_pb(const wire_pulled *in, arena *a, Retort__Pulled *pb);
void wire_pulled_from_pb(const Retort__Pulled *pb, wire_pulled *out);
bool wire_push_to_pb(const wire_push *in, arena *a, Retort__Push *pb);
/* False on out of memory. */
bool wire_push_from_pb(const Retort__Push *pb, wire_push *out);
const char *wire_push_wrong(const Retort__Push *pb);
void wire_pushed_to_pb(const wire_pushed *in, Retort__Pushed *pb);
void wire_pushed_from_pb(const Retort__Pushed *pb, wire_pushed *out);

Retort__LossSums *wire_sums_to_pb(const wire_sums *in, arena *a); /* NULL: out of memory */
void wire_sums_from_pb(const Retort__LossSums *pb, wire_sums *out);

#define WIRE_MICRO_BATCHES_MAX (1u << 20) /* of one step */

/* New copy of a string, "" for NULL; false on out of memory. */
bool wire_take_text(char **out, const char *text);

/* Ids as 16 bytes, high half first, big-endian. */
void wire_id_to_bytes(rt_id id, uint8_t out[16]);
/* False unless n is 16. */
bool wire_id_from_bytes(const ProtobufCBinaryData *bytes, rt_id *out);

#endif
