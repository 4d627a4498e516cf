/* Values of a GGUF file, whose bytes were checked when it was opened. */
#include <string.h>

#include "common/ckpt/gguf.h"

static uint64_t bits_of(const uint8_t *at, size_t n)
{
    uint64_t x = 0;
    for (size_t i = 0; i < n; i++) x |= (uint64_t)at[i] << 8 * i;
    return x;
}

/* As a signed number of n bytes. */
static int64_t signed_of(uint64_t bits, size_t n)
{
    RT_ASSERT(n > 0 && n <= 8);
    unsigned shift = 64 - 8 * (unsigned)n;
    return (int64_t)(bits << shift) >> shift;
}

static bool read_number(uint32_t type, const uint8_t *at, double *out)
{
    size_t size = gguf_value_size(type);
    uint64_t bits = bits_of(at, size);
    float single;
    uint32_t low = (uint32_t)bits;
    switch (type) {
    case GGUF_U8:
    case GGUF_U16:
    case GGUF_U32:
    case GGUF_U64: *out = (double)bits; return true;
    case GGUF_I8:
    case GGUF_I16:
    case GGUF_I32:
    case GGUF_I64: *out = (double)signed_of(bits, size); return true;
    case GGUF_F32:
        memcpy(&single, &low, sizeof single);
        *out = (double)single;
        return true;
    case GGUF_F64: memcpy(out, &bits, sizeof *out); return true;
    default: return false;
    }
}

bool gguf_size(const gguf_entry *e, uint64_t *out)
{
    if (e == NULL) return false;
    uint64_t bits = bits_of(e->at, gguf_value_size(e->type));
    switch (e->type) {
    case GGUF_U8:
    case GGUF_U16:
    case GGUF_U32:
    case GGUF_U64: break;
    case GGUF_I8:
    case GGUF_I16:
    case GGUF_I32:
    case GGUF_I64:
        if (signed_of(bits, gguf_value_size(e->type)) < 0) return false;
        break;
    default: return false;
    }
    *out = bits;
    return true;
}

bool gguf_number(const gguf_entry *e, double *out)
{
    return e != NULL && read_number(e->type, e->at, out);
}

bool gguf_truth(const gguf_entry *e, bool *out)
{
    if (e == NULL || e->type != GGUF_BOOL) return false;
    *out = e->at[0] != 0;
    return true;
}

bool gguf_text(const gguf_entry *e, const char **text, size_t *n)
{
    if (e == NULL || e->type != GGUF_TEXT) return false;
    *n = (size_t)bits_of(e->at, 8);
    *text = (const char *)e->at + 8;
    return true;
}

bool gguf_text_is(const gguf_entry *e, const char *text)
{
    const char *found;
    size_t n;
    return gguf_text(e, &found, &n) && n == strlen(text) && memcmp(found, text, n) == 0;
}

gguf_items gguf_items_of(const gguf_entry *e)
{
    if (e == NULL || e->type != GGUF_ARRAY) return (gguf_items){0};
    return (gguf_items){.type = e->item_type, .n_left = e->n_items, .at = e->at};
}

bool gguf_next_text(gguf_items *items, const char **text, size_t *n)
{
    if (items->n_left == 0 || items->type != GGUF_TEXT) return false;
    *n = (size_t)bits_of(items->at, 8);
    *text = (const char *)items->at + 8;
    items->at += 8 + *n;
    items->n_left--;
    return true;
}

bool gguf_next_number(gguf_items *items, double *out)
{
    if (items->n_left == 0 || !read_number(items->type, items->at, out)) return false;
    items->at += gguf_value_size(items->type);
    items->n_left--;
    return true;
}
