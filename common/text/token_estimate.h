/* How many tokens a text will be for a model whose tokenizer is not known, for budgets and prices
 * before anything is sent. The rule, by character:
 *
 *     Chinese, Japanese, Korean, and other wide ones    1 token
 *     Latin letters, digits, ASCII, spaces              1/4 token
 *     every other script                                1/2 token
 *
 * rounded up over the whole text. A rule of thumb for running text and large vocabularies: too low
 * where digits and signs prevail, and no substitute for what a server counts.
 */
#ifndef RT_TEXT_TOKEN_ESTIMATE_H
#define RT_TEXT_TOKEN_ESTIMATE_H

#include <stddef.h>
#include <stdint.h>

uint64_t token_estimate(const char *text, size_t n);

#endif
