/*
 * The Internet checksum (RFC 1071): the ones' complement sum of 16-bit words.
 *
 * Sums are kept in 64 bits and in the order in which words lie in memory, which the ones'
 * complement allows: they are folded once, at the end, and stored without swapping bytes.
 *
 * Thread: any. Alignment: any.
 */
#ifndef SPATE_NET_DPDK_STACK_CHECKSUM_H
#define SPATE_NET_DPDK_STACK_CHECKSUM_H

#include <string.h>

#include "base/bytes.h"
#include "base/types.h"

/* Ones' complement addition of 64 bits: what leaves at the top comes in at the bottom. */
static inline uint64_t spate_sum_add(uint64_t sum, uint64_t words)
{
    sum += words;
    return sum + (sum < words ? 1u : 0u);
}

/* Adds a 16-bit number in host order. */
static inline uint64_t spate_sum_add_u16(uint64_t sum, uint16_t number)
{
    return spate_sum_add(sum, __builtin_bswap16(number));
}

/* Adds a 32-bit number in host order. */
static inline uint64_t spate_sum_add_u32(uint64_t sum, uint32_t number)
{
    return spate_sum_add(sum, __builtin_bswap32(number));
}

/* The sum of an IPv4 header without options. */
static inline uint64_t spate_sum_20(const uint8_t header[20])
{
    const uint64_t sum = spate_sum_add(spate_get_u64(header), spate_get_u64(header + 8));
    return spate_sum_add(sum, spate_get_u32(header + 16));
}

/*
 * Adds `size` bytes to `sum`. An odd byte at the end counts as if a zero followed it, so only the
 * last part of a message may have an odd size.
 */
uint64_t spate_sum_bytes(uint64_t sum, const uint8_t *bytes, uint32_t size);

/* The sum in 16 bits. A message that carries its right checksum sums up to 0xffff. */
static inline uint16_t spate_sum_fold(uint64_t sum)
{
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffu) + (sum >> 16);
    sum = (sum & 0xffffu) + (sum >> 16);
    return (uint16_t)sum;
}

/* The checksum that belongs into a header, as it lies in memory. */
static inline uint16_t spate_sum_checksum(uint64_t sum)
{
    return (uint16_t)~spate_sum_fold(sum);
}

#endif
