#include "common/nn/compute.h"

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

rt_status compute_mode_resolve(compute_mode wish, compute_mode *out, rt_error *err)
{
    bool has_bf16 = gemm_bf16_available();
    if ((wish == COMPUTE_BF16 || wish == COMPUTE_BF16X3) && !has_bf16)
        return rt_fail(err, RT_UNSUPPORTED,
                       "compute is %s, but this processor has neither AVX512-BF16 nor AMX: "
                       "set compute to f32, or to auto",
                       compute_mode_name(wish));
    *out = wish != COMPUTE_AUTO ? wish : gemm_bf16_faster() ? COMPUTE_BF16 : COMPUTE_F32;
    return RT_OK;
}
