#include "common/corpus/row_reader.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/support/temp_folder.h"

/* Everything that was read, as text: "file:line|field" or "file:line!problem", a row a line, "~" in
 * place of newlines inside, and at the end the status if it is not RT_END. */
static char *read_all(const char *folder, const char *pattern, row_reader_options options,
                      const char *field)
{
    row_reader *r = NULL;
    row found;
    rt_error err = {0};
    rt_buf all = {0}, value = {0};
    const char *path = temp_folder_path(folder, pattern);
    rt_status st = row_reader_open(&path, 1, &options, &r, &err);
    while (st == RT_OK && (st = row_reader_next(r, &found, &err)) == RT_OK) {
        const char *slash = strrchr(found.file, '/');
        rt_buf_clear(&value);
        cr_assert_eq(found.raw[found.n_raw], '\0');
        if (found.problem == NULL) {
            rt_status looked_up = row_reader_lookup(r, field, &value, NULL);
            if (looked_up != RT_OK) cr_assert_eq(rt_buf_add_text(&value, "(none)", NULL), RT_OK);
        } else {
            cr_assert_eq(rt_buf_add_text(&value, found.problem, NULL), RT_OK);
        }
        for (size_t i = 0; i < value.n; i++)
            if (value.data[i] == '\n') value.data[i] = '~';
        cr_assert_eq(rt_buf_printf(&all, NULL, "%s:%d%c%s\n", slash + 1, (int)found.line,
                                   found.problem == NULL ? '|' : '!',
                                   value.data == NULL ? "" : value.data),
                     RT_OK);
    }
    if (st == RT_END) cr_expect_eq(row_reader_progress(r), 1);
    if (st != RT_END)
        cr_assert_eq(rt_buf_printf(&all, NULL, "%s: %s\n", rt_status_name(st), err.text), RT_OK);
    row_reader_close(r);
    rt_buf_free(&value);
    if (all.data == NULL) cr_assert_eq(rt_buf_add_text(&all, "", NULL), RT_OK);
    return all.data;
}

static void expect_text(const char *name, const char *bytes, size_t n, row_reader_options options,
                        const char *field, const char *expected)
{
    char *folder = temp_folder_new();
    temp_folder_write(folder, name, bytes, n);
    char *all = read_all(folder, name, options, field);
    cr_expect_str_eq(all, expected);
    free(all);
    temp_folder_free(folder);
}

static void expect(const char *name, const char *text, const char *field, const char *expected)
{
    expect_text(name, text, strlen(text), (row_reader_options){0}, field, expected);
}

Test(row_reader, json_lines_give_their_fields_and_blank_lines_are_no_rows)
{
    expect(
        "a.jsonl",
        "{\"q\":\"一\",\"n\":1}\n\n  \r\n{\"q\":\"two\\nlines\"}\r\n{\"n\":3.10}\n{\"q\":\"end\"}",
        "q", "a.jsonl:1|一\na.jsonl:4|two~lines\na.jsonl:5|(none)\na.jsonl:6|end\n");
}

Test(row_reader, malformed_json_lines_are_rows_and_reading_goes_on)
{
    expect(
        "a.jsonl",
        "{\"q\":1\n[1]\n{\"q\":\"a\",\"q\":\"b\"}\n\"text\"\n{\"q\":\"\xff\"}\n{\"q\":\"\\u0000\"}\n"
        "{\"q\":1e999}\n{\"q\":\"fine\"}\n",
        "q",
        "a.jsonl:1!invalid JSON: '}' expected near end of file at column 6\n"
        "a.jsonl:2!expected a JSON object on one line, found an array\n"
        "a.jsonl:3!invalid JSON: duplicate object key near '\"q\"' at column 12\n"
        "a.jsonl:4!invalid JSON: '[' or '{' expected near '\"text\"' at column 6\n"
        "a.jsonl:5!not UTF-8: byte 0xff at column 7\n"
        "a.jsonl:6!invalid JSON: \\u0000 is not allowed without JSON_ALLOW_NUL near '\"\\u0000\"' at column 13\n"
        "a.jsonl:7!invalid JSON: real number overflow near '1e999' at column 10\n"
        "a.jsonl:8|fine\n");
}

Test(row_reader, nul_bytes_are_malformed)
{
    static const char text[] = "a\0b\nfine\n";
    expect_text("a.txt", text, sizeof text - 1, (row_reader_options){0}, "text",
                "a.txt:1!a NUL byte at column 2\na.txt:2|fine\n");
}

