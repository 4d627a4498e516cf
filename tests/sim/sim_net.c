/* The network: every message is encoded, may be lost, repeated, late or overtaken, and is decoded
 * where it arrives. Twins of common/net/endpoint.h for what runs in the world. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

typedef struct packet {
    uint32_t from, to;
    uint64_t from_life, to_life;
    rt_buf bytes;
    rt_buf *frames;
    size_t n_frames;
} packet;

/* A peer is a process, not an address: what restarts is another one. */
typedef struct peer_name {
    uint32_t node;
    uint64_t life;
} peer_name;

bool sim_is_blocked(const sim_node *from, const sim_node *to)
{
    return sim->blocked_until_ms[from->i][to->i] > sim->now_ms;
}

void sim_packet_free(void *what)
{
    packet *p = what;
    if (p == NULL) return;
    for (size_t i = 0; i < p->n_frames; i++) rt_buf_free(&p->frames[i]);
    free(p->frames);
    rt_buf_free(&p->bytes);
    free(p);
}

static packet *packet_new(const sim_node *from, const sim_node *to, uint64_t to_life,
                          const wire_message *m, const net_frame *frames, size_t n_frames)
{
    rt_error err = {0};
    packet *p = rt_calloc(1, sizeof *p);
    RT_ASSERT(p != NULL);
    *p = (packet){.from = from->i,
                  .to = to->i,
                  .from_life = from->life,
                  .to_life = to_life,
                  .frames = rt_calloc(n_frames, sizeof(rt_buf)),
                  .n_frames = n_frames};
    RT_ASSERT(p->frames != NULL);
    if (wire_encode(m, &p->bytes, &err) != RT_OK) sim_fail("encode: %s", err.text);
    for (size_t i = 0; i < n_frames; i++)
        RT_ASSERT(rt_buf_add(&p->frames[i], frames[i].data, frames[i].n_bytes, NULL) == RT_OK);
    return p;
}

static void launch(const sim_node *from, sim_node *to, packet *p)
{
    uint64_t delay_ms = sim_between(0, sim->shape.delay_ms_max);
    if (sim_chance(sim->shape.p_late)) delay_ms += sim_between(100, 4000);
    if (sim_is_blocked(from, to)) {
        if (sim_chance(0.5)) { /* the connection is cut before the network heals */
            sim->counts.n_lost++;
            sim_packet_free(p);
            return;
        }
        delay_ms += sim->blocked_until_ms[from->i][to->i] - sim->now_ms;
    }
    sim_at(sim->now_ms + delay_ms, EVENT_PACKET, to, p);
}

void sim_send(sim_node *from, sim_node *to, uint64_t to_life, wire_message *m,
              const net_frame *frames, size_t n_frames)
{
    m->run_id = sim->config.name;
    m->sender = from->name;
    m->incarnation = from->incarnation;
    m->n_frames = (uint32_t)n_frames;
    sim->counts.n_sent++;
    if (sim_chance(sim->shape.p_loss)) {
        sim->counts.n_lost++;
        return;
    }
    launch(from, to, packet_new(from, to, to_life, m, frames, n_frames));
    if (sim_chance(sim->shape.p_repeat)) {
        sim->counts.n_repeated++;
        launch(from, to, packet_new(from, to, to_life, m, frames, n_frames));
    }
}

static void hear(sim_node *node, net_incoming *in)
{
    switch (node->role) {
    case SIM_COORDINATOR: sim_coordinator_hear(node, in); return;
    case SIM_SERVER: sim_server_hear(node, in); return;
    case SIM_STUDENT: sim_student_hear(node, in); return;
    case SIM_TEACHER: sim_teacher_hear(node, in); return;
    case SIM_REDIS: return;
    }
}

void sim_deliver(const sim_event *e)
{
    rt_error err = {0};
    packet *p = e->what;
    sim_node *to = &sim->nodes[p->to];
    if (!to->up || (p->to_life != 0 && p->to_life != to->life)) {
        sim->counts.n_lost++;
        sim_packet_free(p);
        return;
    }
    net_incoming in = {.frames = p, .n_frames = p->n_frames};
    peer_name name = {p->from, p->from_life};
    memcpy(in.peer.bytes, &name, sizeof name);
    in.peer.n = sizeof name;
    if (wire_decode(p->bytes.data, p->bytes.n, &in.message, &err) != RT_OK)
        sim_fail("decode: %s", err.text);
    sim_trace("<- %s from %s", wire_type_name(in.message.type), sim->nodes[p->from].name);
    hear(to, &in);
    wire_message_free(&in.message);
    sim_packet_free(p);
}

/* ---- common/net/endpoint.h ---- */

const void *net_frame_data(const net_incoming *in, size_t i, size_t *n_bytes)
{
    const packet *p = in->frames;
    *n_bytes = p->frames[i].n;
    return p->frames[i].data;
}

void net_incoming_free(net_incoming *in)
{
    wire_message_free(&in->message);
    *in = (net_incoming){0};
}

rt_status net_server_send(net_server *s, const net_peer *to, wire_message *m,
                          const net_frame *frames, size_t n_frames, rt_error *err)
{
    peer_name name;
    (void)err;
    memcpy(&name, to->bytes, sizeof name);
    if (!s->node->doomed) sim_send(s->node, &sim->nodes[name.node], name.life, m, frames, n_frames);
    for (size_t i = 0; i < n_frames; i++)
        if (frames[i].release != NULL)
            frames[i].release((void *)(uintptr_t)frames[i].data, frames[i].hint);
    return RT_OK;
}

const net_counts *net_server_counts(net_server *s)
{
    return &s->counts;
}
