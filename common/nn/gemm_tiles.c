#include "common/nn/gemm_tiles.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/base/heap.h"
#include "common/base/status.h"
#include "common/nn/gemm_bf16.h"
#include "common/nn/parallel.h"

/* The algorithm of GotoBLAS (Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication",
 * 2008, section 4), with the roles of both operands exchanged: panels of b fill the second cache, a strip
 * of a stays in the first.
 *
 *               b: k x n, cut into blocks of columns, each made of panels
 *             ┌────┬────┬────┐
 *             │    │    │    │  TILE_DEPTH steps: panels of a block, from front to back
 *             ├────┼────┼────┤
 *             │    │    │    │
 *             └────┴────┴────┘
 *   a strip   ┌──┬──┐ ┌────┐
 *             └──┴──┘ │tile│    TILE_ROWS x 2 vectors of sums in registers
 *                     └────┘
 */

/* Floats of a block of b: half of a second cache of 2 MiB. */
#define BLOCK_FLOATS ((size_t)1 << 18)
/* Columns of a block at most: the sums of a result in bfloat16 lie in the cache too. */
#define BLOCK_COLUMNS ((size_t)1024)
/* Products below this many multiplications do not start threads. */
#define PARALLEL_MIN ((size_t)1 << 18)

/* Memory of a thread, kept from call to call. */
typedef struct tile_work {
    float *panels, *strips, *sums;
    size_t n_panels, n_strips, n_sums; /* floats */
} tile_work;

static pthread_key_t work_key;
static pthread_once_t work_once = PTHREAD_ONCE_INIT;

static void work_free(void *held)
{
    tile_work *w = held;
    if (w == NULL) return;
    free(w->panels);
    free(w->strips);
    free(w->sums);
    free(w);
}

static void make_key(void)
{
    RT_ASSERT(pthread_key_create(&work_key, work_free) == 0);
}

static tile_work *work_get(void)
{
    RT_ASSERT(pthread_once(&work_once, make_key) == 0);
    tile_work *w = pthread_getspecific(work_key);
    if (w != NULL) return w;
    w = rt_calloc(1, sizeof *w);
    if (w == NULL || pthread_setspecific(work_key, w) == 0) return w;
    free(w);
    return NULL;
}

static bool grow(float **at, size_t *has, size_t n)
{
    if (*has >= n) return true;
    free(*at);
    *at = rt_heap_tensors(n * sizeof **at);
    *has = *at == NULL ? 0 : n;
    return *at != NULL;
}

typedef struct tile_job {
    const float *strip, *panel;
    size_t depth;
    float *c;
    size_t ld_c;
    size_t n_columns; /* of the panel, from here on */
    bool adds;
} tile_job;

static void put_part(const tile_job *s, float *c, const float *sums)
{
    size_t n = RT_MIN(s->n_columns, (size_t)TILE_COLUMNS);
    for (size_t j = 0; j < n; j++) c[j] = s->adds ? c[j] + sums[j] : sums[j];
}

LANES_INLINE void put(const tile_job *s, float *c, lanes left, lanes right)
{
    if (s->n_columns < TILE_COLUMNS) {
        float sums[TILE_COLUMNS];
        lanes_store(sums, left);
        lanes_store(sums + LANES, right);
        put_part(s, c, sums);
        return;
    }
    lanes_store(c, s->adds ? lanes_load(c) + left : left);
    lanes_store(c + LANES, s->adds ? lanes_load(c + LANES) + right : right);
}

/* `rows` and `by_step` (the layout of the strip) are constants where this is called. The panel is asked
 * for ahead of its use, the lines of the result before the sums are there. */