Test(row_reader, nesting_bombs_are_malformed)
{
    rt_buf bomb = {0};
    for (int i = 0; i < 100000; i++) cr_assert_eq(rt_buf_add(&bomb, "{\"q\":", 5, NULL), RT_OK);
    cr_assert_eq(rt_buf_add_text(&bomb, "\n{\"q\":1}\n", NULL), RT_OK);
    char *folder = temp_folder_new();
    temp_folder_write(folder, "a.jsonl", bomb.data, bomb.n);
    char *all = read_all(folder, "a.jsonl", (row_reader_options){0}, "q");
    cr_expect_not_null(strstr(all, "a.jsonl:1!invalid JSON: maximum parsing depth"), "%s", all);
    cr_expect_not_null(strstr(all, "\na.jsonl:2|1\n"), "%s", all);
    free(all);
    rt_buf_free(&bomb);
    temp_folder_free(folder);
}

Test(row_reader, text_comes_by_line_and_byte_order_marks_are_no_text)
{
    expect("a.txt",
           "\xef\xbb\xbf"
           "一行目\r\n\n \t\n  indented\nlast",
           "text", "a.txt:1|一行目\na.txt:4|  indented\na.txt:5|last\n");
    expect("a.txt", "one\n", "input", "a.txt:1|one\n");
    expect("a.txt", "one\n", "other", "a.txt:1|(none)\n");
    expect("a.txt", "", "text", "");
    expect("a.txt", "\xef\xbb\xbf", "text", "");
    expect("a.txt", "\n\n\n", "text", "");
}

Test(row_reader, text_comes_by_paragraph)
{
    static const char text[] = "\n\none\r\ntwo\n \t \n\n\nthree\n\nfour\nfive";
    expect_text("a.txt", text, strlen(text), (row_reader_options){.paragraphs = true}, "text",
                "a.txt:3|one~two\na.txt:8|three\na.txt:10|four~five\n");
}

Test(row_reader, csv_follows_rfc_4180)
{
    expect(
        "a.csv",
        "id,text\r\n1,plain\r\n2,\"a, \"\"b\"\"\r\nc\"\r\n\r\n3,\"\"\r\n4,5\" pipe\r\n\"5\",\"終\"",
        "text", "a.csv:2|plain\na.csv:3|a, \"b\"\r~c\na.csv:6|\na.csv:7|5\" pipe\na.csv:8|終\n");
    expect("a.tsv", "id\ttext\n1\ta,b\n2\t\"x\ty\"\n", "text", "a.tsv:2|a,b\na.tsv:3|x\ty\n");
    expect("a.csv",
           "\xef\xbb\xbf"
           "id,text\n1,2\n",
           "id", "a.csv:2|1\n");
    expect("a.csv", "", "id", "");
    expect("a.csv", "id,text\n", "id", "");
}

Test(row_reader, malformed_csv_rows_are_rows_and_reading_goes_on)
{
    expect("a.csv", "id,text\n1\n2,3,4\n5,\"x\"y\n6,\xff\n7,fine\n", "text",
           "a.csv:2!1 cells, expected 2 as in the row of column names\n"
           "a.csv:3!3 cells, expected 2 as in the row of column names\n"
           "a.csv:4!text behind a closing quote; a quote inside a quoted cell is doubled\n"
           "a.csv:5!not UTF-8: byte 0xff at column 3\n"
           "a.csv:6|fine\n");
}

Test(row_reader, a_quote_that_never_closes_costs_one_row)
{
    expect("a.csv", "id,text\n1,one\n2,\"two\n3,three\n4,four\n", "text",
           "a.csv:2|one\n"
           "a.csv:3!a quote is not closed before the end of the file or within 16777216 bytes\n"
           "a.csv:4|three\na.csv:5|four\n");
}

Test(row_reader, a_broken_row_of_column_names_stops_the_file_by_name)
{
    char *folder = temp_folder_new();
    temp_folder_write_text(folder, "a.csv", "id,text,id\n1,2,3\n");
    char *all = read_all(folder, "a.csv", (row_reader_options){0}, "id");
    cr_expect_not_null(strstr(all, "a.csv:1: two columns are named 'id'"), "%s", all);
    cr_expect_eq(strncmp(all, "corrupt: ", 9), 0);
    free(all);
    temp_folder_free(folder);
}

