#include "base/crc32c.h"

#include "base/bytes.h"

/* One nibble of input: the reflected polynomial 0x82f63b78 divided four bits at a time. Slow, and
 * short enough to be checked by eye; machines that matter have the instruction. */
static uint32_t add_nibble(uint32_t crc, uint32_t nibble)
{
    static const uint32_t table[16] = {
        0x00000000u, 0x105ec76fu, 0x20bd8edeu, 0x30e349b1u, 0x417b1dbcu, 0x5125dad3u,
        0x61c69362u, 0x7198540du, 0x82f63b78u, 0x92a8fc17u, 0xa24bb5a6u, 0xb21572c9u,
        0xc38d26c4u, 0xd3d3e1abu, 0xe330a81au, 0xf36e6f75u,
    };
    return (crc >> 4) ^ table[(crc ^ nibble) & 15u];
}

uint32_t spate_crc32c_portable(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc = add_nibble(crc, bytes[i] & 15u);
        crc = add_nibble(crc, (uint32_t)bytes[i] >> 4);
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
