/* What a person sees of a run: a bar per stage on a terminal, a plain line now and then elsewhere.
 *
 *     progress p;
 *     progress_begin(&p, STDERR_FILENO, isatty(STDERR_FILENO));
 *     progress_show(&p, &stats, now_ms);     // as often as you like
 *     progress_say(&p, "restarting %s", name);
 *     progress_end(&p);
 */
#ifndef RT_CLI_LAUNCH_PROGRESS_H
#define RT_CLI_LAUNCH_PROGRESS_H

#include "cli/stats_client.h"

typedef struct progress {
    int fd;
    bool terminal;
    unsigned n_drawn; /* lines on the screen that the next drawing replaces */
    uint64_t plain_next_ms;
    char plain_last[512];
    run_stats last; /* shown or skipped, for the end */
    bool have_last;
} progress;

void progress_begin(progress *p, int fd, bool terminal);
void progress_show(progress *p, const run_stats *stats, uint64_t now_ms);
/* A line that stays, above the bars. */
void progress_say(progress *p, const char *fmt, ...) RT_PRINTF(2, 3);
/* Draw the last state and leave it standing. */
void progress_end(progress *p);

/* The lines themselves, for tests: one per stage, no line end. `columns` is the terminal's width. */
RT_MUST_USE rt_status progress_label_line(const run_stats *stats, unsigned columns, rt_buf *out,
                                          rt_error *err);
RT_MUST_USE rt_status progress_train_line(const run_stats *stats, unsigned columns, rt_buf *out,
                                          rt_error *err);
/* "students  80 % computing, 12 % waiting, 3 % pulling, 5 % pushing" and a line end; nothing while
 * unknown. */
RT_MUST_USE rt_status progress_student_line(const run_stats *stats, rt_buf *out, rt_error *err);
/* All of it as one line, parts set apart by " | ". */
RT_MUST_USE rt_status progress_line(const run_stats *stats, rt_buf *out, rt_error *err);
/* "3.2k" for a rate. */
void progress_short_rate(double rate, char out[16]);
/* "1:05", "2:03:04", "?" for a negative number of seconds. */
void progress_duration(double seconds, char out[16]);
/* "12,345". */
void progress_thousands(uint64_t n, char out[32]);

#endif
