/*
 * Many words at once: a lane adds up 64-bit words without regard to carries, and their upper halves
 * once more on their own. The latter cannot overflow, so they tell what the lower halves amount to:
 * whole - (upper << 32), modulo 2^64. That is three instructions for each vector, and no masks.
 */
#include "checksum.h"

#include "checksum_internal.h"

#define BLOCK_BYTES 64u

typedef uint64_t lanes2 __attribute__((vector_size(16)));
typedef uint64_t loaded2 __attribute__((vector_size(16), aligned(1), may_alias));

static uint64_t sum_blocks_portable(const uint8_t *bytes, uint32_t blocks)
{
    lanes2 whole[2] = {{0}};
    lanes2 upper[2] = {{0}};

    for (; blocks > 0; blocks--, bytes += BLOCK_BYTES) {
        for (uint32_t i = 0; i < BLOCK_BYTES / sizeof(lanes2); i++) {
            const lanes2 words = *(const loaded2 *)(bytes + i * sizeof(lanes2));
            whole[i % 2] += words;
            upper[i % 2] += words >> 32;
        }
    }
    const lanes2 above = upper[0] + upper[1];
    const lanes2 below = whole[0] + whole[1] - (above << 32);
    const lanes2 sum = above + below;

    return sum[0] + sum[1];
}

/* The last bytes, fewer than eight, with zeros behind them. */
static uint64_t tail_word(const uint8_t *bytes, uint32_t size)
{
    uint64_t word = 0;

    if ((size & 4u) != 0) {
        word = spate_get_u32(bytes);
        bytes += 4;
    }
    if ((size & 2u) != 0) {
        word += (uint64_t)spate_get_u16(bytes) << 32;
        bytes += 2;
    }
    if ((size & 1u) != 0) {
        word += (uint64_t)*bytes << 48;
    }
    return word;
}

static uint64_t add_rest(uint64_t sum, const uint8_t *bytes, uint32_t size)
{
    for (; size >= 8; size -= 8, bytes += 8) {
        sum = spate_sum_add(sum, spate_get_u64(bytes));
    }
    return spate_sum_add(sum, tail_word(bytes, size));
}

uint64_t spate_sum_bytes_portable(uint64_t sum, const uint8_t *bytes, uint32_t size)
{
    if (size >= BLOCK_BYTES) {
        sum = spate_sum_add(sum, sum_blocks_portable(bytes, size / BLOCK_BYTES));
    }
    return add_rest(sum, bytes + (size & ~(BLOCK_BYTES - 1)), size % BLOCK_BYTES);
}

#if defined(__x86_64__)

typedef uint64_t lanes4 __attribute__((vector_size(32)));
typedef uint64_t loaded4 __attribute__((vector_size(32), aligned(1), may_alias));

__attribute__((target("avx2"))) static uint64_t sum_blocks_avx2(const uint8_t *bytes,
                                                                uint32_t blocks)
{
    lanes4 whole[2] = {{0}};
    lanes4 upper[2] = {{0}};

    for (; blocks > 0; blocks--, bytes += BLOCK_BYTES) {
        lanes4 first = *(const loaded4 *)bytes;
        lanes4 second = *(const loaded4 *)(bytes + sizeof(lanes4));
        /* Keeps gcc from loading each a second time, half as fast where they are unaligned. */
        __asm__("" : "+x"(first), "+x"(second));
        whole[0] += first;
        upper[0] += first >> 32;
        whole[1] += second;
        upper[1] += second >> 32;
    }
    const lanes4 above = upper[0] + upper[1];
    const lanes4 below = whole[0] + whole[1] - (above << 32);
    const lanes4 sum = above + below;

    return sum[0] + sum[1] + sum[2] + sum[3];
}

uint64_t spate_sum_bytes(uint64_t sum, const uint8_t *bytes, uint32_t size)
{
    if (size < 2 * BLOCK_BYTES || !__builtin_cpu_supports("avx2")) {
        return spate_sum_bytes_portable(sum, bytes, size);
    }
    sum = spate_sum_add(sum, sum_blocks_avx2(bytes, size / BLOCK_BYTES));
    return add_rest(sum, bytes + (size & ~(BLOCK_BYTES - 1)), size % BLOCK_BYTES);
}

#else

uint64_t spate_sum_bytes(uint64_t sum, const uint8_t *bytes, uint32_t size)
{
    return spate_sum_bytes_portable(sum, bytes, size);
}

#endif
