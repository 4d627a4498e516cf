#include "common/corpus/json_slice.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

static const char line[] =
    "{ \"a\" : 1.10, \"big\":123456789012345678901234567890, \"s\":\"q\\\"\\u308a\\n\",\n"
    "\"o\":{\"x\":{\"y\":true},\"e\":{}}, \"a.b\":\"flat\", \"list\":[\"one\",2.50,[3],\"}\"],"
    "\"choices\":[{\"label\":\"A\",\"text\":\"りんご\"},{\"label\":\"B\",\"text\":\"b\"}],"
    "\"none\":null, \"\\u006bey\":7, \"empty\":[], \"\":\"unnamed\", \"last\":-1e5}";

typedef struct look_up {
    char name[24];
    char expected[64]; /* "!" = not found */
} look_up;

ParameterizedTestParameters(json_slice, finds_values_as_they_were_written)
{
    static look_up cases[] = {
        {"a", "1.10"},
        {"big", "123456789012345678901234567890"},
        {"s", "q\"り\n"},
        {"o", "{\"x\":{\"y\":true},\"e\":{}}"},
        {"o.x.y", "true"},
        {"o.e", "{}"},
        {"a.b", "flat"},
        {"list", "(a) one\n(b) 2.50\n(c) [3]\n(d) }"},
        {"list.1", "2.50"},
        {"list.2.0", "3"},
        {"list.9", "!"},
        {"choices.text", "(a) りんご\n(b) b"},
        {"choices.1.label", "B"},
        {"choices.nothing", "!"},
        {"none", "!"},
        {"key", "7"},
        {"empty", ""},
        {"last", "-1e5"},
        {"missing", "!"},
        {"a.c", "!"},
        {"o.x.z", "!"},
        {"o.x.y.z", "!"},
        {"s.x", "!"},
    };
    return cr_make_param_array(look_up, cases, RT_COUNT(cases));
}

ParameterizedTest(look_up *c, json_slice, finds_values_as_they_were_written)
{
    rt_buf out = {0};
    json_slice value;
    const char *rest;
    bool found = json_slice_find((json_slice){line, strlen(line)}, c->name, &value, &rest) &&
                 json_slice_print(value, rest, &out, NULL) == RT_OK;
    if (strcmp(c->expected, "!") == 0) {
        cr_expect_not(found, "%s gave '%s'", c->name, out.data);
        cr_expect_eq(out.n, 0, "nothing is left behind");
    } else {
        cr_assert(found, "%s", c->name);
        cr_expect_str_eq(out.data == NULL ? "" : out.data, c->expected);
    }
    rt_buf_free(&out);
}

/* Not promised to make sense, only to stay inside (the address sanitizer watches). */
Test(json_slice, stays_inside_whatever_it_is_given)
{
    for (size_t n = 0; n <= strlen(line); n++) {
        char *copy = rt_strndup(line, n);
        const char *names[] = {"last", "list.3", "choices.text", "o.x.y", "key"};
        for (size_t k = 0; k < RT_COUNT(names); k++) {
            rt_buf out = {0};
            json_slice value;
            const char *rest;
            if (json_slice_find((json_slice){copy, n}, names[k], &value, &rest))
                (void)!json_slice_print(value, rest, &out, NULL);
            rt_buf_free(&out);
        }
        free(copy);
    }
}

Test(json_slice, letters_go_on_as_numbers_behind_z)
{
    rt_buf text = {0}, out = {0};
    json_slice value;
    const char *rest;
    cr_assert_eq(rt_buf_add_text(&text, "{\"c\":[0", NULL), RT_OK);
    for (int i = 1; i < 28; i++) cr_assert_eq(rt_buf_printf(&text, NULL, ",%d", i), RT_OK);
    cr_assert_eq(rt_buf_add_text(&text, "]}", NULL), RT_OK);
    cr_assert(json_slice_find((json_slice){text.data, text.n}, "c", &value, &rest));
    cr_assert_eq(json_slice_print(value, rest, &out, NULL), RT_OK);
    cr_expect_not_null(strstr(out.data, "\n(z) 25\n(27) 26\n(28) 27"), "%s", out.data);
    rt_buf_free(&text);
    rt_buf_free(&out);
}
