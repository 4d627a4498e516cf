/* The examples of a run in corpus order, whether they come from a corpus or from a dataset.
 *
 * From a corpus: the manifest in <run>/corpus. From an existing dataset (stage train): its records
 * sorted by id, so that the order of arrival in the file does not matter.
 */
#ifndef RT_COORDINATOR_CORPUS_SOURCE_H
#define RT_COORDINATOR_CORPUS_SOURCE_H

#include "common/conf/config.h"
#include "common/corpus/manifest.h"
#include "common/dataset/archive.h"

typedef struct corpus_source corpus_source;

/* Reads the corpus (or its manifest). Returns new; corpus_source_free(). */
RT_MUST_USE rt_status corpus_source_of_corpus(const config *c, const char *folder,
                                              corpus_source **out, rt_error *err);
/* Keeps the archive, which is put in the order of its ids. */
RT_MUST_USE rt_status corpus_source_of_dataset(archive *a, corpus_source **out, rt_error *err);
void corpus_source_free(corpus_source *s);

size_t corpus_source_n(const corpus_source *s);
/* All ids in corpus order. */
const rt_id *corpus_source_ids(const corpus_source *s);
/* The same with the way back, for whoever keeps something of each. */
const id_index *corpus_source_index(const corpus_source *s);
/* Index of an id, or SIZE_MAX. */
size_t corpus_source_find(const corpus_source *s, rt_id id);
/* Fills *out; freed with example_free(). */
RT_MUST_USE rt_status corpus_source_read(const corpus_source *s, size_t i, example *out,
                                         rt_error *err);
const manifest_counts *corpus_source_counts(const corpus_source *s);
/* Names the ids and their order. */
rt_id corpus_source_key(const corpus_source *s);

#endif
