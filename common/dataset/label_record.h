/* One labelled or rejected example, as it travels from teacher to archive and lies on disk. */
#ifndef RT_DATASET_LABEL_RECORD_H
#define RT_DATASET_LABEL_RECORD_H

#include "common/base/bytes.h"
#include "common/base/hash.h"

/* Owns its strings; zero-initialise; label_record_free(). Absent text is NULL. */
typedef struct label_record {
    rt_id id;
    char *source_id;
    char *input;
    char *gold;
    char *label;     /* NULL iff rejected */
    char *rationale; /* may be NULL for a good label: coverage may be partial */
    char *reason;    /* reason code; NULL iff labelled */
    char *raw;       /* rejected: the raw text */
    char *topk; /* labelled: probabilities of the teacher's tokens, a text of topk.h; or NULL */
    char *meta; /* a JSON object as text: teacher, prompt hash, sampling, finish reason, tokens */
} label_record;

void label_record_free(label_record *r);
/* One line of labels.jsonl or rejected.jsonl, newline included. */
RT_MUST_USE rt_status label_record_to_json(const label_record *r, rt_buf *out, rt_error *err);
/* RT_CORRUPT says what is wrong. */
RT_MUST_USE rt_status label_record_from_json(const char *text, size_t n, label_record *out,
                                             rt_error *err);

#endif
