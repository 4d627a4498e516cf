#include "common/nn/gemm_bf16.h"

#include <dnnl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "common/base/bytes.h"
#include "common/base/status.h"
#include "common/nn/gemm_tiles.h"

/* oneDNN compiles a product for one shape, which takes longer than the product. Each thread keeps
 * the ones it has used:
 *
 *     shape ──hash──► sets[128] ──► one of 4 slots ──► primitive, three memory objects
 *
 * A primitive owns its scratch memory, so it may not run twice at once: hence one table a thread.
 * A shape that finds its set full takes the place of the one that was used longest ago.
 */
#define SETS 128
#define WAYS 4

typedef struct shape {
    size_t m, n, k, lda, ldb, ldc;
    bool t_a, t_b, adds;
    bool half; /* c is bfloat16 */
} shape;

typedef struct product {
    shape key;
    dnnl_primitive_t primitive; /* NULL: empty */
    dnnl_memory_t a, b, c;
    uint64_t used; /* n_calls when it was used last */
} product;

typedef struct thread_products {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    uint64_t n_calls;
    product slots[SETS][WAYS];
} thread_products;

static pthread_key_t products_key;
static pthread_once_t products_once = PTHREAD_ONCE_INIT;

static void product_clear(product *p)
{
    if (p->primitive != NULL) dnnl_primitive_destroy(p->primitive);
    if (p->a != NULL) dnnl_memory_destroy(p->a);
    if (p->b != NULL) dnnl_memory_destroy(p->b);
    if (p->c != NULL) dnnl_memory_destroy(p->c);
    *p = (product){0};
}

static void products_free(void *held)
{
    thread_products *t = held;
    if (t == NULL) return;
    for (size_t i = 0; i < SETS * WAYS; i++) product_clear(&t->slots[i / WAYS][i % WAYS]);
    if (t->stream != NULL) dnnl_stream_destroy(t->stream);
    if (t->engine != NULL) dnnl_engine_destroy(t->engine);
    free(t);
}

static void make_key(void)
{
    RT_ASSERT(pthread_key_create(&products_key, products_free) == 0);
}

/* The table of the calling thread; NULL when oneDNN or memory is not to be had. */
static thread_products *products_get(void)
{
    RT_ASSERT(pthread_once(&products_once, make_key) == 0);
    thread_products *t = pthread_getspecific(products_key);
    if (t != NULL) return t;
    t = rt_calloc(1, sizeof *t);
    if (t == NULL) return NULL;
    if (dnnl_engine_create(&t->engine, dnnl_cpu, 0) != dnnl_success ||
        dnnl_stream_create(&t->stream, t->engine, dnnl_stream_default_flags) != dnnl_success ||
        pthread_setspecific(products_key, t) != 0) {
        products_free(t);
        return NULL;
    }
    return t;
}

static size_t set_of(const shape *s)
{
    const uint64_t parts[] = {s->m,   s->n,   s->k,   s->lda,  s->ldb,
                              s->ldc, s->t_a, s->t_b, s->adds, s->half};
    uint64_t h = 0;
    for (size_t i = 0; i < RT_COUNT(parts); i++)
        h = (h ^ parts[i]) * 0x9e3779b97f4a7c15U + (h >> 29);
    return (size_t)(h >> 32) % SETS;
}

static bool same_shape(const shape *x, const shape *y)
{
    return x->m == y->m && x->n == y->n && x->k == y->k && x->lda == y->lda && x->ldb == y->ldb &&
           x->ldc == y->ldc && x->t_a == y->t_a && x->t_b == y->t_b && x->adds == y->adds &&
           x->half == y->half;
}

/* A matrix [rows, cols] whose memory has rows of ld numbers, or columns when it is transposed. */
static dnnl_status_t describe(dnnl_memory_desc_t *out, size_t rows, size_t cols, size_t ld,
                              bool transposed, dnnl_data_type_t type)
{
    dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)cols};
    dnnl_dims_t strides = {transposed ? 1 : (dnnl_dim_t)ld, transposed ? (dnnl_dim_t)ld : 1};
    return dnnl_memory_desc_init_by_strides(out, 2, dims, type, strides);
}

