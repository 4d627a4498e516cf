/* HTML text being written: what is ours goes in as it is, everything else is escaped.
 *
 *     html h = {0};
 *     html_raw(&h, "<p title=\"");
 *     html_text(&h, title);                 // from a file, a model or a user
 *     html_printf(&h, "\">%d rows</p>", n); // our format, numbers only
 *     if ((st = html_end(&h, &text, err)) != RT_OK) ...
 *
 * The first failure sticks: later calls do nothing, and html_end() tells it.
 */
#ifndef RT_WORKER_REPORT_HTML_H
#define RT_WORKER_REPORT_HTML_H

#include "common/base/bytes.h"

/* Zero-initialise; html_end() or html_drop(). */
typedef struct html {
    rt_buf out;
    rt_status status;
    rt_error error;
} html;

/* Append text[0..n) so that it is text wherever it stands, between tags or in a quoted attribute: & < >
 * " ' become references, bytes that are no UTF-8 and characters that HTML forbids become U+FFFD. */
RT_MUST_USE rt_status html_escape(const char *text, size_t n, rt_buf *out, rt_error *err);

void html_raw(html *h, const char *ours);
void html_text(html *h, const char *text); /* NULL: nothing */
/* No %s but for texts of our own. */
void html_printf(html *h, const char *fmt, ...) RT_PRINTF(2, 3);
/* Appends to *out what was written; ends *h either way. */
RT_MUST_USE rt_status html_end(html *h, rt_buf *out, rt_error *err);
void html_drop(html *h);

#endif
