#include "worker/report/cards.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "worker/report/columns.h"

#define CARD_BYTES_MAX ((size_t)1 << 20)
#define LINE_BYTES_MAX ((size_t)64 << 20)
#define OWN_LINE \
    "# Made by `retort report`, which replaces it. Remove this line to keep changes of your own."

/* Whether the file is not there, or there with this line in it. */
static rt_status may_replace(const char *path, const char *line, bool *out, rt_error *err)
{
    rt_buf text = {0};
    *out = true;
    if (!rt_fs_exists(path)) return RT_OK;
    rt_status st = rt_fs_read(path, CARD_BYTES_MAX, &text, err);
    if (st == RT_FULL) st = RT_OK; /* no card of ours is so long */
    *out = st == RT_OK && text.data != NULL && strstr(text.data, line) != NULL;
    rt_buf_free(&text);
    return st;
}

/* One of its files. */
typedef struct card_file {
    const char *config, *name, *what;
    columns *columns;
    uint64_t n;
} card_file;

static rt_status look_at(const char *folder, card_file *f, rt_error *err)
{
    char path[PATH_MAX];
    char *text = NULL;
    size_t n_room = 0;
    ssize_t n;
    rt_status st = columns_new(&f->columns, err);
    if (st == RT_OK) st = rt_fs_join(path, sizeof path, folder, f->name, err);
    if (st != RT_OK) return st;
    FILE *file = fopen(path, "re");
    while (file != NULL && st == RT_OK && (n = getline(&text, &n_room, file)) > 0) {
        json_t *line = (size_t)n <= LINE_BYTES_MAX ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
        if (line != NULL) f->n++;
        if (line != NULL) st = columns_add(f->columns, line, err);
        json_decref(line);
    }
    if (file != NULL) fclose(file);
    free(text);
    return st;
}

static const char *size_category(uint64_t n)
{
    static const char *const names[] = {"n<1K",     "1K<n<10K",   "10K<n<100K", "100K<n<1M",
                                        "1M<n<10M", "10M<n<100M", "100M<n<1B"};
    size_t i = 0;
    for (uint64_t limit = 1000; n >= limit && i + 1 < RT_COUNT(names); limit *= 10) i++;
    return names[i];
}

/* Features only where they can be declared: without them the library looks at the file itself. */
static rt_status put_features(const card_file *files, size_t n, rt_buf *out, rt_error *err)
{
    size_t n_declared = 0, start = out->n;
    rt_status st = rt_buf_add_text(out, "dataset_info:\n", err);
    for (size_t i = 0; st == RT_OK && i < n; i++) {
        if (files[i].n == 0 || columns_problem(files[i].columns) != NULL) continue;
        st = rt_buf_printf(out, err, "- config_name: %s\n  features:\n", files[i].config);
        if (st == RT_OK) st = columns_to_yaml(files[i].columns, "  ", out, err);
        n_declared++;
    }
    if (st == RT_OK && n_declared == 0) out->data[out->n = start] = '\0';
    return st;
}

static rt_status put_front_matter(const report_request *ask, const json_t *data,
                                  const card_file *files, size_t n, rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_add_text(out, "---\n" OWN_LINE "\npretty_name: ", err);
    if (st == RT_OK) st = yaml_quote(card_run_text(data, "name"), out, err);
    if (st == RT_OK)
        st = rt_buf_printf(out, err,
                           "\nannotations_creators:\n- machine-generated\n"
                           "task_categories:\n- %s\nsize_categories:\n- %s\n"
                           "tags:\n- distillation\n- rationales\n- synthetic\n- retort\nconfigs:\n",
                           card_task_category(ask->config), size_category(files[0].n));
    for (size_t i = 0; st == RT_OK && i < n; i++) {
        if (files[i].n == 0) continue; /* an empty file cannot be read */
        st = rt_buf_printf(out, err,
                           "- config_name: %s\n%s  data_files:\n  - split: train\n"
                           "    path: %s\n",
                           files[i].config, i == 0 ? "  default: true\n" : "", files[i].name);
    }
    if (st == RT_OK) st = put_features(files, n, out, err);
    return st == RT_OK ? rt_buf_add_text(out, "---\n\n", err) : st;
}

/* Markdown between backquotes: a name that holds one would end it. */
static rt_status put_code(const char *text, rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_add_text(out, "`", err);
    for (; st == RT_OK && *text != '\0'; text++) {
        char c = *text == '`' || *text == '\n' || *text == '\r' ? '\'' : *text;
        st = rt_buf_add(out, &c, 1, err);
    }
    return st == RT_OK ? rt_buf_add_text(out, "`", err) : st;
}

static rt_status put_origin(const config *c, rt_buf *out, rt_error *err)
{
    static const char *const backends[] = {[TEACHER_RECORDED] = "texts that were recorded before",
                                           [TEACHER_NATIVE] = "a model run by Retort",
                                           [TEACHER_OPENAI] = "a server that speaks OpenAI's "
                                                              "interface"};
    if (c == NULL) return RT_OK;
    rt_status st = rt_buf_printf(out, err, "\n## How it was made\n\nThe teacher was %s",
                                 backends[c->teacher.backend]);
    /* Of a native teacher it is a folder of this machine. */
    if (st == RT_OK && c->teacher.backend == TEACHER_OPENAI) {
        st = rt_buf_add_text(out, ", model ", err);
        if (st == RT_OK) st = put_code(c->teacher.model, out, err);
    }
    if (st == RT_OK)
        st = rt_buf_printf(
            out, err, ", asked %s%s.\n",
            c->prompt.exemplars[0] != '\0' ? "with worked examples" : "without worked examples",
            c->quality.samples > 1 ? ", several times a row, and put to the vote" : "");
    return st;
}

