#include "base/crc32c.h"

#include "base/bytes.h"
#include "crc32c_internal.h"

/* Eight bytes at a time: each table takes one byte as far as the end of the eight. */
static uint32_t add_eight(uint32_t crc, const uint8_t *bytes)
{
    const uint64_t word = spate_get_u64(bytes) ^ crc;
    uint32_t next = 0;

    for (unsigned i = 0; i < 8; i++) {
        next ^= spate_crc32c_tables[7 - i][(word >> (8 * i)) & 0xff];
    }
    return next;
}

uint32_t spate_crc32c_portable(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    crc = ~crc;
    for (; size >= 8; size -= 8, bytes += 8) {
        crc = add_eight(crc, bytes);
    }
    for (; size > 0; size--, bytes++) {
        crc = (crc >> 8) ^ spate_crc32c_tables[0][(crc ^ *bytes) & 0xff];
    }
    return ~crc;
}

#if defined(__x86_64__)

#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const uint8_t *bytes,
                                                               size_t size)
{
    uint64_t wide = (uint32_t)~crc;

    for (; size >= 8; size -= 8, bytes += 8) {
        wide = _mm_crc32_u64(wide, spate_get_u64(bytes));
    }
    uint32_t narrow = (uint32_t)wide;
    for (; size > 0; size--, bytes++) {
        narrow = _mm_crc32_u8(narrow, *bytes);
    }
    return ~narrow;
}

uint32_t spate_crc32c(uint32_t crc, const void *data, size_t size)
{
    /* One load and a bit test; libgcc fills it in before main. */
    return __builtin_cpu_supports("sse4.2") ? crc32c_sse42(crc, data, size)
                                            : spate_crc32c_portable(crc, data, size);
}

#else

uint32_t spate_crc32c(uint32_t crc, const void *data, size_t size)
{
    return spate_crc32c_portable(crc, data, size);
}

#endif
