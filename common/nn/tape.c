#include "common/nn/tape.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/bytes.h"
#include "common/nn/vec.h"

#define ARENA_FIRST_BYTES ((size_t)1 << 20)
#define LINE              ((size_t)64) /* of the cache: what the arena counts in */

typedef struct node {
    tape_backward_fn *backward;
    void *args;
    tensor *out;
    bool in_place; /* the gradient stays for the operation before */
    struct node *before;
} node;

/* A gradient buffer that is free again. */
typedef struct spare {
    void *data;
    size_t n_bytes;
    struct spare *next;
} spare;

struct tape {
    arena *memory;
    node *last;
    spare *spares;      /* buffers to reuse */
    spare *empty_links; /* list cells to reuse */
    compute_mode compute;
    bool record;
    bool failed;
};

rt_status tape_new(tape **out, rt_error *err)
{
    tape *t = rt_calloc(1, sizeof *t);
    if (t == NULL) return rt_fail(err, RT_NOMEM, "tape");
    rt_status st = arena_new(ARENA_FIRST_BYTES, &t->memory, err);
    if (st != RT_OK) {
        free(t);
        return st;
    }
    *out = t;
    return RT_OK;
}

void tape_free(tape *t)
{
    if (t == NULL) return;
    arena_free(t->memory);
    free(t);
}

void tape_begin(tape *t, bool record)
{
    arena_reset(t->memory);
    t->last = NULL;
    t->spares = NULL;
    t->empty_links = NULL;
    t->record = record;
    t->failed = false;
}

void tape_set_compute(tape *t, compute_mode mode)
{
    RT_ASSERT(mode != COMPUTE_AUTO);
    t->compute = mode;
}

compute_mode tape_compute(const tape *t)
{
    return t->compute;
}

size_t tape_padded_rows(size_t n_rows)
{
    return (n_rows + TAPE_ROW_BLOCK - 1) / TAPE_ROW_BLOCK * TAPE_ROW_BLOCK;
}

bool tape_records(const tape *t)
{
    return t->record;
}

rt_status tape_status(const tape *t, rt_error *err)
{
    if (!t->failed) return RT_OK;
    return rt_fail(err, RT_NOMEM,
                   "no memory for the activations of this batch (%zu MiB in use): "
                   "use fewer tokens per micro-batch",
                   arena_used(t->memory) >> 20);
}

void *tape_alloc(tape *t, size_t n, size_t size)
{
    void *p = t->failed ? NULL : arena_array(t->memory, n, size);
    if (p == NULL) t->failed = true;
    return p;
}

static tensor *new_tensor(tape *t, float *data, float *grad, size_t n_rows, size_t n_cols)
{
    tensor *x = tape_alloc(t, 1, sizeof *x);
    if (x != NULL) *x = (tensor){.data = data, .grad = grad, .n_rows = n_rows, .n_cols = n_cols};
    return x;
}

/* A buffer for the whole blocks of rows; NULL when memory or the numbers of size_t do not reach. */
static void *rows_buffer(tape *t, size_t n_rows, size_t n_cols, size_t size)
{
    size_t n;
    if (n_rows > SIZE_MAX - TAPE_ROW_BLOCK ||
        !rt_checked_mul(tape_padded_rows(n_rows), n_cols, &n) || !rt_checked_mul(n, size, &n)) {
        t->failed = true;
        return NULL;
    }
    return tape_take(t, n);
}

tensor *tape_tensor(tape *t, size_t n_rows, size_t n_cols)
{
    float *data = rows_buffer(t, n_rows, n_cols, sizeof *data);
    return data == NULL ? NULL : new_tensor(t, data, NULL, n_rows, n_cols);
}

static void clear_rows_behind(uint16_t *half, size_t n_rows, size_t n_cols)
{
    size_t n = (tape_padded_rows(n_rows) - n_rows) * n_cols;
    memset(half + n_rows * n_cols, 0, n * sizeof *half);
}

