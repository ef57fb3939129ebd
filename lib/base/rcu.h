/*
 * Reclamation: when may memory that lock-free readers have seen be used again?
 *
 * The structures (lib/log) do not choose the answer; they are given a `struct spate_reclaim`.
 * Production uses liburcu's QSBR flavour (spate_rcu_reclaim), the simulator frees, and poisons,
 * at the first legal moment. Retired memory is never freed by another thread: the owner gets a
 * flag, and takes the memory back itself on one of its next calls. So owners need no lock.
 */
#ifndef SPATE_BASE_RCU_H
#define SPATE_BASE_RCU_H

#include <stdatomic.h>

#include "base/types.h"

/* Embedded in what is retired. Zeroed by the owner before use. */
struct spate_retired {
    void *reserved[2];         /* For the reclaimer (liburcu's rcu_head). */
    _Atomic bool is_reclaimed; /* Set once, with release order, when no reader can hold it. */
};

struct spate_reclaim {
    /*
     * Takes note of `item`, already unreachable for new readers. Sets item->is_reclaimed after a
     * grace period, from any thread, possibly before this call returns. Never blocks.
     *
     * Thread: the owner's.
     */
    void (*retire)(struct spate_reclaim *reclaim, struct spate_retired *item);
};

/* Order: acquire; the owner may write to the memory again after true. */
static inline bool spate_retired_is_reclaimed(const struct spate_retired *item)
{
    return atomic_load_explicit(&item->is_reclaimed, memory_order_acquire);
}

/*
 * liburcu QSBR. A reader thread registers once, announces a quiescent state once a turn (holding
 * no pointer from before), and is offline while it blocks.
 *
 * Thread: each registered thread for itself.
 */
void spate_rcu_register(void);
void spate_rcu_unregister(void);
void spate_rcu_quiescent(void);
void spate_rcu_offline(void);
void spate_rcu_online(void);

/*
 * For structures whose synchronisation happens inside liburcu's own library, where
 * ThreadSanitizer cannot see it: call the first before making `object` reachable, the second
 * after finding it. Without ThreadSanitizer they do nothing.
 */
void spate_rcu_publish(void *object);
void spate_rcu_observe(const void *object);

/* The production reclaimer; no state of ours behind it. Thread: any. */
struct spate_reclaim *spate_rcu_reclaim(void);

/* Waits until everything retired so far is reclaimed. Not from a reader section. For shutdown. */
void spate_rcu_barrier(void);

/*
 * The reclaimer for a single-threaded host without concurrent readers (simulator, tests):
 * everything retired is reclaimed at once.
 */
struct spate_reclaim *spate_reclaim_immediate(void);

#endif
