/*
 * The smallest store that a node can be tested on. Its image outlives it, as a disk does: what was
 * completed is in the image, what was only submitted is lost when the store is closed without
 * being polled. So a test can stop a node at any moment and start it again from the image.
 */
#ifndef SPATE_SUPPORT_TINY_STORE_H
#define SPATE_SUPPORT_TINY_STORE_H

#include "store/store.h"

#define TINY_STORE_QUEUE_MAX 8u

struct tiny_entry {
    spate_term term;
    uint32_t stride;
    uint8_t *bytes; /* Encoded. */
};

struct tiny_image {
    bool is_founded;
    struct spate_hard_state hard_state;
    spate_index last;
    uint64_t capacity;
    struct tiny_entry *entries; /* entries[i] has index i + 1 */
};

struct tiny_batch {
    bool has_hard_state;
    struct spate_hard_state hard_state;
    bool has_truncate;
    spate_index truncate_after;
    uint32_t count;
    struct tiny_entry *entries;
};

struct tiny_store {
    struct spate_store store;
    struct tiny_image *image;
    uint32_t
        delay_polls;   /* A batch completes on so many polls after it was submitted. 0: at once. */
    bool is_forgetful; /* Reads find nothing, as in a store that keeps no entries. */
    uint32_t busy_ppm; /* How often submit says BUSY for no reason. */
    uint32_t polls_left;
    uint64_t draws;
    spate_ticket submitted, completed;
    struct tiny_batch queue[TINY_STORE_QUEUE_MAX];
    uint64_t reads;
    spate_err failure; /* Set by a test: every poll reports it. */
    uint8_t *read_bytes;
};

struct tiny_store *tiny_store_open(struct tiny_image *image, enum spate_durability durability);
void tiny_image_destroy(struct tiny_image *image);

#endif
