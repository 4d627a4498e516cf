/* The tokenizer is trained by a thread that reads the corpus, while the coordinator goes on handing out
 * its examples. */
#include "coordinator/tokenizer_stage.h"

#include <stdio.h>
#include <string.h>

#include "tests/race/threads.h"
#include "tests/support/temp_folder.h"

#define ROWS 2000

static const char yaml[] =
    "name: t\n"
    "corpus: {files: [\"%s\"], input: \"{q}\"}\n"
    "task: {answer: number, markers: [\"#\"]}\n"
    "teacher: {files: [\"%s\"], match_field: \"{q}\", text_field: \"{q}\"}\n"
    "tokenizer: {kind: bpe, vocab_size: 120, split_digits: true, byte_fallback: false}\n";

static void write_corpus(const char *folder)
{
    rt_buf text = {0};
    for (int i = 0; i < ROWS; i++)
        RT_ASSERT(rt_buf_printf(&text, NULL, "{\"q\":\"what is %d and %d?\"}\n", i, 7 * i) ==
                  RT_OK);
    temp_folder_write(folder, "rows.jsonl", text.data, text.n);
    rt_buf_free(&text);
}

int main(void)
{
    char text[4096], rows[512];
    rt_error err = {0};
    config *c = NULL;
    corpus_source *corpus = NULL;
    archive *a = NULL;
    tokenizer_stage *s = NULL;
    size_t n_read = 0;
    char *folder = temp_folder_new();
    write_corpus(folder);
    snprintf(rows, sizeof rows, "%s/rows.jsonl", folder);
    snprintf(text, sizeof text, yaml, rows, rows);
    RT_ASSERT(config_parse("race", text, strlen(text), NULL, &c, &err) == RT_OK);
    RT_ASSERT(corpus_source_of_corpus(c, temp_folder_path(folder, "corpus"), &corpus, &err) ==
              RT_OK);
    RT_ASSERT(archive_open(temp_folder_path(folder, "dataset"), &a, &err) == RT_OK);
    RT_ASSERT(tokenizer_stage_open(c, corpus, temp_folder_path(folder, "t.model"), &s, &err) ==
              RT_OK);
    RT_ASSERT(tokenizer_stage_begin(s, a, ROWS, &err) == RT_OK);
    for (size_t i = 0; tokenizer_stage_is_training(s); i++) {
        example e = {0};
        RT_ASSERT(corpus_source_read(corpus, i % ROWS, &e, &err) == RT_OK);
        RT_ASSERT(corpus_source_find(corpus, e.id) == i % ROWS);
        example_free(&e);
        n_read++;
        RT_ASSERT(tokenizer_stage_poll(s, &err) == RT_OK);
    }
    RT_ASSERT(n_read > 0 && tokenizer_stage_get(s) != NULL);
    tokenizer_stage_free(s);
    corpus_source_free(corpus);
    archive_close(a);
    config_free(c);
    temp_folder_free(folder);
    return 0;
}
