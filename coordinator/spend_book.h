/* A run's quota and the file that outlives the process: what the coordinator and a command that asks
 * the teacher by itself have in common. One process at a time, by the lock of the run's folder.
 *
 *     if ((st = spend_book_open(&book, config, &folder, now_ms, err)) != RT_OK) goto out;
 *     if (spend_book_report(&book, name, incarnation, &report, now_ms, &grant)) ... send it ...
 *     spend_book_keep(&book, now_ms);            // now and then
 *     spend_book_save(&book, false, now_ms);     // at the end, exactly
 *     spend_book_close(&book);
 *
 * A ceiling is in the file before it is granted. A disk that refuses is a problem, not a failure:
 * what cannot be written is not granted.
 */
#ifndef RT_COORDINATOR_SPEND_BOOK_H
#define RT_COORDINATOR_SPEND_BOOK_H

#include "common/conf/config.h"
#include "coordinator/quota.h"
#include "coordinator/run_folder.h"

/* Keeps config. */
typedef struct spend_book {
    const config *config;
    quota *quota;
    char path[RUN_PATH_SIZE];
    bool has_file;                 /* there was one at the start */
    bool stopped;                  /* labelling ended because the budget was spent; is written */
    uint64_t saved_ms, saved_mark; /* when, and a number that changes with what is written */
    char problem[256];             /* why the file cannot be written now; "" */
} spend_book;

/* Reads <run>/spend.json when there is one; RT_CORRUPT names it. Without a folder nothing is read or
 * written. spend_book_close(), also on failure. */
RT_MUST_USE rt_status spend_book_open(spend_book *b, const config *c, const run_folder *folder,
                                      uint64_t now_ms, rt_error *err);
void spend_book_close(spend_book *b);
/* True with an answer that may be sent: see quota_report(). */
bool spend_book_report(spend_book *b, const char *name, uint64_t incarnation,
                       const wire_quota_report *report, uint64_t now_ms, wire_quota_grant *answer);
/* False, with `problem`, when the file cannot be written. With `ahead` some more than is held counts
 * as granted, so that not every grant needs a write. */
bool spend_book_save(spend_book *b, bool ahead, uint64_t now_ms);
/* Save what changed, from time to time. */
void spend_book_keep(spend_book *b, uint64_t now_ms);
/* The last state, exactly, if anything was ever used. */
void spend_book_finish(spend_book *b, uint64_t now_ms);

#endif
