/* Workers and events: a title, then a line for each as far as there is room. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/launch/progress.h"
#include "cli/watch/view_parts.h"

#define SILENT_S 2.0 /* a worker silent for less is not remarkable */

/* ---- workers ---- */

static view_rows worker_rows(const watch_data *d, const view_screen *screen)
{
    (void)screen;
    unsigned n = (unsigned)d->n_members;
    if (!view_has_picture(d) || n == 0) return (view_rows){0};
    return (view_rows){RT_MIN(n, 2u) + 1, n + 1};
}

typedef enum worker_state { WORKER_DEAD, WORKER_ALIVE, WORKER_LEFT, WORKER_STATES } worker_state;

/* Who is silent because there is nothing left to do is no casualty. */
static worker_state state_of(const watch_data *d, const watch_member *m)
{
    bool done = m->role[0] == 't' ? d->now.labelling_done : d->now.training_done;
    return m->alive ? WORKER_ALIVE : done ? WORKER_LEFT : WORKER_DEAD;
}

static void workers_title(const watch_data *d, pen *p)
{
    const watch_role *roles[] = {&d->teachers, &d->students, &d->servers};
    const bool done[] = {d->now.labelling_done, d->now.training_done, d->now.training_done};
    size_t n_alive = 0, n_dead = 0, n_left = 0;
    for (size_t i = 0; i < RT_COUNT(roles); i++) {
        n_alive += roles[i]->n_alive;
        *(done[i] ? &n_left : &n_dead) += roles[i]->n_dead;
    }
    pen_text(p, PEN_BOLD, "workers");
    pen_printf(p, PEN_DIM, "  %zu alive", n_alive);
    if (n_dead > 0) pen_printf(p, PEN_BAD, ", %zu dead", n_dead);
    if (n_left > 0) pen_printf(p, PEN_DIM, ", %zu left", n_left);
    if (d->restarts > 0)
        pen_printf(p, PEN_DIM, ", %llu restart%s", (unsigned long long)d->restarts,
                   d->restarts == 1 ? "" : "s");
}

static const char *unit_of(const char *role)
{
    if (role[0] == 't') return "rows";
    return role[1] == 't' ? "micro-batches" : "gradients";
}

static void draw_worker(const watch_member *m, worker_state state, pen *p)
{
    static const char *const names[WORKER_STATES] = {"dead", "alive", "left"};
    static const pen_style styles[WORKER_STATES] = {PEN_BAD, PEN_GOOD, PEN_DIM};
    char text[64], number[32];
    bool wide = p->width >= 76;
    size_t right = wide ? p->width - 30 : p->width;
    pen_cell(p, PEN_PLAIN, m->name, 16, false);
    pen_cell(p, styles[state], names[state], 7, false);
    if (state == WORKER_LEFT || (state == WORKER_ALIVE && m->silent_s < SILENT_S)) {
        pen_cell(p, PEN_PLAIN, state == WORKER_ALIVE ? m->busy_with : "",
                 right > p->column ? right - p->column : 0, false);
    } else {
        progress_duration(m->silent_s, number);
        snprintf(text, sizeof text, "silent for %.16s", number);
        pen_cell(p, PEN_WARN, text, right > p->column ? right - p->column : 0, false);
    }
    if (wide) {
        progress_thousands((uint64_t)fmax(m->done, 0), number);
        snprintf(text, sizeof text, "%s %s", number, unit_of(m->role));
        pen_cell(p, PEN_DIM, text, 20, true);
        if (isfinite(m->per_s) && state == WORKER_ALIVE)
            snprintf(text, sizeof text, "%.1f/s", m->per_s);
        else
            text[0] = '\0';
        pen_cell(p, PEN_PLAIN, text, 10, true);
    }
    pen_end_line(p);
}

/* The dead first: they are what one looks for. */
static void draw_workers(const watch_data *d, const view_screen *screen, unsigned n_rows, pen *p)
{
    unsigned n_drawn = 1;
    (void)screen;
    workers_title(d, p);
    if (d->n_members + 1 > n_rows)
        pen_printf(p, PEN_DIM, "  (%zu not shown)", d->n_members + 1 - n_rows);
    pen_end_line(p);
    for (worker_state state = WORKER_DEAD; state < WORKER_STATES; state++)
        for (size_t i = 0; i < d->n_members && n_drawn < n_rows; i++)
            if (state_of(d, &d->members[i]) == state) {
                draw_worker(&d->members[i], state, p);
                n_drawn++;
            }
}

const view_part view_workers = {worker_rows, draw_workers, 7, true};

/* ---- events ---- */

static view_rows event_rows(const watch_data *d, const view_screen *screen)
{
    (void)screen;
    unsigned n = (unsigned)d->n_events;
    if (!view_has_picture(d) || n == 0) return (view_rows){0};
    return (view_rows){RT_MIN(n, 2u) + 1, n + 1};
}

static void draw_event(const watch_event *e, double now_s, pen *p)
{
    char age[16];
    bool bad = strcmp(e->kind, "problem") == 0 || strcmp(e->kind, "rewind") == 0;
    progress_duration(fmax(now_s - e->time, 0), age);
    pen_cell(p, PEN_DIM, age, 8, true);
    pen_text(p, PEN_PLAIN, "  ");
    pen_cell(p, bad ? PEN_WARN : PEN_ACCENT, e->kind, 11, false);
    if (p->width >= 60) pen_cell(p, PEN_DIM, e->who, 13, false);
    pen_text(p, PEN_PLAIN, e->text);
    pen_end_line(p);
}

static void draw_events(const watch_data *d, const view_screen *screen, unsigned n_rows, pen *p)
{
    pen_text(p, PEN_BOLD, "events");
    pen_text(p, PEN_DIM, "  newest first, by age");
    pen_end_line(p);
    for (size_t i = d->n_events; i > 0 && n_rows > 1; i--, n_rows--)
        draw_event(&d->events[i - 1], screen->now_s, p);
}

const view_part view_events = {event_rows, draw_events, 9, true};
