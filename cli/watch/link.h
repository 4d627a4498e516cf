/* The way to a run's coordinator, for as long as the view stands: asks for the three bodies, finds the
 * coordinator again after a restart, and knows when the run is through.
 *
 *     watch_link l = {.run_dir = run_dir, .key_file = key, ...};
 *     st = watch_link_ask(&l, d, now_s, &err);
 *     ... l.state, l.trouble, l.answered_s ...
 */
#ifndef RT_CLI_WATCH_LINK_H
#define RT_CLI_WATCH_LINK_H

#include "cli/watch/view.h"

typedef struct watch_link {
    const char *run_dir; /* "": the address was given, and stays */
    const char *key_file;
    char address[256];          /* "": not known yet */
    bool no_history, no_events; /* this coordinator does not answer them */
    view_link state;
    rt_error trouble;  /* why there is no answer; empty while there is */
    double answered_s; /* viewer's clock at the newest answer */
    rt_buf body;       /* newest of /api/stats */
} watch_link;

/* One round. RT_OK also when nobody answers: then state and trouble say so. RT_REFUSED when the
 * coordinator wants another key, which waiting does not change. */
RT_MUST_USE rt_status watch_link_ask(watch_link *l, watch_data *d, double now_s, rt_error *err);
void watch_link_free(watch_link *l);

#endif
