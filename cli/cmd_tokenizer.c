#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "common/corpus/row_reader.h"
#include "common/text/tokenizer.h"

static const option_def tokenizer_options[] = {
    {"--input", "FILE", "train: one more file to read", NULL},
    {"--field", "TEMPLATE", "train: text of a row, over its fields", "{text}"},
    {"--output", "FILE", "train: model to write", "tokenizer.model"},
    {"--kind", "KIND", "train: unigram or bpe", "unigram", "unigram bpe"},
    {"--vocab-size", "N", "train: pieces, at most", "4000"},
    {"--byte-fallback", NULL, "train: spell unknown characters in bytes", NULL},
    {"--split-digits", NULL, "train: every digit is a piece", NULL},
    {"--lowercase", NULL, "train: fold letter case", NULL},
    {"--sample", "N", "train: use N rows drawn at random; 0: all", "0"},
    {"--model", "FILE", "encode, decode: model to use", "tokenizer.model"},
    {"--pieces", NULL, "encode: print pieces, not ids", NULL},
    {0},
};

typedef struct row_source {
    row_reader *rows;
    template *field;
    rt_buf text;
    size_t n_bad;
} row_source;

static rt_status next_row(void *context, const char **text, size_t *n, rt_error *err)
{
    row_source *s = context;
    row r;
    rt_status st;
    while ((st = row_reader_next(s->rows, &r, err)) == RT_OK) {
        if (r.problem != NULL) {
            rt_log_warn("tokenizer.bad_row", "file=%s line=%" PRIu64 " problem=%s", r.file, r.line,
                        r.problem);
            s->n_bad++;
            continue;
        }
        rt_buf_clear(&s->text);
        st = template_render(s->field, row_reader_lookup, s->rows, &s->text, err);
        if (st != RT_OK) return rt_wrap(err, st, "%s:%" PRIu64, r.file, r.line);
        *text = s->text.data;
        *n = s->text.n;
        return RT_OK;
    }
    return st;
}

static rt_status read_settings(const options *o, tokenizer_training *out, rt_error *err)
{
    const char *kind = options_value(o, "--kind");
    uint64_t vocab_size = 0, n_sentences_max = 0;
    rt_status st = options_u64(o, "--vocab-size", 1, 1u << 20, &vocab_size, err);
    if (st == RT_OK) st = options_u64(o, "--sample", 0, SIZE_MAX, &n_sentences_max, err);
    if (st != RT_OK) return st;
    if (strcmp(kind, "bpe") != 0 && strcmp(kind, "unigram") != 0)
        return rt_fail(err, RT_INVALID, "--kind: found '%.100s', expected unigram or bpe", kind);
    *out = (tokenizer_training){
        .bpe = strcmp(kind, "bpe") == 0,
        .vocab_size = (size_t)vocab_size,
        .n_sentences_max = (size_t)n_sentences_max,
        .byte_fallback = options_has(o, "--byte-fallback"),
        .split_digits = options_has(o, "--split-digits"),
        .lowercase = options_has(o, "--lowercase"),
    };
    return RT_OK;
}

/* Files behind the action, and the one of --input. */
static rt_status open_rows(const options *o, row_source *source, rt_error *err)
{
    size_t n = 0;
    const char **patterns = rt_calloc(options_n_args(o), sizeof *patterns);
    if (patterns == NULL) return rt_fail(err, RT_NOMEM, "tokenizer");
    for (unsigned i = 1; i < options_n_args(o); i++) patterns[n++] = options_arg(o, i);
    if (options_value(o, "--input") != NULL) patterns[n++] = options_value(o, "--input");
    rt_status st = n > 0 ? RT_OK
                         : rt_fail(err, RT_INVALID,
                                   "tokenizer train: no file to read; name them "
                                   "behind 'train' or with --input");
    if (st == RT_OK) st = template_parse(options_value(o, "--field"), &source->field, err);
    if (st == RT_OK) {
        row_reader_options reading = {.format = ROW_AUTO};
        st = row_reader_open(patterns, n, &reading, &source->rows, err);
    }
    free(patterns);
    return st;
}

