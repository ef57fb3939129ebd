/*
 * The state machine that measures: it counts commands and chains their checksums, so that replicas
 * can be compared by two numbers. A command's answer is the count after it.
 */
#ifndef SPATE_KV_COUNTING_H
#define SPATE_KV_COUNTING_H

#include <stdatomic.h>

#include "base/types.h"
#include "spate/fsm.h"

/* version u32, digest u32, count u64 */
#define SPATE_COUNTING_SAVED_BYTES 16u

struct spate_counting {
    struct spate_fsm fsm; /* Give its address to the node. */
    _Atomic uint64_t count;
    _Atomic uint32_t digest; /* Of the CRC-32C of each command, in order. */

    /* Of an open save or restore. */
    uint8_t saved[SPATE_COUNTING_SAVED_BYTES];
    uint32_t saved_bytes;
};

/* An empty one; lives in memory, so it is rebuilt from the log. Memory: the caller's. */
void spate_counting_init(struct spate_counting *counting);

/* Thread: any. What was applied up to some moment: count first, then digest, are not one snapshot.
 */
uint64_t spate_counting_count(const struct spate_counting *counting);
uint32_t spate_counting_digest(const struct spate_counting *counting);

#endif
