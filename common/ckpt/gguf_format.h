/* The numbers of the GGUF format, for its reader and its writer.
 *
 *     "GGUF" u32 3   u64 tensors   u64 keys
 *     keys:     text name, u32 type, value        text = u64 length, bytes
 *     tensors:  text name, u32 dims, u64 size[] (columns first), u32 type, u64 offset
 *     zeros up to a multiple of general.alignment, then the data, each tensor so aligned
 *
 * Little-endian. Source: docs/gguf.md of ggml.
 */
#ifndef RT_CKPT_GGUF_FORMAT_H
#define RT_CKPT_GGUF_FORMAT_H

#include "common/base/status.h"

#define GGUF_VERSION       3
#define GGUF_ALIGNMENT     32
#define GGUF_ALIGNMENT_KEY "general.alignment"
#define GGUF_NAME_MAX      63 /* bytes of a tensor's name that every reader takes */
#define GGUF_DIMS_MAX      4

typedef enum gguf_value_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_TEXT,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_N_VALUE_TYPES,
} gguf_value_type;

/* Kinds of tensors by their number in the file. Those below are read and written as numbers; of the
 * others only name and size are known. */
typedef enum gguf_tensor_type {
    GGUF_TENSOR_F32 = 0,
    GGUF_TENSOR_F16 = 1,
    GGUF_TENSOR_Q8_0 = 8,
    GGUF_TENSOR_BF16 = 30,
} gguf_tensor_type;

typedef struct gguf_kind {
    uint32_t type;
    const char *name;
    uint32_t block;   /* elements stored together; a row is a whole number of blocks */
    uint32_t n_bytes; /* of a block */
} gguf_kind;

/* NULL for a number that is not known. */
const gguf_kind *gguf_kind_of(uint32_t type);
/* Bytes of a value of fixed size; 0 for texts, arrays and unknown types. */
size_t gguf_value_size(uint32_t type);
const char *gguf_value_name(uint32_t type);

/* Q8_0: 32 numbers as f16 scale and int8 values; scale = max |x| / 127, value = round(x / scale).
 *
 *     |x - scale value| <= scale / 2 + 127 |scale - f16(scale)|  <  0.57 scale
 *
 * as long as f16 holds the scale as a normal number (scale >= 2^-14). Source:
 * quantize_row_q8_0_reference() of ggml. */
#define Q8_0_BLOCK ((size_t)32)
#define Q8_0_BYTES ((size_t)34)
/* n is a multiple of 32; out[n / 32 * 34]. */
void q8_0_encode(const float *x, size_t n, uint8_t *out);
/* Elements first .. first + n of the blocks. */
void q8_0_decode(const uint8_t *blocks, size_t first, size_t n, float *out);

#endif