LANES_INLINE void tile(const tile_job *s, size_t rows, bool by_step)
{
    lanes left[TILE_ROWS] = {0}, right[TILE_ROWS] = {0};
    const float *a = s->strip, *panel = s->panel;
    for (size_t i = 0; i < rows; i++) {
        __builtin_prefetch(s->c + i * s->ld_c, 1, 3);
        __builtin_prefetch(s->c + i * s->ld_c + LANES, 1, 3);
    }
    for (size_t p = 0; p < s->depth; p++) {
        lanes b_left = lanes_load(panel), b_right = lanes_load(panel + LANES);
        __builtin_prefetch(panel + 8 * TILE_COLUMNS, 0, 3);
        __builtin_prefetch(panel + 8 * TILE_COLUMNS + LANES, 0, 3);
        panel += TILE_COLUMNS;
#pragma GCC unroll 12
        for (size_t i = 0; i < rows; i++) {
            float x = a[by_step ? i : i * TILE_STRIDE];
            left[i] += x * b_left;
            right[i] += x * b_right;
        }
        a += by_step ? TILE_ROWS : 1;
    }
#pragma GCC unroll 12
    for (size_t i = 0; i < rows; i++) put(s, s->c + i * s->ld_c, left[i], right[i]);
}

LANES_INLINE void tile_of(const tile_job *s, size_t rows, bool by_step)
{
#define RUN(n) tile(s, n, by_step)
    TILE_HEIGHTS(rows, RUN);
#undef RUN
}

static void tile_by_row(const tile_job *s, size_t rows)
{
    tile_of(s, rows, false);
}

static void tile_by_step(const tile_job *s, size_t rows)
{
    tile_of(s, rows, true);
}

typedef struct product {
    size_t m, n, k;
    tile_operand a, b;
    tile_result c;
    float *panels;
    size_t group; /* rows that are packed at once */
} product;

/* Columns [first, first + n) of the result, steps [at, at + depth) of k. */
typedef struct block {
    size_t first, n, at, depth;
} block;

