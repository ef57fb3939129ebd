/*
 * Records lie in a circle of bytes, each behind an eight-byte header with its size. A record never
 * wraps: when it does not fit before the end, the rest of the circle is skipped by a header with
 * the size SKIP. Positions count bytes for ever; the place in the circle is position & mask.
 *
 * Each side keeps a copy of the other side's position and reads the shared one only when the copy
 * says full (or empty), so that in steady state a record costs no cache miss on positions.
 */
#include "base/ring.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/bytes.h"

#define HEADER_BYTES 8u
#define SKIP         UINT32_MAX

/* Two cache lines: processors fetch lines in pairs. */
#define APART_BYTES 128

struct spate_ring {
    /* Never written after creation. */
    alignas(APART_BYTES) uint64_t mask;
    uint8_t *bytes;

    /* The producer's own. */
    alignas(APART_BYTES) uint64_t reserved;
    uint64_t released_copy;

    /* Written by the producer, read by the consumer. */
    alignas(APART_BYTES) _Atomic uint64_t published;

    /* The consumer's own. */
    alignas(APART_BYTES) uint64_t taken;
    uint64_t taken_before; /* Where the last taken record began. */
    uint64_t published_copy;

    /* Written by the consumer, read by the producer. */
    alignas(APART_BYTES) _Atomic uint64_t released;
};

spate_err spate_ring_create(uint32_t capacity_bytes, struct spate_ring **ret_ring)
{
    spate_assert(capacity_bytes >= 4096);
    spate_assert((capacity_bytes & (capacity_bytes - 1)) == 0);

    struct spate_ring *ring = aligned_alloc(APART_BYTES, sizeof *ring);
    uint8_t *bytes = aligned_alloc(APART_BYTES, capacity_bytes);
    if (ring == NULL || bytes == NULL) {
        free(ring);
        free(bytes);
        return SPATE_ERR_NO_MEMORY;
    }
    *ring = (struct spate_ring){.mask = capacity_bytes - 1, .bytes = bytes};
    *ret_ring = ring;
    return SPATE_OK;
}

void spate_ring_destroy(struct spate_ring *ring)
{
    if (ring != NULL) {
        free(ring->bytes);
        free(ring);
    }
}

uint32_t spate_ring_record_bytes_max(const struct spate_ring *ring)
{
    return (uint32_t)((ring->mask + 1) / 2) - 2 * HEADER_BYTES;
}

/* Whether the producer may go on to `position`. */
static bool has_room(struct spate_ring *ring, uint64_t position)
{
    if (position - ring->released_copy <= ring->mask + 1) {
        return true;
    }
    ring->released_copy = atomic_load_explicit(&ring->released, memory_order_acquire);
    return position - ring->released_copy <= ring->mask + 1;
}

void *spate_ring_reserve(struct spate_ring *ring, uint32_t bytes)
{
    spate_assert(bytes <= spate_ring_record_bytes_max(ring));

    const uint64_t stride = HEADER_BYTES + spate_round_up_8(bytes);
    const uint64_t to_end = ring->mask + 1 - (ring->reserved & ring->mask);
    const uint64_t skipped = stride <= to_end ? 0 : to_end;

    if (!has_room(ring, ring->reserved + skipped + stride)) {
        return NULL;
    }
    if (skipped > 0) {
        spate_put_u32(ring->bytes + (ring->reserved & ring->mask), SKIP);
        ring->reserved += skipped;
    }
    uint8_t *record = ring->bytes + (ring->reserved & ring->mask);
    spate_put_u32(record, bytes);
    ring->reserved += stride;
    return record + HEADER_BYTES;
}

void spate_ring_publish(struct spate_ring *ring)
{
    atomic_store_explicit(&ring->published, ring->reserved, memory_order_release);
}

/* Whether there is something at `taken`, looking at the shared position only when it must. */
static bool has_record(struct spate_ring *ring)
{
    if (ring->taken != ring->published_copy) {
        return true;
    }
    ring->published_copy = atomic_load_explicit(&ring->published, memory_order_acquire);
    return ring->taken != ring->published_copy;
}

void *spate_ring_take(struct spate_ring *ring, uint32_t *ret_bytes)
{
    if (!has_record(ring)) {
        return NULL;
    }
    ring->taken_before = ring->taken;
    uint8_t *record = ring->bytes + (ring->taken & ring->mask);
    uint32_t bytes = spate_get_u32(record);
    if (bytes == SKIP) {
        ring->taken += ring->mask + 1 - (ring->taken & ring->mask);
        /* A skip is published together with the record behind it. */
        spate_assert(ring->taken != ring->published_copy);
        record = ring->bytes;
        bytes = spate_get_u32(record);
    }
    ring->taken += HEADER_BYTES + spate_round_up_8(bytes);
    *ret_bytes = bytes;
    return record + HEADER_BYTES;
}

void spate_ring_untake(struct spate_ring *ring)
{
    spate_assert(ring->taken_before < ring->taken);
    ring->taken = ring->taken_before;
}

void spate_ring_release(struct spate_ring *ring)
{
    atomic_store_explicit(&ring->released, ring->taken, memory_order_release);
}

bool spate_ring_is_empty(struct spate_ring *ring)
{
    return !has_record(ring);
}
