/*
 * Two clocks that count the time since the machine started.
 *
 * The system clock asks the kernel (CLOCK_MONOTONIC, about 25 to 60 ns). The fast clock reads the
 * processor's time stamp counter and follows the system clock: every 64 ms one caller compares the
 * two and bends the rate by at most 500 parts per million, so time neither jumps back nor repeats
 * a second. Where there is no counter that runs at one rate, it is the system clock.
 */
#ifndef SPATE_CLOCK_MONOTONIC_H
#define SPATE_CLOCK_MONOTONIC_H

#include "base/clock.h"
#include "base/types.h"

/* Thread: any. Memory: static; there is nothing to free. */
struct spate_clock *spate_clock_system(void);

/* Whether the processor's counter runs at one rate. */
bool spate_clock_fast_is_supported(void);

/*
 * The fast clock, or the system clock where there is none (or no memory for it). Never NULL.
 *
 * Thread: the clock may be read by any.
 * Cost:   creation takes 2 ms, for the first measure of the rate.
 */
struct spate_clock *spate_clock_fast_create(void);

/* Accepts NULL and the system clock. Requires: nobody reads it any more. */
void spate_clock_fast_destroy(struct spate_clock *clock);

#endif
