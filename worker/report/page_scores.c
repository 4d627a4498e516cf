/* How often who was right, and what was taken for what. */
#include <math.h>
#include <string.h>

#include "common/base/bytes.h"
#include "worker/report/page.h"

static double clamped(double share)
{
    return share >= 0 ? fmin(share, 1) : 0;
}

/* The interval as a band from 0 to 100 %, the share as a mark in it. */
static void put_track(html *h, double share, double low, double high)
{
    html_printf(h,
                "<td class=\"bar\"><div class=\"track\" aria-hidden=\"true\"><u "
                "style=\"width:%.1f%%\"></u><i style=\"left:%.1f%%;width:%.1f%%\"></i><b "
                "style=\"left:%.1f%%\"></b></div></td>",
                100 * clamped(share), 100 * clamped(low),
                100 * fmax(clamped(high) - clamped(low), 0), 100 * clamped(share));
}

static void put_score_row(html *h, const char *who, const char *on, const json_t *score)
{
    double share = get_number(score, "share");
    double low = get_number(score, "low"), high = get_number(score, "high");
    html_raw(h, "<tr><th scope=\"row\">");
    html_text(h, who);
    if (on != NULL) {
        html_raw(h, "<br><span class=\"hint\">");
        html_text(h, on);
        html_raw(h, "</span>");
    }
    html_raw(h, "</th><td class=\"n\">");
    put_count(h, get_number(score, "right"));
    html_raw(h, " of ");
    put_count(h, get_number(score, "of"));
    html_raw(h, "</td><td class=\"n\"><b>");
    put_percent(h, share);
    html_raw(h, "</b></td><td class=\"n\">");
    put_percent(h, low);
    html_raw(h, " to ");
    put_percent(h, high);
    html_raw(h, "</td>");
    put_track(h, share, low, high);
    html_raw(h, "</tr>\n");
}

static void put_table_head(html *h, const char *first)
{
    html_raw(h, "<div class=\"wide\"><table class=\"full scores\"><thead><tr><th scope=\"col\">");
    html_raw(h, first);
    html_raw(h, "</th><th scope=\"col\" class=\"n\">right</th><th scope=\"col\" "
                "class=\"n\">share</th><th scope=\"col\" class=\"n\">95 % interval</th>"
                "<th scope=\"col\" class=\"graph\">0 to 100 %</th></tr></thead><tbody>\n");
}

static void put_test_notes(html *h, const json_t *test)
{
    const char *reason;
    json_t *n;
    double unreadable = get_number(test, "unreadable"), seen = get_number(test, "rows_in_dataset");
    if (unreadable > 0) {
        html_raw(h, "<p class=\"hint\">");
        put_count(h, unreadable);
        html_raw(h, " answers of the student could not be read and count as wrong:");
        json_object_foreach(json_object_get(test, "unreadable_reasons"), reason, n)
        {
            html_raw(h, " ");
            html_text(h, reason);
            html_raw(h, " ");
            put_count(h, json_number_value(n));
        }
        html_raw(h, ".</p>");
    }
    if (seen > 0) {
        html_raw(h, "<p class=\"hint\">");
        put_count(h, seen);
        html_raw(h,
                 " of the test rows are in the dataset too: the student may have seen them.</p>");
    }
}

static void put_classes(html *h, const json_t *classes)
{
    const char *name;
    json_t *score;
    if (json_object_size(classes) == 0) return;
    html_raw(h, "<h3>The student by true answer</h3>");
    put_table_head(h, "true answer");
    json_object_foreach((json_t *)classes, name, score)
    {
        put_score_row(h, name, NULL, score);
    }
    html_raw(h, "</tbody></table></div>\n");
}

void page_scores(html *h, const json_t *data)
{
    size_t i;
    json_t *one;
    const json_t *scores = json_object_get(data, "accuracy"), *test = json_object_get(data, "test");
    if (json_array_size(scores) == 0) {
        html_raw(h, "<p class=\"none\">Nobody was scored: see above for why.</p>");
        return;
    }
    put_table_head(h, "who");
    json_array_foreach(scores, i, one)
    {
        put_score_row(h, get_text(one, "who"), get_text(one, "on"), one);
    }
    html_raw(h,
             "</tbody></table></div>\n<p class=\"hint\">Every row counts; an answer that cannot "
             "be read is wrong. Intervals are Wilson's: the true share lies in them in 95 of 100 "
             "such tests. Two whose intervals overlap widely have not been told apart.</p>");
    put_test_notes(h, test);
    put_classes(h, json_object_get(test, "classes"));
}

