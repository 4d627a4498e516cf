#include "worker/report/page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "worker/report/axis.h"
#include "worker/report/report.h"

const char *get_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

double get_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

void put_count(html *h, double n)
{
    char digits[40], text[64];
    size_t at = 0;
    if (!(fabs(n) < 1e15)) {
        html_raw(h, "?");
        return;
    }
    snprintf(digits, sizeof digits, "%.0f", fabs(n));
    size_t n_digits = strlen(digits);
    if (n < 0) text[at++] = '-';
    for (size_t i = 0; i < n_digits; i++) {
        if (i > 0 && (n_digits - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    html_raw(h, text);
}

void put_percent(html *h, double share)
{
    if (fabs(share) < 1e6)
        html_printf(h, "%.1f&nbsp;%%", 100 * share);
    else
        html_raw(h, "?");
}

void put_duration(html *h, double seconds)
{
    if (!(seconds >= 0 && seconds < 1e12)) {
        html_raw(h, "?");
        return;
    }
    long long s = (long long)(seconds + 0.5);
    if (seconds < 9.95)
        html_printf(h, "%.1f&nbsp;s", seconds);
    else if (s < 60)
        html_printf(h, "%lld&nbsp;s", s);
    else if (s < 3600)
        html_printf(h, "%lld&nbsp;min %lld&nbsp;s", s / 60, s % 60);
    else if (s < 2 * 86400)
        html_printf(h, "%lld&nbsp;h %lld&nbsp;min", s / 3600, s / 60 % 60);
    else
        html_printf(h, "%lld&nbsp;d %lld&nbsp;h", s / 86400, s / 3600 % 24);
}

void put_section(html *h, const char *id, const char *title)
{
    html_raw(h, "<section id=\"");
    html_raw(h, id);
    html_raw(h, "\"><h2>");
    html_raw(h, title);
    html_raw(h, "</h2>\n");
}

void put_section_end(html *h)
{
    html_raw(h, "</section>\n");
}

void put_block(html *h, const char *kind, const char *text)
{
    html_raw(h, "<div class=\"block ");
    html_raw(h, kind);
    html_raw(h, "\" dir=\"auto\">");
    html_text(h, text);
    html_raw(h, "</div>");
}

/* ---- head ---- */

static const char *state_text(const json_t *run)
{
    const char *state = get_text(run, "state"), *stage = get_text(run, "stage");
    if (strcmp(state, "failed") == 0) return "failed";
    if (strcmp(state, "complete") != 0) return "not finished";
    if (strcmp(stage, "label") == 0) return "complete, labels only";
    if (strcmp(stage, "train") == 0) return "complete, training only";
    return "complete";
}

static void put_tile(html *h, const char *title)
{
    html_raw(h, "<div class=\"tile\"><dt>");
    html_raw(h, title);
    html_raw(h, "</dt><dd>");
}

static void put_score_tile(html *h, const json_t *data, const char *who, const char *title)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(data, "accuracy"), i, one)
    {
        if (strcmp(get_text(one, "who"), who) != 0) continue;
        put_tile(h, title);
        put_percent(h, get_number(one, "share"));
        html_raw(h, "<small>");
        put_percent(h, get_number(one, "low"));
        html_raw(h, " to ");
        put_percent(h, get_number(one, "high"));
        html_raw(h, "</small></dd></div>");
        return;
    }
}

static void put_tiles(html *h, const json_t *data)
{
    const json_t *rows = json_object_get(data, "rows"),
                 *training = json_object_get(data, "training");
    const json_t *cost = json_object_get(data, "cost");
    html_raw(h, "<dl class=\"tiles\">");
    put_score_tile(h, data, "student", "Student is right");
    put_score_tile(h, data, "teacher", "Teacher is right");
    put_score_tile(h, data, "control, label only", "Control, label only");
    put_tile(h, "Labelled");
    put_count(h, get_number(rows, "labelled"));
    html_raw(h, "<small>of ");
    put_count(h, get_number(rows, "examples"));
    html_raw(h, " examples</small></dd></div>");
    if (get_number(training, "steps") > 0) {
        put_tile(h, "Steps trained");
        put_count(h, get_number(training, "steps"));
        html_raw(h, "<small>");
        put_count(h, get_number(training, "tokens"));
        html_raw(h, " tokens</small></dd></div>");
    }
    if (get_number(data, "seconds_this_command") > 0) {
        put_tile(h, "Time");
        put_duration(h, get_number(data, "seconds_this_command"));
        html_raw(h, "<small>of the last command</small></dd></div>");
    }
    if (get_number(cost, "spent") > 0) {
        put_tile(h, "Cost");
        html_printf(h, "%.2f ", get_number(cost, "spent"));
        html_text(h, get_text(cost, "currency"));
        html_raw(h, "<small>for labels</small></dd></div>");
    }
    html_raw(h, "</dl>\n");
}

static void put_missing(html *h, const json_t *data)
{
    size_t i;
    json_t *one;
    const json_t *missing = json_object_get(data, "missing");
    if (json_array_size(missing) == 0) return;
    html_raw(h, "<aside class=\"missing\" aria-label=\"What this report does not know\">"
                "<strong>What this report does not know, and why</strong><ul>");
    json_array_foreach(missing, i, one)
    {
        html_raw(h, "<li>");
        html_text(h, json_string_value(one));
        html_raw(h, "</li>");
    }
    html_raw(h, "</ul></aside>\n");
}

void page_head(html *h, const json_t *data)
{
    const json_t *run = json_object_get(data, "run");
    html_raw(h, "<header><p class=\"kind\">Report of a run</p><h1>");
    html_text(h, get_text(run, "name"));
    html_raw(h, "</h1><p class=\"facts\">");
    html_raw(h, state_text(run));
    if (get_text(run, "task")[0] != '\0') {
        html_raw(h, " · task <b>");
        html_text(h, get_text(run, "task"));
        html_raw(h, "</b>");
    }
    html_raw(h, " · made ");
    html_text(h, get_text(data, "made_at"));
    html_raw(h, " from <code>");
    html_text(h, get_text(run, "folder"));
    html_raw(h, "</code></p></header>\n");
    put_missing(h, data);
    put_tiles(h, data);
}

/* ---- the page ---- */

typedef struct section {
    const char *id, *title;
    void (*put)(html *h, const json_t *data);
} section;

rt_status report_render(const json_t *data, rt_buf *out, rt_error *err)
{
    static const section sections[] = {
        {"accuracy", "Accuracy", page_scores},   {"rows", "Rows", page_rows},
        {"curves", "Curves", page_curves},       {"confusion", "Confusion", page_confusion},
        {"examples", "Examples", page_examples}, {"rejections", "Rejections", page_rejections},
        {"costs", "Time and cost", page_costs},  {"versions", "Versions", page_versions},
    };
    html h = {0};
    html_raw(&h, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                 "<meta name=\"color-scheme\" content=\"light dark\">\n"
                 /* Whatever a text may hold: nothing is loaded and nothing runs. */
                 "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                 "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n<title>");
    html_text(&h, get_text(json_object_get(data, "run"), "name"));
    html_raw(&h, " – report</title>\n");
    page_style(&h);
    html_raw(&h, "</head><body><main>\n");
    page_head(&h, data);
    html_raw(&h, "<nav aria-label=\"Sections\">");
    for (size_t i = 0; i < RT_COUNT(sections); i++) {
        html_printf(&h, "<a href=\"#%s\">%s</a> ", sections[i].id, sections[i].title);
    }
    html_raw(&h, "</nav>\n");
    for (size_t i = 0; i < RT_COUNT(sections); i++) {
        put_section(&h, sections[i].id, sections[i].title);
        sections[i].put(&h, data);
        put_section_end(&h);
    }
    html_raw(&h, "<footer>Made by retort ");
    html_text(&h, get_text(data, "retort"));
    html_raw(&h, ". <code>retort report --json</code> prints the figures behind this page."
                 "</footer></main></body></html>\n");
    return html_end(&h, out, err);
}
