/* How much memory, disk and how many open files a run takes, and whether this machine has them.
 *
 *     memory_need n = memory_need_of(&basis);
 *     finding f = memory_verdict(&n, available);
 *
 * Pure. Estimates: what is exact (weights, moments, checkpoints) is exact, what depends on texts is
 * taken from the first rows.
 */
#ifndef RT_CLI_DOCTOR_NEEDS_H
#define RT_CLI_DOCTOR_NEEDS_H

#include "cli/doctor/finding.h"

/* "512 B", "3.4 MiB", "17 GiB". Returns out. */
#define BYTES_TEXT_SIZE 32
const char *bytes_text(uint64_t n, char out[BYTES_TEXT_SIZE]);

/* ---- memory ---- */

/* One student's shape, and a native teacher's; all zero: there is none. */
typedef struct memory_model {
    uint64_t n_params, d_model, n_layers, d_attention /* heads x width */, d_key_value, d_ff;
} memory_model;

typedef struct memory_basis {
    memory_model student;
    uint64_t n_students, n_servers, micro_batch_tokens, micro_batches;
    memory_model teacher;                /* native */
    uint64_t n_teachers, teacher_tokens; /* decoded together: sequences x longest one */
} memory_basis;

/* Bytes, of all processes of a kind together. */
typedef struct memory_need {
    uint64_t students, servers, teachers, others, total;
} memory_need;

/* Of a process, with P parameters of 4 bytes:
 *     student   5 P (weights, gradient, its copy to send, frames of both ways) + activations
 *     servers   5 P (weights, two moments, sum, frames), and what came early in a step: at most one
 *               gradient of each other student, and micro_batches - 1 in all, 1 P each
 *     teacher   P + keys and values of the tokens that are decoded together
 * Activations of a token: layers x (6 d_model + 2 d_attention + 2 d_key_value + 3 d_ff) floats, and
 * their gradients. Within 5 % of the peaks measured for students of 2.7 to 15 million parameters
 * (docs/starting.md). Saturates. */
memory_need memory_need_of(const memory_basis *basis);
finding memory_verdict(const memory_need *need, uint64_t available);

/* ---- disk ---- */

typedef struct disk_basis {
    uint64_t n_rows; /* of the corpus, about */
    double input_bytes_mean;
    uint64_t answer_bytes_max; /* of one text */
    uint64_t n_texts;          /* kept of a row: samples, when a cache keeps them */
    bool has_cache;            /* on this disk */
    bool trains;
    uint64_t n_params, checkpoints_kept, n_exported_bytes /* of a parameter */;
    uint64_t n_there; /* bytes that the run's folder holds already */
} disk_basis;

typedef struct disk_need {
    uint64_t least; /* inputs, checkpoints, the student: in any case */
    uint64_t most;  /* and the longest answers */
} disk_need;

/* What is still to be written. Checkpoints hold weights and two moments; beside those kept there is
 * the best one and one that is being written. Saturates. */
disk_need disk_need_of(const disk_basis *basis);
finding disk_verdict(const char *folder, const disk_need *need, uint64_t n_free);

/* ---- open files ---- */

typedef struct files_basis {
    uint64_t n_teachers, n_students, n_servers, in_flight_max; /* the last: 0 without a server */
} files_basis;

/* The most that one process of the run has open: a coordinator has sockets to all, a student to all
 * shards, a teacher two for each request (a hedge). */
uint64_t files_need_of(const files_basis *basis);
finding files_verdict(uint64_t need, uint64_t limit, uint64_t limit_hard);

#endif
