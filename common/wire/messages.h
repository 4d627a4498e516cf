/* Messages as plain structs, and their bytes. No I/O here, so all of it can be fuzzed.
 *
 *     wire_message m = {.type = WIRE_PULL, .pull = {.version = 7}};
 *     if ((st = wire_encode(&m, &buf, err)) != RT_OK) goto out;
 *     ...
 *     if ((st = wire_decode(bytes, n, &got, err)) == RT_OK) { ...; wire_message_free(&got); }
 *
 * A decoded message owns everything it points to; for encoding, everything is borrowed. Strings
 * are never NULL after decoding. Decoding checks sizes, counts, UTF-8 and that floats are finite.
 */
#ifndef RT_WIRE_MESSAGES_H
#define RT_WIRE_MESSAGES_H

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/base/shared_block.h"
#include "common/dataset/label_record.h"
#include "common/dataset/micro_batch.h"

#define WIRE_PROTOCOL     1
#define WIRE_TASKS_MAX    8
#define WIRE_ENVELOPE_MAX (16u << 20) /* bytes */
#define WIRE_FRAME_BYTES  (1u << 20)  /* a full payload frame of parameters or gradients */
#define WIRE_ROWS_MAX     (1u << 17)  /* rows of one push */
#define WIRE_STALE_MAX    32          /* versions behind a step, 0 included */

typedef enum wire_type {
    WIRE_REGISTER = 10,
    WIRE_HEARTBEAT,
    WIRE_RUN_STATE,
    WIRE_LEASE_REQUEST,
    WIRE_LEASE_GRANT,
    WIRE_LEASE_DONE,
    WIRE_EVAL_RESULT,
    WIRE_SERVER_REPORT,
    WIRE_SERVER_ORDER,
    WIRE_PULL,
    WIRE_PULLED,
    WIRE_PUSH,
    WIRE_PUSHED,
    WIRE_ACK,
    WIRE_REFUSED,
    WIRE_QUOTA_REPORT,
    WIRE_QUOTA_GRANT,
} wire_type;

typedef enum wire_role { ROLE_UNKNOWN, ROLE_TEACHER, ROLE_STUDENT, ROLE_SERVER } wire_role;
typedef enum wire_phase {
    PHASE_STARTING,
    PHASE_RUNNING,
    PHASE_DRAINING,
    PHASE_FINISHED,
} wire_phase;
typedef enum wire_order {
    ORDER_WAIT,
    ORDER_RESTORE,
    ORDER_APPLY,
    ORDER_SAVE,
    ORDER_STOP,
} wire_order;
/* What the frames of a Pulled or a Push hold. */
typedef enum wire_element { WIRE_ELEMENT_F32, WIRE_ELEMENT_BF16 } wire_element;

typedef enum wire_pull_status { PULL_OK, PULL_NOT_YET, PULL_GONE } wire_pull_status;
typedef enum wire_push_status {
    PUSH_ACCEPTED,
    PUSH_DUPLICATE,
    PUSH_STALE,
    PUSH_AHEAD,
    PUSH_SEND_FRAMES, /* what was shared could not be read */
} wire_push_status;

typedef enum wire_quota_stop { QUOTA_GOES_ON, QUOTA_BUDGET_SPENT } wire_quota_stop;

const char *wire_role_name(wire_role role); /* "teacher" ... */
const char *wire_type_name(wire_type type); /* "register" ... */

typedef struct wire_counter {
    char *name;
    double value;
} wire_counter;

/* Durations by powers of two: proto/control.proto. */
typedef struct wire_histogram {
    char *name;
    double first, sum; /* seconds */
    uint64_t *buckets;
    size_t n_buckets;
} wire_histogram;

/* Indexed by task; entries beyond TASK_COUNT are zero. */
typedef struct wire_sums {
    double loss[WIRE_TASKS_MAX];
    double count[WIRE_TASKS_MAX];
    uint64_t n_seqs[WIRE_TASKS_MAX];
    uint64_t n_exact[WIRE_TASKS_MAX];
} wire_sums;

typedef struct wire_register {
    wire_role role;
    uint32_t shard;
    char *endpoint;
    int64_t pid;
    char *host;
    char *fingerprint;
} wire_register;

