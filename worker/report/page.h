/* The parts of report_render(): each writes one section of the page from the data. */
#ifndef RT_WORKER_REPORT_PAGE_H
#define RT_WORKER_REPORT_PAGE_H

#include <jansson.h>

#include "worker/report/html.h"

/* Fields of any JSON: "" and NaN for what is not there or of another type. */
const char *get_text(const json_t *object, const char *key);
double get_number(const json_t *object, const char *key);

void put_count(html *h, double n);          /* "12,345"; "?" for a NaN */
void put_percent(html *h, double share);    /* "98.3 %" */
void put_duration(html *h, double seconds); /* "2 min 12 s" */
/* <section id> and its heading; the text stands in the page's list of sections too. */
void put_section(html *h, const char *id, const char *title);
void put_section_end(html *h);
/* A text that may be long: line breaks are kept, direction is its own. */
void put_block(html *h, const char *kind, const char *text);

void page_style(html *h);
void page_head(html *h, const json_t *data);
void page_scores(html *h, const json_t *data);
void page_rows(html *h, const json_t *data);
void page_curves(html *h, const json_t *data);
void page_confusion(html *h, const json_t *data);
void page_examples(html *h, const json_t *data);
void page_rejections(html *h, const json_t *data);
void page_costs(html *h, const json_t *data);
void page_versions(html *h, const json_t *data);

#endif
