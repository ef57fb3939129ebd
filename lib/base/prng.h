/*
 * The seeded generator (xoshiro256**, seeded by splitmix64). Every random choice of the library
 * comes from one that it was given, so that a run can be repeated. Not for secrets.
 */
#ifndef SPATE_BASE_PRNG_H
#define SPATE_BASE_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct spate_prng {
    uint64_t state[4];
};

/* Two streams of one seed are independent: give each authority (network, disk, …) its own. */
void spate_prng_seed(struct spate_prng *prng, uint64_t seed, uint64_t stream);

uint64_t spate_prng_next(struct spate_prng *prng);

/* Uniform in [0, bound). Requires: bound >= 1. */
uint64_t spate_prng_below(struct spate_prng *prng, uint64_t bound);

/* Uniform in [min, max]. Requires: min <= max. */
uint64_t spate_prng_between(struct spate_prng *prng, uint64_t min, uint64_t max);

/* True `parts_per_million` times in a million. */
bool spate_prng_chance_ppm(struct spate_prng *prng, uint32_t parts_per_million);

#endif
