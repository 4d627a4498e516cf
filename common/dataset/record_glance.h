/* What the archive counts of a record, taken from a line without making the record.
 *
 *     record_glance g = {0};
 *     if (record_glance_of_line(line, n, &g)) ...       // else label_record_from_json() says more
 *
 * A dataset of ten million lines is opened in seconds this way. Only a line with a check that holds is
 * read so: its bytes are those that label_record_to_json() wrote, keys in its order. Lines of other
 * tools, and what is rare, are left to the reader of records.
 */
#ifndef RT_DATASET_RECORD_GLANCE_H
#define RT_DATASET_RECORD_GLANCE_H

#include "common/dataset/label_record.h"
#include "common/dataset/record_tokens.h"

typedef struct record_glance {
    rt_id id;
    const char *reason; /* into what was looked at, without an end; NULL: labelled */
    size_t n_reason;
    bool has_rationale, has_gold;
    bool is_right; /* the label equals gold as text, and was not taken from it */
    record_tokens tokens;
} record_glance;

/* False, and *out undefined, when the line (without its newline) is not one that can be read so. */
bool record_glance_of_line(const char *line, size_t n, record_glance *out);
/* Borrows the record's reason. */
void record_glance_of_record(const label_record *r, record_glance *out);

#endif
