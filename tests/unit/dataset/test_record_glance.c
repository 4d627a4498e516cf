#include "common/dataset/record_glance.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/line_check.h"

/* Texts that JSON writes in another way than they stand. */
static char *const texts[] = {"plain", "",        "\"quoted\"", "ends in a slash\\",
                              "\\\"",  "a\tb\nc", "日本"};

/* Every shape that a line may have, by the bits of k. */
static label_record nth_record(unsigned k)
{
    char *text = texts[k % RT_COUNT(texts)], *other = texts[(k + 1) % RT_COUNT(texts)];
    label_record r = {.id = rt_id_of(&k, sizeof k), .input = text};
    if (k & 8) {
        r.reason = "no_marker";
        r.raw = k & 16 ? other : NULL;
    } else {
        r.label = other;
        r.rationale = k & 16 ? text : NULL;
        r.topk = k & 32 ? text : NULL;
    }
    r.gold = k & 64 ? (k & 128 ? other : text) : NULL;
    r.source_id = k & 256 ? "s" : NULL;
    if (k & 512)
        r.meta =
            "{\"teacher\":\"t\",\"tokens\":{\"prompt\":7,\"cached\":2,\"completion\":5,\"reasoning\":1}}";
    return r;
}

static void expect_same(const record_glance *a, const record_glance *b, unsigned k)
{
    cr_expect(rt_id_equal(a->id, b->id), "%u", k);
    cr_expect_eq(a->reason == NULL, b->reason == NULL, "%u", k);
    cr_expect_eq(a->n_reason, b->n_reason, "%u", k);
    cr_expect_eq(a->has_rationale, b->has_rationale, "%u", k);
    cr_expect_eq(a->has_gold, b->has_gold, "%u", k);
    cr_expect_eq(a->is_right, b->is_right, "%u", k);
    cr_expect_eq(memcmp(&a->tokens, &b->tokens, sizeof a->tokens), 0, "%u", k);
}

static void write_line(const label_record *r, rt_buf *line)
{
    rt_buf_clear(line);
    cr_assert_eq(label_record_to_json(r, line, NULL), RT_OK);
    line->n--; /* the newline */
}

Test(record_glance, of_every_shape_of_line_says_what_the_record_says)
{
    rt_buf line = {0};
    for (unsigned k = 0; k < 1024; k++) {
        record_glance expected, found;
        label_record r = nth_record(k);
        record_glance_of_record(&r, &expected);
        write_line(&r, &line);
        cr_assert(record_glance_of_line(line.data, line.n, &found), "%u: %s", k, line.data);
        expect_same(&found, &expected, k);
    }
    rt_buf_free(&line);
}

Test(record_glance, leaves_other_lines_to_the_reader_of_records)
{
    static const char *const lines[] = {
        "", "{}", "{\"id\":\"00000000000000000000000000000001\",\"input\":\"i\",\"label\":\"l\"}",
        "{ \"id\": \"00000000000000000000000000000001\" }"};
    record_glance g;
    rt_buf line = {0};
    for (size_t i = 0; i < RT_COUNT(lines); i++)
        cr_expect_not(record_glance_of_line(lines[i], strlen(lines[i]), &g), "%zu", i);
    label_record r = nth_record(0);
    r.meta = "{\"gold\":{\"by\":\"text\"}}";
    write_line(&r, &line);
    cr_expect_not(record_glance_of_line(line.data, line.n, &g), "who used gold is in meta");
    rt_buf_free(&line);
}

Test(record_glance, a_changed_byte_is_noticed_at_every_place)
{
    record_glance g;
    rt_buf line = {0};
    label_record r = nth_record(16 + 64 + 512);
    write_line(&r, &line);
    for (size_t i = 0; i < line.n; i++) {
        line.data[i] ^= 1;
        cr_expect_not(record_glance_of_line(line.data, line.n, &g), "byte %zu", i);
        line.data[i] ^= 1;
    }
    rt_buf_free(&line);
}

/* A check proves no intent: lines that somebody made, with a check that holds, never crash us. */
Test(record_glance, nonsense_with_a_good_check_is_answered)
{
    record_glance g;
    rt_buf line = {0}, made = {0};
    label_record r = nth_record(16 + 64 + 512);
    write_line(&r, &line);
    for (size_t n = 0; n + 26 < line.n; n++) {
        for (int flip = 0; flip < 3; flip++) {
            rt_buf_clear(&made);
            cr_assert_eq(rt_buf_add(&made, line.data, n, NULL), RT_OK);
            if (n > 0 && flip > 0) made.data[n - 1] ^= flip == 1 ? 2 : '"' ^ '\\';
            cr_assert_eq(line_check_close(&made, 0, NULL), RT_OK);
            char *exact = malloc(made.n); /* reads behind the end are seen by a sanitizer */
            cr_assert_not_null(exact);
            memcpy(exact, made.data, made.n);
            (void)record_glance_of_line(exact, made.n - 1, &g);
            free(exact);
        }
    }
    rt_buf_free(&line);
    rt_buf_free(&made);
}
