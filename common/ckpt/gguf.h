/* GGUF files: typed keys and named tensors, mapped and checked before anything is handed out.
 *
 *     gguf *f = NULL;
 *     if ((st = gguf_open("student.gguf", &f, err)) != RT_OK) goto out;
 *     const gguf_entry *e = gguf_find(f, "general.name");
 *     if (e != NULL && gguf_text(e, &text, &n)) printf("%.*s\n", (int)n, text);
 *     const gguf_tensor *t = gguf_find_tensor(f, "token_embd.weight");
 *     gguf_read(f, t, 0, t->n, out);
 *
 * Versions 2 and 3, little-endian. Every key and text lies inside the file, every tensor too,
 * aligned and apart from the others; no name comes twice.
 */
#ifndef RT_CKPT_GGUF_H
#define RT_CKPT_GGUF_H

#include "common/ckpt/gguf_format.h"

typedef struct gguf gguf;

/* A key and where its value lies. Texts have no end of their own. */
typedef struct gguf_entry {
    const char *key;
    size_t n_key;
    uint32_t type;
    uint32_t item_type; /* of an array */
    uint64_t n_items;   /* of an array */
    const uint8_t *at;  /* the value; of an array its first item */
} gguf_entry;

typedef struct gguf_tensor {
    const char *name; /* ends with '\0' */
    const gguf_kind *kind;
    size_t n_dims;
    size_t shape[GGUF_DIMS_MAX]; /* rows first, as everywhere here */
    size_t n;                    /* elements */
    size_t n_bytes;
    size_t offset; /* from the start of the data */
} gguf_tensor;

/* RT_CORRUPT names the file, what was found and what was expected; RT_UNSUPPORTED for version 1, a
 * big-endian file and an unknown kind of tensor. Returns new; gguf_close(). */
RT_MUST_USE rt_status gguf_open(const char *path, gguf **out, rt_error *err);
void gguf_close(gguf *f);
/* The same checks on bytes in memory, which must outlive the result; for fuzzing. */
RT_MUST_USE rt_status gguf_open_bytes(const char *name, const void *bytes, size_t n_bytes,
                                      gguf **out, rt_error *err);

/* All valid until gguf_close(). */
uint32_t gguf_version(const gguf *f);
size_t gguf_count(const gguf *f);
const gguf_entry *gguf_at(const gguf *f, size_t i);
const gguf_entry *gguf_find(const gguf *f, const char *key);
size_t gguf_count_tensors(const gguf *f);
const gguf_tensor *gguf_tensor_at(const gguf *f, size_t i);
const gguf_tensor *gguf_find_tensor(const gguf *f, const char *name);

/* Whether the value is of that kind and fits; *out is untouched otherwise. Any integer type that is
 * not negative is a size, any number a float. `e` may be NULL: false. */
bool gguf_size(const gguf_entry *e, uint64_t *out);
bool gguf_number(const gguf_entry *e, double *out);
bool gguf_truth(const gguf_entry *e, bool *out);
bool gguf_text(const gguf_entry *e, const char **text, size_t *n);
bool gguf_text_is(const gguf_entry *e, const char *text);

/* Items of an array in their order. */
typedef struct gguf_items {
    uint32_t type;
    uint64_t n_left;
    const uint8_t *at;
} gguf_items;
/* `e` may be NULL, or no array: no items. */
gguf_items gguf_items_of(const gguf_entry *e);
bool gguf_next_text(gguf_items *items, const char **text, size_t *n);
bool gguf_next_number(gguf_items *items, double *out);

/* Whether gguf_read() knows the kind: F32, F16, BF16 and Q8_0. */
bool gguf_can_read(const gguf_tensor *t);
/* Elements first .. first + n as float32. */
void gguf_read(const gguf *f, const gguf_tensor *t, size_t first, size_t n, float *out);

#endif