static void print_trained(const options *o, const char *path, const tokenizer *t, size_t n_bad)
{
    if (options_json(o)) {
        json_t *root = json_pack("{s:s,s:I,s:s,s:I}", "path", path, "vocab_size",
                                 (json_int_t)tokenizer_size(t), "sha256", tokenizer_sha256(t),
                                 "bad_rows", (json_int_t)n_bad);
        json_dumpf(root, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(root);
    } else {
        printf("%s: %zu pieces, sha256 %s\n", path, tokenizer_size(t), tokenizer_sha256(t));
    }
}

static int run_train(const options *o)
{
    tokenizer_training settings;
    row_source source = {0};
    tokenizer *t = NULL;
    rt_error err = {0};
    int code = EXIT_CODE_OK;
    const char *path = options_value(o, "--output");
    rt_status st = read_settings(o, &settings, &err);
    if (st == RT_OK) st = open_rows(o, &source, &err);
    if (st == RT_OK) st = tokenizer_train(&settings, next_row, &source, path, &err);
    if (st == RT_OK) st = tokenizer_load(path, &t, &err);
    if (st == RT_OK)
        print_trained(o, path, t, source.n_bad);
    else
        code = command_fail(o, &err);
    tokenizer_free(t);
    row_reader_close(source.rows);
    template_free(source.field);
    rt_buf_free(&source.text);
    return code;
}

static void print_encoded_json(const tokenizer *t, const id_list *ids)
{
    json_t *numbers = json_array(), *pieces = json_array();
    for (size_t i = 0; i < ids->n; i++) {
        json_array_append_new(numbers, json_integer(ids->ids[i]));
        json_array_append_new(pieces, json_string(tokenizer_piece(t, ids->ids[i])));
    }
    json_t *root = json_pack("{s:o,s:o}", "ids", numbers, "pieces", pieces);
    json_dumpf(root, stdout, JSON_COMPACT);
    json_decref(root);
}

/* One line of stdin, without its end. */
typedef rt_status (*line_action)(const options *o, const tokenizer *t, const char *line, size_t n,
                                 rt_error *err);

static rt_status encode_line(const options *o, const tokenizer *t, const char *line, size_t n,
                             rt_error *err)
{
    id_list ids = {0};
    rt_status st = tokenizer_encode(t, line, n, &ids, err);
    if (st == RT_OK && options_json(o)) print_encoded_json(t, &ids);
    for (size_t i = 0; st == RT_OK && !options_json(o) && i < ids.n; i++) {
        const char *gap = i == 0 ? "" : " ";
        if (options_has(o, "--pieces"))
            printf("%s%s", gap, tokenizer_piece(t, ids.ids[i]));
        else
            printf("%s%" PRIu32, gap, ids.ids[i]);
    }
    if (st == RT_OK) putchar('\n');
    id_list_free(&ids);
    return st;
}

static rt_status read_ids(const char *line, size_t n, id_list *ids, rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < n;) {
        char word[24];
        size_t n_word = 0;
        uint64_t id;
        while (i < n && strchr(" \t\r,[]", line[i]) != NULL) i++;
        if (i == n) break;
        while (i + n_word < n && strchr(" \t\r,[]", line[i + n_word]) == NULL) n_word++;
        snprintf(word, sizeof word, "%.*s", (int)RT_MIN(n_word, sizeof word - 1), line + i);
        if (!rt_parse_u64(word, &id) || id > UINT32_MAX)
            return rt_fail(err, RT_CORRUPT, "column %zu: found '%s', expected an id", i + 1, word);
        st = id_list_add(ids, (uint32_t)id, err);
        i += n_word;
    }
    return st;
}

