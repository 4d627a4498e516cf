/* Writes the quick start's problems as JSON lines.
 *
 *     arithmetic-problems corpus  10000 > corpus.jsonl   {"question"}             unlabeled
 *     arithmetic-problems test     1000 > test.jsonl     {"question","answer"}
 *     arithmetic-problems worked  81000 > labels.jsonl   {"id","input","label","rationale","meta"}
 *
 * The three kinds never share a chain of arithmetic: each chain belongs to one kind, chosen by its
 * hash, so "unseen" means an unseen sum, not merely other words. `worked` is a labelled dataset as
 * `retort train --dataset` reads it: what the teacher was trained on. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "examples/arithmetic/story.h"

typedef struct part {
    const char *name;
    uint64_t first, last; /* of 100: which hashes of a chain are this kind's */
} part;

static const part parts[] = {{"worked", 0, 59}, {"corpus", 60, 89}, {"test", 90, 99}};

#define TASK_NAME "arithmetic" /* as in the example's configuration: it enters the ids */

static json_t *row_of(const char *kind, const problem *p)
{
    char answer[16], id[RT_ID_HEX_SIZE];
    snprintf(answer, sizeof answer, "%d", p->answer);
    if (strcmp(kind, "corpus") == 0) return json_pack("{s:s}", "question", p->question);
    if (strcmp(kind, "test") == 0)
        return json_pack("{s:s, s:s}", "question", p->question, "answer", answer);
    rt_id_to_hex(rt_id_of_two(TASK_NAME, strlen(TASK_NAME), p->question, strlen(p->question)), id);
    return json_pack("{s:s, s:s, s:s, s:s, s:{s:s}}", "id", id, "input", p->question, "label",
                     answer, "rationale", p->solution, "meta", "teacher", "generator");
}

static int write_rows(const part *kind, uint64_t n_rows, uint64_t seed)
{
    rng_key key = rng_key_make(seed, "arithmetic", (rt_id){0, 0}, 0);
    uint64_t n_written = 0;
    for (uint64_t i = 0; n_written < n_rows; i++) {
        problem p;
        story_write(key, i, &p);
        uint64_t place = rt_hash64(p.solution, strlen(p.solution), 0) % 100;
        if (place < kind->first || place > kind->last) continue;
        json_t *row = row_of(kind->name, &p);
        if (row == NULL || json_dumpf(row, stdout, JSON_COMPACT) != 0 || putchar('\n') == EOF) {
            json_decref(row);
            fprintf(stderr, "arithmetic-problems: cannot write row %" PRIu64 "\n", n_written);
            return 1;
        }
        json_decref(row);
        n_written++;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    uint64_t n_rows = 0, seed = 1;
    const part *kind = NULL;
    for (size_t k = 0; argc > 1 && k < RT_COUNT(parts); k++)
        if (strcmp(argv[1], parts[k].name) == 0) kind = &parts[k];
    if (kind == NULL || argc < 3 || argc > 4 || !rt_parse_u64(argv[2], &n_rows) ||
        (argc == 4 && !rt_parse_u64(argv[3], &seed))) {
        fprintf(stderr, "usage: arithmetic-problems corpus|test|worked COUNT [SEED]\n");
        return 2;
    }
    return write_rows(kind, n_rows, seed);
}
