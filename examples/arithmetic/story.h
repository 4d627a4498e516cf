/* Word problems with two or three steps of arithmetic, and their worked solutions.
 *
 *     problem p;
 *     story_write(key, i, &p);
 *     p.question   "Nina fills 4 trays with 6 shells each. She finds 9 more. How many ..."
 *     p.solution   "4*6=24. 24+9=33."
 *     p.answer     33
 *
 * A problem is a pure function of (key, i). Its *chain* is its arithmetic without its words: two
 * problems with one chain are the same sum told twice, so data is split by the chain.
 */
#ifndef ARITHMETIC_STORY_H
#define ARITHMETIC_STORY_H

#include "common/base/rng.h"

#define STORY_TEXT_MAX 512

typedef struct problem {
    char question[STORY_TEXT_MAX];
    char solution[STORY_TEXT_MAX]; /* the steps; also the chain */
    int answer;
} problem;

/* Write problem i. Always succeeds: it draws again until the numbers stay in range. */
void story_write(rng_key key, uint64_t i, problem *out);

#endif
