#include "common/dataset/label_record.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

static label_record labelled_record(void)
{
    return (label_record){.id = rt_id_of("x", 1),
                          .source_id = strdup("q-17"),
                          .input = strdup("太郎はりんごを\"3\"個\nもっています。\t何個?"),
                          .gold = strdup("3"),
                          .label = strdup("3"),
                          .rationale = strdup("He has 3 \\ three. 🍎"),
                          .meta = strdup("{\"teacher\":\"t\",\"temperature\":0.7,\"n\":12}")};
}

static label_record rejected_record(void)
{
    return (label_record){.id = rt_id_of("y", 1),
                          .input = strdup("Why?"),
                          .reason = strdup("no_marker"),
                          .raw = strdup("Because.\n\n")};
}

static rt_buf line_of(const label_record *r)
{
    rt_buf line = {0};
    rt_error err = {0};
    cr_assert_eq(label_record_to_json(r, &line, &err), RT_OK, "%s", err.text);
    return line;
}

static void expect_text(const char *name, const char *a, const char *b)
{
    cr_expect((a == NULL) == (b == NULL), "%s: one is absent", name);
    if (a != NULL && b != NULL) cr_expect_str_eq(a, b, "%s", name);
}

static void expect_same(const label_record *a, const label_record *b)
{
    cr_expect(rt_id_equal(a->id, b->id));
    expect_text("source_id", a->source_id, b->source_id);
    expect_text("input", a->input, b->input);
    expect_text("gold", a->gold, b->gold);
    expect_text("label", a->label, b->label);
    expect_text("rationale", a->rationale, b->rationale);
    expect_text("reason", a->reason, b->reason);
    expect_text("raw", a->raw, b->raw);
    expect_text("meta", a->meta, b->meta);
}

static void check_round_trip(label_record r)
{
    label_record back = {0};
    rt_error err = {0};
    rt_buf line = line_of(&r);
    cr_assert_eq(line.data[line.n - 1], '\n');
    cr_assert_null(memchr(line.data, '\n', line.n - 1), "one record is one line");
    cr_assert_eq(label_record_from_json(line.data, line.n, &back, &err), RT_OK, "%s", err.text);
    expect_same(&r, &back);
    rt_buf again = line_of(&back);
    cr_expect_str_eq(again.data, line.data, "writing what was read gives the same bytes");
    rt_buf_free(&again);
    rt_buf_free(&line);
    label_record_free(&back);
    label_record_free(&r);
}

Test(label_record, comes_back_as_it_was_written)
{
    check_round_trip(labelled_record());
    check_round_trip(rejected_record());
}

Test(label_record, keys_keep_one_order_and_absent_text_is_left_out)
{
    label_record r = {.id = rt_id_of("z", 1), .input = strdup("i"), .label = strdup("l")};
    rt_buf line = line_of(&r);
    const char *head = "\",\"input\":\"i\",\"label\":\"l\",\"check\":\"";
    cr_expect(strncmp(line.data + strlen("{\"id\":\"") + 32, head, strlen(head)) == 0, "%s",
              line.data);
    rt_buf_free(&line);
    label_record_free(&r);
}

/* Every proper prefix is refused, and *out stays untouched. */
Test(label_record, truncated_at_every_byte_is_refused)
{
    label_record r = labelled_record();
    rt_buf line = line_of(&r);
    for (size_t n = 0; n + 1 < line.n; n++) {
        label_record back = {0};
        rt_error err = {0};
        cr_expect_eq(label_record_from_json(line.data, n, &back, &err), RT_CORRUPT, "%zu bytes", n);
        cr_expect_null(back.input);
        cr_expect_gt(strlen(err.text), 0);
    }
    rt_buf_free(&line);
    label_record_free(&r);
}

/* A flipped bit is refused wherever it is; in the check's own key it may only go unnoticed when
 * every field is as it was. */
Test(label_record, flipped_bits_never_change_a_field)
{
    label_record r = labelled_record();
    rt_buf line = line_of(&r);
    size_t n_accepted = 0;
    for (size_t i = 0; i + 1 < line.n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            label_record back = {0};
            line.data[i] ^= (char)(1 << bit);
            if (label_record_from_json(line.data, line.n, &back, NULL) == RT_OK) {
                n_accepted++;
                expect_same(&r, &back);
            }
            label_record_free(&back);
            line.data[i] ^= (char)(1 << bit);
        }
    }
    cr_expect_leq(n_accepted, strlen("\"check\"") * 8, "%zu flips went unnoticed", n_accepted);
    rt_buf_free(&line);
    label_record_free(&r);
}

