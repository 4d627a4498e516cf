/* What people watch, kept beside the run: points of its curves, its events, its newest rows. Of the
 * loop's thread; what others see of it are the pictures. */
#ifndef RT_COORDINATOR_WATCH_H
#define RT_COORDINATOR_WATCH_H

#include "coordinator/history_file.h"
#include "coordinator/http/pictures.h"
#include "coordinator/recent_rows.h"

typedef struct run_watch {
    recent_rows *rows;
    uint64_t n_rows_shown, rows_shown_ms;
    history_file *file;
    double t_base_s;     /* the run's seconds before this start */
    size_t n_scores;     /* of the board that are in the history */
    bool ended;          /* the last point is there */
    char problem[512];   /* the one that was told last; "" */
    char money_told[8];  /* "", "budget" */
    bool labels_told;    /* that labelling is through */
    uint64_t problem_ms; /* when */
} run_watch;

#endif
