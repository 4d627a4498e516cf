/* Where the rows went, the curves, time, money and versions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/report/chart.h"
#include "worker/report/page.h"

static void put_entry(html *h, const char *sign, const json_t *rows, const char *key,
                      const char *what, bool is_sum)
{
    html_printf(h, "<tr%s><td class=\"sign\">%s</td><td class=\"n\">",
                is_sum ? " class=\"sum\"" : "", sign);
    put_count(h, get_number(rows, key));
    html_raw(h, "</td><td>");
    html_raw(h, what);
    html_raw(h, "</td></tr>\n");
}

void page_rows(html *h, const json_t *data)
{
    const json_t *rows = json_object_get(data, "rows"), *found = json_object_get(data, "dataset");
    bool known = json_is_number(json_object_get(rows, "read"));
    html_raw(h, "<table class=\"ledger\"><tbody>");
    if (known) {
        put_entry(h, "", rows, "read", "rows read from the corpus", false);
        put_entry(h, "−", rows, "duplicates", "duplicates, folded into the first of their kind",
                  false);
        put_entry(h, "−", rows, "malformed", "malformed (<code>corpus/malformed.jsonl</code>)",
                  false);
        put_entry(h, "=", rows, "examples", "examples, of which:", true);
    }
    put_entry(h, "", rows, "labelled", "labelled (<code>dataset/labels.jsonl</code>)", false);
    put_entry(h, "+", rows, "rejected", "rejected, each with its reason", false);
    if (known) {
        put_entry(h, "+", rows, "open", "without a label yet", false);
        put_entry(h, "=", rows, "examples",
                  json_is_true(json_object_get(rows, "adds_up"))
                      ? "examples <span class=\"yes\">✓ it adds up</span>"
                      : "examples <span class=\"no\">✗ it does not add up</span>",
                  true);
    }
    html_raw(h, "</tbody></table>");
    if (!json_is_number(json_object_get(found, "rationales"))) return;
    html_raw(h, "<p class=\"hint\">");
    put_count(h, get_number(found, "rationales"));
    html_raw(h, " of the labels have a rationale; ");
    put_count(h, get_number(found, "gold"));
    html_raw(h, " records have a true answer beside them.</p>");
}

/* ---- curves ---- */

typedef struct line_numbers {
    double *x, *y, *low, *high;
} line_numbers;

/* Numbers of a list; NaN for what is none. NULL for no list, or without memory. */
static double *numbers_of(const json_t *list, size_t n)
{
    if (!json_is_array(list) || n == 0) return NULL;
    double *out = rt_calloc(n, sizeof *out);
    for (size_t i = 0; out != NULL && i < n; i++) {
        const json_t *value = json_array_get(list, i);
        out[i] = json_is_number(value) ? json_number_value(value) : NAN;
    }
    return out;
}

static void take_line(const json_t *from, line_numbers *numbers, chart_line *line)
{
    size_t n = json_array_size(json_object_get(from, "x"));
    numbers->x = numbers_of(json_object_get(from, "x"), n);
    numbers->y = numbers_of(json_object_get(from, "y"), n);
    numbers->low = numbers_of(json_object_get(from, "low"), n);
    numbers->high = numbers_of(json_object_get(from, "high"), n);
    bool whole = numbers->x != NULL && numbers->y != NULL;
    *line = (chart_line){.name = get_text(from, "name"),
                         .x = numbers->x,
                         .y = numbers->y,
                         .low = numbers->low,
                         .high = numbers->high,
                         .n = whole ? n : 0,
                         .marks = json_is_true(json_object_get(from, "marks"))};
}

static void put_chart(html *h, const json_t *from, unsigned id)
{
    line_numbers numbers[CHART_LINES_MAX] = {0};
    chart_line lines[CHART_LINES_MAX] = {0};
    const json_t *list = json_object_get(from, "lines");
    const char *kind = get_text(from, "kind");
    chart c = {.title = get_text(from, "title"),
               .x_name = get_text(from, "x"),
               .y_name = get_text(from, "y"),
               .lines = lines,
               .from_zero = strcmp(kind, "zero") == 0,
               .percent = strcmp(kind, "share") == 0};
    while (c.n_lines < CHART_LINES_MAX && c.n_lines < json_array_size(list)) {
        take_line(json_array_get(list, c.n_lines), &numbers[c.n_lines], &lines[c.n_lines]);
        c.n_lines++;
    }
    chart_svg(&c, id, h);
    for (size_t i = 0; i < c.n_lines; i++) {
        free(numbers[i].x);
        free(numbers[i].y);
        free(numbers[i].low);
        free(numbers[i].high);
    }
}

void page_curves(html *h, const json_t *data)
{
    size_t i;
    json_t *one;
    const json_t *curves = json_object_get(data, "curves");
    if (json_array_size(curves) == 0) {
        html_raw(h, "<p class=\"none\">No curves were recorded: see above for why.</p>");
        return;
    }
    html_raw(h, "<div class=\"charts\">\n");
    json_array_foreach(curves, i, one)
    {
        put_chart(h, one, (unsigned)i);
    }
    html_raw(h, "</div><p class=\"hint\">A line is the mean of neighbours where there are more "
                "values than can be drawn; the band behind it goes from the least to the largest."
                "</p>\n");
}

/* ---- time and money ---- */

