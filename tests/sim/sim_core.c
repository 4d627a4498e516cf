/* Time, chance and events; the clock and the log of everything that runs in the world. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "tests/sim/sim.h"

#define WALL_AT_START_MS UINT64_C(1700000000000)

sim_world *sim;

/* ---- chance: splitmix64 ---- */

uint64_t sim_u64(void)
{
    uint64_t z = sim->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t sim_below(uint64_t n)
{
    return n == 0 ? 0 : sim_u64() % n;
}

uint64_t sim_between(uint64_t least, uint64_t most)
{
    return least + sim_below(most - least + 1);
}

bool sim_chance(double p)
{
    return (double)(sim_u64() >> 11) * 0x1p-53 < p;
}

/* ---- events: a binary heap by (time, order) ---- */

static bool is_before(const sim_event *a, const sim_event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void swap(size_t a, size_t b)
{
    sim_event e = sim->heap[a];
    sim->heap[a] = sim->heap[b];
    sim->heap[b] = e;
}

void sim_at(uint64_t at_ms, sim_event_kind kind, sim_node *node, void *what)
{
    if (sim->n_heap == sim->heap_capacity) {
        sim->heap_capacity = sim->heap_capacity == 0 ? 256 : 2 * sim->heap_capacity;
        sim->heap = realloc(sim->heap, sim->heap_capacity * sizeof *sim->heap);
        RT_ASSERT(sim->heap != NULL);
    }
    size_t i = sim->n_heap++;
    sim->heap[i] = (sim_event){.at_ms = RT_MAX(at_ms, sim->now_ms),
                               .order = sim->n_ordered++,
                               .kind = kind,
                               .node = node == NULL ? 0 : node->i,
                               .life = node == NULL ? 0 : node->life,
                               .what = what};
    for (; i > 0 && is_before(&sim->heap[i], &sim->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(i, (i - 1) / 2);
}

bool sim_next(sim_event *out)
{
    if (sim->n_heap == 0) return false;
    *out = sim->heap[0];
    sim->heap[0] = sim->heap[--sim->n_heap];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < sim->n_heap; child++)
            if (is_before(&sim->heap[child], &sim->heap[least])) least = child;
        if (least == i) return true;
        swap(i, least);
        i = least;
    }
}

/* ---- words ---- */

void sim_trace(const char *fmt, ...)
{
    va_list args;
    if (!sim->trace) return;
    va_start(args, fmt);
    printf("%8" PRIu64 " %-13s ", sim->now_ms, sim->current == NULL ? "" : sim->current->name);
    vprintf(fmt, args);
    putchar('\n');
    va_end(args);
}

void sim_fail(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fflush(stdout);
    fprintf(stderr, "FAILED: seed %" PRIu64 " at %" PRIu64 " ms: ", sim->seed, sim->now_ms);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\nagain, with every event: sim --seed %" PRIu64 " --trace\n", sim->seed);
    va_end(args);
    exit(1);
}

/* ---- twins of common/base/clock.h and log.h ---- */

uint64_t rt_clock_mono_ms(void)
{
    return sim->now_ms;
}

double rt_clock_mono_s(void)
{
    return (double)sim->now_ms / 1000;
}

uint64_t rt_clock_wall_ms(void)
{
    return WALL_AT_START_MS + sim->now_ms;
}

void rt_sleep_ms(uint64_t duration_ms)
{
    sim_fail("something sleeps for %" PRIu64 " ms", duration_ms);
}

void rt_log_init(rt_log_level level, const char *role)
{
    (void)level, (void)role;
}

bool rt_log_enabled(rt_log_level level)
{
    return sim->trace && level > RT_LOG_DEBUG;
}

void rt_log_write(rt_log_level level, const char *event, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    if (!rt_log_enabled(level)) return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    sim_trace("  %s %s", event, text);
}
