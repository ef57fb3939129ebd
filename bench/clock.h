/* The clocks of measurements. */
#ifndef SPATE_BENCH_CLOCK_H
#define SPATE_BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Time as it passes; about 30 ns a reading. */
static inline uint64_t bench_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Time that this thread ran: what others do on the machine does not count. A system call. */
static inline uint64_t bench_thread_ns(void)
{
    struct timespec used;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

#endif