typedef struct wire_heartbeat {
    wire_role role;
    uint32_t shard;
    char *busy_with;
    wire_counter *counters;
    size_t n_counters;
    wire_histogram *histograms;
    size_t n_histograms;
} wire_heartbeat;

typedef struct wire_server_address {
    uint32_t shard;
    char *endpoint;
} wire_server_address;

typedef struct wire_run_state {
    wire_phase phase;
    uint64_t generation;
    uint32_t n_vocab, bos_id, eos_id, pad_id;
    char *tokenizer_path;
    char *tokenizer_sha256;
    uint32_t n_servers;
    wire_server_address *servers; /* n_servers entries, or none while a shard is missing */
    size_t n_addresses;
    char *queue_url;
    uint64_t version;
} wire_run_state;

typedef struct wire_lease_request {
    uint32_t n_shards_held;
} wire_lease_request;

typedef struct wire_leased_example {
    rt_id id;
    char *input;
    char *source_id; /* "" = none */
    char *gold;      /* NULL = none */
    bool done;
} wire_leased_example;

typedef struct wire_lease_grant {
    bool granted;
    uint64_t shard, lease, lease_ms, retry_ms;
    wire_leased_example *examples;
    size_t n_examples;
} wire_lease_grant;

typedef struct wire_lease_done {
    uint64_t shard, lease, n_labelled, n_rejected;
    bool given_back; /* unfinished: its teacher stops */
} wire_lease_done;

typedef struct wire_eval_result {
    uint64_t version;
    uint32_t index;
    wire_sums sums;
} wire_eval_result;

typedef struct wire_saved_file {
    char *name;
    uint64_t n_bytes;
    char *sha256;
} wire_saved_file;

typedef struct wire_server_report {
    uint32_t shard;
    uint64_t generation;
    bool has_params;
    uint64_t version;
    bool gathered;
    uint32_t *param_index; /* [n_params] */
    double *sum_squares;   /* [n_params] */
    size_t n_params;
    wire_sums sums;
    uint32_t n_micro_batches;
    uint8_t *received; /* bit i of byte i / 8 */
    size_t n_received;
    bool has_saved;
    uint64_t saved_version;
    wire_saved_file *saved_files;
    size_t n_saved_files;
    char *problem;
    bool diverged;                      /* a gradient of step `version` is not finite */
    uint64_t staleness[WIRE_STALE_MAX]; /* micro-batches of the step by versions behind it */
    bool mixed;   /* async: gradients of steps from `version` on are in the parameters */
    bool leaving; /* it was asked to stop, and waits until `version` is saved */
} wire_server_report;

typedef struct wire_server_order {
    wire_order kind;
    uint64_t generation, version;
    double grad_norm;
    uint64_t n_steps;
    char *folder;
    uint32_t n_shards, n_vocab, bos_id, eos_id, pad_id;
    uint64_t limit; /* gradients of steps below may be taken; sync: not looked at */
} wire_server_order;

typedef struct wire_pull {
    uint64_t version;
    wire_element element;
    uint64_t staleness; /* parameters older by so many versions will do */
    bool shares;        /* the student may read a shard's memory */
} wire_pull;

typedef struct wire_pulled {
    wire_pull_status status;
    uint64_t version;
    uint64_t n_floats;
    uint64_t waited_ms; /* the version was not there yet; the rest is the way */
    wire_element element;
    uint64_t generation;     /* of the shard */
    shared_block_ref shared; /* n_bytes 0: in frames */
} wire_pulled;

/* One matrix of a gradient as the rows that are not 0. */
typedef struct wire_rows {
    uint32_t param; /* place in the table of parameters */
    uint32_t *ids;  /* [n] ascending */
    size_t n;
    bool present; /* else the matrix travels whole; with n 0 nothing of it travels */
} wire_rows;

typedef struct wire_push {
    uint64_t step;
    uint32_t index;
    uint32_t n_micro_batches;
    wire_sums sums;
    uint64_t n_floats; /* of the whole slice */
    wire_element element;
    shared_block_ref shared; /* n_bytes 0: in frames */
    /* Modes other than sync. */
    uint64_t version;    /* of the parameters it was computed from */
    uint64_t generation; /* of the shards then */
    double norm;         /* of the whole gradient; 0: not clipped */
    wire_rows rows;
} wire_push;