/* c is added to by a `sum` after the product. */
static dnnl_status_t make_attributes(bool adds, dnnl_primitive_attr_t *out)
{
    dnnl_post_ops_t post = NULL;
    dnnl_status_t st = dnnl_primitive_attr_create(out);
    if (st != dnnl_success || !adds) return st;
    st = dnnl_post_ops_create(&post);
    if (st == dnnl_success) st = dnnl_post_ops_append_sum(post, 1.0f);
    if (st == dnnl_success) st = dnnl_primitive_attr_set_post_ops(*out, post);
    if (post != NULL) dnnl_post_ops_destroy(post);
    return st;
}

static dnnl_status_t make_primitive(dnnl_engine_t engine, const dnnl_memory_desc_t descs[3],
                                    bool adds, dnnl_primitive_t *out)
{
    dnnl_matmul_desc_t what;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t plan = NULL;
    dnnl_status_t st = make_attributes(adds, &attributes);
    if (st == dnnl_success)
        st = dnnl_matmul_desc_init(&what, &descs[0], &descs[1], NULL, &descs[2]);
    if (st == dnnl_success) st = dnnl_primitive_desc_create(&plan, &what, attributes, engine, NULL);
    if (st == dnnl_success) st = dnnl_primitive_create(out, plan);
    if (plan != NULL) dnnl_primitive_desc_destroy(plan);
    if (attributes != NULL) dnnl_primitive_attr_destroy(attributes);
    return st;
}

static bool product_make(dnnl_engine_t engine, const shape *s, product *out)
{
    dnnl_memory_desc_t d[3];
    product p = {.key = *s};
    if (describe(&d[0], s->m, s->k, s->lda, s->t_a, dnnl_bf16) == dnnl_success &&
        describe(&d[1], s->k, s->n, s->ldb, s->t_b, dnnl_bf16) == dnnl_success &&
        describe(&d[2], s->m, s->n, s->ldc, false, s->half ? dnnl_bf16 : dnnl_f32) ==
            dnnl_success &&
        dnnl_memory_create(&p.a, &d[0], engine, DNNL_MEMORY_NONE) == dnnl_success &&
        dnnl_memory_create(&p.b, &d[1], engine, DNNL_MEMORY_NONE) == dnnl_success &&
        dnnl_memory_create(&p.c, &d[2], engine, DNNL_MEMORY_NONE) == dnnl_success &&
        make_primitive(engine, d, s->adds, &p.primitive) == dnnl_success) {
        *out = p;
        return true;
    }
    product_clear(&p);
    return false;
}

/* The slot of a shape: its own, else the one to give up. */
static product *slot_find(product *set, const shape *s)
{
    product *oldest = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].primitive != NULL && same_shape(&set[i].key, s)) return &set[i];
        if (set[i].used < oldest->used) oldest = &set[i];
    }
    return oldest;
}

static product *product_find(thread_products *t, const shape *s)
{
    product *p = slot_find(t->slots[set_of(s)], s);
    bool known = p->primitive != NULL && same_shape(&p->key, s);
    if (!known) product_clear(p);
    if (!known && !product_make(t->engine, s, p)) return NULL;
    p->used = ++t->n_calls;
    return p;
}

/* oneDNN only reads a and b, but takes every buffer as one it may write. */
static void *writable(const void *data)
{
    void *p;
    memcpy(&p, &data, sizeof p);
    return p;
}

static bool product_run(const thread_products *t, const product *p, const bf16 *a, const bf16 *b,
                        void *c)
{
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, p->a}, {DNNL_ARG_WEIGHTS, p->b}, {DNNL_ARG_DST, p->c}};
    return dnnl_memory_set_data_handle(p->a, writable(a)) == dnnl_success &&
           dnnl_memory_set_data_handle(p->b, writable(b)) == dnnl_success &&
           dnnl_memory_set_data_handle(p->c, c) == dnnl_success &&
           dnnl_primitive_execute(p->primitive, t->stream, RT_COUNT(args), args) == dnnl_success &&
           dnnl_stream_wait(t->stream) == dnnl_success;
}

#define CPUID_AVX512_FP16 (1U << 23) /* leaf 7, edx: Sapphire Rapids and later */

/* Xeons since Sapphire Rapids make one product of bfloat16 where others make two or four, unless a machine
 * shows their AMX: bench_gemm gives 81 GFLOP/s on one that hides it, and 159 in float32. */
