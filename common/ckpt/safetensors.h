/* safetensors files: named tensors, one JSON header, raw little-endian data.
 *
 *     [u64 n][n bytes of JSON, space padded][data]
 *
 * Reading maps the file and checks everything before any tensor is handed out: header size, JSON,
 * known dtypes, shape x size = span, no overlap, no hole, no duplicate name, nothing beyond the end.
 * Source: the safetensors README, section "Format".
 */
#ifndef RT_CKPT_SAFETENSORS_H
#define RT_CKPT_SAFETENSORS_H

#include "common/base/hash.h"

typedef enum tensor_dtype { TENSOR_F32, TENSOR_F16, TENSOR_BF16 } tensor_dtype;

#define TENSOR_DIMS_MAX 4

/* A tensor to write: float32 numbers in memory, or from a function that is asked for pieces of it;
 * stored as the file's dtype. */
typedef struct tensor_source {
    const char *name;
    size_t n_dims;
    size_t shape[TENSOR_DIMS_MAX];
    const float *data; /* borrows; NULL: `read` gives the numbers */
    void (*read)(const void *context, size_t i_tensor, size_t first, size_t n, float *out);
    const void *context;
    size_t i_tensor;
} tensor_source;

typedef struct tensor_entry {
    const char *name;
    tensor_dtype dtype;
    size_t n_dims;
    size_t shape[TENSOR_DIMS_MAX];
    size_t n; /* elements */
} tensor_entry;

typedef struct safetensors safetensors;

/* Write atomically (temporary file, fsync, rename), a piece at a time. `metadata` is pairs of key and value ending
 * with NULL, or NULL. sha256 (may be NULL) receives the hash of the file's bytes. The bytes are a
 * pure function of the arguments. bf16 and f16 round to nearest even. */
RT_MUST_USE rt_status safetensors_write(const char *path, const tensor_source *tensors,
                                        size_t n_tensors, tensor_dtype dtype,
                                        const char *const *metadata,
                                        char sha256[RT_SHA256_HEX_SIZE], rt_error *err);

/* Map and check a file. RT_CORRUPT names the file, what was found and what was expected. */
RT_MUST_USE rt_status safetensors_open(const char *path, safetensors **out, rt_error *err);
void safetensors_close(safetensors *file);
size_t safetensors_count(const safetensors *file);
const tensor_entry *safetensors_entry(const safetensors *file, size_t i);
const tensor_entry *safetensors_find(const safetensors *file, const char *name);
/* Convert a whole tensor to float32: out[entry->n]. */
void safetensors_read_f32(const safetensors *file, const tensor_entry *entry, float *out);
/* The same for elements first .. first + n, which must lie inside: out[n]. */
void safetensors_read_range(const safetensors *file, const tensor_entry *entry, size_t first,
                            size_t n, float *out);
/* Value of a __metadata__ key, or NULL. */
const char *safetensors_metadata(const safetensors *file, const char *key);

/* The same checks on bytes in memory, for fuzzing. */
RT_MUST_USE rt_status safetensors_check_bytes(const void *bytes, size_t n_bytes, rt_error *err);

#endif
