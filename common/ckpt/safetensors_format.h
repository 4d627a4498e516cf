/* What reading and writing safetensors share. Numbers in the file are little-endian. */
#ifndef RT_CKPT_SAFETENSORS_FORMAT_H
#define RT_CKPT_SAFETENSORS_FORMAT_H

#include "common/ckpt/safetensors.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors are copied between memory and file: a little-endian machine is expected"
#endif

#define SAFETENSORS_HEADER_MAX 100000000 /* the format's own limit */

typedef struct dtype_name {
    const char *name;
    tensor_dtype dtype;
    size_t size; /* bytes of one element */
} dtype_name;

/* Indexed by tensor_dtype. */
extern const dtype_name dtype_names[];
extern const size_t n_dtype_names;

#endif
