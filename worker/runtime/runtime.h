/* What every worker process shares: identity, registration, heartbeats, phase, counters.
 *
 *     runtime *rt = NULL;
 *     if ((st = runtime_open(config, ROLE_STUDENT, "student-0", 0, "", &rt, err)) != RT_OK) ...
 *     while (runtime_phase(rt) != PHASE_FINISHED && !runtime_stopping(rt)) { ... }
 *     runtime_close(rt);
 *
 * Registers with the coordinator (waiting for it as long as needed, with a log line), then keeps a
 * heartbeat thread with its own socket. The main thread has a client of its own for requests.
 */
#ifndef RT_WORKER_RUNTIME_RUNTIME_H
#define RT_WORKER_RUNTIME_RUNTIME_H

#include "common/conf/config.h"
#include "common/net/keyring.h"
#include "common/queue/queue.h"
#include "worker/runtime/run_path.h"

typedef struct runtime runtime;

/* A snapshot of the coordinator's RunState; plain, owned by the caller, runtime_view_free(). */
typedef struct runtime_view {
    wire_phase phase;
    uint64_t generation;
    uint64_t version;
    uint32_t n_vocab, bos_id, eos_id, pad_id;
    char *tokenizer_path;
    char *tokenizer_sha256;
    char *queue_url;
    uint32_t n_servers;
    char **servers; /* [n_servers] endpoints by shard, or NULL while one is missing */
} runtime_view;
void runtime_view_free(runtime_view *view);

/* `endpoint` is the shard's own endpoint for ROLE_SERVER, else "". Keeps config until close.
 * RT_REFUSED when the coordinator says no (older incarnation, other fingerprint, other run);
 * RT_CANCELLED when asked to stop while waiting for the coordinator. */
RT_MUST_USE rt_status runtime_open(const config *c, wire_role role, const char *name,
                                   uint32_t shard, const char *endpoint, runtime **out,
                                   rt_error *err);
void runtime_close(runtime *rt);

const config *runtime_config(const runtime *rt);
const net_identity *runtime_identity(const runtime *rt);
net_keyring *runtime_keyring(const runtime *rt); /* NULL without net.keys and the like */
/* The main thread's client to the coordinator. */
net_client *runtime_coordinator(runtime *rt);

/* Safe from any thread. */
wire_phase runtime_phase(runtime *rt);
uint64_t runtime_generation(runtime *rt);
RT_MUST_USE rt_status runtime_get_view(runtime *rt, runtime_view *out, rt_error *err);
/* A stop was asked for (signal) or the coordinator refused us for good. */
bool runtime_stopping(runtime *rt);
/* RT_OK, or RT_REFUSED with what the coordinator said when it refused us for good. */
RT_MUST_USE rt_status runtime_refusal(runtime *rt, rt_error *err);
/* Pause for at most duration_ms; returns early when stopping, or when phase, generation or version
 * changed. */
void runtime_wait(runtime *rt, uint64_t duration_ms);
/* What the next heartbeats say: text for people, counters by name (at most 32), and how long something
 * took, in a histogram of that name (at most 4). */
void runtime_busy(runtime *rt, const char *fmt, ...) RT_PRINTF(2, 3);
void runtime_count(runtime *rt, const char *counter, double add);
void runtime_gauge(runtime *rt, const char *gauge, double value);
void runtime_observe(runtime *rt, const char *histogram, double seconds);

/* Opens the queue at the URL of config or RunState, waiting while Redis is away. The connection is
 * the caller's own. A wrong password, or a file of it that is missing, is waited out too: the log says
 * what is wrong, and each try reads it anew. RT_CANCELLED when stopping, RT_INVALID and RT_UNSUPPORTED
 * for what waiting cannot mend. */
RT_MUST_USE rt_status runtime_open_queue(runtime *rt, queue **out, rt_error *err);

#endif
