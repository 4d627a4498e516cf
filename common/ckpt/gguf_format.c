#include "common/ckpt/gguf_format.h"

#include <math.h>

#include "common/ckpt/float16.h"

static const gguf_kind kinds[] = {
    {0, "F32", 1, 4},         {1, "F16", 1, 2},         {2, "Q4_0", 32, 18},
    {3, "Q4_1", 32, 20},      {6, "Q5_0", 32, 22},      {7, "Q5_1", 32, 24},
    {8, "Q8_0", 32, 34},      {9, "Q8_1", 32, 36},      {10, "Q2_K", 256, 84},
    {11, "Q3_K", 256, 110},   {12, "Q4_K", 256, 144},   {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},   {15, "Q8_K", 256, 292},   {16, "IQ2_XXS", 256, 66},
    {17, "IQ2_XS", 256, 74},  {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},
    {20, "IQ4_NL", 32, 18},   {21, "IQ3_S", 256, 110},  {22, "IQ2_S", 256, 82},
    {23, "IQ4_XS", 256, 136}, {24, "I8", 1, 1},         {25, "I16", 1, 2},
    {26, "I32", 1, 4},        {27, "I64", 1, 8},        {28, "F64", 1, 8},
    {29, "IQ1_M", 256, 56},   {30, "BF16", 1, 2},       {34, "TQ1_0", 256, 54},
    {35, "TQ2_0", 256, 66},   {39, "MXFP4", 32, 17},
};

const gguf_kind *gguf_kind_of(uint32_t type)
{
    for (size_t i = 0; i < RT_COUNT(kinds); i++)
        if (kinds[i].type == type) return &kinds[i];
    return NULL;
}

static const struct {
    const char *name;
    size_t size;
} values[GGUF_N_VALUE_TYPES] = {
    [GGUF_U8] = {"u8", 1},       [GGUF_I8] = {"i8", 1},     [GGUF_U16] = {"u16", 2},
    [GGUF_I16] = {"i16", 2},     [GGUF_U32] = {"u32", 4},   [GGUF_I32] = {"i32", 4},
    [GGUF_F32] = {"f32", 4},     [GGUF_BOOL] = {"bool", 1}, [GGUF_TEXT] = {"text", 0},
    [GGUF_ARRAY] = {"array", 0}, [GGUF_U64] = {"u64", 8},   [GGUF_I64] = {"i64", 8},
    [GGUF_F64] = {"f64", 8},
};

size_t gguf_value_size(uint32_t type)
{
    return type < GGUF_N_VALUE_TYPES ? values[type].size : 0;
}

const char *gguf_value_name(uint32_t type)
{
    return type < GGUF_N_VALUE_TYPES ? values[type].name : "unknown";
}

static void encode_block(const float *x, uint8_t *out)
{
    float most = 0;
    for (size_t i = 0; i < Q8_0_BLOCK; i++) most = fmaxf(most, fabsf(x[i]));
    float scale = most / 127.0f, inverse = scale != 0 ? 1.0f / scale : 0.0f;
    uint16_t half;
    float16_encode(&scale, 1, &half);
    out[0] = (uint8_t)half;
    out[1] = (uint8_t)(half >> 8);
    for (size_t i = 0; i < Q8_0_BLOCK; i++)
        out[2 + i] = (uint8_t)(int8_t)fminf(127.0f, fmaxf(-127.0f, roundf(x[i] * inverse)));
}

void q8_0_encode(const float *x, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i += Q8_0_BLOCK, out += Q8_0_BYTES) encode_block(x + i, out);
}

void q8_0_decode(const uint8_t *blocks, size_t first, size_t n, float *out)
{
    float scale = 0;
    for (size_t i = first; i < first + n; i++) {
        const uint8_t *block = blocks + i / Q8_0_BLOCK * Q8_0_BYTES;
        if (i == first || i % Q8_0_BLOCK == 0) float16_decode(block, 1, &scale);
        *out++ = scale * (float)(int8_t)block[2 + i % Q8_0_BLOCK];
    }
}
