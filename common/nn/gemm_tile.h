/* Our own matrix product for processors with vectors of 512 bits.
 *
 * OpenBLAS picks its kernel from a list of processors it knows; on one it does not know it stays
 * with vectors of 256 bits and half the speed. This product needs no list: it is compiled for the
 * target of the build. It also sums every element of the result in one fixed order over k,
 * whatever the shape, the position in the matrix and the number of threads, so that a row's result
 * does not depend on its neighbours.
 */
#ifndef RT_NN_GEMM_TILE_H
#define RT_NN_GEMM_TILE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether this build has it. */
bool gemm_tile_available(void);

/* c[m, n] = alpha * a * b + beta * c, with a[i, p] at a[i * a_row + p * a_col]; b likewise, where
 * b_row or b_col is 1. */
void gemm_tile(size_t m, size_t n, size_t k, float alpha, const float *a, size_t a_row,
               size_t a_col, const float *b, size_t b_row, size_t b_col, float beta, float *c,
               size_t ldc);

#endif