Test(row_reader, rows_over_the_limit_are_malformed_and_the_next_one_is_read)
{
    row_reader_options limit = {.row_bytes_max = 100};
    rt_buf text = {0};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(rt_buf_printf(&text, NULL, "row %d\n", i), RT_OK);
        for (int k = 0; k < 200000; k++) cr_assert_eq(rt_buf_add(&text, "x", 1, NULL), RT_OK);
        cr_assert_eq(rt_buf_add_text(&text, "\n\n", NULL), RT_OK);
    }
    static const char expected[] = "a.txt:1|row 0\na.txt:2!longer than the limit of 100 bytes\n"
                                   "a.txt:4|row 1\na.txt:5!longer than the limit of 100 bytes\n"
                                   "a.txt:7|row 2\na.txt:8!longer than the limit of 100 bytes\n";
    expect_text("a.txt", text.data, text.n, limit, "text", expected);
    limit.paragraphs = true;
    expect_text("a.txt", text.data, text.n, limit, "text",
                "a.txt:1!longer than the limit of 100 bytes\n"
                "a.txt:4!longer than the limit of 100 bytes\n"
                "a.txt:7!longer than the limit of 100 bytes\n");
    rt_buf_free(&text);
}

Test(row_reader, csv_rows_over_the_limit_are_malformed)
{
    rt_buf text = {0};
    cr_assert_eq(rt_buf_add_text(&text, "text\n\"", NULL), RT_OK);
    for (int k = 0; k < 300; k++) cr_assert_eq(rt_buf_add_text(&text, "line\n", NULL), RT_OK);
    cr_assert_eq(rt_buf_add_text(&text, "end\"\nfine\n", NULL), RT_OK);
    row_reader_options limit = {.row_bytes_max = 100};
    char *folder = temp_folder_new();
    temp_folder_write(folder, "a.csv", text.data, text.n);
    char *all = read_all(folder, "a.csv", limit, "text");
    cr_expect_not_null(strstr(all, "a.csv:2!a quote is not closed"), "%s", all);
    cr_expect_not_null(strstr(all, "\na.csv:3|line\n"), "%s", all);
    cr_expect_not_null(strstr(all, "\na.csv:303|fine\n"), "%s", all);
    free(all);
    rt_buf_free(&text);
    temp_folder_free(folder);
}

/* gzip of a text, in two members when asked for. */
static rt_buf gzip_of(const char *text, size_t n, bool two_members)
{
    rt_buf out = {0};
    size_t from = 0;
    for (int k = 0; k < (two_members ? 2 : 1); k++) {
        size_t to = two_members && k == 0 ? n / 2 : n;
        z_stream z = {0};
        cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
        cr_assert_eq(rt_buf_reserve(&out, n + 1000, NULL), RT_OK);
        z.next_in = (Bytef *)(uintptr_t)(text + from);
        z.avail_in = (uInt)(to - from);
        z.next_out = (Bytef *)out.data + out.n;
        z.avail_out = (uInt)(n + 1000);
        cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
        out.n += z.total_out;
        deflateEnd(&z);
        from = to;
    }
    return out;
}

static rt_buf zstd_of(const char *text, size_t n)
{
    rt_buf out = {0};
    cr_assert_eq(rt_buf_reserve(&out, ZSTD_compressBound(n), NULL), RT_OK);
    out.n = ZSTD_compress(out.data, ZSTD_compressBound(n), text, n, 3);
    cr_assert_not(ZSTD_isError(out.n));
    return out;
}

/* Some 300 KB, so that it takes several turns of every buffer. */
static rt_buf long_text(void)
{
    rt_buf text = {0};
    for (int i = 0; i < 9000; i++)
        cr_assert_eq(rt_buf_printf(&text, NULL, "{\"q\":\"row %d %x\"}\n", i, i * 2654435761u),
                     RT_OK);
    return text;
}

Test(row_reader, compression_is_known_by_content_not_by_name)
{
    char *folder = temp_folder_new();
    rt_buf text = long_text();
    rt_buf packed[] = {gzip_of(text.data, text.n, false), gzip_of(text.data, text.n, true),
                       zstd_of(text.data, text.n)};
    temp_folder_write(folder, "a.jsonl.gz", text.data, text.n); /* plain, whatever it is called */
    char *expected = read_all(folder, "a.jsonl.gz", (row_reader_options){0}, "q");
    cr_expect_not_null(strstr(expected, "a.jsonl.gz:9000|row 8999"));
    for (size_t i = 0; i < RT_COUNT(packed); i++) {
        temp_folder_write(folder, "a.jsonl.gz", packed[i].data, packed[i].n);
        char *all = read_all(folder, "a.jsonl.gz", (row_reader_options){0}, "q");
        cr_expect(strcmp(all, expected) == 0, "kind %zu", i);
        free(all);
        rt_buf_free(&packed[i]);
    }
    free(expected);
    rt_buf_free(&text);
    temp_folder_free(folder);
}

