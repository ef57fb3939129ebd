/*
 * A disk that remembers: every write, sync and change of names below one folder, as the segment log
 * makes them through the C library, in order; and what a crash after any of them leaves, as files
 * in another folder. Writes that were not synced have arrived by any of their sectors; changes of
 * names that were not synced by as many of the first as one likes.
 */
#ifndef SPATE_CONTRACT_DISK_H
#define SPATE_CONTRACT_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"

/* Begins to remember what happens to files in `directory` (by its path, as it is opened). What is
 * there is durable. */
void disk_record(const char *directory);

/* Ends it. What was remembered stays, for images. */
void disk_stop(void);

/* Notes that something was promised: `mark` of disk_marked(). Thread: any. */
void disk_mark(uint64_t mark);

uint32_t disk_steps(void);

/* The last mark before the step. */
uint64_t disk_marked(uint32_t step);

/* Whether a crash in the middle of the step is any different from one before it. */
bool disk_is_worth(uint32_t step);

/*
 * Makes what a crash in the middle of `step` leaves in `directory`, which is empty. Steps only ever
 * grow from call to call.
 */
void disk_crash_image(uint32_t step, struct spate_prng *prng, const char *directory);

#endif