static rt_status put_scores(const json_t *data, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(data, "accuracy"), i, one)
    {
        const char *on = json_string_value(json_object_get(one, "on"));
        if (st != RT_OK || on == NULL || strcmp(on, "its dataset") != 0) continue;
        st = rt_buf_printf(
            out, err,
            "\nOf %lld records with a true answer the teacher had %lld right by itself: %.1f %%, 95 %% "
            "interval %.1f to %.1f %%. A rejected record counts as wrong.\n",
            (long long)json_integer_value(json_object_get(one, "of")),
            (long long)json_integer_value(json_object_get(one, "right")),
            100 * json_number_value(json_object_get(one, "share")),
            100 * json_number_value(json_object_get(one, "low")),
            100 * json_number_value(json_object_get(one, "high")));
    }
    return st;
}

static rt_status put_body(const report_request *ask, const json_t *data, const card_file *files,
                          size_t n, rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_add_text(out, "# Dataset of ", err);
    if (st == RT_OK) st = put_code(card_run_text(data, "name"), out, err);
    if (st == RT_OK) st = rt_buf_add_text(out, "\n\nLabels and rationales for the task ", err);
    if (st == RT_OK) st = put_code(card_run_text(data, "task"), out, err);
    if (st == RT_OK)
        st = rt_buf_add_text(
            out,
            ", written by a language model about an unlabeled corpus. A parser took the label "
            "from each text;\nwhat it could not use was rejected with its reason and is kept.\n\n"
            "| config | file | rows | what |\n|---|---|---|---|\n",
            err);
    for (size_t i = 0; st == RT_OK && i < n; i++)
        st = rt_buf_printf(out, err, "| `%s` | `%s` | %llu | %s |\n", files[i].config,
                           files[i].name, (unsigned long long)files[i].n, files[i].what);
    if (st == RT_OK)
        st = rt_buf_add_text(out,
                             "\n```python\nfrom datasets import load_dataset\n\n"
                             "rows = load_dataset(\"path/to/this/folder\", split=\"train\")\n```\n",
                             err);
    for (size_t i = 0; st == RT_OK && i < n; i++)
        if (columns_problem(files[i].columns) != NULL)
            st =
                rt_buf_printf(out, err,
                              "\nThe columns of `%s` are not declared: %s `retort export --dataset "
                              "prompt-completion` writes rows of two texts.\n",
                              files[i].name, columns_problem(files[i].columns));
    if (st == RT_OK)
        st =
            rt_buf_add_text(out,
                            "\n## Columns\n\n"
                            "| column | meaning |\n|---|---|\n"
                            "| `id` | 128-bit hash of the task's name and the input |\n"
                            "| `input` | the example as it was shown |\n"
                            "| `label` | the answer in canonical form |\n"
                            "| `rationale` | the reasoning before it; null where there was none |\n"
                            "| `gold` | the true answer where the corpus knows it |\n"
                            "| `reason`, `raw` | of rejected rows: why, and the text |\n"
                            "| `meta` | teacher, sampling, tokens, vote, filters |\n"
                            "| `check` | hash of the line before it, against damage |\n",
                            err);
    if (st == RT_OK) st = put_origin(ask->config, out, err);
    if (st == RT_OK) st = put_scores(data, out, err);
    if (st == RT_OK)
        st = rt_buf_add_text(
            out,
            "\n## Limits\n\nA model wrote these labels: they repeat its mistakes and its bias, and a "
            "rationale is not always the reason\nfor the label behind it. Licence and language are not "
            "known to the program: both follow from the corpus and\nfrom the terms of the "
            "teacher.\n",
            err);
    const char *sha256 = json_string_value(json_object_get(data, "dataset_sha256"));
    if (st == RT_OK && sha256 != NULL)
        st = rt_buf_printf(out, err, "\nSHA-256 of the labels in corpus order: `%.64s`\n", sha256);
    return st;
}

rt_status dataset_card_write(const report_request *ask, const json_t *data, rt_error *err)
{
    char folder[PATH_MAX], path[PATH_MAX];
    bool may = false;
    rt_buf out = {0};
    card_file files[] = {
        {.config = "labelled", .name = "labels.jsonl", .what = "rows with a label"},
        {.config = "rejected", .name = "rejected.jsonl", .what = "rows without one, and why"},
    };
    rt_status st = rt_fs_join(folder, sizeof folder, ask->run_dir, "dataset", err);
    if (st == RT_OK) st = rt_fs_join(path, sizeof path, folder, "README.md", err);
    if (st != RT_OK || ask->dataset != NULL || !rt_fs_exists(folder)) return st;
    if ((st = may_replace(path, OWN_LINE, &may, err)) != RT_OK || !may) return st;
    for (size_t i = 0; st == RT_OK && i < RT_COUNT(files); i++)
        st = look_at(folder, &files[i], err);
    if (st == RT_OK && files[0].n > 0) {
        st = put_front_matter(ask, data, files, RT_COUNT(files), &out, err);
        if (st == RT_OK) st = put_body(ask, data, files, RT_COUNT(files), &out, err);
        if (st == RT_OK) st = rt_fs_write_atomic(path, out.data, out.n, err);
    }
    for (size_t i = 0; i < RT_COUNT(files); i++) columns_free(files[i].columns);
    rt_buf_free(&out);
    return st;
}
