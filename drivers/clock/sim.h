/* A clock that the owner moves: tests and simulations jump from deadline to deadline. */
#ifndef SPATE_CLOCK_SIM_H
#define SPATE_CLOCK_SIM_H

#include <stdatomic.h>

#include "base/clock.h"

/* Embed it anywhere; initialize with spate_clock_sim_init. */
struct spate_clock_sim {
    struct spate_clock clock;
    _Atomic spate_time_ns time;
};

void spate_clock_sim_init(struct spate_clock_sim *sim, spate_time_ns start);

/* Requires: time does not go back. */
void spate_clock_sim_set(struct spate_clock_sim *sim, spate_time_ns time);
void spate_clock_sim_advance(struct spate_clock_sim *sim, spate_time_ns by);

#endif