static bool counts_on_amx(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    return __builtin_cpu_is("intel") && __get_cpuid_count(7, 0, &a, &b, &c, &d) == 1 &&
           (d & CPUID_AVX512_FP16) != 0;
#else
    return false;
#endif
}

/* 1, 0, or not asked yet. On a virtual machine asking takes longer than a small product. */
static atomic_int faster = -1;

bool gemm_bf16_faster(void)
{
    int now = atomic_load_explicit(&faster, memory_order_relaxed);
    if (now >= 0) return now != 0;
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    now = isa == dnnl_cpu_isa_avx512_core_amx ||
          (isa == dnnl_cpu_isa_avx512_core_bf16 && !counts_on_amx());
    atomic_store(&faster, now);
    return now != 0;
}

/* False without a kernel for this processor, or memory for one. */
static bool by_onednn(const shape *s, const bf16 *a, const bf16 *b, void *c)
{
    thread_products *t = products_get();
    product *p = t == NULL ? NULL : product_find(t, s);
    return p != NULL && product_run(t, p, a, b, c);
}

static bool by_tiles(const shape *s, bf16_parts a, bf16_parts b, void *c)
{
    tile_operand from = {.high = a.high, .low = a.low, .ld = s->lda, .transposed = s->t_a};
    tile_operand by = {.high = b.high, .low = b.low, .ld = s->ldb, .transposed = s->t_b};
    tile_result to = {.ld = s->ldc, .adds = s->adds};
    if (s->half)
        to.half = c;
    else
        to.f32 = c;
    return gemm_tiles(s->m, s->n, s->k, &from, &by, &to);
}

/* False when there is no memory, or nothing to multiply. */
static bool multiply(const shape *s, const bf16 *a, const bf16 *b, void *c)
{
    if (s->k == 0) return false;
    if (gemm_bf16_faster()) return by_onednn(s, a, b, c);
    return by_tiles(s, (bf16_parts){.high = a}, (bf16_parts){.high = b}, c);
}

void gemm_bf16(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, const bf16 *a, size_t lda,
               const bf16 *b, size_t ldb, float beta, float *c, size_t ldc)
{
    RT_ASSERT(beta == 0 || beta == 1);
    shape s = {.m = m, .n = n, .k = k, .lda = lda, .ldb = ldb, .ldc = ldc, .adds = beta != 0};
    s.t_a = op_a == GEMM_T;
    s.t_b = op_b == GEMM_T;
    if (m == 0 || n == 0 || multiply(&s, a, b, c)) return;
    gemm_bf16_reference(op_a, op_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
}

void gemm_bf16_half(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, const bf16 *a,
                    size_t lda, const bf16 *b, size_t ldb, bf16 *c, size_t ldc)
{
    shape s = {.m = m, .n = n, .k = k, .lda = lda, .ldb = ldb, .ldc = ldc, .half = true};
    s.t_a = op_a == GEMM_T;
    s.t_b = op_b == GEMM_T;
    if (m == 0 || n == 0 || multiply(&s, a, b, c)) return;
    gemm_bf16_half_reference(op_a, op_b, m, n, k, a, lda, b, ldb, c, ldc);
}

/* Tiles take the sums as one number. Products of bfloat16 are three: (ah + al)(bh + bl) without al bl, which
 * is below the last bit that float32 keeps of the rest. The small ones come first. */
void gemm_bf16x3(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, bf16_parts a, size_t lda,
                 bf16_parts b, size_t ldb, float beta, float *c, size_t ldc)
{
    RT_ASSERT(beta == 0 || beta == 1);
    shape s = {.m = m, .n = n, .k = k, .lda = lda, .ldb = ldb, .ldc = ldc, .adds = beta != 0};
    s.t_a = op_a == GEMM_T;
    s.t_b = op_b == GEMM_T;
    if (m > 0 && n > 0 && k > 0 && !gemm_bf16_faster() && by_tiles(&s, a, b, c)) return;
    gemm_bf16(op_a, op_b, m, n, k, a.low, lda, b.high, ldb, beta, c, ldc);
    gemm_bf16(op_a, op_b, m, n, k, a.high, lda, b.low, ldb, 1, c, ldc);
    gemm_bf16(op_a, op_b, m, n, k, a.high, lda, b.high, ldb, 1, c, ldc);
}
