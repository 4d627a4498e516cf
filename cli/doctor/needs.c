#include "cli/doctor/needs.h"

#include <inttypes.h>
#include <math.h>

#define MIB ((uint64_t)1 << 20)
/* What a process takes before it holds any data: the program, its libraries, thread stacks; where
 * matrices are multiplied, also BLAS's buffers. */
#define PROCESS_BYTES (20 * MIB)
#define STUDENT_BYTES (55 * MIB)
#define NATIVE_BYTES  (40 * MIB)
/* Activations and their gradients, and what the kernels need beside them. */
#define ACTIVATION_FACTOR 2.1
/* Coordinator, Redis and launcher. */
#define N_OTHERS 3
/* A record beside its texts: id, meta, JSON. */
#define RECORD_BYTES       600
#define FILES_OF_A_PROCESS 64
#define FILES_OF_A_WORKER  4

const char *bytes_text(uint64_t n, char out[BYTES_TEXT_SIZE])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double x = (double)n;
    size_t i = 0;
    while (x >= 1024 && i + 1 < RT_COUNT(units)) {
        x /= 1024;
        i++;
    }
    snprintf(out, BYTES_TEXT_SIZE, "%.*f %s", i > 0 && x < 10 ? 1 : 0, x, units[i]);
    return out;
}

/* Sums in double: settings reach far beyond any machine, and need not be exact there. */
static uint64_t whole(double x)
{
    if (!(x > 0)) return 0;
    return x < 9e18 ? (uint64_t)ceil(x) : (uint64_t)9e18;
}

/* ---- memory ---- */

static double activations_of(const memory_model *m, double n_tokens)
{
    double a_layer = 6 * (double)m->d_model + 2 * (double)m->d_attention +
                     2 * (double)m->d_key_value + 3 * (double)m->d_ff;
    return ACTIVATION_FACTOR * 4 * n_tokens * (double)m->n_layers * a_layer;
}

memory_need memory_need_of(const memory_basis *b)
{
    double weights = 4 * (double)b->student.n_params;
    uint64_t n_others = b->n_students > 0 ? b->n_students - 1 : 0;
    double early = (double)RT_MIN(b->micro_batches > 0 ? b->micro_batches - 1 : 0, n_others);
    double student = 5 * weights + activations_of(&b->student, (double)b->micro_batch_tokens);
    double key_values = 2 * 4 * (double)b->teacher.n_layers * (double)b->teacher.d_key_value *
                        (double)b->teacher_tokens;
    double teacher = 4 * (double)b->teacher.n_params + key_values;
    memory_need n = {
        .students = whole((double)b->n_students * (student + STUDENT_BYTES)),
        .servers = whole((5 + early) * weights + (double)b->n_servers * PROCESS_BYTES),
        .teachers =
            whole((double)b->n_teachers *
                  (teacher + (double)(b->teacher.n_params > 0 ? NATIVE_BYTES : PROCESS_BYTES))),
        .others = N_OTHERS * PROCESS_BYTES,
    };
    n.total = whole((double)n.students + (double)n.servers + (double)n.teachers + (double)n.others);
    return n;
}

finding memory_verdict(const memory_need *n, uint64_t available)
{
    char total[BYTES_TEXT_SIZE], have[BYTES_TEXT_SIZE], parts[3][BYTES_TEXT_SIZE];
    bytes_text(n->students, parts[0]);
    bytes_text(n->servers, parts[1]);
    bytes_text(n->teachers, parts[2]);
    bytes_text(n->total, total);
    if (available == 0) {
        finding f = finding_warn("a run takes about %s; how much is available is not known", total);
        finding_expect(&f, "MemAvailable in /proc/meminfo");
        return f;
    }
    bytes_text(available, have);
    if (n->total <= available) {
        finding f = finding_ok("about %s of %s available: students %s, parameter server %s, "
                               "teachers %s",
                               total, have, parts[0], parts[1], parts[2]);
        finding_expect(&f, "at most what is available");
        return f;
    }
    finding f = finding_warn("a run takes about %s: students %s, parameter server %s, teachers %s; "
                             "%s is available",
                             total, parts[0], parts[1], parts[2], have);
    finding_expect(&f, "at most what is available");
    finding_fix(&f, "fewer launch.students or launch.teachers, a smaller train.micro_batch_tokens "
                    "or student, or more machines");
    return f;
}

/* ---- disk ---- */

disk_need disk_need_of(const disk_basis *b)
{
    double n_rows = (double)b->n_rows, there = (double)b->n_there;
    /* Rendered examples, and the input in the record. */
    double inputs = n_rows * (2 * b->input_bytes_mean + RECORD_BYTES);
    double answers = n_rows * (double)b->answer_bytes_max;
    if (b->has_cache) answers += answers * (double)RT_MAX(b->n_texts, (uint64_t)1);
    double model = 0;
    if (b->trains) {
        model = 12 * (double)b->n_params * (double)(b->checkpoints_kept + 2) +
                (double)b->n_exported_bytes * (double)b->n_params;
        /* Token ids of input and answer, 4 bytes each, some four bytes of text a token. */
        inputs += n_rows * b->input_bytes_mean;
        answers += n_rows * (double)b->answer_bytes_max;
    }
    return (disk_need){.least = whole(inputs + model - there),
                       .most = whole(inputs + answers + model - there)};
}

finding disk_verdict(const char *folder, const disk_need *need, uint64_t n_free)
{
    char least[BYTES_TEXT_SIZE], most[BYTES_TEXT_SIZE], have[BYTES_TEXT_SIZE];
    finding f;
    bytes_text(need->least, least);
    bytes_text(need->most, most);
    bytes_text(n_free, have);
    if (n_free >= need->most)
        f = finding_ok("%s free at %s; the run writes from %s to %s", have, folder, least, most);
    else if (n_free >= need->least)
        f = finding_warn(
            "%s free at %s; the run writes from %s to %s, by the length of the answers", have,
            folder, least, most);
    else
        f = finding_fail(RT_IO, "%s free at %s; the run writes from %s to %s", have, folder, least,
                         most);
    finding_expect(&f, "%s or more", most);
    finding_fix(&f, "make room, or set run_dir to another disk");
    return f;
}

/* ---- open files ---- */

uint64_t files_need_of(const files_basis *b)
{
    uint64_t n_workers = b->n_teachers + b->n_students + b->n_servers;
    uint64_t coordinator = FILES_OF_A_WORKER * n_workers;
    uint64_t student = FILES_OF_A_WORKER * b->n_servers, server = FILES_OF_A_WORKER * b->n_students;
    uint64_t most = RT_MAX(RT_MAX(coordinator, 2 * b->in_flight_max), RT_MAX(student, server));
    return FILES_OF_A_PROCESS + most;
}

finding files_verdict(uint64_t need, uint64_t limit, uint64_t limit_hard)
{
    finding f;
    if (limit >= need)
        f = finding_ok("%" PRIu64 " open files are allowed, a process needs up to %" PRIu64, limit,
                       need);
    else
        f = finding_warn("%" PRIu64 " open files are allowed, a process may need %" PRIu64, limit,
                         need);
    finding_expect(&f, "%" PRIu64 " or more", need);
    if (limit_hard >= need)
        finding_fix(&f, "ulimit -n %" PRIu64, need);
    else
        finding_fix(&f,
                    "raise the hard limit (%" PRIu64 "), or lower teacher.in_flight_max or the "
                    "number of processes",
                    limit_hard);
    return f;
}
