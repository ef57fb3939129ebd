/*
 * The store of tests and of the simulator: what is durable lies in an image that outlives the
 * store, and the test decides when batches become durable, when there is no room, when writing
 * fails, and when the node crashes. One thread. The order of faults follows from the seed alone.
 */
#ifndef SPATE_DRIVERS_STORE_FAULT_H
#define SPATE_DRIVERS_STORE_FAULT_H

#include "store/store.h"

/* The "disk". */
struct spate_store_image;

/* Errors: SPATE_ERR_NO_MEMORY. Memory: the caller destroys it, after the store on it. */
spate_err spate_store_image_create(struct spate_store_image **ret_image) SPATE_MUST_CHECK;
void spate_store_image_destroy(struct spate_store_image *image);

/* What is on the disk: for checkers, which see everything. */
struct spate_hard_state spate_store_image_hard_state(const struct spate_store_image *image);

/* The term of an entry on the disk; 0: it is not there. */
spate_term spate_store_image_term(const struct spate_store_image *image, spate_index index);

/* Empties the disk, as if nothing had ever been there; or, as a store that is mute leaves it.
 * Requires: no store is on it. */
void spate_store_image_forget(struct spate_store_image *image, bool is_mute);

/* Damages an entry that `draw` chooses. False: there is none. Requires: no store is on it. */
bool spate_store_image_damage(struct spate_store_image *image, uint64_t draw);

struct spate_store_fault_options {
    struct spate_store_image *image; /* Outlives the store. */
    uint64_t seed;
    uint32_t busy_ppm;      /* How often submit finds no room. */
    uint64_t fail_at_batch; /* Writing this batch (from 1) fails, for ever. 0: never. */
    bool completes_at_once; /* Else spate_store_fault_complete() does. */
};

/* Errors: SPATE_ERR_NO_MEMORY */
spate_err spate_store_fault_create(const struct spate_store_fault_options *options,
                                   struct spate_store **ret_store) SPATE_MUST_CHECK;

/* Batches that were submitted and are not durable. */
uint64_t spate_store_fault_pending(const struct spate_store *store);

/* Makes up to `count` of the oldest pending batches durable. */
void spate_store_fault_complete(struct spate_store *store, uint64_t count);

/* Loses what is pending, each batch as a whole, as a crash does; the store goes on. */
void spate_store_fault_lose(struct spate_store *store);

/* Closes the store; what is pending is lost, each batch as a whole. close() would finish it. */
void spate_store_fault_crash(struct spate_store *store);

#endif
