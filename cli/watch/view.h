/* The terminal view as text: a pure function of what is known and of the size of the screen.
 *
 *     view_screen screen = {.width = 100, .height = 30, .colour = true, ...};
 *     if ((st = view_draw(d, &screen, &text, &err)) != RT_OK) ...
 *
 * Sections stand in a fixed order. On a small screen the important ones come first: the head, what is
 * wrong, progress, then flow, curves, workers and events as far as there is room; what room is left
 * goes round among those that have more to show.
 */
#ifndef RT_CLI_WATCH_VIEW_H
#define RT_CLI_WATCH_VIEW_H

#include "cli/watch/watch_data.h"

typedef enum view_link {
    VIEW_WAITING, /* no coordinator has answered yet */
    VIEW_LIVE,
    VIEW_LOST,  /* one has, and does not now */
    VIEW_ENDED, /* the run is through */
} view_link;

typedef struct view_screen {
    unsigned width, height; /* columns, rows */
    bool colour;
    view_link link;
    double silent_s;     /* since the last answer, while lost */
    const char *trouble; /* why there is no answer; "" for none */
    double now_s;        /* seconds since 1970, for the age of events */
} view_screen;

/* Adds at most `height` lines of at most `width` columns, "\n" between them. */
RT_MUST_USE rt_status view_draw(const watch_data *d, const view_screen *screen, rt_buf *out,
                                rt_error *err);

#endif
