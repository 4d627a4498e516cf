/* What the manifest's files share; for nobody else.
 *
 *     <folder>/examples.jsonl   {"id":"<32 hex>","input":..,"gold":..,"source_id":..} in corpus order
 *     <folder>/malformed.jsonl  {"file":..,"line":..,"reason":..,"raw":..}
 *     <folder>/manifest.json    settings, sources, counts and a check over examples.jsonl; written
 *                               last, so what a crash leaves is never taken for whole
 */
#ifndef RT_CORPUS_MANIFEST_PARTS_H
#define RT_CORPUS_MANIFEST_PARTS_H

#include "common/base/id_index.h"
#include "common/corpus/manifest.h"
#include "common/corpus/source_list.h"

#define EXAMPLES_NAME  "examples.jsonl"
#define MALFORMED_NAME "malformed.jsonl"
#define MANIFEST_NAME  "manifest.json"
/* Every line of examples.jsonl begins so, 32 digits follow, then `",`. */
#define EXAMPLE_HEAD "{\"id\":\""

struct manifest {
    char *path; /* of examples.jsonl */
    int fd;
    id_index ids;
    unsigned char *offsets; /* packed48, ids.n + 1: line i is offsets[i] .. offsets[i + 1] */
    size_t capacity;
    manifest_counts counts;
    uint64_t check; /* over the lines of examples.jsonl, chained */
};

/* Add the example whose line of n bytes comes next; *added is false for a duplicate. */
RT_MUST_USE rt_status manifest_add(manifest *m, rt_id id, const char *line, size_t n, bool *added,
                                   rt_error *err);
/* Everything that decides what the examples are, as one number in hex. */
void manifest_settings_hash(const manifest_settings *s, char hex[RT_ID_HEX_SIZE]);
/* Read all sources into m and the files of the folder. */
RT_MUST_USE rt_status manifest_build(manifest *m, const char *folder, const manifest_settings *s,
                                     const source_list *sources, rt_error *err);
RT_MUST_USE rt_status manifest_check_share(const manifest *m, double bad_share_max,
                                           const char *folder, rt_error *err);

#endif
