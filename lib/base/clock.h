/* Time as a seam: production reads a monotonic clock, the simulator moves its own. */
#ifndef SPATE_BASE_CLOCK_H
#define SPATE_BASE_CLOCK_H

#include "base/types.h"

struct spate_clock {
    /* Thread: any. Never goes back. */
    spate_time_ns (*now)(struct spate_clock *clock);
};

static inline spate_time_ns spate_clock_now(struct spate_clock *clock)
{
    return clock->now(clock);
}

#endif
