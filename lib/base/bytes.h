/* Integers to and from little-endian bytes, at any alignment; sizes rounded to alignment. */
#ifndef SPATE_BASE_BYTES_H
#define SPATE_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "big-endian machines are not supported");

static inline void spate_put_u16(uint8_t *to, uint16_t value)
{
    memcpy(to, &value, sizeof value);
}

static inline void spate_put_u32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, sizeof value);
}

static inline void spate_put_u64(uint8_t *to, uint64_t value)
{
    memcpy(to, &value, sizeof value);
}

static inline uint16_t spate_get_u16(const uint8_t *from)
{
    uint16_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline uint32_t spate_get_u32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline uint64_t spate_get_u64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

/* Rounds up to a multiple of eight. */
static inline uint32_t spate_round_up_8(uint32_t bytes)
{
    return (bytes + 7u) & ~7u;
}

#endif
