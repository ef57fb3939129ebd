#include "heap.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

static _Thread_local uint64_t allocations;

#ifdef HAS_SANITIZER
/* The allocator is the sanitizer's, which tells who asks. */
#include <stdbool.h>

/* Its interface, whose header Debian packages with clang alone. NOLINTBEGIN */
int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void *, size_t),
                                              void (*freed)(const volatile void *));
/* NOLINTEND */

static void count_one(const volatile void *memory, size_t size)
{
    (void)memory;
    (void)size;
    allocations++;
}

static void ignore_one(const volatile void *memory)
{
    (void)memory;
}

uint64_t heap_allocations(void)
{
    static bool is_installed;

    if (!is_installed) {
        is_installed = __sanitizer_install_malloc_and_free_hooks(count_one, ignore_one) != 0;
    }
    return allocations;
}
#else
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
#endif
