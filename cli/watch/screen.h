/* The whole terminal for a while: alternate screen, no cursor, keys without a line end. Whatever ends
 * the process gives the terminal back as it was.
 *
 *     if ((st = screen_open(STDIN_FILENO, STDOUT_FILENO, &s, &err)) != RT_OK) ...
 *     screen_size(s, &columns, &rows);
 *     screen_show(s, text);                     lines with "\n" between them
 *     switch (screen_wait(s, 1000)) { case SCREEN_KEY_QUIT: ... }
 *     screen_close(s);
 *
 * One at a time in a process: signals have no context of their own.
 */
#ifndef RT_CLI_WATCH_SCREEN_H
#define RT_CLI_WATCH_SCREEN_H

#include "common/base/bytes.h"

typedef struct screen screen;

typedef enum screen_event {
    SCREEN_TIME, /* nothing happened */
    SCREEN_SIZE, /* another size, or the screen was away: draw again */
    SCREEN_QUIT, /* q, Ctrl-C */
    SCREEN_STOP, /* another signal that ends a process, or the terminal is gone */
} screen_event;

/* Blocks the signals that it waits for. RT_IO when `out` is no terminal. Returns new;
 * screen_close(). */
RT_MUST_USE rt_status screen_open(int in, int out, screen **s, rt_error *err);
void screen_close(screen *s);
/* 80 x 24 where the terminal does not say. */
void screen_size(const screen *s, unsigned *columns, unsigned *rows);
/* RT_IO when the terminal is gone. */
RT_MUST_USE rt_status screen_show(screen *s, const rt_buf *text, rt_error *err);
/* The first that happens within timeout_ms. */
screen_event screen_wait(screen *s, int timeout_ms);

#endif
