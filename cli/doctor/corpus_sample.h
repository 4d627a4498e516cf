/* The first rows of the corpus, read as a run would read them, but kept nowhere.
 *
 *     corpus_sample s = {0};
 *     if ((st = corpus_sample_read(config, &s, err)) != RT_OK) goto out;
 *     report_add(report, "corpus", corpus_verdict(&s, config->corpus.bad_share_max));
 *     corpus_sample_free(&s);
 */
#ifndef RT_CLI_DOCTOR_CORPUS_SAMPLE_H
#define RT_CLI_DOCTOR_CORPUS_SAMPLE_H

#include "cli/doctor/finding.h"
#include "common/conf/config.h"

#define SAMPLE_ROWS_MAX  10000
#define SAMPLE_BYTES_MAX ((uint64_t)64 << 20)

/* Owns its texts. */
typedef struct corpus_sample {
    char **inputs;     /* [n] rendered, of rows that are well formed */
    char **source_ids; /* [n], "" = none */
    size_t n, capacity;
    uint64_t n_rows, n_malformed; /* read */
    uint64_t n_input_bytes;
    bool is_whole;         /* there are no more */
    uint64_t n_rows_about; /* in all: exact when is_whole, else by the bytes of the files */
    char first_bad[600];   /* "file:line: why"; "" = none */
} corpus_sample;

/* RT_INVALID for a template that is none, RT_NOTFOUND for files that are not there, RT_CORRUPT for
 * one that cannot be read at all. Zero-initialise *out. */
RT_MUST_USE rt_status corpus_sample_read(const config *c, corpus_sample *out, rt_error *err);
void corpus_sample_free(corpus_sample *s);
double corpus_sample_bytes_mean(const corpus_sample *s); /* of an input; 0 without rows */

/* Pure. A run refuses a corpus of which more than bad_share_max is malformed. */
finding corpus_verdict(const corpus_sample *s, double bad_share_max);

#endif
