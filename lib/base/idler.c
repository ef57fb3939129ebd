#include "base/idler.h"

#include <sched.h>

#include "base/assert.h"

#define STAY_NS_MIN 8000u
#define STAY_NS_MAX 64000u

/* A yield that took longer let somebody else run: pollers like us keep the processor for longer
 * than this, and a system call alone takes a fraction of it. */
#define SHARED_NS 2000u

spate_time_ns spate_idler_turn(struct spate_idler *idler, spate_time_ns now,
                               struct spate_clock *clock)
{
    spate_assert(now >= idler->resumed_at);
    if (now - idler->resumed_at < idler->stay_ns) {
        return now;
    }
    (void)sched_yield();
    idler->resumed_at = spate_clock_now(clock);
    const bool is_shared = idler->resumed_at - now >= SHARED_NS;
    const spate_time_ns longer_ns = 2 * idler->stay_ns;

    idler->stay_ns = is_shared || longer_ns < STAY_NS_MIN ? STAY_NS_MIN : longer_ns;
    idler->stay_ns = idler->stay_ns < STAY_NS_MAX ? idler->stay_ns : STAY_NS_MAX;
    return idler->resumed_at;
}