tensor *tape_activation(tape *t, size_t n_rows, size_t n_cols)
{
    if (t->compute != COMPUTE_BF16) return tape_tensor(t, n_rows, n_cols);
    uint16_t *half = rows_buffer(t, n_rows, n_cols, sizeof *half);
    tensor *x = half == NULL ? NULL : new_tensor(t, NULL, NULL, n_rows, n_cols);
    if (x == NULL) return NULL;
    clear_rows_behind(half, n_rows, n_cols);
    x->is_half = true;
    x->half = half;
    x->high = half;
    return x;
}

static size_t data_bytes(const tensor *x)
{
    return tape_padded_rows(x->n_rows) * x->n_cols * sizeof *x->data;
}

bool tape_forgotten(const tensor *x)
{
    return x->data == NULL && x->half == NULL;
}

void tape_forget(tape *t, tensor *x)
{
    if (x == NULL || tape_forgotten(x)) return;
    RT_ASSERT(!x->is_param);
    if (x->is_half) {
        tape_give(t, x->half, data_bytes(x) / 2);
        x->half = NULL;
        x->high = NULL;
        return;
    }
    tape_give(t, x->data, data_bytes(x));
    x->data = NULL;
}

void tape_recall(tape *t, tensor *x)
{
    if (!tape_forgotten(x)) return;
    RT_ASSERT(x->remake != NULL);
    if (x->is_half) {
        x->half = rows_buffer(t, x->n_rows, x->n_cols, sizeof *x->half);
        if (x->half == NULL) return;
        clear_rows_behind(x->half, x->n_rows, x->n_cols);
        x->high = x->half;
    } else {
        x->data = tape_take(t, data_bytes(x));
        if (x->data == NULL) return;
    }
    x->remake(t, x);
}

tensor *tape_param(tape *t, float *weights, float *grads, size_t n_rows, size_t n_cols)
{
    tensor *x = new_tensor(t, weights, grads, n_rows, n_cols);
    if (x != NULL) {
        x->is_param = true;
        x->frozen = grads == NULL;
    }
    return x;
}

static void push(tape *t, node fields)
{
    if (!t->record || fields.out == NULL) return;
    node *n = tape_alloc(t, 1, sizeof *n);
    if (n == NULL) return;
    *n = fields;
    n->before = t->last;
    t->last = n;
}

void tape_push(tape *t, tape_backward_fn *backward, void *args, tensor *out)
{
    push(t, (node){.backward = backward, .args = args, .out = out});
}

void tape_push_in_place(tape *t, tape_backward_fn *backward, void *args, tensor *x)
{
    /* or a product has read what was there before */
    RT_ASSERT(x == NULL || x->is_half || x->high == NULL);
    push(t, (node){.backward = backward, .args = args, .out = x, .in_place = true});
}

/* What the arena gives for so many bytes. */
static size_t whole_lines(size_t n_bytes)
{
    return n_bytes > SIZE_MAX - LINE ? n_bytes : (n_bytes + LINE - 1) / LINE * LINE;
}

/* Where the smallest spare that holds n_bytes hangs; of equals the one that was given last, which may
 * still be in cache. NULL: none does. */
static spare **best_fit(tape *t, size_t n_bytes)
{
    spare **best = NULL;
    for (spare **at = &t->spares; *at != NULL; at = &(*at)->next) {
        if ((*at)->n_bytes < n_bytes || (best != NULL && (*best)->n_bytes <= (*at)->n_bytes))
            continue;
        best = at;
        if ((*at)->n_bytes == n_bytes) break;
    }
    return best;
}

/* Shapes repeat from layer to layer, so most spares fit exactly; of a larger one the end stays spare. */
void *tape_take(tape *t, size_t n_bytes)
{
    n_bytes = whole_lines(n_bytes);
    spare **at = best_fit(t, n_bytes);
    if (at == NULL) return tape_alloc(t, n_bytes, 1);
    spare *s = *at;
    void *data = s->data;
    if (s->n_bytes > n_bytes) {
        s->data = (char *)data + n_bytes;
        s->n_bytes -= n_bytes;
        return data;
    }
    *at = s->next;
    s->next = t->empty_links;
    t->empty_links = s;
    return data;
}

