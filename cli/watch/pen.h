/* Writes lines of a fixed width: what does not fit is cut with "…", wide characters count two
 * columns, colours count none.
 *
 *     pen p = {.out = &text, .width = 80, .colour = true};
 *     pen_text(&p, PEN_BOLD, "loss");
 *     pen_to(&p, 12);                              blanks up to column 12
 *     pen_printf(&p, PEN_PLAIN, "%.3f", loss);
 *     pen_end_line(&p);
 *     if (p.status != RT_OK) ...                   one look at the end
 *
 * Texts must be safe to print (common/text/display.h).
 */
#ifndef RT_CLI_WATCH_PEN_H
#define RT_CLI_WATCH_PEN_H

#include "common/base/bytes.h"

typedef enum pen_style {
    PEN_PLAIN,
    PEN_BOLD,
    PEN_DIM,
    PEN_GOOD,
    PEN_WARN,
    PEN_BAD,
    PEN_ACCENT,
} pen_style;

typedef struct pen {
    rt_buf *out;
    size_t width, column;
    unsigned n_lines; /* ended */
    bool colour;
    rt_status status; /* of the first that failed; nothing is written after it */
    rt_error *err;
} pen;

void pen_text(pen *p, pen_style style, const char *text);
void pen_printf(pen *p, pen_style style, const char *fmt, ...) RT_PRINTF(3, 4);
/* At most `columns` of the text, then blanks up to them; `right`: the blanks first. */
void pen_cell(pen *p, pen_style style, const char *text, size_t columns, bool right);
/* Blanks up to a column; at least nothing. */
void pen_to(pen *p, size_t column);
void pen_end_line(pen *p);

#endif
