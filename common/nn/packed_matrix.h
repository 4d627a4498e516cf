/* A weight matrix laid out for decoding: few rows times a large matrix, again and again.
 *
 *     void *panels = malloc(packed_matrix_bytes(d_out, d_in, false));
 *     packed_matrix_fill(w, d_out, d_in, false, panels);             // once per version of the weights
 *     packed_matrix_times(n, x, d_in, panels, false, d_out, y);      // y = x w^T, for every token
 *
 * A product by BLAS rearranges the matrix first, which for a handful of rows takes longer than the
 * product. Here every element of y is summed in the order of k by one chain of fused operations, so
 * a row of y depends neither on the other rows nor on the number of threads.
 *
 * With `half` the matrix is kept in bfloat16: half the bytes to read for every token. Rows, products and
 * sums are float32 all the same, on every processor.
 */
#ifndef RT_NN_PACKED_MATRIX_H
#define RT_NN_PACKED_MATRIX_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes that the panels of w [d_out, d_in] take. */
size_t packed_matrix_bytes(size_t d_out, size_t d_in, bool half);
void packed_matrix_fill(const float *w, size_t d_out, size_t d_in, bool half, void *panels);
/**
 *   y[i, j] = sum over p of x[i, p] * w[j, p]
 * @param x     [n_rows, d_in]
 * @param half  as the panels were filled
 * @param y     [n_rows, d_out], overwritten; must not alias x.
 * Checked by: tests/unit/nn/test_packed_matrix.c
 */
void packed_matrix_times(size_t n_rows, const float *x, size_t d_in, const void *panels, bool half,
                         size_t d_out, float *y);

#endif
