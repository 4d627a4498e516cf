#include "common/nn/gemm_tile.h"

#include <string.h>

#include "common/base/status.h"
#include "common/nn/parallel.h"

#if defined(__AVX512F__)

/* The result is cut into tiles of TILE_ROWS x (2 * LANES) that stay in 24 registers while k goes by:
 *
 *              panel of b: K_BLOCK x 32, packed, in the first-level cache
 *            ┌──────────┐
 *            │ p        │   one step: two vectors of b, twelve numbers of a, 24 fused products
 *            └──────────┘
 *   a: 12 x  ┌──────────┐
 *   rows     │ tile of c│
 *            └──────────┘
 *
 * b is packed N_BLOCK columns and K_BLOCK rows at a time, which fits the second-level cache; a is
 * read where it lies. Packing a as well was slower at the widths of small students.
 */
#define LANES     16
#define PANEL     (2 * LANES)
#define TILE_ROWS 12
#define K_BLOCK   256
#define N_BLOCK   256
/* Products below this many multiplications do not start threads. */
#define PARALLEL_MIN ((size_t)1 << 20)

typedef float lanes __attribute__((vector_size(LANES * 4)));

static inline __attribute__((always_inline)) lanes load(const float *x)
{
    lanes v;
    memcpy(&v, x, sizeof v);
    return v;
}

/* One block of the product: what a tile needs besides its position. */
typedef struct block {
    const float *a;
    size_t a_row, a_col;
    const float *panel; /* [n_k, PANEL] */
    size_t n_k;
    float alpha, beta;
    float *c;
    size_t ldc;
    size_t n_cols; /* columns of the panel that exist */
} block;

static inline __attribute__((always_inline)) void put(const block *s, float *c, size_t first,
                                                      lanes sum)
{
    if (first >= s->n_cols) return;
    size_t n = s->n_cols - first;
    lanes before = {0};
    if (s->beta != 0) {
        if (n >= LANES)
            before = load(c);
        else
            memcpy(&before, c, n * sizeof *c);
        before *= s->beta;
    }
    sum = sum * s->alpha + before;
    memcpy(c, &sum, n >= LANES ? sizeof sum : n * sizeof *c);
}

/* `rows` and `wide` are constants where this is called, so each use is a kernel of its own. Rows of
 * a are reached from every third one, which the address modes of the processor can do. */
static inline __attribute__((always_inline)) void tile(const block *s, size_t rows, bool wide)
{
    lanes left[TILE_ROWS] = {0}, right[TILE_ROWS] = {0};
    const char *at[(TILE_ROWS + 2) / 3];
    size_t row = s->a_row * sizeof(float), step = s->a_col * sizeof(float);
    const float *panel = s->panel;
#pragma GCC unroll 4
    for (size_t i = 0; i < (rows + 2) / 3; i++) at[i] = (const char *)s->a + 3 * i * row;
    for (size_t p = 0; p < s->n_k; p++, panel += PANEL) {
        lanes b_left = load(panel), b_right = {0};
        if (wide) b_right = load(panel + LANES);
#pragma GCC unroll 12
        for (size_t i = 0; i < rows; i++) {
            float x;
            memcpy(&x, at[i / 3] + i % 3 * row, sizeof x);
            left[i] += x * b_left;
            if (wide) right[i] += x * b_right;
        }
#pragma GCC unroll 4
        for (size_t i = 0; i < (rows + 2) / 3; i++) at[i] += step;
    }
#pragma GCC unroll 12
    for (size_t i = 0; i < rows; i++) {
        put(s, s->c + i * s->ldc, 0, left[i]);
        if (wide) put(s, s->c + i * s->ldc + LANES, LANES, right[i]);
    }
}

static void run_tile(const block *s, size_t rows)
{
    bool wide = s->n_cols > LANES;
#define ROWS(n) \
    case n: wide ? tile(s, n, true) : tile(s, n, false); break
    switch (rows) {
        ROWS(1);
        ROWS(2);
        ROWS(3);
        ROWS(4);
        ROWS(5);
        ROWS(6);
        ROWS(7);
        ROWS(8);
        ROWS(9);
        ROWS(10);
        ROWS(11);
        ROWS(12);
    }
#undef ROWS
}