static rt_status decode_line(const options *o, const tokenizer *t, const char *line, size_t n,
                             rt_error *err)
{
    id_list ids = {0};
    rt_buf text = {0};
    rt_status st = read_ids(line, n, &ids, err);
    if (st == RT_OK) st = tokenizer_decode(t, ids.ids, ids.n, &text, err);
    if (st == RT_OK && options_json(o)) {
        json_t *root = json_object();
        json_object_set_new(root, "text", json_stringn(text.n > 0 ? text.data : "", text.n));
        json_dumpf(root, stdout, JSON_COMPACT);
        json_decref(root);
    } else if (st == RT_OK && text.n > 0) {
        fwrite(text.data, 1, text.n, stdout);
    }
    if (st == RT_OK) putchar('\n');
    rt_buf_free(&text);
    id_list_free(&ids);
    return st;
}

static int run_lines(const options *o, line_action act)
{
    tokenizer *t = NULL;
    char *line = NULL;
    size_t capacity = 0, i_line = 0;
    ssize_t n;
    rt_error err = {0};
    rt_status st = tokenizer_load(options_value(o, "--model"), &t, &err);
    while (st == RT_OK && (n = getline(&line, &capacity, stdin)) >= 0) {
        i_line++;
        if (n > 0 && line[n - 1] == '\n') n--;
        st = act(o, t, line, (size_t)n, &err);
        if (st != RT_OK) st = rt_wrap(&err, st, "stdin, line %zu", i_line);
    }
    if (st == RT_OK && ferror(stdin)) st = rt_fail(&err, RT_IO, "read stdin: %s", strerror(errno));
    free(line);
    tokenizer_free(t);
    return st == RT_OK ? EXIT_CODE_OK : command_fail(o, &err);
}

static int run_tokenizer(const options *o)
{
    static const char *const actions[] = {"train", "encode", "decode", NULL};
    const char *action = options_arg(o, 0);
    rt_error err = {0};
    size_t i = 0;
    while (actions[i] != NULL && strcmp(actions[i], action) != 0) i++;
    if (i == 0) return run_train(o);
    if (actions[i] == NULL) {
        const char *nearest = options_nearest(action, actions);
        rt_fail(&err, RT_INVALID,
                "tokenizer: found '%.100s', expected train, encode or decode%s%s%s", action,
                nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "",
                nearest != NULL ? "?" : "");
        return command_fail(o, &err);
    }
    if (options_n_args(o) > 1) {
        rt_fail(&err, RT_INVALID, "tokenizer %s: found '%.100s', expected text on stdin", action,
                options_arg(o, 1));
        return command_fail(o, &err);
    }
    return run_lines(o, i == 1 ? encode_line : decode_line);
}

const command cmd_tokenizer = {
    .name = "tokenizer",
    .summary = "train a tokenizer, and see how it cuts text",
    .synopsis = "train [--output FILE] [--kind KIND] [--vocab-size N] FILE...\n"
                "encode [--model FILE] [--pieces] < TEXT\n"
                "decode [--model FILE] < IDS\n",
    .description = "train   reads rows of text, JSON lines, CSV or TSV (also .gz and .zst), and\n"
                   "        writes a sentencepiece model. The same rows and settings give the\n"
                   "        same bytes. A vocabulary larger than the text supports shrinks. A row\n"
                   "        that cannot be read is left out with a warning.\n"
                   "encode  prints the ids of each line of stdin, or its pieces; --json both.\n"
                   "decode  prints the text of each line of ids.\n",
    .options = tokenizer_options,
    .examples = "retort tokenizer train --vocab-size 2000 --field '{input}' corpus.jsonl\n"
                "echo 'two apples' | retort tokenizer encode --pieces\n"
                "echo 'two apples' | retort tokenizer encode | retort tokenizer decode\n",
    .n_args_min = 1,
    .n_args_max = UINT_MAX,
    .words = "train encode decode",
    .run = run_tokenizer,
};