/* Where a panel's steps from `at` on lie: runs of TILE_DEPTH steps one after another, in each all panels. */
static float *panel_of(const product *p, const block *b, size_t at, size_t column, size_t depth)
{
    size_t padded = (b->n + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS;
    return p->panels + at * padded + column * depth;
}

/* All tiles of packed rows and one run of steps, into sums or over them. */
static void run_tiles(const product *p, const block *b, size_t at, size_t depth, size_t n_rows,
                      const float *strips, float *to, size_t ld, bool adds)
{
    for (size_t i = 0; i < n_rows; i += TILE_ROWS) {
        size_t rows = RT_MIN((size_t)TILE_ROWS, n_rows - i);
        for (size_t j = 0; j < b->n; j += TILE_COLUMNS) {
            tile_job s = {.strip = strips + i / TILE_ROWS * TILE_STRIP,
                          .panel = panel_of(p, b, at, j, depth),
                          .depth = depth,
                          .c = to + i * ld + j,
                          .ld_c = ld,
                          .n_columns = b->n - j,
                          .adds = adds || at > 0};
            if (p->a.transposed)
                tile_by_step(&s, rows);
            else
                tile_by_row(&s, rows);
        }
    }
}

/* One group of rows of the block. */
static void run_group(const product *p, const block *b, size_t first, tile_work *w)
{
    RT_ASSERT(w != NULL && w->n_strips > 0); /* prepare() */
    size_t n_rows = RT_MIN(p->group, p->m - first), ld = p->c.ld;
    bool half = p->c.half != NULL;
    float *to = half ? w->sums : p->c.f32 + first * ld + b->first;
    for (size_t at = 0; at < b->depth; at += TILE_DEPTH) {
        size_t depth = RT_MIN((size_t)TILE_DEPTH, b->depth - at);
        tile_pack_rows(&p->a, first, n_rows, b->at + at, depth, w->strips);
        run_tiles(p, b, at, depth, n_rows, w->strips, to, half ? b->n : ld,
                  !half && (p->c.adds || b->at > 0));
    }
    for (size_t i = 0; half && i < n_rows; i++)
        bf16_from_f32(to + i * b->n, b->n, p->c.half + (first + i) * ld + b->first);
}

static void pack_panel(const product *p, const block *b, size_t column)
{
    for (size_t at = 0; at < b->depth; at += TILE_DEPTH) {
        size_t depth = RT_MIN((size_t)TILE_DEPTH, b->depth - at);
        tile_pack_panel(&p->b, b->at + at, depth, b->first + column,
                        RT_MIN((size_t)TILE_COLUMNS, b->n - column),
                        panel_of(p, b, at, column, depth));
    }
}

/* Panels first, by all threads; then each takes groups of rows. */
static void run_block(const product *p, const block *b)
{
#pragma omp parallel if (p->m * p->n * p->k >= PARALLEL_MIN)
    {
#pragma omp for schedule(static)
        for (size_t j = 0; j < b->n; j += TILE_COLUMNS) pack_panel(p, b, j);
#pragma omp for schedule(static)
        for (size_t i = 0; i < p->m; i += p->group) run_group(p, b, i, work_get());
    }
}

/* Memory for every thread before one of them writes. */
static bool prepare(product *p, size_t columns, size_t depth)
{
    bool ok = true;
    size_t n_sums = p->c.half == NULL ? 0 : p->group * columns;
#pragma omp parallel if (p->m * p->n * p->k >= PARALLEL_MIN) reduction(&& : ok)
    {
        tile_work *w = work_get();
        ok = w != NULL && grow(&w->strips, &w->n_strips, TILE_GROUP * TILE_STRIDE) &&
             grow(&w->sums, &w->n_sums, n_sums);
    }
    tile_work *w = work_get();
    if (!ok || w == NULL || !grow(&w->panels, &w->n_panels, columns * depth)) return false;
    p->panels = w->panels;
    return true;
}

/* Rows that are packed at once: of a transposed matrix as many strips as may be, yet as much for every thread. */
static size_t group_rows(size_t m, bool transposed)
{
    if (!transposed) return TILE_ROWS;
    size_t n_strips = (m + TILE_ROWS - 1) / TILE_ROWS, n_threads = parallel_threads();
    size_t n_groups = (m + TILE_GROUP - 1) / TILE_GROUP;
    n_groups = (n_groups + n_threads - 1) / n_threads * n_threads;
    return (n_strips + n_groups - 1) / n_groups * TILE_ROWS;
}

/* Columns of a block: whole panels, of like number in all blocks. */
static size_t block_columns(size_t n, size_t depth)
{
    size_t most = RT_MIN(BLOCK_COLUMNS, BLOCK_FLOATS / depth) / TILE_COLUMNS * TILE_COLUMNS;
    most = RT_MAX(most, (size_t)TILE_COLUMNS);
    size_t n_blocks = (n + most - 1) / most, n_panels = (n + TILE_COLUMNS - 1) / TILE_COLUMNS;
    return (n_panels + n_blocks - 1) / n_blocks * TILE_COLUMNS;
}

bool gemm_tiles(size_t m, size_t n, size_t k, const tile_operand *a, const tile_operand *b,
                const tile_result *c)
{
    RT_ASSERT(k > 0 && !(c->half != NULL && c->adds));
    if (m == 0 || n == 0) return true;
    product p = {.m = m, .n = n, .k = k, .a = *a, .b = *b, .c = *c};
    p.group = group_rows(m, a->transposed);
    /* Sums in float32 wait in the result, those that are rounded at their end run over all of k. */
    size_t depth = c->half != NULL ? k : RT_MIN(k, (size_t)TILE_DEPTH);
    size_t columns = block_columns(n, depth);
    if (!prepare(&p, columns, depth)) return false;
    for (size_t at = 0; at < k; at += depth)
        for (size_t j = 0; j < n; j += columns) {
            block now = {j, RT_MIN(columns, n - j), at, RT_MIN(depth, k - at)};
            run_block(&p, &now);
        }
    return true;
}
