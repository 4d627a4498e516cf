/* A coordinator for tests: a thread that answers as it is told and remembers what it heard.
 *
 *     fake_coordinator *f = fake_coordinator_start("ipc:///tmp/x/c");
 *     fake_coordinator_set(f, (fake_answer){.phase = PHASE_RUNNING});
 *     fake_coordinator_wait(f, n_registers, n_heartbeats);     // asserts after ten seconds
 *     fake_coordinator_stop(f);
 */
#ifndef RT_TESTS_FAKE_COORDINATOR_H
#define RT_TESTS_FAKE_COORDINATOR_H

#include "common/net/endpoint.h"

typedef struct fake_answer {
    bool silent;         /* answer nothing */
    const char *refusal; /* NULL, or the status name of a refusal */
    bool register_again; /* heartbeats of those who did not register since are refused so */
    wire_phase phase;
    uint64_t version, generation;
    uint32_t n_servers, n_addresses;
} fake_answer;

typedef struct fake_heard {
    unsigned n_registers, n_heartbeats;
    wire_role role;
    uint64_t incarnation;
    char sender[64];
    char fingerprint[40];
    char endpoint[64];
    char busy_with[160];
    char counter_name[64]; /* of the last heartbeat: its first counter */
    double counter_value;
    size_t n_histograms;
    uint64_t n_durations; /* of all histograms */
} fake_heard;

typedef struct fake_coordinator fake_coordinator;

fake_coordinator *fake_coordinator_start(const char *endpoint);
void fake_coordinator_stop(fake_coordinator *f);
void fake_coordinator_set(fake_coordinator *f, fake_answer answer);
/* Until so many have been heard; returns what was heard by then. */
fake_heard fake_coordinator_wait(fake_coordinator *f, unsigned n_registers, unsigned n_heartbeats);

#endif
