/* Inside of gemm_tiles(): operands of bfloat16 laid out as float32 in the order in which tiles read them.
 *
 *     panel of op(b): [depth][TILE_COLUMNS], zeros behind the last column
 *     strip of op(a): TILE_ROWS rows, [TILE_ROWS][TILE_STRIDE] when a is stored by rows, else
 *                     [depth][TILE_ROWS]; so neither is turned around on its way
 */
#ifndef RT_NN_TILE_PACK_H
#define RT_NN_TILE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/nn/tile_rows.h"

#define TILE_COLUMNS LANES_GROUP

/* Steps of k that a strip holds: it stays in the first cache while panels pass by. */
#define TILE_DEPTH 512
/* Rows of a strip start in different sets of the cache. */
#define TILE_STRIDE (TILE_DEPTH + 16)
/* Floats from one strip to the next. */
#define TILE_STRIP ((size_t)TILE_ROWS * TILE_STRIDE)
/* Rows that are packed at once at most: a stored row of a transposed matrix then gives whole lines. */
#define TILE_GROUP ((size_t)8 * TILE_ROWS)

/* A matrix as stored: rows of ld numbers. */
typedef struct tile_operand {
    const uint16_t *high;
    const uint16_t *low; /* NULL, or what is added to high (bf16_split_f32) */
    size_t ld;
    bool transposed;
} tile_operand;

/* Rows [first, first + n_rows) of op(a), at most TILE_GROUP, columns [at, at + depth), as strips one
 * after another. */
void tile_pack_rows(const tile_operand *a, size_t first, size_t n_rows, size_t at, size_t depth,
                    float *strips);
/* Columns [first, first + n_columns) of op(b), at most TILE_COLUMNS, rows [at, at + depth). */
void tile_pack_panel(const tile_operand *b, size_t at, size_t depth, size_t first, size_t n_columns,
                     float *panel);

#endif