/* 128 MiB on one line in 128 KiB of gzip: memory must follow the limit, not the line. */
Test(row_reader, memory_stays_small_on_a_line_without_end)
{
    static char block[1 << 20];
    char *folder = temp_folder_new();
    rt_buf packed = {0};
    z_stream z = {0};
    struct rusage before, after;
    memset(block, 'x', sizeof block);
    cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    cr_assert_eq(rt_buf_reserve(&packed, 1 << 20, NULL), RT_OK);
    z.next_out = (Bytef *)packed.data;
    z.avail_out = 1 << 20;
    for (int i = 0; i < 128; i++) {
        z.next_in = (Bytef *)block;
        z.avail_in = sizeof block;
        cr_assert_geq(deflate(&z, i == 127 ? Z_FINISH : Z_NO_FLUSH), Z_OK);
    }
    temp_folder_write(folder, "a.jsonl.gz", packed.data, z.total_out);
    deflateEnd(&z);
    for (int i = 0; i < 2; i++) {
        row_reader_options options = {.format = i == 0 ? ROW_JSONL : ROW_CSV,
                                      .row_bytes_max = 1000};
        getrusage(RUSAGE_SELF, &before);
        char *all = read_all(folder, "a.jsonl.gz", options, "q");
        getrusage(RUSAGE_SELF, &after);
        cr_expect_not_null(strstr(all, "longer than the limit of 1000 bytes"), "%s", all);
        cr_expect_lt(after.ru_maxrss - before.ru_maxrss, 16 << 10, "%ld KiB more",
                     after.ru_maxrss - before.ru_maxrss);
        free(all);
    }
    rt_buf_free(&packed);
    temp_folder_free(folder);
}

static void check_torn(rt_buf packed, const char *name)
{
    char *folder = temp_folder_new();
    for (size_t n = 4; n<packed.n; n += n + 40> packed.n ? 1 : 997) {
        temp_folder_write(folder, name, packed.data, n);
        char *all = read_all(folder, name, (row_reader_options){0}, "q");
        char *failure = strstr(all, "corrupt: ");
        cr_assert_not_null(failure, "cut at %zu of %zu", n, packed.n);
        cr_expect_not_null(strstr(failure, name), "%s", failure);
        free(all);
    }
    rt_buf_free(&packed);
    temp_folder_free(folder);
}

Test(row_reader, a_torn_compressed_file_is_corrupt_and_named)
{
    rt_buf text = long_text();
    check_torn(gzip_of(text.data, text.n, false), "a.jsonl.gz");
    check_torn(zstd_of(text.data, text.n), "a.jsonl.zst");
    rt_buf_free(&text);
}

Test(row_reader, bytes_behind_a_gzip_stream_are_corrupt_and_zeros_are_not)
{
    char *folder = temp_folder_new();
    rt_buf packed = gzip_of("{\"q\":1}\n", 8, false);
    cr_assert_eq(rt_buf_add(&packed, "\0\0\0\0", 4, NULL), RT_OK);
    temp_folder_write(folder, "a.jsonl.gz", packed.data, packed.n);
    char *all = read_all(folder, "a.jsonl.gz", (row_reader_options){0}, "q");
    cr_expect_str_eq(all, "a.jsonl.gz:1|1\n");
    free(all);
    cr_assert_eq(rt_buf_add(&packed, "more", 4, NULL), RT_OK);
    temp_folder_write(folder, "a.jsonl.gz", packed.data, packed.n);
    all = read_all(folder, "a.jsonl.gz", (row_reader_options){0}, "q");
    cr_expect_not_null(strstr(all, "corrupt: "), "%s", all);
    free(all);
    rt_buf_free(&packed);
    temp_folder_free(folder);
}

