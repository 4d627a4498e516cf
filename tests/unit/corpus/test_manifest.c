#include "common/corpus/manifest.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "tests/support/temp_folder.h"

static const char *files[1];

static manifest_settings toy_settings(const char *folder, const char *text)
{
    temp_folder_write_text(folder, "corpus.jsonl", text);
    static char path[4096];
    snprintf(path, sizeof path, "%s/corpus.jsonl", folder);
    files[0] = path;
    return (manifest_settings){.task_name = "toy",
                               .files = files,
                               .n_files = 1,
                               .input = "{q}",
                               .gold = "",
                               .source_id = "",
                               .bad_share_max = 1};
}

static manifest *open_manifest(const char *folder, const manifest_settings *settings)
{
    manifest *m = NULL;
    rt_error err = {0};
    cr_assert_eq(manifest_open(temp_folder_path(folder, "m"), settings, &m, &err), RT_OK, "%s",
                 err.text);
    return m;
}

static void expect_counts(const manifest *m, uint64_t rows, uint64_t examples, uint64_t duplicates,
                          uint64_t malformed)
{
    const manifest_counts *c = manifest_get_counts(m);
    cr_expect(c->n_rows == rows && c->n_examples == examples && c->n_duplicates == duplicates &&
                  c->n_malformed == malformed,
              "%d rows = %d + %d + %d", (int)c->n_rows, (int)c->n_examples, (int)c->n_duplicates,
              (int)c->n_malformed);
    cr_expect_eq(manifest_n(m), examples);
}

