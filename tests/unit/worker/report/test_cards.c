/* Cards: columns of JSON lines as YAML, and scores between marks. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "worker/report/cards.h"
#include "worker/report/columns.h"

static columns *columns_of(const char *const *lines, size_t n)
{
    columns *c = NULL;
    cr_assert_eq(columns_new(&c, NULL), RT_OK);
    for (size_t i = 0; i < n; i++) {
        json_t *line = json_loads(lines[i], JSON_DECODE_ANY, NULL);
        cr_assert_not_null(line, "%s", lines[i]);
        cr_assert_eq(columns_add(c, line, NULL), RT_OK);
        json_decref(line);
    }
    return c;
}

Test(columns, every_field_of_every_line_is_declared)
{
    static const char *const lines[] = {
        "{\"id\": \"a\", \"meta\": {\"n\": 1, \"parse\": []}}",
        "{\"id\": \"b\", \"gold\": null, \"meta\": {\"n\": 1.5, \"parse\": [\"run_on\"], \"ok\": true}}",
        "{\"gold\": \"x\", \"steps\": [{\"t\": \"u\"}], \"none\": null}",
        "[\"no object\"]",
    };
    rt_buf out = {0};
    columns *c = columns_of(lines, 4);
    cr_expect_null(columns_problem(c));
    cr_assert_eq(columns_to_yaml(c, "  ", &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "  - name: \"id\"\n    dtype: string\n"
                               "  - name: \"meta\"\n    struct:\n"
                               "    - name: \"n\"\n      dtype: float64\n"
                               "    - name: \"parse\"\n      sequence: string\n"
                               "    - name: \"ok\"\n      dtype: bool\n"
                               "  - name: \"gold\"\n    dtype: string\n"
                               "  - name: \"steps\"\n    list:\n"
                               "    - name: \"t\"\n      dtype: string\n"
                               "  - name: \"none\"\n    dtype: string\n");
    rt_buf_free(&out);
    columns_free(c);
}

Test(columns, values_of_different_types_cannot_be_declared)
{
    static const char *const lines[] = {"{\"a\": 1}", "{\"a\": \"1\"}"};
    columns *c = columns_of(lines, 2);
    cr_expect_not_null(columns_problem(c));
    columns_free(c);
}

Test(columns, keys_that_are_data_are_noticed_and_memory_stays_bounded)
{
    char line[64];
    columns *c = NULL;
    cr_assert_eq(columns_new(&c, NULL), RT_OK);
    for (int i = 0; i < COLUMNS_MAX + 100; i++) {
        snprintf(line, sizeof line, "{\"votes\": {\"%d\": 1}}", i);
        json_t *one = json_loads(line, 0, NULL);
        cr_assert_eq(columns_add(c, one, NULL), RT_OK);
        json_decref(one);
    }
    cr_expect_not_null(strstr(columns_problem(c), "keys of an object"));
    columns_free(c);
}

static const char card_text[] = "---\n# a\n# b\n---\nbody\n<!-- a -->\nold\n<!-- b -->\nend\n";

Test(card, what_is_between_the_marks_is_replaced_and_nothing_else)
{
    rt_buf card = {.data = (char *)card_text, .n = sizeof card_text - 1}, out = {0}, again = {0};
    bool found = false;
    cr_assert_eq(card_fill(&card, "<!-- a -->", "<!-- b -->", "new\n", &out, &found, NULL), RT_OK);
    cr_expect(found);
    cr_expect_str_eq(out.data, "---\n# a\n# b\n---\nbody\n<!-- a -->\nnew\n<!-- b -->\nend\n");
    cr_assert_eq(card_fill(&out, "<!-- a -->", "<!-- b -->", "new\n", &again, &found, NULL), RT_OK);
    cr_expect_str_eq(again.data, out.data, "twice is once");
    rt_buf_free(&out);
    rt_buf_free(&again);
}

Test(card, without_both_marks_nothing_is_written)
{
    rt_buf card = {.data = (char *)card_text, .n = sizeof card_text - 1}, out = {0};
    bool found = true;
    cr_assert_eq(card_fill(&card, "<!-- b -->", "<!-- a -->", "new\n", &out, &found, NULL), RT_OK);
    cr_expect_not(found, "in the wrong order");
    cr_assert_eq(card_fill(&card, "# a", "# none", "new\n", &out, &found, NULL), RT_OK);
    cr_expect_not(found);
    cr_expect_eq(out.n, 0);
}

Test(card, yaml_texts_cannot_leave_their_quotes)
{
    rt_buf out = {0};
    cr_assert_eq(yaml_quote("a\": b\n- c \\ \xff", &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "\"a\\\": b\\n- c \\\\ \xef\xbf\xbd\"");
    rt_buf_free(&out);
}