Test(row_reader, flipped_bytes_of_a_gzip_file_end_in_an_answer)
{
    char *folder = temp_folder_new();
    rt_buf text = long_text();
    rt_buf packed = gzip_of(text.data, text.n, false);
    size_t n_corrupt = 0, n_flips = 0;
    for (size_t i = 0; i < packed.n; i += packed.n / 60) {
        packed.data[i] ^= 0x10;
        temp_folder_write(folder, "a.jsonl.gz", packed.data, packed.n);
        char *all = read_all(folder, "a.jsonl.gz", (row_reader_options){0}, "q");
        n_corrupt += strstr(all, "corrupt: ") != NULL;
        n_flips++;
        free(all);
        packed.data[i] ^= 0x10;
    }
    cr_expect_geq(n_corrupt, n_flips * 8 / 10, "%zu of %zu", n_corrupt, n_flips);
    rt_buf_free(&text);
    rt_buf_free(&packed);
    temp_folder_free(folder);
}

Test(row_reader, globs_are_sorted_by_bytes_and_formats_mix)
{
    char *folder = temp_folder_new();
    temp_folder_write_text(folder, "b.txt", "text\n");
    temp_folder_write_text(folder, "B.jsonl", "{\"text\":\"json\"}\n");
    temp_folder_write_text(folder, "a.csv", "text\ncsv\n");
    temp_folder_write_text(folder, "x[1].txt", "odd name\n");
    char *all = read_all(folder, "*", (row_reader_options){0}, "text");
    cr_expect_str_eq(all, "B.jsonl:1|json\na.csv:2|csv\nb.txt:1|text\nx[1].txt:1|odd name\n");
    free(all);
    all = read_all(folder, "x[1].txt", (row_reader_options){0}, "text");
    cr_expect_str_eq(all, "x[1].txt:1|odd name\n", "a name that exists is not a pattern");
    free(all);
    temp_folder_free(folder);
}

Test(row_reader, says_what_is_wrong_with_the_files_before_reading)
{
    char *folder = temp_folder_new();
    temp_folder_write_text(folder, "a.parquet", "PAR1");
    char *all = read_all(folder, "none*.jsonl", (row_reader_options){0}, "q");
    cr_expect_not_null(strstr(all, "notfound: no file matches"), "%s", all);
    free(all);
    all = read_all(folder, "a.parquet", (row_reader_options){0}, "q");
    cr_expect_not_null(strstr(all, "invalid: "), "%s", all);
    cr_expect_not_null(strstr(all, "a.parquet"), "%s", all);
    free(all);
    all = read_all(folder, "a.parquet", (row_reader_options){.format = ROW_TEXT}, "text");
    cr_expect_str_eq(all, "a.parquet:1|PAR1\n", "unless the format is set");
    free(all);
    all = read_all(folder, ".", (row_reader_options){0}, "q");
    cr_expect_not_null(strstr(all, "is a folder"), "%s", all);
    free(all);
    temp_folder_free(folder);
}

Test(row_reader, a_file_named_twice_is_read_once)
{
    char *folder = temp_folder_new();
    row_reader *r = NULL;
    row found;
    temp_folder_write_text(folder, "a.txt", "one\n");
    const char *patterns[] = {temp_folder_path(folder, "a.txt"), temp_folder_path(folder, "*.txt")};
    cr_assert_eq(row_reader_open(patterns, 2, NULL, &r, NULL), RT_OK);
    cr_expect_eq(row_reader_next(r, &found, NULL), RT_OK);
    cr_expect_eq(row_reader_next(r, &found, NULL), RT_END);
    cr_expect_eq(row_reader_next(r, &found, NULL), RT_END, "and stays at the end");
    row_reader_close(r);
    temp_folder_free(folder);
}

Test(row_reader, null_fields_are_known_to_be_null)
{
    char *folder = temp_folder_new();
    row_reader *r = NULL;
    row found;
    rt_buf out = {0};
    temp_folder_write_text(folder, "a.jsonl", "{\"gold\":null,\"x\":\"null\"}\n");
    const char *path = temp_folder_path(folder, "a.jsonl");
    cr_assert_eq(row_reader_open(&path, 1, NULL, &r, NULL), RT_OK);
    cr_assert_eq(row_reader_next(r, &found, NULL), RT_OK);
    cr_expect(row_reader_is_null(r, "gold"));
    cr_expect_not(row_reader_is_null(r, "x"));
    cr_expect_not(row_reader_is_null(r, "missing"));
    cr_expect_eq(row_reader_lookup(r, "gold", &out, NULL), RT_NOTFOUND);
    row_reader_close(r);
    temp_folder_free(folder);
}
