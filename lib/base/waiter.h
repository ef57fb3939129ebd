/*
 * Sleeping without lost wakeups, and waking without a system call when nobody sleeps.
 *
 *     ABSENT --begin--> ASLEEP --wake (true: raise the event)--> WOKEN --end--> ABSENT
 *     ABSENT --wake (false)--> WOKEN --the next begin says false--> ABSENT
 *
 * Every step is an atomic exchange on one word, so a wake is ordered either before the sleep, which
 * then does not happen, or after its begin, and then raises the event. The event (an eventfd) is
 * the caller's.
 *
 * Thread: begin and end belong to the sleeper, wake to any.
 */
#ifndef SPATE_BASE_WAITER_H
#define SPATE_BASE_WAITER_H

#include <stdatomic.h>
#include <stdbool.h>

enum { SPATE_WAITER_ABSENT = 0, SPATE_WAITER_ASLEEP = 1, SPATE_WAITER_WOKEN = 2 };

struct spate_waiter {
    _Atomic int state;
};

/* May the caller sleep now? False: it was woken since the last time, and that is used up now. */
static inline bool spate_waiter_begin(struct spate_waiter *waiter)
{
    int expected = SPATE_WAITER_ABSENT;

    if (atomic_compare_exchange_strong(&waiter->state, &expected, SPATE_WAITER_ASLEEP)) {
        return true;
    }
    (void)atomic_exchange(&waiter->state, SPATE_WAITER_ABSENT);
    return false;
}

/* Forgets a wake that came before; for a sleeper that has work and need not sleep. */
static inline void spate_waiter_end(struct spate_waiter *waiter)
{
    (void)atomic_exchange(&waiter->state, SPATE_WAITER_ABSENT);
}

/* True: somebody sleeps, raise the event. */
static inline bool spate_waiter_wake(struct spate_waiter *waiter)
{
    return atomic_exchange(&waiter->state, SPATE_WAITER_WOKEN) == SPATE_WAITER_ASLEEP;
}

#endif