Test(label_record, lines_written_by_hand_need_no_check)
{
    const char *text = "{ \"id\": \"00000000000000000000000000000001\", \"label\": \"yes\",\n"
                       " \"input\": \"q\", \"rationale\": null, \"unknown\": [1] }";
    label_record r = {0};
    rt_error err = {0};
    cr_assert_eq(label_record_from_json(text, strlen(text), &r, &err), RT_OK, "%s", err.text);
    cr_expect_eq(r.id.low, 1);
    cr_expect_str_eq(r.label, "yes");
    cr_expect_null(r.rationale);
    label_record_free(&r);
}

typedef struct bad_line {
    char text[160];
    char expected[40]; /* part of the message */
} bad_line;

ParameterizedTestParameters(label_record, bad_lines_say_what_is_wrong)
{
#define ID "\"id\":\"00000000000000000000000000000001\""
    static bad_line lines[] = {
        {"", "invalid JSON"},
        {"[1]", "object"},
        {"{\"input\":\"i\",\"label\":\"l\"}", "no id"},
        {"{\"id\":\"12\",\"input\":\"i\",\"label\":\"l\"}", "32 hex"},
        {"{\"id\":\"0000000000000000000000000000000G\",\"input\":\"i\",\"label\":\"l\"}", "32 hex"},
        {"{" ID ",\"label\":\"l\"}", "input"},
        {"{" ID ",\"input\":\"i\"}", "neither"},
        {"{" ID ",\"input\":\"i\",\"label\":\"l\",\"reason\":\"r\"}", "both"},
        {"{" ID ",\"input\":\"i\",\"label\":3}", "label: expected a string"},
        {"{" ID ",\"input\":\"i\",\"label\":\"a\\u0000b\"}", "invalid JSON"},
        {"{" ID ",\"input\":\"i\",\"label\":\"l\",\"label\":\"m\"}", "duplicate"},
        {"{" ID ",\"input\":\"i\",\"label\":\"l\",\"meta\":\"m\"}", "meta"},
        {"{" ID ",\"input\":\"\xff\",\"label\":\"l\"}", "decode byte"},
        {"{" ID ",\"input\":\"i\",\"label\":\"l\"} x", "invalid JSON"},
    };
    return cr_make_param_array(bad_line, lines, RT_COUNT(lines));
}

ParameterizedTest(bad_line *bad, label_record, bad_lines_say_what_is_wrong)
{
    label_record r = {0};
    rt_error err = {0};
    cr_expect_eq(label_record_from_json(bad->text, strlen(bad->text), &r, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, bad->expected), "'%s' in '%s'", bad->expected, err.text);
    cr_expect_null(r.input);
}

Test(label_record, text_that_is_not_utf8_is_repaired_on_writing)
{
    label_record r = rejected_record(), back = {0};
    free(r.raw);
    r.raw = strdup("half \xe3\x81 and \xff.");
    rt_buf line = line_of(&r);
    cr_assert_eq(label_record_from_json(line.data, line.n, &back, NULL), RT_OK);
    cr_expect_not_null(strstr(back.raw, "\xef\xbf\xbd"), "%s", back.raw);
    cr_expect_not_null(strstr(back.raw, " and "));
    rt_buf_free(&line);
    label_record_free(&r);
    label_record_free(&back);
}

Test(label_record, refuses_to_write_what_it_could_not_read)
{
    label_record r = labelled_record();
    rt_buf out = {0};
    cr_assert_eq(rt_buf_add_text(&out, "before", NULL), RT_OK);
    free(r.meta);
    r.meta = strdup("[1]");
    cr_expect_eq(label_record_to_json(&r, &out, NULL), RT_INVALID);
    free(r.meta);
    r.meta = strdup("{\"a\":");
    cr_expect_eq(label_record_to_json(&r, &out, NULL), RT_INVALID);
    r.reason = strdup("both");
    cr_expect_eq(label_record_to_json(&r, &out, NULL), RT_INVALID);
    cr_expect_str_eq(out.data, "before", "nothing was added");
    rt_buf_free(&out);
    label_record_free(&r);
}

Test(label_record, nesting_bombs_are_refused)
{
    rt_buf bomb = {0};
    label_record r = {0};
    for (int i = 0; i < 200000; i++) cr_assert_eq(rt_buf_add(&bomb, "{\"a\":", 5, NULL), RT_OK);
    cr_expect_eq(label_record_from_json(bomb.data, bomb.n, &r, NULL), RT_CORRUPT);
    rt_buf_free(&bomb);
}
