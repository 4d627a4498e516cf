/* A shard's answers to students: parameters out, gradients in. */
#ifndef RT_WORKER_PARAM_SERVER_SERVE_STUDENTS_H
#define RT_WORKER_PARAM_SERVER_SERVE_STUDENTS_H

#include "common/net/endpoint.h"
#include "worker/model_shape/wire_floats.h"
#include "worker/param_server/parked_pulls.h"
#include "worker/param_server/shard_state.h"

#define PULL_PARK_MS 250

/* Keeps all that it points to. */
typedef struct student_desk {
    net_server *net;
    shard_state *state;
    parked_pulls *parked;
    wire_element element; /* of the frames, both ways: net.wire */
    bool shares;          /* net.shared_memory */
    char *scratch;        /* owned: one gradient as it came, free(); NULL until needed */
    size_t n_scratch;
    uint64_t n_shared;       /* gradients read from a student's memory */
    uint64_t n_pulls_shared; /* versions that a student was told where to read */
    uint64_t n_pulls, n_accepted, n_duplicates, n_stale, n_refused;
} student_desk;

/* Answer one message, or park it. Never fails: what cannot be answered is refused or dropped. */
void student_desk_handle(student_desk *desk, const net_incoming *in, uint64_t now_ms);
/* Answer those parked whose version has come or whose time is over. */
void student_desk_answer_parked(student_desk *desk, uint64_t now_ms);

#endif
