/* The sections of the terminal view, each drawn into the rows it was given; see view.h. */
#ifndef RT_CLI_WATCH_VIEW_PARTS_H
#define RT_CLI_WATCH_VIEW_PARTS_H

#include "cli/watch/pen.h"
#include "cli/watch/view.h"

/* Rows that a section needs at least and those it could fill; {0, 0}: nothing to show. */
typedef struct view_rows {
    unsigned min, max;
} view_rows;

typedef struct view_part {
    view_rows (*rows)(const watch_data *d, const view_screen *screen);
    /* Draws at most n_rows lines. */
    void (*draw)(const watch_data *d, const view_screen *screen, unsigned n_rows, pen *p);
    unsigned rank; /* 0 is admitted first */
    bool has_gap;  /* a blank line before it, where there is room */
} view_part;

/* Whether a coordinator has answered at all. */
bool view_has_picture(const watch_data *d);

extern const view_part view_flow;
extern const view_part view_curves;
extern const view_part view_workers;
extern const view_part view_events;

#endif
