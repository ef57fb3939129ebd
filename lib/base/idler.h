/*
 * What a polling thread does when a turn brought nothing: it looks again, and now and then lets
 * others run.
 *
 * Yielding on every empty turn is fair but dear: each yield is a system call, and when another
 * poller waits for the processor two switches, so that a frame mostly arrives while nobody looks.
 * Never yielding starves whoever shares the processor for as long as the scheduler pleases. So a
 * thread keeps the processor for some microseconds between yields: for STAY_NS_MIN while yields
 * show that others want it, up to STAY_NS_MAX while they do not.
 */
#ifndef SPATE_BASE_IDLER_H
#define SPATE_BASE_IDLER_H

#include "base/clock.h"

/* Zeroed at the start. */
struct spate_idler {
    spate_time_ns resumed_at; /* When the last yield returned. */
    spate_time_ns stay_ns;    /* How long after that the next is due. */
};

/*
 * An empty turn ended at `now`. Yields when that is due. Returns the time afterwards.
 *
 * Thread: the poller's. Requires: `now` is of `clock`.
 */
spate_time_ns spate_idler_turn(struct spate_idler *idler, spate_time_ns now,
                               struct spate_clock *clock);

#endif
