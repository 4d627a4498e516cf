/* A worker's place in the run, as worker/runtime has it: register, then a heartbeat every so often;
 * what the coordinator answers is the worker's view. */
#include <stdio.h>
#include <string.h>

#include "common/base/status.h"
#include "tests/sim/sim.h"

#define REGISTER_AGAIN_MS 300

sim_node *sim_coordinator_node(void)
{
    return &sim->nodes[0];
}

void sim_member_beat(sim_node *node, sim_member *m, wire_role role)
{
    char endpoint[24], same[] = "same", none[] = "";
    if (sim->now_ms < m->beat_ms) return;
    snprintf(endpoint, sizeof endpoint, "%u", node->i);
    wire_message message = {.type = WIRE_HEARTBEAT,
                            .heartbeat = {.role = role, .shard = node->k, .busy_with = none}};
    if (!m->registered)
        message = (wire_message){.type = WIRE_REGISTER,
                                 .register_ = {.role = role,
                                               .shard = node->k,
                                               .endpoint = role == ROLE_SERVER ? endpoint : none,
                                               .pid = (int64_t)node->life,
                                               .host = none,
                                               .fingerprint = same}};
    m->beat_ms =
        sim->now_ms + (m->registered ? sim->config.net.heartbeat_ms : (uint64_t)REGISTER_AGAIN_MS);
    sim_send(node, sim_coordinator_node(), 0, &message, NULL, 0);
}

static void take_state(sim_member *m, const wire_run_state *state)
{
    m->registered = true;
    m->phase = state->phase;
    m->generation = state->generation;
    m->n_servers = 0;
    for (size_t i = 0; i < state->n_addresses; i++) {
        unsigned at = 0;
        if (sscanf(state->servers[i].endpoint, "%u", &at) != 1) return;
        m->servers[state->servers[i].shard] = at;
    }
    m->n_servers = state->n_addresses;
}

bool sim_member_hear(sim_node *node, sim_member *m, const net_incoming *in)
{
    const wire_message *message = &in->message;
    if (message->type == WIRE_RUN_STATE) {
        take_state(m, &message->run_state);
        if (m->phase == PHASE_FINISHED) sim_leave(node, true);
        return true;
    }
    if (message->type != WIRE_REFUSED || strcmp(message->sender, "coordinator") != 0) return false;
    if (message->refused.register_again) {
        if (m->registered) m->beat_ms = 0;
        m->registered = false;
    } else if (strcmp(message->refused.status, rt_status_name(RT_REFUSED)) == 0) {
        sim_trace("is refused: %s", message->refused.text);
        sim_leave(node, false);
    }
    return true;
}
