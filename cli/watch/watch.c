#include "cli/watch/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/launch/progress.h"
#include "cli/watch/link.h"
#include "cli/watch/screen.h"
#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/stop.h"

typedef struct watcher {
    const watch_settings *settings;
    watch_link link;
    watch_data *data;
    bool colour;
} watcher;

/* NO_COLOR with any text in it (no-color.org) wants none. */
static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR");
    return no == NULL || no[0] == '\0';
}

static bool is_dumb_terminal(void)
{
    const char *term = getenv("TERM");
    return term == NULL || term[0] == '\0' || strcmp(term, "dumb") == 0;
}

/* ---- full screen ---- */

static rt_status draw(const watcher *w, screen *s, rt_error *err)
{
    rt_buf text = {0};
    view_screen how = {.colour = w->colour,
                       .link = w->link.state,
                       .silent_s = rt_clock_mono_s() - w->link.answered_s,
                       .trouble = w->link.trouble.text,
                       .now_s = (double)rt_clock_wall_ms() / 1000};
    screen_size(s, &how.width, &how.height);
    rt_status st = view_draw(w->data, &how, &text, err);
    if (st == RT_OK) st = screen_show(s, &text, err);
    rt_buf_free(&text);
    return st;
}

/* Until the next look is due, or it is time to leave. */
static screen_event stay(watcher *w, screen *s, uint64_t until_ms, rt_error *err)
{
    for (;;) {
        uint64_t now_ms = rt_clock_mono_ms();
        screen_event e = screen_wait(s, now_ms < until_ms ? (int)(until_ms - now_ms) : 0);
        if (e == SCREEN_SIZE && draw(w, s, err) != RT_OK) return SCREEN_STOP;
        if (e == SCREEN_QUIT || e == SCREEN_STOP) return e;
        if (rt_clock_mono_ms() >= until_ms) return SCREEN_TIME;
    }
}

static exit_code watch_screen(watcher *w, rt_error *err)
{
    screen *s = NULL;
    screen_event e = SCREEN_TIME;
    rt_status st = screen_open(STDIN_FILENO, STDOUT_FILENO, &s, err);
    if (st == RT_OK) st = draw(w, s, err);
    while (st == RT_OK && e == SCREEN_TIME) {
        uint64_t due_ms = rt_clock_mono_ms() + w->settings->interval_ms;
        st = watch_link_ask(&w->link, w->data, rt_clock_mono_s(), err);
        if (st == RT_OK) st = draw(w, s, err);
        if (st == RT_OK) e = stay(w, s, due_ms, err);
    }
    screen_close(s);
    if (st != RT_OK) return exit_code_of(st);
    return e == SCREEN_QUIT ? EXIT_CODE_OK : EXIT_CODE_INTERRUPTED;
}

/* ---- lines ---- */

static rt_status add_line(const watcher *w, rt_buf *out, rt_error *err)
{
    const watch_link *l = &w->link;
    rt_status st = RT_OK;
    if (w->settings->as_json)
        return l->state == VIEW_LIVE ? rt_buf_add(out, l->body.data, l->body.n, err) : RT_OK;
    if (l->state == VIEW_ENDED) return rt_buf_add_text(out, "the run has ended\n", err);
    if (l->state != VIEW_LIVE) return rt_buf_printf(out, err, "%s\n", l->trouble.text);
    st = progress_line(&w->data->now, out, err);
    return st == RT_OK ? rt_buf_add_text(out, "\n", err) : st;
}

/* False when nobody reads any more: `retort stats --watch | head`. */
static bool print_line(const watcher *w, rt_status *st, rt_error *err)
{
    rt_buf line = {0};
    rt_error gone = {0};
    *st = add_line(w, &line, err);
    bool read_on = *st == RT_OK && rt_fs_write_all(STDOUT_FILENO, line.data, line.n,
                                                   "standard output", &gone) == RT_OK;
    rt_buf_free(&line);
    return read_on;
}

static exit_code watch_lines(watcher *w, rt_error *err)
{
    rt_status st = RT_OK;
    rt_stop_install();
    while (rt_stop_requested() == RT_STOP_NONE) {
        uint64_t due_ms = rt_clock_mono_ms() + w->settings->interval_ms;
        st = watch_link_ask(&w->link, w->data, rt_clock_mono_s(), err);
        if (st != RT_OK || !print_line(w, &st, err)) break;
        if (w->link.state == VIEW_ENDED) break;
        uint64_t now_ms = rt_clock_mono_ms();
        if (now_ms < due_ms) rt_sleep_ms(due_ms - now_ms);
    }
    return st == RT_OK ? EXIT_CODE_OK : exit_code_of(st);
}

exit_code watch_run(const watch_settings *settings, rt_error *err)
{
    watcher w = {.settings = settings, .colour = wants_colour()};
    w.link = (watch_link){.run_dir = settings->address[0] == '\0' ? settings->run_dir : "",
                          .key_file = settings->key_file};
    snprintf(w.link.address, sizeof w.link.address, "%s", settings->address);
    w.data = rt_calloc(1, sizeof *w.data);
    if (w.data == NULL) return exit_code_of(rt_fail(err, RT_NOMEM, "watch"));
    bool full = !settings->as_json && isatty(STDOUT_FILENO) == 1 && !is_dumb_terminal();
    exit_code code = full ? watch_screen(&w, err) : watch_lines(&w, err);
    watch_link_free(&w.link);
    free(w.data);
    return code;
}
