/* Loops over float vectors that the compiler cannot make fast by itself: reductions and exp.
 *
 * Sums run in a fixed number of lanes, so the result depends on the values and on n, never on the
 * address. exp is our own polynomial, so that it does not depend on the C library; its relative
 * error is below 3e-7. Buffers need no alignment.
 */
#ifndef RT_NN_VEC_H
#define RT_NN_VEC_H

#include <stddef.h>

float vec_max(const float *x, size_t n);
float vec_dot(const float *a, const float *b, size_t n);
/* Sum of a[i] * b[i] * c[i]. */
float vec_dot3(const float *a, const float *b, const float *c, size_t n);

/* y += x. */
void vec_add(float *y, const float *x, size_t n);
/* y += a * x. */
void vec_axpy(float *y, float a, const float *x, size_t n);
/* x *= a. */
void vec_scale(float *x, float a, size_t n);

/* out[c] = sum over j of weights[j] * rows[j * ld + c], in the order of j. */
void vec_weighted_rows(const float *weights, const float *rows, size_t n_rows, size_t ld,
                       size_t n_cols, float *out);

/* exp of one number, with the same bits as the loops below. */
float vec_exp1(float x);
/* x = exp(x - shift); returns the sum. -inf gives 0. */
float vec_exp_sum(float *x, size_t n, float shift);

#endif
