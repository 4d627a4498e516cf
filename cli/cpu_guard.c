#include "cli/cpu_guard.h"

#include <stddef.h>

#define NEED(feature) \
    if (!__builtin_cpu_supports(feature)) return feature

const char *cpu_guard_missing(void)
{
#if defined(__x86_64__)
#ifdef __AVX__
    NEED("avx");
#endif
#ifdef __AVX2__
    NEED("avx2");
#endif
#ifdef __FMA__
    NEED("fma");
#endif
#ifdef __BMI2__
    NEED("bmi2");
#endif
#ifdef __AVX512F__
    NEED("avx512f");
#endif
#endif
    return NULL;
}
