#include "common/nn/tile_pack.h"

#include "common/base/bytes.h"
#include "common/nn/gemm_bf16.h"

/* Where op(x)[row, column] is kept. */
static size_t place(const tile_operand *x, size_t row, size_t column)
{
    return x->transposed ? column * x->ld + row : row * x->ld + column;
}

static float number(const tile_operand *x, size_t at)
{
    float high = bf16_to_f32(x->high[at]);
    return x->low == NULL ? high : high + bf16_to_f32(x->low[at]);
}

/* LANES numbers that lie one behind another; `low` may be NULL. */
LANES_INLINE lanes numbers(const uint16_t *high, const uint16_t *low, size_t at)
{
    lanes v = lanes_load_half(high + at);
    return low == NULL ? v : v + lanes_load_half(low + at);
}

static void copy_line(const tile_operand *x, size_t at, size_t n, float *to)
{
    const uint16_t *high = x->high, *low = x->low;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) lanes_store(to + i, numbers(high, low, at + i));
    for (; i < n; i++) to[i] = number(x, at + i);
}

/* A stored row holds one step of all strips. A vector is wider than a strip: what it writes too much lies
 * where the next step comes, or behind the last one. */
static void pack_stored_columns(const tile_operand *a, size_t first, size_t n_rows, size_t at,
                                size_t depth, float *strips)
{
    _Static_assert(TILE_ROWS <= LANES && TILE_STRIP >= TILE_DEPTH * TILE_ROWS + LANES, "room");
    const uint16_t *high = a->high, *low = a->low;
    for (size_t p = 0; p < depth; p++) {
        size_t i = 0, from = place(a, first, at + p);
        float *to = strips + p * TILE_ROWS;
        for (; i + LANES <= n_rows; i += TILE_ROWS, to += TILE_STRIP)
            lanes_store(to, numbers(high, low, from + i));
        for (; i < n_rows; i += TILE_ROWS, to += TILE_STRIP)
            copy_line(a, from + i, RT_MIN((size_t)TILE_ROWS, n_rows - i), to);
    }
}

void tile_pack_rows(const tile_operand *a, size_t first, size_t n_rows, size_t at, size_t depth,
                    float *strips)
{
    if (a->transposed) {
        pack_stored_columns(a, first, n_rows, at, depth, strips);
        return;
    }
    for (size_t i = 0; i < n_rows; i++)
        copy_line(a, place(a, first + i, at), depth,
                  strips + i / TILE_ROWS * TILE_STRIP + i % TILE_ROWS * TILE_STRIDE);
}

/* LANES x LANES numbers, rows of the matrix as columns of the panel. Rows i and i + LANES/2 are dealt out
 * like two halves of a deck of cards; after log2(LANES) rounds every number is where it belongs. */
static void turn(const tile_operand *x, size_t at, float *to)
{
    lanes from[LANES], dealt[LANES];
    for (size_t i = 0; i < LANES; i++) from[i] = numbers(x->high, x->low, at + i * x->ld);
    for (size_t round = 1; round < LANES; round *= 2) {
#pragma GCC unroll 8
        for (size_t i = 0; i < LANES / 2; i++) {
            dealt[2 * i] = lanes_zip_low(from[i], from[i + LANES / 2]);
            dealt[2 * i + 1] = lanes_zip_high(from[i], from[i + LANES / 2]);
        }
        memcpy(from, dealt, sizeof from);
    }
    for (size_t i = 0; i < LANES; i++) lanes_store(to + i * TILE_COLUMNS, from[i]);
}

static void pack_each(const tile_operand *b, size_t at, size_t depth, size_t first,
                      size_t n_columns, float *panel)
{
    for (size_t p = 0; p < depth; p++, panel += TILE_COLUMNS)
        for (size_t j = 0; j < TILE_COLUMNS; j++)
            panel[j] = j < n_columns ? number(b, place(b, at + p, first + j)) : 0;
}

void tile_pack_panel(const tile_operand *b, size_t at, size_t depth, size_t first, size_t n_columns,
                     float *panel)
{
    size_t p = 0;
    if (n_columns == TILE_COLUMNS && b->transposed) {
        for (; p + LANES <= depth; p += LANES)
            for (size_t j = 0; j < TILE_COLUMNS; j += LANES)
                turn(b, place(b, at + p, first + j), panel + p * TILE_COLUMNS + j);
    } else if (n_columns == TILE_COLUMNS) {
        for (; p < depth; p++)
            copy_line(b, place(b, at + p, first), TILE_COLUMNS, panel + p * TILE_COLUMNS);
    }
    pack_each(b, at + p, depth - p, first, n_columns, panel + p * TILE_COLUMNS);
}
