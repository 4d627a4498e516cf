#include "common/nn/compute.h"

#include "common/base/status.h"
#include "common/nn/gemm_bf16.h"

const char *compute_mode_name(compute_mode mode)
{
    static const char *const names[] = {
        [COMPUTE_F32] = "f32",
        [COMPUTE_BF16] = "bf16",
        [COMPUTE_BF16X3] = "bf16x3",
        [COMPUTE_AUTO] = "auto",
    };
    return (size_t)mode < RT_COUNT(names) ? names[mode] : "?";
}

compute_mode compute_mode_resolve(compute_mode wish)
{
    if (wish != COMPUTE_AUTO) return wish;
    return gemm_bf16_faster() ? COMPUTE_BF16 : COMPUTE_F32;
}
