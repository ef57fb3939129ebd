/*
 * A bounded ring of variable-size records between one producer thread and one consumer thread
 * (they may be the same). Wait-free on both sides; a full ring is an answer, not an error.
 *
 * The producer reserves records, fills them, and publishes all of them at once. The consumer
 * takes records one by one and releases all that it took at once.
 */
#ifndef SPATE_BASE_RING_H
#define SPATE_BASE_RING_H

#include "base/error.h"
#include "base/types.h"

struct spate_ring;

/*
 * Requires: capacity_bytes is a power of two, at least 4096.
 * Memory:   the caller destroys it; `destroy` accepts NULL.
 * Errors:   SPATE_ERR_NO_MEMORY
 */
spate_err spate_ring_create(uint32_t capacity_bytes, struct spate_ring **ret_ring) SPATE_MUST_CHECK;
void spate_ring_destroy(struct spate_ring *ring);

/* The largest record that can ever be reserved: less than half of the capacity. */
uint32_t spate_ring_record_bytes_max(const struct spate_ring *ring);

/*
 * Room for one record of `bytes`, aligned to eight, or NULL when the ring is full. What was
 * reserved stays invisible until spate_ring_publish().
 *
 * Thread: producer.
 */
void *spate_ring_reserve(struct spate_ring *ring, uint32_t bytes);

/* Thread: producer. Order: release; the consumer sees the records' bytes. */
void spate_ring_publish(struct spate_ring *ring);

/*
 * The next record and its size as reserved, or NULL when there is none. It stays valid until
 * spate_ring_release().
 *
 * Thread: consumer.
 */
void *spate_ring_take(struct spate_ring *ring, uint32_t *ret_bytes);

/* Puts back the record that the last spate_ring_take() returned. Thread: consumer. */
void spate_ring_untake(struct spate_ring *ring);

/* Gives all taken records back to the producer. Thread: consumer. Order: release. */
void spate_ring_release(struct spate_ring *ring);

/* Whether a take would return NULL. Thread: consumer. */
bool spate_ring_is_empty(struct spate_ring *ring);

#endif