typedef struct wire_pushed {
    wire_push_status status;
    uint64_t version;
    uint64_t took_us; /* the shard's work on it */
} wire_pushed;

typedef struct wire_refused {
    char *status;
    char *text;
    bool register_again;
} wire_refused;

/* What teachers share. */
typedef enum wire_resource {
    RESOURCE_REQUESTS,
    RESOURCE_TOKENS,
    RESOURCE_COST, /* in 10^-9 of the currency */
    RESOURCE_IN_FLIGHT,
    RESOURCE_MOST_TOKENS, /* at most; RESOURCE_TOKENS are an estimate until they are settled */
    RESOURCE_COUNT,
} wire_resource;

/* Larger amounts are refused; as a ceiling it means that there is no limit. */
#define WIRE_AMOUNT_MAX (UINT64_C(1) << 53)

typedef struct wire_amounts {
    uint64_t of[RESOURCE_COUNT];
} wire_amounts;

/* Of requests and of tokens, in this order. */
typedef enum wire_limit_side {
    WIRE_LIMIT_REQUESTS,
    WIRE_LIMIT_TOKENS,
    WIRE_LIMITS
} wire_limit_side;

typedef struct wire_server_limit {
    bool known; /* else all is 0 */
    uint64_t n_limit, n_left, reset_ms, period_ms, age_ms, after, retry_ms;
} wire_server_limit;

typedef struct wire_quota_report {
    uint64_t seq;
    wire_amounts settled, reserved, ceilings, need;
    uint32_t n_wanted;
    uint64_t n_overloads, pause_ms;
    bool leaving;
    uint64_t n_prompt_tokens, n_cached_tokens, n_completion_tokens;
    wire_server_limit limits[WIRE_LIMITS];
    bool no_limit_told;
} wire_quota_report;

typedef struct wire_quota_grant {
    uint64_t seq;
    wire_amounts ceilings;
    uint64_t pause_ms, retry_ms;
    wire_quota_stop stop;
    uint64_t stamp;
} wire_quota_grant;

typedef struct wire_message {
    /* Envelope. */
    char *run_id;
    char *sender;
    uint64_t incarnation;
    uint64_t message_id;
    uint32_t n_frames;
    /* Body. */
    wire_type type;
    union {
        wire_register register_;
        wire_heartbeat heartbeat;
        wire_run_state run_state;
        wire_lease_request lease_request;
        wire_lease_grant lease_grant;
        wire_lease_done lease_done;
        wire_eval_result eval_result;
        wire_server_report server_report;
        wire_server_order server_order;
        wire_pull pull;
        wire_pulled pulled;
        wire_push push;
        wire_pushed pushed;
        wire_refused refused;
        wire_quota_report quota_report;
        wire_quota_grant quota_grant;
    };
} wire_message;

/* Append the bytes of *m to *out. RT_INVALID when a count or size is beyond its limit. */
RT_MUST_USE rt_status wire_encode(const wire_message *m, rt_buf *out, rt_error *err);
/* RT_CORRUPT says what is wrong; another protocol version is RT_UNSUPPORTED. */
RT_MUST_USE rt_status wire_decode(const void *bytes, size_t n, wire_message *out, rt_error *err);
/* Frees what a decoded message owns. */
void wire_message_free(wire_message *m);
/* The same for a report that is kept by itself. */
void wire_server_report_free(wire_server_report *r);

/* Queue entries. */
RT_MUST_USE rt_status wire_encode_label(const label_record *r, rt_buf *out, rt_error *err);
RT_MUST_USE rt_status wire_decode_label(const void *bytes, size_t n, label_record *out,
                                        rt_error *err);
RT_MUST_USE rt_status wire_encode_micro_batch(const micro_batch *b, rt_buf *out, rt_error *err);
RT_MUST_USE rt_status wire_decode_micro_batch(const void *bytes, size_t n, micro_batch *out,
                                              rt_error *err);

#endif