/* ---- confusion ---- */

static void put_cell(html *h, double n, double n_row, bool is_hit)
{
    double share = n_row > 0 && n > 0 ? fmin(n / n_row, 1) : 0;
    html_printf(h, "<td class=\"%s%s\" style=\"background:rgb(31 111 178/%.2f)\">",
                share > 0.55 ? "strong" : "", is_hit ? " hit" : "", 0.9 * share);
    put_count(h, n);
    html_raw(h, "</td>");
}

static void put_matrix(html *h, const json_t *labels, const json_t *matrix)
{
    size_t g, l, n = json_array_size(labels);
    json_t *row, *name;
    html_raw(h, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"confusion "
                "matrix\"><table class=\"matrix\"><thead><tr><th scope=\"col\">true ↓ &nbsp; said "
                "→</th>");
    json_array_foreach(labels, l, name)
    {
        html_raw(h, "<th scope=\"col\">");
        html_text(h, json_string_value(name));
        html_raw(h, "</th>");
    }
    html_raw(h, "<th scope=\"col\">no answer</th></tr></thead><tbody>");
    json_array_foreach(matrix, g, row)
    {
        double n_row = 0;
        for (l = 0; l <= n; l++) n_row += json_number_value(json_array_get(row, l));
        html_raw(h, "<tr><th scope=\"row\">");
        html_text(h, json_string_value(json_array_get(labels, g)));
        html_raw(h, "</th>");
        for (l = 0; l <= n; l++)
            put_cell(h, json_number_value(json_array_get(row, l)), n_row, l == g);
        html_raw(h, "</tr>");
    }
    html_raw(h, "</tbody></table></div>");
}

static void put_pairs(html *h, const json_t *confusion)
{
    size_t i;
    json_t *pair;
    html_raw(h,
             "<div class=\"wide\"><table><thead><tr><th scope=\"col\">true answer</th><th "
             "scope=\"col\">said</th><th scope=\"col\" class=\"n\">times</th></tr></thead><tbody>");
    json_array_foreach(json_object_get(confusion, "pairs"), i, pair)
    {
        html_raw(h, "<tr><td>");
        html_text(h, get_text(pair, "gold"));
        html_raw(h, "</td><td>");
        html_text(h, get_text(pair, "label"));
        html_raw(h, "</td><td class=\"n\">");
        put_count(h, get_number(pair, "n"));
        html_raw(h, "</td></tr>");
    }
    html_raw(h, "</tbody></table></div>");
    if (get_number(confusion, "pairs_more") > 0) {
        html_raw(h, "<p class=\"hint\">and ");
        put_count(h, get_number(confusion, "pairs_more"));
        html_raw(h, " wrong answers of other pairs.</p>");
    }
}

static void put_unreadable(html *h, const json_t *confusion)
{
    if (!(get_number(confusion, "unreadable") > 0)) return;
    html_raw(h, "<p class=\"hint\">There was no answer that could be read for ");
    put_count(h, get_number(confusion, "unreadable"));
    html_raw(h, " of ");
    put_count(h, get_number(confusion, "n"));
    html_raw(h, " rows.</p>");
}

static bool put_confusion(html *h, const char *title, const json_t *confusion)
{
    const json_t *labels = json_object_get(confusion, "labels");
    if (!json_is_object(confusion)) return false;
    html_raw(h, "<h3>");
    html_raw(h, title);
    html_raw(h, "</h3>");
    if (json_array_size(labels) > 0)
        put_matrix(h, labels, json_object_get(confusion, "matrix"));
    else if (json_array_size(json_object_get(confusion, "pairs")) > 0)
        put_pairs(h, confusion);
    else
        html_raw(h, "<p class=\"none\">No answer was taken for another.</p>");
    put_unreadable(h, confusion);
    return true;
}

void page_confusion(html *h, const json_t *data)
{
    const json_t *both = json_object_get(data, "confusion");
    bool any = put_confusion(h, "The student, on the test rows", json_object_get(both, "student"));
    any |= put_confusion(h, "The teacher, on its dataset", json_object_get(both, "teacher"));
    if (any)
        html_raw(h,
                 "<p class=\"hint\">Many different answers make a list of the pairs that were "
                 "confused most often; a few make a matrix, shaded by the share of its row.</p>");
    else
        html_raw(h, "<p class=\"none\">No answer was held against a true one.</p>");
}
