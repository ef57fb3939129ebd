#include "checksum.h"

/* Four chains, since each addition waits for the carry of the one before it in its chain. */
static uint64_t add_blocks(uint64_t sum, const uint8_t *bytes, uint32_t blocks)
{
    uint64_t sums[4] = {sum, 0, 0, 0};

    for (; blocks > 0; blocks--, bytes += 64) {
        sums[0] = spate_sum_add(sums[0], spate_get_u64(bytes));
        sums[1] = spate_sum_add(sums[1], spate_get_u64(bytes + 8));
        sums[2] = spate_sum_add(sums[2], spate_get_u64(bytes + 16));
        sums[3] = spate_sum_add(sums[3], spate_get_u64(bytes + 24));
        sums[0] = spate_sum_add(sums[0], spate_get_u64(bytes + 32));
        sums[1] = spate_sum_add(sums[1], spate_get_u64(bytes + 40));
        sums[2] = spate_sum_add(sums[2], spate_get_u64(bytes + 48));
        sums[3] = spate_sum_add(sums[3], spate_get_u64(bytes + 56));
    }
    return spate_sum_add(spate_sum_add(sums[0], sums[1]), spate_sum_add(sums[2], sums[3]));
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

uint64_t spate_sum_bytes(uint64_t sum, const uint8_t *bytes, uint32_t size)
{
    sum = add_blocks(sum, bytes, size / 64);
    bytes += size & ~63u;
    for (uint32_t words = (size & 63u) / 8; words > 0; words--, bytes += 8) {
        sum = spate_sum_add(sum, spate_get_u64(bytes));
    }
    return spate_sum_add(sum, tail_word(bytes, size & 7u));
}