static void expect_example(const manifest *m, size_t i, const char *input, const char *gold,
                           const char *source_id)
{
    example e = {0};
    rt_error err = {0};
    cr_assert_eq(manifest_read(m, i, &e, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(e.input, input);
    cr_expect((e.gold == NULL) == (gold == NULL));
    if (e.gold != NULL && gold != NULL) cr_expect_str_eq(e.gold, gold);
    cr_expect((e.source_id == NULL) == (source_id == NULL));
    if (e.source_id != NULL && source_id != NULL) cr_expect_str_eq(e.source_id, source_id);
    rt_id id = rt_id_of_two("toy", 3, input, strlen(input));
    cr_expect(rt_id_equal(e.id, id));
    cr_expect(rt_id_equal(manifest_id(m, i), id));
    cr_expect_eq(manifest_find(m, id), i);
    example_free(&e);
}

/* How many lines of the malformed file hold this text. */
static size_t n_malformed_with(const char *folder, const char *part)
{
    rt_buf text = {0};
    size_t n = 0;
    temp_folder_read(folder, "m/malformed.jsonl", &text);
    for (char *save = NULL, *line = text.data == NULL ? NULL : strtok_r(text.data, "\n", &save);
         line != NULL; line = strtok_r(NULL, "\n", &save)) {
        json_t *object = json_loads(line, 0, NULL);
        cr_expect(json_is_string(json_object_get(object, "file")) &&
                      json_is_integer(json_object_get(object, "line")) &&
                      json_is_string(json_object_get(object, "reason")) &&
                      json_is_string(json_object_get(object, "raw")),
                  "%s", line);
        json_decref(object);
        n += strstr(line, part) != NULL;
    }
    rt_buf_free(&text);
    return n;
}

Test(manifest, every_row_is_an_example_a_duplicate_or_malformed)
{
    char *folder = temp_folder_new();
    manifest_settings s = toy_settings(
        folder,
        "{\"q\":\"質問1\",\"a\":\"x\",\"id\":1}\n{\"q\":\"質問1\",\"a\":\"y\",\"id\":2}\n"
        "{\"a\":\"no q\",\"id\":3}\n{\"q\":\" \\n\",\"a\":\"b\",\"id\":4}\nnot json\n"
        "{\"q\":\"two\",\"a\":null,\"id\":5.0}\n{\"q\":\"three\",\"id\":6}\n"
        "{\"q\":\"bad \xff\",\"a\":\"\",\"id\":7}\n{\"q\":\"four\",\"a\":\"\",\"id\":null}\n");
    s.gold = "{a}";
    s.source_id = "id";
    manifest *m = open_manifest(folder, &s);
    expect_counts(m, 9, 3, 1, 5);
    expect_example(m, 0, "質問1", "x", "1");
    expect_example(m, 1, "two", NULL, "5.0");
    expect_example(m, 2, "four", NULL, NULL);
    cr_expect_eq(manifest_find(m, (rt_id){1, 2}), SIZE_MAX);
    cr_expect_eq(n_malformed_with(folder, "field"), 2, "missing q and missing a");
    cr_expect_eq(n_malformed_with(folder, "'q'"), 1, "by name");
    cr_expect_eq(n_malformed_with(folder, "the input is empty"), 1);
    cr_expect_eq(n_malformed_with(folder, "invalid JSON"), 1);
    cr_expect_eq(n_malformed_with(folder, "not UTF-8"), 1);
    cr_expect_eq(n_malformed_with(folder, "corpus.jsonl"), 5);
    example e = {0};
    cr_expect_eq(manifest_read(m, 3, &e, NULL), RT_NOTFOUND);
    manifest_free(m);
    temp_folder_free(folder);
}

/* Whether opening again read the corpus again: then examples.jsonl is another file. */
static bool is_rebuilt(const char *folder, const manifest_settings *s)
{
    struct stat before, after;
    cr_assert_eq(stat(temp_folder_path(folder, "m/examples.jsonl"), &before), 0);
    int fd =
        open(temp_folder_path(folder, "m/examples.jsonl"), O_RDONLY); /* keeps its number taken */
    manifest_free(open_manifest(folder, s));
    cr_assert_eq(stat(temp_folder_path(folder, "m/examples.jsonl"), &after), 0);
    close(fd);
    return before.st_ino != after.st_ino;
}

Test(manifest, is_loaded_while_current_and_gives_the_same)
{
    char *folder = temp_folder_new();
    manifest_settings s = toy_settings(folder, "{\"q\":\"a\"}\n{\"q\":\"b\"}\n{\"q\":\"a\"}\nx\n");
    manifest *built = open_manifest(folder, &s);
    cr_expect_not(is_rebuilt(folder, &s));
    manifest *loaded = open_manifest(folder, &s);
    expect_counts(loaded, 4, 2, 1, 1);
    expect_example(loaded, 0, "a", NULL, NULL);
    expect_example(loaded, 1, "b", NULL, NULL);
    cr_expect(rt_id_equal(manifest_key(built), manifest_key(loaded)));
    manifest_free(built);
    manifest_free(loaded);
    temp_folder_free(folder);
}

Test(manifest, is_rebuilt_when_settings_or_sources_change)
{
    char *folder = temp_folder_new();
    manifest_settings s = toy_settings(folder, "{\"q\":\"a\",\"r\":\"b\"}\n");
    manifest_free(open_manifest(folder, &s));
    s.input = "{r}";
    cr_expect(is_rebuilt(folder, &s));
    s.task_name = "other";
    cr_expect(is_rebuilt(folder, &s));
    s.rows_max = 5;
    cr_expect(is_rebuilt(folder, &s));
    s.bad_share_max = 0.5;
    cr_expect_not(is_rebuilt(folder, &s), "a limit does not change what the examples are");
    temp_folder_write_text(folder, "corpus.jsonl", "{\"q\":\"a\",\"r\":\"c\"}\n{\"r\":\"d\"}\n");
    cr_expect(is_rebuilt(folder, &s));
    temp_folder_free(folder);
}

Test(manifest, is_rebuilt_from_whatever_a_crash_or_damage_left)
{
    char *folder = temp_folder_new();
    manifest_settings s = toy_settings(folder, "{\"q\":\"a\"}\n{\"q\":\"b\"}\n");
    rt_buf good = {0};
    manifest_free(open_manifest(folder, &s));
    temp_folder_read(folder, "m/examples.jsonl", &good);
    for (size_t n = 0; n < good.n; n++) {
        temp_folder_write(folder, "m/examples.jsonl", good.data, n);
        manifest *m = open_manifest(folder, &s);
        expect_counts(m, 2, 2, 0, 0);
        expect_example(m, 1, "b", NULL, NULL);
        manifest_free(m);
    }
    for (size_t n = 0; n < good.n; n++) {
        good.data[n] ^= 1;
        temp_folder_write(folder, "m/examples.jsonl", good.data, good.n);
        good.data[n] ^= 1;
        manifest *m = open_manifest(folder, &s);
        expect_example(m, 0, "a", NULL, NULL);
        expect_example(m, 1, "b", NULL, NULL);
        manifest_free(m);
    }
    temp_folder_read(folder, "m/manifest.json", &good);
    for (size_t n = 0; n < good.n; n += 7) {
        temp_folder_write(folder, "m/manifest.json", good.data, n);
        manifest *m = open_manifest(folder, &s);
        expect_counts(m, 2, 2, 0, 0);
        manifest_free(m);
    }
    unlink(temp_folder_path(folder, "m/examples.jsonl"));
    manifest *m = open_manifest(folder, &s);
    expect_example(m, 1, "b", NULL, NULL);
    manifest_free(m);
    rt_buf_free(&good);
    temp_folder_free(folder);
}

Test(manifest, too_large_a_share_of_malformed_rows_stops_it_with_counts)
{
    char *folder = temp_folder_new();
    rt_buf text = {0};
    manifest *m = NULL;
    rt_error err = {0};
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(rt_buf_printf(&text, NULL, i % 4 == 0 ? "bad\n" : "{\"q\":%d}\n", i), RT_OK);
    manifest_settings s = toy_settings(folder, text.data);
    s.bad_share_max = 0.2;
    cr_expect_eq(manifest_open(temp_folder_path(folder, "m"), &s, &m, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "25 of 100 rows"), "checked early: %s", err.text);
    cr_expect_not_null(strstr(err.text, "malformed.jsonl"), "%s", err.text);
    cr_expect_eq(n_malformed_with(folder, "invalid JSON"), 25, "the reasons are kept");
    s.bad_share_max = 0.26;
    m = open_manifest(folder, &s);
    expect_counts(m, 1000, 750, 0, 250);
    manifest_free(m);
    s.bad_share_max = 0.1;
    m = NULL;
    cr_expect_eq(manifest_open(temp_folder_path(folder, "m"), &s, &m, &err), RT_CORRUPT,
                 "also when it is loaded");
    cr_expect_null(m);
    rt_buf_free(&text);
    temp_folder_free(folder);
}

Test(manifest, few_rows_are_judged_only_at_the_end)
{
    char *folder = temp_folder_new();
    manifest *m = NULL;
    manifest_settings s = toy_settings(folder, "bad\n{\"q\":1}\n{\"q\":2}\n{\"q\":3}\n");
    s.bad_share_max = 0.25;
    manifest_free(open_manifest(folder, &s));
    s = toy_settings(folder, "bad\n{\"q\":1}\n");
    s.bad_share_max = 0.25;
    cr_expect_eq(manifest_open(temp_folder_path(folder, "m"), &s, &m, NULL), RT_CORRUPT);
    temp_folder_free(folder);
}

Test(manifest, reads_no_more_than_rows_max)
{
    char *folder = temp_folder_new();
    manifest_settings s = toy_settings(folder, "{\"q\":1}\n{\"q\":1}\nx\n{\"q\":2}\n{\"q\":3}\n");
    s.rows_max = 4;
    manifest *m = open_manifest(folder, &s);
    expect_counts(m, 4, 2, 1, 1);
    manifest_free(m);
    temp_folder_free(folder);
}

Test(manifest, an_empty_corpus_is_an_empty_manifest)
{
    char *folder = temp_folder_new();
    manifest_settings s = toy_settings(folder, "");
    for (int reopened = 0; reopened < 2; reopened++) {
        manifest *m = open_manifest(folder, &s);
        expect_counts(m, 0, 0, 0, 0);
        cr_expect_eq(manifest_find(m, (rt_id){0, 0}), SIZE_MAX);
        (void)manifest_key(m);
        manifest_free(m);
    }
    temp_folder_free(folder);
}

Test(manifest, a_torn_source_leaves_no_manifest)
{
    char *folder = temp_folder_new();
    manifest *m = NULL;
    rt_error err = {0};
    manifest_settings s = toy_settings(folder, "");
    temp_folder_write(folder, "corpus.jsonl", "\x1f\x8b\x08\x00", 4);
    cr_expect_eq(manifest_open(temp_folder_path(folder, "m"), &s, &m, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "corpus.jsonl"), "%s", err.text);
    cr_expect_not(rt_fs_exists(temp_folder_path(folder, "m/manifest.json")));
    cr_expect_not(rt_fs_exists(temp_folder_path(folder, "m/examples.jsonl.tmp")));
    temp_folder_free(folder);
}

Test(manifest, two_builders_do_not_meet)
{
    char *folder = temp_folder_new();
    manifest *m = NULL;
    manifest_settings s = toy_settings(folder, "{\"q\":1}\n");
    cr_assert_eq(rt_fs_mkdirs(temp_folder_path(folder, "m"), NULL), RT_OK);
    int fd = open(temp_folder_path(folder, "m/.manifest.lock"), O_RDWR | O_CREAT, 0644);
    cr_assert_eq(flock(fd, LOCK_EX), 0);
    cr_expect_eq(manifest_open(temp_folder_path(folder, "m"), &s, &m, NULL), RT_EXISTS);
    close(fd);
    manifest_free(open_manifest(folder, &s));
    temp_folder_free(folder);
}

Test(manifest, bad_templates_are_named)
{
    char *folder = temp_folder_new();
    manifest *m = NULL;
    rt_error err = {0};
    manifest_settings s = toy_settings(folder, "{\"q\":1}\n");
    s.gold = "{a";
    cr_expect_eq(manifest_open(temp_folder_path(folder, "m"), &s, &m, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "gold"), "%s", err.text);
    temp_folder_free(folder);
}

/* The published sets beside the checkout: counted rows, no malformed one. */
Test(manifest, reads_real_corpora_whole)
{
    static const struct {
        const char *name, *input, *gold;
        uint64_t n_rows;
    } sets[] = {{"jcqa_train.jsonl.gz", "{input}", "{gold}", 8939},
                {"cqa_test.jsonl.gz", "{input}", "{gold}", 1221},
                {"svamp_train.jsonl.gz", "{input}", "{gold}", 800},
                {"unlabeled/questions_en.jsonl.gz", "{text}", "", 20075}};
    const char *root = getenv("RT_SOURCE_DIR");
    char *folder = temp_folder_new();
    for (size_t i = 0; i < RT_COUNT(sets); i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/../shared/data/%s", root == NULL ? "." : root,
                 sets[i].name);
        if (!rt_fs_exists(path)) {
            cr_skip_test("%s is not there", path);
        }
        manifest_settings s = toy_settings(folder, "");
        snprintf((char *)(uintptr_t)files[0], 4096, "%s", path);
        s.input = sets[i].input;
        s.gold = sets[i].gold;
        s.source_id = "id";
        manifest *m = open_manifest(folder, &s);
        const manifest_counts *c = manifest_get_counts(m);
        cr_expect_eq(c->n_rows, sets[i].n_rows, "%s", sets[i].name);
        cr_expect_eq(c->n_malformed, 0, "%s", sets[i].name);
        cr_expect_eq(c->n_examples + c->n_duplicates, sets[i].n_rows);
        example e = {0};
        cr_assert_eq(manifest_read(m, manifest_n(m) - 1, &e, NULL), RT_OK);
        cr_expect_not_null(e.source_id);
        example_free(&e);
        manifest_free(m);
    }
    temp_folder_free(folder);
}
