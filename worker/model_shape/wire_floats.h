/* Floats as they travel between students and shards: net.wire chooses the number format.
 *
 *     float32     as they are
 *     bfloat16    rounded to nearest even where they leave, widened where they arrive
 *
 *     wire_floats_pack(WIRE_ELEMENT_BF16, grads, n, bytes);
 *     for each frame of at most wire_frame_floats(element) floats ...
 *     wire_floats_unpack(WIRE_ELEMENT_BF16, frame, n, floats);
 *
 * Every float is rounded alone, so what arrives does not depend on how many shards there are.
 * Checked by: tests/unit/worker/model_shape/test_wire_floats.c
 */
#ifndef RT_WORKER_MODEL_SHAPE_WIRE_FLOATS_H
#define RT_WORKER_MODEL_SHAPE_WIRE_FLOATS_H

#include <stddef.h>

#include "common/conf/config.h"
#include "common/wire/messages.h"

wire_element wire_element_of(net_wire wire);
size_t wire_element_bytes(wire_element element);
/* As the setting says it: "f32", "bf16". */
const char *wire_element_name(wire_element element);
/* Floats in a full frame, which is WIRE_FRAME_BYTES long in every format. */
size_t wire_frame_floats(wire_element element);
/* Frames for n_floats. */
size_t wire_frames_of(wire_element element, size_t n_floats);

/* n floats into n * wire_element_bytes() bytes. `bytes` is aligned for the element. */
void wire_floats_pack(wire_element element, const float *floats, size_t n, void *bytes);
/* And back; `bytes` needs no alignment: a frame as it came. */
void wire_floats_unpack(wire_element element, const void *bytes, size_t n, float *floats);

#endif
