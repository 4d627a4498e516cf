/* Matrix products of bfloat16 numbers by float32 arithmetic, for processors whose own products of
 * bfloat16 are slower than those of float32, or that have none.
 *
 *     tile_operand a = {.high = x, .ld = k}, b = {.high = w, .ld = k, .transposed = true};
 *     tile_result c = {.f32 = y, .ld = n};
 *     if (!gemm_tiles(m, n, k, &a, &b, &c)) ...                  // y = x w^T
 *
 * An operand may be the sum of two, exact to 16 bits. Numbers become float32 on their way into the cache, once per block, so a product costs what one of
 * float32 costs and reads half the bytes. gemm_bf16.h decides when this serves.
 */
#ifndef RT_NN_GEMM_TILES_H
#define RT_NN_GEMM_TILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/nn/tile_pack.h"

/* [m, n], in one of the two formats. */
typedef struct tile_result {
    float *f32;
    uint16_t *half; /* bfloat16, each sum rounded at its end */
    size_t ld;
    bool adds; /* to what f32 holds */
} tile_result;

/**
 *   c = op(a) op(b), or c + op(a) op(b)
 *
 * Each element is summed over k in runs of TILE_DEPTH, each a chain of fused operations, whatever the
 * number of threads and the other rows and columns. Safe from any thread.
 * @return false, and c as it was, when there is no memory for the panels.
 * Checked by: tests/unit/nn/test_gemm_tiles.c
 */
bool gemm_tiles(size_t m, size_t n, size_t k, const tile_operand *a, const tile_operand *b,
                const tile_result *c);

#endif
