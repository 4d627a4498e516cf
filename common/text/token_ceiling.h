/* How many tokens a text may be for a model whose tokenizer is not at hand: rather more than it is,
 * so that a limit holds. For what it will cost, token_estimate() is the better guess.
 *
 *     if (token_ceiling(prompt, n) > limit) reject();
 *
 * A token is counted for
 *     the first four letters of a word, and for each three begun behind them; two capitals in a row
 *     each digit, each sign
 *     each eight blanks begun and each two line ends of white space; a single blank before a letter
 *       or sign of ASCII is part of it
 *     each other character of two bytes; two for one of three bytes, three for one of four
 *
 * Against the tokenizers of GPT-4, GPT-4o, Llama 2 and Llama 3 it is never below the largest count
 * for English, code, JSON, numbers and ten other languages, and at most twice it
 * (tests/unit/text/test_token_ceiling.c). Strings of random letters may be twice as many tokens as
 * it says. Pure, and safe for any bytes.
 */
#ifndef RT_TEXT_TOKEN_CEILING_H
#define RT_TEXT_TOKEN_CEILING_H

#include <stddef.h>

size_t token_ceiling(const char *text, size_t n);

#endif
