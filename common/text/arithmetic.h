/* Arithmetic as language models write it: numbers, + - * / x ×, parentheses, unary sign, commas in
 * thousands, a currency sign. Recursive descent in double; never an eval(). */
#ifndef RT_TEXT_ARITHMETIC_H
#define RT_TEXT_ARITHMETIC_H

#include "common/base/status.h"

#define ARITHMETIC_DEPTH_MAX 64

/* Value of the whole text. RT_INVALID with the column: not an expression, division by zero, too
 * deep, not finite. */
RT_MUST_USE rt_status arithmetic_evaluate(const char *text, size_t n, double *out, rt_error *err);

/* |a - b| <= 1e-6 max(1, |a|, |b|). */
bool arithmetic_equal(double a, double b);

#endif
