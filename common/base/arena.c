#include "common/base/arena.h"

#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/base/heap.h"

#define ARENA_ALIGN 64

typedef struct block {
    struct block *next;
    size_t capacity;
    size_t used;
    char *data;
} block;

struct arena {
    block *first; /* newest block: the one being filled */
    size_t used;
    size_t peak;
};

static block *block_new(size_t capacity)
{
    capacity = (capacity + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    block *b = calloc(1, sizeof *b);
    if (b == NULL) return NULL;
    b->data = rt_heap_tensors(capacity);
    if (b->data == NULL) {
        free(b);
        return NULL;
    }
    b->capacity = capacity;
    return b;
}

static void block_free(block *b)
{
    while (b != NULL) {
        block *next = b->next;
        free(b->data);
        free(b);
        b = next;
    }
}

rt_status arena_new(size_t n_bytes, arena **out, rt_error *err)
{
    arena *a = calloc(1, sizeof *a);
    if (a != NULL) a->first = block_new(RT_MAX(n_bytes, (size_t)ARENA_ALIGN));
    if (a == NULL || a->first == NULL) {
        free(a);
        return rt_fail(err, RT_NOMEM, "arena of %zu bytes", n_bytes);
    }
    *out = a;
    return RT_OK;
}

void arena_free(arena *a)
{
    if (a == NULL) return;
    block_free(a->first);
    free(a);
}

void *arena_alloc(arena *a, size_t n_bytes)
{
    size_t n;
    if (!rt_checked_add(n_bytes, ARENA_ALIGN - 1, &n)) return NULL;
    n = n / ARENA_ALIGN * ARENA_ALIGN;
    if (n == 0) n = ARENA_ALIGN;
    if (a->first->capacity - a->first->used < n) {
        block *b = block_new(RT_MAX(n, a->first->capacity));
        if (b == NULL) return NULL;
        b->next = a->first;
        a->first = b;
    }
    void *p = a->first->data + a->first->used;
    a->first->used += n;
    a->used += n;
    if (a->used > a->peak) a->peak = a->used;
    return p;
}

void *arena_array(arena *a, size_t n, size_t size)
{
    size_t n_bytes;
    if (!rt_checked_mul(n, size, &n_bytes)) return NULL;
    return arena_alloc(a, n_bytes);
}

void arena_reset(arena *a)
{
    if (a->first->next != NULL) {
        /* Merge into one block of the peak size; if that fails the newest block still serves. */
        block *whole = block_new(a->peak);
        if (whole != NULL) {
            block_free(a->first);
            a->first = whole;
        } else {
            block_free(a->first->next);
            a->first->next = NULL;
        }
    }
    a->first->used = 0;
    a->used = 0;
}

size_t arena_used(const arena *a)
{
    return a->used;
}

size_t arena_peak(const arena *a)
{
    return a->peak;
}
