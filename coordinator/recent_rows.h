/* The newest labelled and the newest rejected rows, for people who watch. Pure: time is an argument.
 *
 *     recent_rows_add(rows, &record, now_s);
 *     st = recent_rows_to_json(rows, &out, err);      // {"labelled":[..],"rejected":[..]}, newest first
 *
 * Texts are cut; the whole ones are in the dataset.
 */
#ifndef RT_COORDINATOR_RECENT_ROWS_H
#define RT_COORDINATOR_RECENT_ROWS_H

#include "common/dataset/label_record.h"

#define RECENT_ROWS_MAX   50   /* of each kind */
#define RECENT_TEXT_BYTES 2000 /* of each text */
#define RECENT_META_BYTES 4096 /* longer meta is not looked into */

typedef struct recent_row {
    char id[RT_ID_HEX_SIZE];
    char input[RECENT_TEXT_BYTES + 1];
    char answer[RECENT_TEXT_BYTES + 1]; /* labelled: the label; rejected: the reason */
    char text[RECENT_TEXT_BYTES + 1];   /* labelled: the rationale; rejected: the raw text */
    char gold[RECENT_TEXT_BYTES + 1];
    char meta[RECENT_META_BYTES + 1]; /* whole or "" */
    bool has_text, has_gold;
    double time_s; /* since 1970, into the dataset; NaN: before this start */
} recent_row;

typedef struct recent_list {
    recent_row rows[RECENT_ROWS_MAX];
    uint64_t n; /* ever added; the newest is rows[(n - 1) % RECENT_ROWS_MAX] */
} recent_list;

/* Zero-initialise. */
typedef struct recent_rows {
    recent_list labelled, rejected;
} recent_rows;

void recent_rows_add(recent_rows *r, const label_record *record, double time_s);
/* Grows with each row. */
uint64_t recent_rows_n(const recent_rows *r);
RT_MUST_USE rt_status recent_rows_to_json(const recent_rows *r, rt_buf *out, rt_error *err);

#endif
