#include "heap.h"

#include <stdlib.h>

static _Thread_local uint64_t allocations;

uint64_t heap_allocations(void)
{
    return allocations;
}

/* glibc's own names for what is replaced here: part of its ABI.
 * NOLINTBEGIN(readability-identifier-naming,readability-inconsistent-declaration-parameter-name) */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    allocations++;
    return __libc_realloc(old, size);
}
/* NOLINTEND(readability-identifier-naming,readability-inconsistent-declaration-parameter-name) */
