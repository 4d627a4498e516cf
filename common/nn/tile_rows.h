/* Tiles of sums that stay in registers: how many rows they have, and code for each height of its own.
 *
 *     #define RUN(n) tile(s, n)                  // n is a constant there
 *     TILE_HEIGHTS(rows, RUN);
 */
#ifndef RT_NN_TILE_ROWS_H
#define RT_NN_TILE_ROWS_H

#include "common/base/status.h"
#include "common/nn/lanes.h"

/* Rows of a tile that is two vectors wide. */
#if defined(__AVX512F__)
#define TILE_ROWS 12 /* 24 sums, 2 vectors of the panel and a number in 32 registers */
#elif defined(__AVX__)
#define TILE_ROWS 6 /* 12, 2 and 1 in 16 */
#else
#define TILE_ROWS 4
#endif

#define TILE_HEIGHT(n, run)                                             \
    case n:                                                             \
        if ((n) <= TILE_ROWS) run(((n) < TILE_ROWS ? (n) : TILE_ROWS)); \
        break

#define TILE_HEIGHTS(rows, run) \
    switch (rows) {             \
        TILE_HEIGHT(1, run);    \
        TILE_HEIGHT(2, run);    \
        TILE_HEIGHT(3, run);    \
        TILE_HEIGHT(4, run);    \
        TILE_HEIGHT(5, run);    \
        TILE_HEIGHT(6, run);    \
        TILE_HEIGHT(7, run);    \
        TILE_HEIGHT(8, run);    \
        TILE_HEIGHT(9, run);    \
        TILE_HEIGHT(10, run);   \
        TILE_HEIGHT(11, run);   \
        TILE_HEIGHT(12, run);   \
    default: RT_ASSERT(false);  \
    }

#endif
