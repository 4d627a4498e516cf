/* The labelled dataset: append-only JSON lines, first write wins by id, safe against torn tails.
 *
 *     <folder>/labels.jsonl    labelled records
 *     <folder>/rejected.jsonl  rejected records with their reason and raw text
 *
 * Opening scans both files, cuts a torn last line (its bytes are kept in <file>.torn-N), and
 * refuses a corrupt line in the middle by name. Nothing is durable until archive_sync().
 */
#ifndef RT_DATASET_ARCHIVE_H
#define RT_DATASET_ARCHIVE_H

#include "common/base/id_index.h"
#include "common/dataset/label_record.h"
#include "common/dataset/record_tokens.h"

/* A longer line is refused: on append RT_FULL, in a file RT_CORRUPT. */
#define ARCHIVE_LINE_MAX (64u << 20)

typedef struct archive archive;

typedef enum archive_state { ARCHIVE_ABSENT, ARCHIVE_LABELLED, ARCHIVE_REJECTED } archive_state;

typedef struct archive_options {
    bool read_only; /* no lock and no repair: for readers such as audit, eval and export */
    /* Ids that are likely to come, or NULL. Kept: an id that is in there takes 6 bytes here, any other
     * about 28. */
    const id_index *corpus;
} archive_options;

/* Opens (makes) the folder and takes a lock on it: RT_EXISTS when another process has it.
 * Returns new; archive_close(). */
RT_MUST_USE rt_status archive_open_with(const char *folder, const archive_options *options,
                                        archive **out, rt_error *err);
/* Without options. */
RT_MUST_USE rt_status archive_open(const char *folder, archive **out, rt_error *err);
RT_MUST_USE rt_status archive_open_read_only(const char *folder, archive **out, rt_error *err);
void archive_close(archive *a);

/* Append one record. RT_EXISTS (not an error to report) when its id is there already, whether it
 * came as labelled or as rejected. RT_IO (disk full): the bytes that were written are taken back,
 * nothing changed, and a later append may succeed. One thread at a time; while nobody appends, several
 * may find and read. */
RT_MUST_USE rt_status archive_append(archive *a, const label_record *r, rt_error *err);
/* Make every append so far durable. When the system refuses, what it has on disk is unknown: the
 * archive then takes no more appends until it is opened anew. */
RT_MUST_USE rt_status archive_sync(archive *a, rt_error *err);

archive_state archive_find(const archive *a, rt_id id);
uint64_t archive_n_labelled(const archive *a);
uint64_t archive_n_rejected(const archive *a);
/* Labelled records with a rationale; with gold; with gold that their label equals as text, and was not
 * taken from (gold_use.h). */
uint64_t archive_n_rationales(const archive *a);
uint64_t archive_n_gold(const archive *a);
uint64_t archive_n_gold_equal(const archive *a);
/* Tokens of all records, labelled or rejected, as their meta says (every attempt of an example). */
record_tokens archive_tokens(const archive *a);
/* Lines met at opening whose id had been there before; they count nowhere else. */
uint64_t archive_n_repeats(const archive *a);
/* Reasons and their counts: returns how many distinct (at most ARCHIVE_REASONS_MAX; further ones
 * count as "other"); *name valid until archive_close(). */
#define ARCHIVE_REASONS_MAX 64
size_t archive_n_reasons(const archive *a);
const char *archive_reason(const archive *a, size_t i, uint64_t *count);

/* Read the record of an id. RT_NOTFOUND when absent. */
RT_MUST_USE rt_status archive_read(const archive *a, rt_id id, label_record *out, rt_error *err);

/* Ids of an archive that was opened without a corpus, in ascending order from now on. Valid until the
 * next append or archive_close(). */
RT_MUST_USE rt_status archive_order_by_id(archive *a, const id_index **out, rt_error *err);

/* SHA-256 over the records of ids[0..n) in that order (corpus order): for each, its id in hex, then
 * "L" label and rationale or "R" reason, each field as "<bytes>:<text>" and an absent rationale as
 * "-"; absent ids as "-". Meta, times and arrival order do not count. docs/dataset.md has an example. */
RT_MUST_USE rt_status archive_sha256(const archive *a, const rt_id *ids, size_t n,
                                     char hex[RT_SHA256_HEX_SIZE], rt_error *err);
/* The same in parts: each adds the next ids to what rt_sha256_begin() began. */
RT_MUST_USE rt_status archive_sha256_add(const archive *a, const rt_id *ids, size_t n,
                                         rt_sha256 *sha, rt_error *err);

/* Walk labels.jsonl (rejected == false) or rejected.jsonl in file order. */
typedef rt_status (*archive_visit)(void *context, const label_record *r, rt_error *err);
RT_MUST_USE rt_status archive_scan(archive *a, bool rejected, archive_visit visit, void *context,
                                   rt_error *err);

#endif