/* One stage of the perfect shuffle: vector i meets vector i + 8, number by number. */
static inline __attribute__((always_inline)) void interleave(const lanes in[LANES],
                                                             lanes out[LANES])
{
#pragma GCC unroll 8
    for (size_t i = 0; i < LANES / 2; i++) {
        lanes x = in[i], y = in[i + LANES / 2];
        out[2 * i] =
            __builtin_shufflevector(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        out[2 * i + 1] = __builtin_shufflevector(x, y, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29,
                                                 14, 30, 15, 31);
    }
}

/* out[p, j] = from[j, p] for 16 x 16: four stages bring every number to its place. */
static void transpose_square(const float *from, size_t ld, float *out)
{
    lanes x[LANES], y[LANES];
#pragma GCC unroll 16
    for (size_t j = 0; j < LANES; j++) x[j] = load(from + j * ld);
    interleave(x, y);
    interleave(y, x);
    interleave(x, y);
    interleave(y, x);
#pragma GCC unroll 16
    for (size_t p = 0; p < LANES; p++) memcpy(out + p * PANEL, &x[p], sizeof x[p]);
}

/* Columns of a panel that are rows of b: squares, then what is left at both edges. */
static void pack_transposed(const float *from, size_t ld, size_t n_k, size_t n_cols, float *out)
{
    size_t n_squares = n_cols / LANES * LANES, k_squares = n_k / LANES * LANES;
    for (size_t j = 0; j < n_squares; j += LANES)
        for (size_t p = 0; p < k_squares; p += LANES)
            transpose_square(from + j * ld + p, ld, out + p * PANEL + j);
    for (size_t j = 0; j < n_cols; j++)
        for (size_t p = j < n_squares ? k_squares : 0; p < n_k; p++)
            out[p * PANEL + j] = from[j * ld + p];
}

/* Panels of PANEL columns, each [n_k, PANEL], missing columns zero. */
static void pack(const float *b, size_t b_row, size_t b_col, size_t n_k, size_t n, float *out)
{
    for (size_t first = 0; first < n; first += PANEL, out += n_k * PANEL) {
        size_t n_cols = RT_MIN((size_t)PANEL, n - first);
        const float *from = b + first * b_col;
        if (n_cols < PANEL) memset(out, 0, n_k * PANEL * sizeof *out);
        if (b_col == 1) {
            for (size_t p = 0; p < n_k; p++)
                memcpy(out + p * PANEL, from + p * b_row, n_cols * sizeof *out);
            continue;
        }
        pack_transposed(from, b_col, n_k, n_cols, out);
    }
}

static void run_row(const block *whole, size_t i, size_t m, size_t n)
{
    block s = *whole;
    s.a += i * s.a_row;
    for (size_t j = 0; j < n; j += PANEL) {
        s.c = whole->c + i * s.ldc + j;
        s.panel = whole->panel + j * s.n_k;
        s.n_cols = n - j;
        run_tile(&s, RT_MIN((size_t)TILE_ROWS, m - i));
    }
}

/* All tiles of one packed block of b. */
static void run_block(const block *whole, size_t m, size_t n)
{
    if (m * n * whole->n_k < PARALLEL_MIN || parallel_threads() == 1) {
        for (size_t i = 0; i < m; i += TILE_ROWS) run_row(whole, i, m, n);
        return;
    }
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < m; i += TILE_ROWS) run_row(whole, i, m, n);
}

bool gemm_tile_available(void)
{
    return true;
}

void gemm_tile(size_t m, size_t n, size_t k, float alpha, const float *a, size_t a_row,
               size_t a_col, const float *b, size_t b_row, size_t b_col, float beta, float *c,
               size_t ldc)
{
    RT_ASSERT(b_row == 1 || b_col == 1);
    static _Thread_local _Alignas(64) float packed[K_BLOCK * N_BLOCK];
    for (size_t j = 0; j < n; j += N_BLOCK) {
        size_t n_now = RT_MIN((size_t)N_BLOCK, n - j);
        for (size_t p = 0; p == 0 || p < k; p += K_BLOCK) {
            block s = {.a = a + p * a_col,
                       .a_row = a_row,
                       .a_col = a_col,
                       .panel = packed,
                       .n_k = RT_MIN((size_t)K_BLOCK, k - p),
                       .alpha = alpha,
                       .beta = p == 0 ? beta : 1,
                       .c = c + j,
                       .ldc = ldc};
            pack(b + p * b_row + j * b_col, b_row, b_col, s.n_k, n_now, packed);
            run_block(&s, m, n_now);
        }
    }
}

#else

bool gemm_tile_available(void)
{
    return false;
}

void gemm_tile(size_t m, size_t n, size_t k, float alpha, const float *a, size_t a_row,
               size_t a_col, const float *b, size_t b_row, size_t b_col, float beta, float *c,
               size_t ldc)
{
    (void)m, (void)n, (void)k, (void)alpha, (void)a, (void)a_row, (void)a_col;
    (void)b, (void)b_row, (void)b_col, (void)beta, (void)c, (void)ldc;
    rt_assert_failed("gemm_tile_available()", __FILE__, __LINE__);
}

#endif
