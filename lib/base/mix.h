/* Spreads the bits of an integer over all of the result (MurmurHash3's finalizer). Not for secrets.
 */
#ifndef SPATE_BASE_MIX_H
#define SPATE_BASE_MIX_H

#include <stdint.h>

static inline uint64_t spate_mix64(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdu;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53u;
    return x ^ (x >> 33);
}

#endif
