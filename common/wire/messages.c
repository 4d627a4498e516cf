/* The envelope: encode checks, packs and appends; decode parses, checks and copies.
 *
 *     plain struct --to_pb--> protobuf-c struct --check--> bytes --check--> protobuf-c --> plain
 *
 * The protobuf-c structs never leave this folder: their ownership rules and their NULLs would
 * otherwise spread to every reader. */
#include "common/wire/messages.h"

#include <stdlib.h>
#include <string.h>

#include "common/wire/body.h"
#include "common/wire/check.h"

typedef struct type_name {
    wire_type type;
    const char *name;
} type_name;

static const type_name type_names[] = {
    {WIRE_REGISTER, "register"},
    {WIRE_HEARTBEAT, "heartbeat"},
    {WIRE_RUN_STATE, "run_state"},
    {WIRE_LEASE_REQUEST, "lease_request"},
    {WIRE_LEASE_GRANT, "lease_grant"},
    {WIRE_LEASE_DONE, "lease_done"},
    {WIRE_EVAL_RESULT, "eval_result"},
    {WIRE_SERVER_REPORT, "server_report"},
    {WIRE_SERVER_ORDER, "server_order"},
    {WIRE_PULL, "pull"},
    {WIRE_PULLED, "pulled"},
    {WIRE_PUSH, "push"},
    {WIRE_PUSHED, "pushed"},
    {WIRE_ACK, "ack"},
    {WIRE_REFUSED, "refused"},
    {WIRE_QUOTA_REPORT, "quota_report"},
    {WIRE_QUOTA_GRANT, "quota_grant"},
};

const char *wire_type_name(wire_type type)
{
    for (size_t i = 0; i < RT_COUNT(type_names); i++)
        if (type_names[i].type == type) return type_names[i].name;
    return "unknown";
}

const char *wire_role_name(wire_role role)
{
    switch (role) {
    case ROLE_TEACHER: return "teacher";
    case ROLE_STUDENT: return "student";
    case ROLE_SERVER: return "server";
    default: return "unknown";
    }
}

rt_status wire_encode(const wire_message *m, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    arena *a = NULL;
    Retort__Envelope e = RETORT__ENVELOPE__INIT;
    if ((st = arena_new(4096, &a, err)) != RT_OK) goto out;
    e.protocol = WIRE_PROTOCOL;
    e.run_id = m->run_id;
    e.sender = m->sender;
    e.incarnation = m->incarnation;
    e.message_id = m->message_id;
    e.n_frames = m->n_frames;
    if ((st = wire_body_to_pb(m, a, &e, err)) != RT_OK) goto out;
    if ((st = wire_body_check(&e, RT_INVALID, err)) != RT_OK) goto out;
    st = wire_pack(&e.base, WIRE_ENVELOPE_MAX, out, err);
out:
    arena_free(a);
    return st;
}

static rt_status check_envelope(const Retort__Envelope *e, rt_error *err)
{
    if (e->protocol != WIRE_PROTOCOL)
        return rt_fail(err, RT_UNSUPPORTED,
                       "envelope: protocol %u, expected %d; run one version "
                       "of retort everywhere",
                       e->protocol, WIRE_PROTOCOL);
    if (strcmp(wire_type_name((wire_type)e->body_case), "unknown") == 0)
        return rt_fail(err, RT_CORRUPT, "envelope: it has no body that is known here");
    rt_status st = wire_check(&e->base, RT_CORRUPT, err);
    return st != RT_OK ? st : wire_body_check(e, RT_CORRUPT, err);
}

rt_status wire_decode(const void *bytes, size_t n, wire_message *out, rt_error *err)
{
    rt_status st = RT_OK;
    wire_message m = {0};
    Retort__Envelope *e = NULL;
    if (n > WIRE_ENVELOPE_MAX) {
        st = rt_fail(err, RT_CORRUPT, "envelope: %zu bytes, the limit is %u", n, WIRE_ENVELOPE_MAX);
        goto out;
    }
    e = (Retort__Envelope *)wire_unpack(&retort__envelope__descriptor, bytes, n);
    if (e == NULL) {
        st = rt_fail(err, RT_CORRUPT, "envelope: %zu bytes that do not parse", n);
        goto out;
    }
    if ((st = check_envelope(e, err)) != RT_OK) goto out;
    m.type = (wire_type)e->body_case;
    m.incarnation = e->incarnation;
    m.message_id = e->message_id;
    m.n_frames = e->n_frames;
    if (!wire_take_text(&m.run_id, e->run_id) || !wire_take_text(&m.sender, e->sender)) {
        st = rt_fail(err, RT_NOMEM, "envelope");
        goto out;
    }
    if ((st = wire_body_from_pb(e, &m, err)) != RT_OK) goto out;
    *out = m;
    m = (wire_message){0};
out:
    wire_message_free(&m);
    wire_unpacked_free((ProtobufCMessage *)e);
    return st;
}
