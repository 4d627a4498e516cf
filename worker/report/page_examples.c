/* Texts of teacher and student, as they are. */
#include <math.h>
#include <string.h>

#include "worker/report/page.h"

static void put_term(html *h, const char *term, const char *text)
{
    if (text == NULL || text[0] == '\0') return;
    html_raw(h, "<dt>");
    html_raw(h, term);
    html_raw(h, "</dt><dd>");
    put_block(h, "", text);
    html_raw(h, "</dd>");
}

static void put_card(html *h, const char *kind, const char *title, const char *input)
{
    html_raw(h, "<article class=\"card ");
    html_raw(h, kind);
    html_raw(h, "\"><h4>");
    html_raw(h, title);
    html_raw(h, "</h4>");
    put_block(h, "input", input);
    html_raw(h, "<dl>");
}

static void put_card_end(html *h)
{
    html_raw(h, "</dl></article>\n");
}

/* Of a student: what it wrote holds its rationale where that comes before the label. */
static void put_student(html *h, const json_t *list, const char *kind, const char *title)
{
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one)
    {
        const char *wrote = get_text(one, "wrote"), *rationale = get_text(one, "rationale");
        put_card(h, kind, title, get_text(one, "input"));
        put_term(h, "wrote", wrote[0] != '\0' ? wrote : "(nothing)");
        if (strstr(wrote, rationale) == NULL) put_term(h, "rationale", rationale);
        if (strcmp(get_text(one, "label"), wrote) != 0)
            put_term(h, "label",
                     json_is_string(json_object_get(one, "label")) ? get_text(one, "label")
                                                                   : "(could not be read)");
        put_term(h, "truth", get_text(one, "gold"));
        put_term(h, "teacher", get_text(one, "teacher_label"));
        put_card_end(h);
    }
}

static void put_teacher(html *h, const json_t *list, const char *kind, const char *title)
{
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one)
    {
        put_card(h, kind, title, get_text(one, "input"));
        put_term(h, "rationale", get_text(one, "rationale"));
        put_term(h, "label", get_text(one, "label"));
        put_term(h, "truth", get_text(one, "gold"));
        put_card_end(h);
    }
}

static size_t n_in(const json_t *object, const char *key)
{
    return json_array_size(json_object_get(object, key));
}

void page_examples(html *h, const json_t *data)
{
    const json_t *student = json_object_get(data, "student_examples");
    const json_t *teacher = json_object_get(data, "teacher_examples");
    size_t n_student = n_in(student, "examples_right") + n_in(student, "examples_wrong");
    size_t n_teacher = n_in(teacher, "right") + n_in(teacher, "wrong") + n_in(teacher, "unchecked");
    if (n_student > 0) {
        html_raw(h, "<h3>The student, on test rows</h3><div class=\"cards\">");
        put_student(h, json_object_get(student, "examples_right"), "right", "right");
        put_student(h, json_object_get(student, "examples_wrong"), "wrong", "wrong");
        html_raw(h, "</div>");
    }
    if (n_teacher > 0) {
        html_raw(h, "<h3>The teacher, in its dataset</h3><div class=\"cards\">");
        put_teacher(h, json_object_get(teacher, "right"), "right", "right");
        put_teacher(h, json_object_get(teacher, "wrong"), "wrong", "wrong");
        put_teacher(h, json_object_get(teacher, "unchecked"), "", "without a true answer");
        html_raw(h, "</div>");
    }
    if (n_student + n_teacher == 0) html_raw(h, "<p class=\"none\">There are none yet.</p>");
}

void page_rejections(html *h, const json_t *data)
{
    size_t i, k;
    json_t *one, *example;
    const json_t *all = json_object_get(data, "rejections");
    double n_examples = get_number(json_object_get(data, "rows"), "examples");
    if (json_array_size(all) == 0) {
        html_raw(h, "<p class=\"none\">Nothing was rejected.</p>");
        return;
    }
    json_array_foreach(all, i, one)
    {
        html_raw(h, "<h3><code>");
        html_text(h, get_text(one, "reason"));
        html_raw(h, "</code> – ");
        put_count(h, get_number(one, "n"));
        html_raw(h, " rows");
        if (n_examples > 0) {
            html_raw(h, ", ");
            put_percent(h, get_number(one, "n") / n_examples);
            html_raw(h, " of the examples");
        }
        html_raw(h, "</h3><div class=\"cards\">");
        json_array_foreach(json_object_get(one, "examples"), k, example)
        {
            put_card(h, "", "rejected", get_text(example, "input"));
            put_term(h, "wrote", get_text(example, "raw"));
            put_card_end(h);
        }
        html_raw(h, "</div>");
    }
    html_raw(h,
             "<p class=\"hint\"><code>retort rejections</code> lists all of them; docs/parsing.md "
             "says what each reason means.</p>");
}
