#include "common/nn/packed_matrix.h"

#include "common/base/status.h"
#include "common/nn/gemm_bf16.h"
#include "common/nn/parallel.h"
#include "common/nn/tile_rows.h"

/* The matrix is cut into panels of PANEL outputs, each [d_in, PANEL]. A tile of the result stays in
 * registers while k goes by:
 *
 *              panel: d_in x PANEL, read from front to back
 *            ┌──────────┐
 *            │ p        │   one step: two vectors of the panel, one number of each row of x
 *            └──────────┘
 *   x: rows  ┌──────────┐
 *            │ tile of y│   up to TILE_ROWS x 2 vectors
 *            └──────────┘
 *
 * Rejected: the packed format of oneDNN, which depends on the number of rows.
 */
#define PANEL      LANES_GROUP
#define CACHE_LINE 64
/* Products below this many multiplications do not start threads. */
#define PARALLEL_MIN ((size_t)1 << 18)

/* The part of a product that one panel gives. */
typedef struct panel_job {
    const float *x;
    size_t d_in;
    const char *panel;
    const char *ahead; /* what will be read next: a line of it is asked for with every step */
    float *y;
    size_t ld_y;
    size_t n_cols; /* columns of the panel that exist */
} panel_job;

/* Sums of the last panel, some of whose columns do not exist. */
static void put_part(float *y, size_t n_cols, const float *sums)
{
    memcpy(y, sums, RT_MIN(n_cols, PANEL) * sizeof *y);
}

LANES_INLINE void put(float *y, size_t n_cols, lanes left, lanes right)
{
    if (n_cols >= PANEL) {
        lanes_store(y, left);
        lanes_store(y + LANES, right);
        return;
    }
    float sums[PANEL];
    lanes_store(sums, left);
    lanes_store(sums + LANES, right);
    put_part(y, n_cols, sums);
}

/* `rows` and `half` are constants where this is called, so each use is a kernel of its own. */
LANES_INLINE void tile(const panel_job *s, size_t first, size_t rows, bool half)
{
    lanes left[TILE_ROWS] = {0}, right[TILE_ROWS] = {0};
    const float *x = s->x + first * s->d_in;
    const char *panel = s->panel, *ahead = s->ahead;
    for (size_t p = 0; p < s->d_in; p++) {
        lanes b_left, b_right;
        lanes_load_group(panel, half, &b_left, &b_right);
        __builtin_prefetch(ahead, 0, 2);
        panel += PANEL * lanes_number_bytes(half);
        ahead += CACHE_LINE;
#pragma GCC unroll 12
        for (size_t i = 0; i < rows; i++) {
            float a = x[i * s->d_in + p];
            left[i] += a * b_left;
            right[i] += a * b_right;
        }
    }
#pragma GCC unroll 12
    for (size_t i = 0; i < rows; i++)
        put(s->y + (first + i) * s->ld_y, s->n_cols, left[i], right[i]);
}

LANES_INLINE void tile_of(const panel_job *s, size_t first, size_t rows, bool half)
{
#define RUN(n) tile(s, first, n, half)
    TILE_HEIGHTS(rows, RUN);
#undef RUN
}

static void tile_f32(const panel_job *s, size_t first, size_t rows)
{
    tile_of(s, first, rows, false);
}

static void tile_bf16(const panel_job *s, size_t first, size_t rows)
{
    tile_of(s, first, rows, true);
}

/* All rows against one panel, which stays in cache between the tiles. Tiles of like height: a low one
 * waits for its sums. Meanwhile the next panel comes from memory, a part with each tile. */
static void run_panel(panel_job *s, size_t n_rows, bool half)
{
    size_t n_tiles = (n_rows + TILE_ROWS - 1) / TILE_ROWS;
    for (size_t k = 0, first = 0; k < n_tiles; k++) {
        size_t rows = (n_rows - first + n_tiles - k - 1) / (n_tiles - k);
        if (half)
            tile_bf16(s, first, rows);
        else
            tile_f32(s, first, rows);
        first += rows;
        s->ahead += s->d_in * CACHE_LINE;
    }
}

size_t packed_matrix_bytes(size_t d_out, size_t d_in, bool half)
{
    return (d_out + PANEL - 1) / PANEL * PANEL * d_in * lanes_number_bytes(half);
}

/* One row of a panel: the weights of input p. */
static void fill_step(const float *w, size_t d_in, size_t p, size_t n_cols, bool half, char *step)
{
    float row[PANEL] = {0};
    if (!half) {
        for (size_t j = 0; j < n_cols; j++) row[j] = w[j * d_in + p];
        memcpy(step, row, sizeof row);
        return;
    }
    for (size_t j = 0; j < n_cols; j++) row[lanes_place(j)] = w[j * d_in + p];
    bf16_from_f32(row, PANEL, (bf16 *)step);
}

void packed_matrix_fill(const float *w, size_t d_out, size_t d_in, bool half, void *panels)
{
    size_t n_panels = (d_out + PANEL - 1) / PANEL, step = PANEL * lanes_number_bytes(half);
#pragma omp parallel for schedule(static) if (d_out * d_in >= PARALLEL_MIN)
    for (size_t k = 0; k < n_panels; k++) {
        char *panel = (char *)panels + k * d_in * step;
        for (size_t p = 0; p < d_in; p++)
            fill_step(w + k * PANEL * d_in, d_in, p, RT_MIN((size_t)PANEL, d_out - k * PANEL), half,
                      panel + p * step);
    }
}

void packed_matrix_times(size_t n_rows, const float *x, size_t d_in, const void *panels, bool half,
                         size_t d_out, float *y)
{
    size_t n_panels = (d_out + PANEL - 1) / PANEL, bytes = PANEL * d_in * lanes_number_bytes(half);
#pragma omp parallel for schedule(static) if (n_rows * d_out * d_in >= PARALLEL_MIN)
    for (size_t k = 0; k < n_panels; k++) {
        const char *panel = (const char *)panels + k * bytes;
        panel_job s = {.x = x,
                       .d_in = d_in,
                       .panel = panel,
                       .ahead = panel + bytes,
                       .y = y + k * PANEL,
                       .ld_y = d_out,
                       .n_cols = d_out - k * PANEL};
        run_panel(&s, n_rows, half);
    }
}
