/* `retort doctor`: everything a run needs, looked at before anything is spent.
 *
 *     config ─► files ─► corpus ─► eval ─► teacher ─► second teacher ─► student ─► memory
 *            ─► redis ─► run folder, disk, cache ─► open files, addresses
 *
 * Each check_*() looks and reports; what it means is decided by pure functions (server_reply.h,
 * ask_verdict.h, needs.h, redis_verdict.h, bind_place.h, corpus_sample.h, text_lengths.h), which
 * never see a socket. A check that cannot be made says so as a warning; one that makes no sense
 * after another's failure is left out.
 */
#ifndef RT_CLI_DOCTOR_DOCTOR_H
#define RT_CLI_DOCTOR_DOCTOR_H

#include "cli/doctor/corpus_sample.h"
#include "cli/doctor/needs.h"
#include "cli/doctor/report.h"
#include "common/http/http_client.h"
#include "common/text/tokenizer.h"

typedef struct doctor {
    const config *config;
    report *report;
    bool offline; /* no server is asked */
    bool asks;    /* a small real request to each server's teacher */
    corpus_sample rows;
    uint64_t answer_bytes_max; /* of one text of either teacher, about */
    bool has_server;           /* of either teacher */
    memory_basis memory;
    uint64_t n_params; /* of the student; 0: not known */
} doctor;

/* One of the teachers: its checks are called "<name>.server" and so on. */
typedef struct doctor_teacher {
    doctor *d;
    const config *config;       /* its own sections in it */
    const char *name;           /* "teacher" or "escalate" */
    uint64_t prompt_tokens_max; /* once found; 0: not known */
    const char *prompt_limit;   /* whose limit that is */
    tokenizer *tokenizer;       /* owned; NULL: not known */
} doctor_teacher;

void check_files(doctor *d);
void check_corpus(doctor *d);
void check_eval(doctor *d);
/* The first and, if there is one, the second. */
void check_teachers(doctor *d);
void check_student(doctor *d); /* tokenizer, student, student.length */
void check_memory(doctor *d);
void check_redis(doctor *d);
void check_places(doctor *d);  /* run_dir, disk, cache */
void check_machine(doctor *d); /* open_files, addresses */

/* Of check_teachers(). */
void check_server(doctor_teacher *t); /* server, key, model, ask */
void check_native(doctor_teacher *t);
void check_recorded(doctor_teacher *t);
void check_prompt(doctor_teacher *t);
/* ask: a small real request, which costs a little. `key` is hidden in what is reported. */
void ask_server(doctor_teacher *t, http_client *http, const rt_buf *key);
/* Send one request and wait for its response, which http_response_free() frees. RT_CANCELLED on a
 * request to stop. */
RT_MUST_USE rt_status doctor_fetch(http_client *http, const http_request *request,
                                   http_response *out, uint64_t *took_ms, rt_error *err);

/* Report under "<name>.<what>". */
void teacher_says(doctor_teacher *t, const char *what, finding f);
/* A failure as it is in err. */
finding finding_of_error(const rt_error *err, const char *fix);

#endif
