#include "common/nn/packed_matrix.h"

#include <string.h>

#include "common/base/status.h"
#include "common/nn/parallel.h"

/* The matrix is cut into panels of PANEL outputs, each [d_in, PANEL]. A tile of the result stays in
 * registers while k goes by:
 *
 *              panel: d_in x PANEL, read once from front to back
 *            ┌──────────┐
 *            │ p        │   one step: two vectors of the panel, one number of each row of x
 *            └──────────┘
 *   x: rows  ┌──────────┐
 *            │ tile of y│   TILE_ROWS x 2 vectors
 *            └──────────┘
 *
 * Rejected: the packed format of oneDNN, which depends on the number of rows.
 */
#if defined(__AVX512F__)
#define LANES     16
#define TILE_ROWS 12 /* 24 sums, 2 vectors of the panel and a number in 32 registers */
#elif defined(__AVX__)
#define LANES     8
#define TILE_ROWS 6 /* 12, 2 and 1 in 16 */
#else
#define LANES     4
#define TILE_ROWS 4
#endif
#define PANEL (2 * LANES)
/* Products below this many multiplications do not start threads. */
#define PARALLEL_MIN ((size_t)1 << 18)

typedef float lanes __attribute__((vector_size(LANES * 4)));

static inline __attribute__((always_inline)) lanes load(const float *x)
{
    lanes v;
    memcpy(&v, x, sizeof v);
    return v;
}

/* The part of a product that one panel gives. */
typedef struct panel_job {
    const float *x;
    size_t d_in;
    const float *panel;
    float *y;
    size_t ld_y;
    size_t n_cols; /* columns of the panel that exist */
} panel_job;

static inline __attribute__((always_inline)) void put(float *y, size_t first, size_t n_cols,
                                                      lanes sum)
{
    if (first >= n_cols) return;
    memcpy(y + first, &sum, RT_MIN(n_cols - first, (size_t)LANES) * sizeof *y);
}

/* `rows` is a constant where this is called, so each use is a kernel of its own. */
static inline __attribute__((always_inline)) void tile(const panel_job *s, size_t first,
                                                       size_t rows)
{
    lanes left[TILE_ROWS] = {0}, right[TILE_ROWS] = {0};
    const float *panel = s->panel, *x = s->x + first * s->d_in;
    for (size_t p = 0; p < s->d_in; p++, panel += PANEL) {
        lanes b_left = load(panel), b_right = load(panel + LANES);
#pragma GCC unroll 12
        for (size_t i = 0; i < rows; i++) {
            float a = x[i * s->d_in + p];
            left[i] += a * b_left;
            right[i] += a * b_right;
        }
    }
#pragma GCC unroll 12
    for (size_t i = 0; i < rows; i++) {
        float *y = s->y + (first + i) * s->ld_y;
        put(y, 0, s->n_cols, left[i]);
        put(y, LANES, s->n_cols, right[i]);
    }
}

/* All rows against one panel, which stays in cache between the tiles. */
static void run_panel(const panel_job *s, size_t n_rows)
{
    size_t first = 0;
    for (; first + TILE_ROWS <= n_rows; first += TILE_ROWS) tile(s, first, TILE_ROWS);
    for (; first + 4 <= n_rows; first += 4) tile(s, first, 4);
    for (; first < n_rows; first++) tile(s, first, 1);
}

size_t packed_matrix_floats(size_t d_out, size_t d_in)
{
    return (d_out + PANEL - 1) / PANEL * PANEL * d_in;
}

void packed_matrix_fill(const float *w, size_t d_out, size_t d_in, float *panels)
{
    size_t n_panels = (d_out + PANEL - 1) / PANEL;
#pragma omp parallel for schedule(static) if (d_out * d_in >= PARALLEL_MIN)
    for (size_t k = 0; k < n_panels; k++) {
        size_t first = k * PANEL, n_cols = RT_MIN((size_t)PANEL, d_out - first);
        float *panel = panels + first * d_in;
        if (n_cols < PANEL) memset(panel, 0, d_in * PANEL * sizeof *panel);
        for (size_t j = 0; j < n_cols; j++)
            for (size_t p = 0; p < d_in; p++) panel[p * PANEL + j] = w[(first + j) * d_in + p];
    }
}

void packed_matrix_times(size_t n_rows, const float *x, size_t d_in, const float *panels,
                         size_t d_out, float *y)
{
    size_t n_panels = (d_out + PANEL - 1) / PANEL;
#pragma omp parallel for schedule(static) if (n_rows * d_out * d_in >= PARALLEL_MIN)
    for (size_t k = 0; k < n_panels; k++) {
        size_t first = k * PANEL;
        panel_job s = {.x = x,
                       .d_in = d_in,
                       .panel = panels + first * d_in,
                       .y = y + first,
                       .ld_y = d_out,
                       .n_cols = d_out - first};
        run_panel(&s, n_rows);
    }
}
