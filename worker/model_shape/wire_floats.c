#include "worker/model_shape/wire_floats.h"

#include <string.h>

#include "common/nn/gemm_bf16.h"

_Static_assert((int)NET_WIRE_F32 == WIRE_ELEMENT_F32 && (int)NET_WIRE_BF16 == WIRE_ELEMENT_BF16,
               "a setting is the element it names");

wire_element wire_element_of(net_wire wire)
{
    return (wire_element)wire;
}

size_t wire_element_bytes(wire_element element)
{
    return element == WIRE_ELEMENT_BF16 ? sizeof(bf16) : sizeof(float);
}

const char *wire_element_name(wire_element element)
{
    return element == WIRE_ELEMENT_BF16 ? "bf16" : "f32";
}

size_t wire_frame_floats(wire_element element)
{
    return WIRE_FRAME_BYTES / wire_element_bytes(element);
}

size_t wire_frames_of(wire_element element, size_t n_floats)
{
    size_t n_full = wire_frame_floats(element);
    return n_floats / n_full + (n_floats % n_full != 0);
}

void wire_floats_pack(wire_element element, const float *floats, size_t n, void *bytes)
{
    if (element == WIRE_ELEMENT_BF16)
        bf16_from_f32(floats, n, bytes);
    else if (n > 0)
        memcpy(bytes, floats, n * sizeof *floats);
}

void wire_floats_unpack(wire_element element, const void *bytes, size_t n, float *floats)
{
    const char *from = bytes;
    if (element != WIRE_ELEMENT_BF16) {
        if (n > 0) memcpy(floats, from, n * sizeof *floats);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        bf16 half;
        memcpy(&half, from + i * sizeof half, sizeof half);
        uint32_t u = (uint32_t)half << 16; /* bf16_to_f32() inline, so that it becomes vectors */
        memcpy(floats + i, &u, sizeof u);
    }
}
