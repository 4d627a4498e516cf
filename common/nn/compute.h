/* Which numbers the large matrix products of a model read. Everything else (weights that the
 * optimizer holds, sums, norms, softmax, loss) is float32 in every mode.
 *
 *     f32     float32 operands
 *     bf16    operands rounded to bfloat16, sums in float32: half the bytes, and twice the products
 *             where the processor has fast ones
 *     bf16x3  each operand as the sum of two bfloat16: nearly float32
 *     auto    bf16 where the processor multiplies it faster than float32, else f32
 */
#ifndef RT_NN_COMPUTE_H
#define RT_NN_COMPUTE_H

typedef enum compute_mode {
    COMPUTE_F32,
    COMPUTE_BF16,
    COMPUTE_BF16X3,
    COMPUTE_AUTO,
} compute_mode;

/* "f32", "bf16", "bf16x3" or "auto". */
const char *compute_mode_name(compute_mode mode);

/* The mode that this processor runs for a wish: `auto` is decided, the others are themselves. */
compute_mode compute_mode_resolve(compute_mode wish);

#endif
