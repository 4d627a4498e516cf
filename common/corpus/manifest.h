/* The manifest: every example of the corpus once, in corpus order, with its content id.
 *
 * Built by reading the corpus once. Rendered examples go to <folder>/examples.jsonl (derived data:
 * rebuilt when missing or when sources or settings changed), so random access never needs the
 * compressed source again; memory holds 27 to 30 bytes an example. Rows that cannot be rendered
 * go to <folder>/malformed.jsonl with file:line and reason; duplicates fold into the first.
 *
 *     manifest *m = NULL;
 *     if ((st = manifest_open("runs/x/corpus", &settings, &m, err)) != RT_OK) goto out;
 *     for (size_t i = 0; i < manifest_n(m); i++) st = manifest_read(m, i, &example, err);
 */
#ifndef RT_CORPUS_MANIFEST_H
#define RT_CORPUS_MANIFEST_H

#include "common/base/id_index.h"
#include "common/corpus/row_reader.h"

typedef struct manifest manifest;

typedef struct manifest_settings {
    const char *task_name; /* enters the id: rt_id_of_two(task_name, input) */
    const char *const *files;
    size_t n_files;
    row_reader_options reader;
    const char *input;     /* template */
    const char *gold;      /* template; "" = none */
    const char *source_id; /* field; "" = none */
    uint64_t rows_max;
    double bad_share_max;
} manifest_settings; /* borrowed during manifest_open() */

typedef struct manifest_counts {
    uint64_t n_rows; /* rows read = examples + duplicates + malformed */
    uint64_t n_examples;
    uint64_t n_duplicates;
    uint64_t n_malformed;
} manifest_counts;

typedef struct example {
    rt_id id;
    char *input;
    char *gold;      /* NULL: none */
    char *source_id; /* NULL: none */
} example;
void example_free(example *e);

/* Build, or load when <folder>/manifest.json says that it is current. RT_CORRUPT with counts when
 * the share of malformed rows exceeds the limit (checked after 100 rows and at the end); RT_EXISTS
 * when another process is building it. A field that is missing makes its row malformed, wherever a
 * template names it; a gold or source_id that is null or empty only means that there is none.
 * Returns new; manifest_free(). */
RT_MUST_USE rt_status manifest_open(const char *folder, const manifest_settings *settings,
                                    manifest **out, rt_error *err);
void manifest_free(manifest *m);
const manifest_counts *manifest_get_counts(const manifest *m);
size_t manifest_n(const manifest *m);
rt_id manifest_id(const manifest *m, size_t i);
/* All ids in corpus order, and the way back from an id to its place. */
const id_index *manifest_index(const manifest *m);
/* One id for all ids in their order: two corpora are the same iff it is equal. */
rt_id manifest_key(const manifest *m);
/* Index of an id, or SIZE_MAX. */
size_t manifest_find(const manifest *m, rt_id id);
/* Fills *out; freed with example_free(). */
RT_MUST_USE rt_status manifest_read(const manifest *m, size_t i, example *out, rt_error *err);

#endif
