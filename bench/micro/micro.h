/*
 * Micro benchmarks: one table of cases per module. The runner finds how many operations fill its
 * time slice, runs all cases in turns, and reports the median per operation.
 */
#ifndef SPATE_BENCH_MICRO_MICRO_H
#define SPATE_BENCH_MICRO_MICRO_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/clock.h"

struct micro_case {
    const char *name; /* "module: what, how much" */
    void *(*create)(void);
    /* Does about `operations` operations and returns the nanoseconds of one. */
    double (*run)(void *context, uint64_t operations);
    void (*destroy)(void *context);
};

struct micro_table {
    const struct micro_case *cases;
    uint32_t count;
};

extern const struct micro_table micro_base;
extern const struct micro_table micro_log;
extern const struct micro_table micro_wire;
extern const struct micro_table micro_raft;
extern const struct micro_table micro_store;
extern const struct micro_table micro_stack;

/* Keeps a result alive that nobody reads. */
static inline void micro_keep(uint64_t value)
{
    __asm__ volatile("" : : "r"(value) : "memory");
}

/* Nanoseconds per operation since `start_ns`, a reading of bench_thread_ns(). */
static inline double micro_per(uint64_t start_ns, uint64_t operations)
{
    return (double)(bench_thread_ns() - start_ns) / (double)operations;
}

/* The same for a reading of bench_now_ns(): where other threads or the disk take part. */
static inline double micro_per_passed(uint64_t start_ns, uint64_t operations)
{
    return (double)(bench_now_ns() - start_ns) / (double)operations;
}

/* calloc() that ends the program when there is no memory. */
void *micro_allocate(uint64_t bytes);

/* Ends the program when a benchmark's own set-up fails. */
void micro_require(bool is_good, const char *what);

#endif
