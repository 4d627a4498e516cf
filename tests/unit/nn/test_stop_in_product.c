/* oneDNN's float32 products keep the stack pointer in the heap: a signal that comes meanwhile must not
 * write there (common/base/stop.c). Without that, this test ends within a moment with "corrupted size
 * vs. prev_size". */
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/stop.h"
#include "common/nn/gemm.h"
#include "common/nn/model.h"

#define N       96
#define K       400
#define SECONDS 1.0

/* Both signals, as when a terminal and a launcher ask at once, until it is killed. */
static pid_t start_pest(pid_t victim)
{
    const struct timespec pause = {0, 20000};
    pid_t pid = fork();
    if (pid != 0) return pid;
    for (unsigned i = 0;; i++) {
        kill(victim, i % 2 == 0 ? SIGTERM : SIGINT);
        nanosleep(&pause, NULL);
        if (getppid() != victim) _exit(0);
    }
}

static void check_product(size_t n_threads)
{
    float *a = malloc(N * K * sizeof *a), *b = malloc(K * N * sizeof *b);
    float *c = malloc(N * N * sizeof *c), *expected = malloc(N * N * sizeof *c);
    cr_assert(a != NULL && b != NULL && c != NULL && expected != NULL);
    for (size_t i = 0; i < N * K; i++) {
        a[i] = (float)(i % 7) - 3;
        b[i] = (float)(i % 5) - 2;
    }
    gemm_use(GEMM_ONEDNN);
    nn_set_threads(n_threads);
    gemm_reference(GEMM_N, GEMM_T, N, N, K, 1, a, K, b, K, 0, expected, N);
    rt_stop_install();
    pid_t pest = start_pest(getpid());
    cr_assert_gt(pest, 0);
    size_t n_wrong = 0;
    for (double until_s = rt_clock_mono_s() + SECONDS; rt_clock_mono_s() < until_s;) {
        gemm(GEMM_N, GEMM_T, N, N, K, 1, a, K, b, K, 0, c, N);
        for (size_t i = 0; i < (size_t)N * N; i++) n_wrong += fabsf(c[i] - expected[i]) > 1e-3f;
    }
    kill(pest, SIGKILL);
    waitpid(pest, NULL, 0);
    cr_expect_eq(n_wrong, 0);
    cr_expect_eq(rt_stop_requested(), RT_STOP_NOW);
    free(a);
    free(b);
    free(c);
    free(expected);
}

Test(stop_in_product, leaves_the_heap_alone, .timeout = 60)
{
    check_product(1);
}

Test(stop_in_product, leaves_the_heaps_of_all_threads_alone, .timeout = 60)
{
    check_product(2);
}