/* Join `s`, which hangs nowhere, with the spares that it touches; they leave the list. */
static void join_neighbours(tape *t, spare *s)
{
    for (spare **at = &t->spares; *at != NULL;) {
        spare *other = *at;
        bool behind = (char *)s->data + s->n_bytes == other->data;
        bool before = (char *)other->data + other->n_bytes == s->data;
        if (!behind && !before) {
            at = &other->next;
            continue;
        }
        if (before) s->data = other->data;
        s->n_bytes += other->n_bytes;
        *at = other->next;
        other->next = t->empty_links;
        t->empty_links = other;
    }
}

void tape_give(tape *t, void *data, size_t n_bytes)
{
    spare *s = t->empty_links;
    if (s != NULL) t->empty_links = s->next;
    if (s == NULL) s = tape_alloc(t, 1, sizeof *s);
    if (s == NULL) return;
    *s = (spare){.data = data, .n_bytes = whole_lines(n_bytes)};
    join_neighbours(t, s);
    s->next = t->spares;
    t->spares = s;
}

static void give_grad(tape *t, tensor *x)
{
    if (x->is_param) return;
    if (x->grad != NULL) tape_give(t, x->grad, data_bytes(x));
    if (x->half_grad != NULL) tape_give(t, x->half_grad, data_bytes(x) / 2);
    x->grad = NULL;
    x->half_grad = NULL;
    x->grad_written = false;
}

uint16_t *tape_half_grad(tape *t, tensor *x)
{
    RT_ASSERT(x->is_half && !x->grad_written); /* one reader */
    x->half_grad = rows_buffer(t, x->n_rows, x->n_cols, sizeof *x->half_grad);
    if (x->half_grad == NULL) return NULL;
    clear_rows_behind(x->half_grad, x->n_rows, x->n_cols);
    x->grad_written = true;
    return x->half_grad;
}

float *tape_grad(tape *t, tensor *x, bool *add)
{
    RT_ASSERT(!x->is_half);
    if (x->frozen) return NULL;
    if (x->grad == NULL) x->grad = tape_take(t, data_bytes(x));
    if (x->grad == NULL) return NULL;
    *add = x->grad_written;
    x->grad_written = true;
    return x->grad;
}

float *tape_grad_sparse(tape *t, tensor *x)
{
    bool add = false;
    float *grad = tape_grad(t, x, &add);
    if (grad != NULL && !add) memset(grad, 0, x->n_rows * x->n_cols * sizeof *grad);
    return grad;
}

void tape_grad_move(tape *t, tensor *from, tensor *x)
{
    if (!x->frozen && !x->is_param && x->grad == NULL) {
        x->grad = from->grad;
        x->grad_written = true;
        from->grad = NULL;
        from->grad_written = false;
        return;
    }
    tape_inject(t, x, from->grad);
}

void tape_inject(tape *t, tensor *x, const float *d_x)
{
    bool add = false;
    float *grad = tape_grad(t, x, &add);
    size_t n = x->n_rows * x->n_cols;
    if (grad == NULL) return;
    if (add)
        vec_add(grad, d_x, n);
    else
        memcpy(grad, d_x, n * sizeof *grad);
}

rt_status tape_backward(tape *t, rt_error *err)
{
    RT_ASSERT(t->record);
    for (node *n = t->last; n != NULL && !t->failed; n = n->before) {
        /* A tensor that nothing asked about has no gradient: its operation has nothing to do. */
        if (!n->out->grad_written) continue;
        n->backward(t, n->args, n->out);
        if (!n->in_place) give_grad(t, n->out);
    }
    return tape_status(t, err);
}
