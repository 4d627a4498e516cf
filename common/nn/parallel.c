#include "common/nn/parallel.h"

#include <omp.h>
#include <stdatomic.h>

#include "common/nn/gemm.h"
#include "common/nn/model.h"

/* The two settings of the process: what OpenBLAS keeps globally has to be global here too. */
static atomic_size_t threads_chosen = 1;
static atomic_bool blas_ready;

void nn_set_threads(size_t n_threads)
{
    size_t n = RT_MAX(n_threads, (size_t)1);
    atomic_store(&threads_chosen, n);
    atomic_store(&blas_ready, true);
    omp_set_num_threads((int)n);
    gemm_set_threads(n);
}

const char *nn_blas_name(void)
{
    return gemm_kernel_name();
}

void parallel_enter(void)
{
    omp_set_num_threads((int)atomic_load(&threads_chosen));
    if (!atomic_exchange(&blas_ready, true)) gemm_set_threads(atomic_load(&threads_chosen));
}

size_t parallel_threads(void)
{
    return (size_t)omp_get_max_threads();
}

size_t parallel_thread(void)
{
    return (size_t)omp_get_thread_num();
}
