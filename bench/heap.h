/* Counts this process's calls of the allocator (it replaces malloc and its relatives). */
#ifndef SPATE_BENCH_HEAP_H
#define SPATE_BENCH_HEAP_H

#include <stdint.h>

/* Allocations by the calling thread since it began. Frees do not count. */
uint64_t heap_allocations(void);

#endif
