#include "clock/sim.h"

#include "base/assert.h"

static spate_time_ns sim_now(struct spate_clock *clock)
{
    struct spate_clock_sim *sim = (struct spate_clock_sim *)clock;
    return atomic_load_explicit(&sim->time, memory_order_acquire);
}

void spate_clock_sim_init(struct spate_clock_sim *sim, spate_time_ns start)
{
    sim->clock.now = sim_now;
    atomic_init(&sim->time, start);
}

void spate_clock_sim_set(struct spate_clock_sim *sim, spate_time_ns time)
{
    spate_assert(time >= atomic_load_explicit(&sim->time, memory_order_relaxed));
    atomic_store_explicit(&sim->time, time, memory_order_release);
}

void spate_clock_sim_advance(struct spate_clock_sim *sim, spate_time_ns by)
{
    spate_clock_sim_set(sim, sim_now(&sim->clock) + by);
}
