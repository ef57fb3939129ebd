#include "base/prng.h"

#include "base/assert.h"

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

void spate_prng_seed(struct spate_prng *prng, uint64_t seed, uint64_t stream)
{
    uint64_t state = seed;
    state = splitmix64(&state) ^ (stream * 0xd1342543de82ef95u);
    for (unsigned i = 0; i < 4; i++) {
        prng->state[i] = splitmix64(&state);
    }
    /* The all-zero state would stay zero for ever; splitmix64 never yields it four times. */
    spate_assert((prng->state[0] | prng->state[1] | prng->state[2] | prng->state[3]) != 0);
}

uint64_t spate_prng_next(struct spate_prng *prng)
{
    uint64_t *s = prng->state;
    const uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t spate_prng_below(struct spate_prng *prng, uint64_t bound)
{
    spate_assert(bound >= 1);
    /* Draws from the incomplete last range are thrown away, so that every answer is as likely. */
    const uint64_t threshold = (0 - bound) % bound;
    uint64_t draw = 0;
    do {
        draw = spate_prng_next(prng);
    } while (draw < threshold);
    return draw % bound;
}

uint64_t spate_prng_between(struct spate_prng *prng, uint64_t min, uint64_t max)
{
    spate_assert(min <= max);
    const uint64_t span = max - min;
    return span == UINT64_MAX ? spate_prng_next(prng) : min + spate_prng_below(prng, span + 1);
}

bool spate_prng_chance_ppm(struct spate_prng *prng, uint32_t parts_per_million)
{
    return spate_prng_below(prng, 1000000) < parts_per_million;
}