static void put_shares(html *h, const json_t *of, const char *title, const char *what, bool seconds)
{
    const char *name;
    json_t *value;
    double sum = 0;
    json_object_foreach((json_t *)of, name, value)
    {
        if (json_is_number(value)) sum = fmax(sum, json_number_value(value));
    }
    if (sum <= 0) return;
    html_raw(h, "<h3>");
    html_raw(h, title);
    html_raw(h, "</h3><table class=\"full\"><tbody>");
    json_object_foreach((json_t *)of, name, value)
    {
        if (!json_is_number(value)) continue;
        html_raw(h, "<tr><th scope=\"row\">");
        html_text(h, name);
        html_raw(h, "</th><td class=\"n\">");
        if (seconds)
            put_duration(h, json_number_value(value));
        else
            put_percent(h, json_number_value(value));
        html_printf(h,
                    "</td><td class=\"bar\"><div class=\"track\" aria-hidden=\"true\"><i "
                    "class=\"fill\" style=\"left:0;width:%.1f%%\"></i></div></td></tr>",
                    100 * fmin(fmax(json_number_value(value) / sum, 0), 1));
    }
    html_raw(h, "</tbody></table><p class=\"hint\">");
    html_raw(h, what);
    html_raw(h, "</p>");
}

static void put_fact(html *h, const char *title, const json_t *of, const char *key)
{
    double n = get_number(of, key);
    if (isnan(n)) return;
    html_raw(h, "<tr><th scope=\"row\">");
    html_raw(h, title);
    html_raw(h, "</th><td class=\"n\">");
    if (n == floor(n))
        put_count(h, n);
    else
        html_printf(h, "%.4f", fabs(n) < 1e15 ? n : 0);
    html_raw(h, "</td></tr>");
}

void page_costs(html *h, const json_t *data)
{
    const json_t *cost = json_object_get(data, "cost"),
                 *training = json_object_get(data, "training");
    put_shares(h, json_object_get(data, "seconds"), "Stages",
               "Stages may overlap: training begins while labels still come in.", true);
    put_shares(
        h, json_object_get(training, "student_time"), "Where the students' time went",
        "Shares of the time of all students. <code>push_beside</code> went on beside the rest "
        "and is part of no sum.",
        false);
    if (!json_is_object(cost)) return;
    if (!(get_number(cost, "spent") > 0) && !(get_number(cost, "prompt_tokens") > 0)) {
        html_raw(h, "<p class=\"hint\">The teacher cost nothing, and told of no tokens.</p>");
        return;
    }
    html_raw(h, "<h3>Money and tokens of the teacher</h3><table><tbody>");
    if (get_text(cost, "currency")[0] != '\0') {
        html_raw(h, "<tr><th scope=\"row\">currency</th><td class=\"n\">");
        html_text(h, get_text(cost, "currency"));
        html_raw(h, "</td></tr>");
    }
    put_fact(h, "spent", cost, "spent");
    put_fact(h, "perhaps paid for answers that never came", cost, "lost_in_flight");
    put_fact(h, "budget", cost, "budget");
    put_fact(h, "requests", cost, "requests");
    put_fact(h, "prompt tokens of the records", cost, "prompt_tokens");
    put_fact(h, "completion tokens of the records", cost, "completion_tokens");
    put_fact(h, "reasoning tokens of the records", cost, "reasoning_tokens");
    html_raw(h, "</tbody></table>");
}

/* ---- versions ---- */

static void put_text_fact(html *h, const char *title, const json_t *of, const char *key)
{
    if (get_text(of, key)[0] == '\0') return;
    html_raw(h, "<tr><th scope=\"row\">");
    html_raw(h, title);
    html_raw(h, "</th><td>");
    html_text(h, get_text(of, key));
    html_raw(h, "</td></tr>");
}

static void put_checksums(html *h, const json_t *sums)
{
    size_t i;
    json_t *one;
    if (json_array_size(sums) == 0) return;
    html_raw(h, "<h3>SHA-256</h3><div class=\"wide\"><table><tbody>");
    json_array_foreach(sums, i, one)
    {
        html_raw(h, "<tr><th scope=\"row\">");
        html_text(h, get_text(one, "what"));
        html_raw(h, "</th><td><code class=\"sum64\">");
        html_text(h, get_text(one, "sha256"));
        html_raw(h, "</code></td></tr>");
    }
    html_raw(h, "</tbody></table></div>");
}

void page_versions(html *h, const json_t *data)
{
    const json_t *v = json_object_get(data, "versions"), *t = json_object_get(data, "training");
    html_raw(h, "<table><tbody>");
    put_text_fact(h, "retort", v, "version");
    put_text_fact(h, "processor", v, "cpu");
    put_text_fact(h, "products of float32 by", v, "blas");
    put_text_fact(h, "numbers in products", v, "compute_mode");
    put_text_fact(h, "numbers on the wire", v, "wire");
    put_text_fact(h, "mode of training", t, "mode");
    if (json_is_boolean(json_object_get(t, "repeatable"))) {
        html_raw(h, "<tr><th scope=\"row\">repeats bit for bit</th><td>");
        html_raw(h, json_is_true(json_object_get(t, "repeatable"))
                        ? "yes, on this kind of processor and with these libraries"
                        : "no, in this mode it depends on timing");
        html_raw(h, "</td></tr>");
    }
    put_fact(h, "best version", t, "best_version");
    put_text_fact(h, "best by", t, "best_by");
    put_fact(h, "rewinds", t, "rewinds");
    html_raw(h, "</tbody></table>");
    put_checksums(h, json_object_get(data, "checksums"));
    if (!json_is_string(json_object_get(data, "config"))) return;
    html_raw(h, "<h3>Settings, as resolved</h3><pre tabindex=\"0\" aria-label=\"settings\">");
    html_text(h, get_text(data, "config"));
    html_raw(h, "</pre>");
}
