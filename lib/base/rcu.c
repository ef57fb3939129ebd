/*
 * liburcu's QSBR flavour behind lib/base/rcu.h.
 *
 * ThreadSanitizer sees only the instrumented half of a grace period: liburcu 0.13 synchronises
 * inside its own library. Each thread therefore "releases" one address when it passes a quiescent
 * state, and whoever learns that a grace period has ended "acquires" it. That is the ordering that
 * liburcu gives (see the head of urcu-qsbr.c); without it TSan reports correct frees as races.
 */
#include "base/rcu.h"

#include <sched.h>

#include "base/assert.h"

#if defined(__SANITIZE_THREAD__)
#define HAS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAS_TSAN 1
#endif
#endif

/* liburcu's inlined readers (BSD-3-Clause is compatible: docs/adr/0009). Under ThreadSanitizer
 * they stay in liburcu's own library, whose relaxed accesses it would otherwise report. */
#ifndef HAS_TSAN
#define _LGPL_SOURCE
#endif
#include <urcu/urcu-qsbr.h>

#ifdef HAS_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
/* Only its address matters: nothing is ever written to it. */
static const char grace_period;
#define GRACE_PERIOD          ((void *)(uintptr_t)&grace_period)
#define TSAN_RELEASE(address) __tsan_release(address)
#define TSAN_ACQUIRE(address) __tsan_acquire(address)
#else
#define GRACE_PERIOD          NULL
#define TSAN_RELEASE(address) ((void)(address))
#define TSAN_ACQUIRE(address) ((void)(address))
#endif

_Static_assert(sizeof(struct rcu_head) <= sizeof(((struct spate_retired *)0)->reserved),
               "struct spate_retired has room for liburcu's rcu_head");
_Static_assert(offsetof(struct spate_retired, reserved) == 0, "and begins with it");

void spate_rcu_register(void)
{
    urcu_qsbr_register_thread();
    TSAN_ACQUIRE(GRACE_PERIOD);
}

void spate_rcu_unregister(void)
{
    TSAN_RELEASE(GRACE_PERIOD);
    urcu_qsbr_unregister_thread();
}

void spate_rcu_quiescent(void)
{
    TSAN_RELEASE(GRACE_PERIOD);
    urcu_qsbr_quiescent_state();
}

void spate_rcu_offline(void)
{
    TSAN_RELEASE(GRACE_PERIOD);
    urcu_qsbr_thread_offline();
}

void spate_rcu_online(void)
{
    urcu_qsbr_thread_online();
}

void spate_rcu_publish(void *object)
{
    TSAN_RELEASE(object);
}

void spate_rcu_observe(const void *object)
{
    TSAN_ACQUIRE((void *)(uintptr_t)object);
}

/* Runs on liburcu's thread, after a grace period. */
static void reclaimed(struct rcu_head *head)
{
    struct spate_retired *item = (struct spate_retired *)(void *)head;
    TSAN_ACQUIRE(item);
    TSAN_ACQUIRE(GRACE_PERIOD);
    atomic_store_explicit(&item->is_reclaimed, true, memory_order_release);
}

static void retire(struct spate_reclaim *reclaim, struct spate_retired *item)
{
    (void)reclaim;
    spate_assert(!spate_retired_is_reclaimed(item));
    TSAN_RELEASE(item);
    urcu_qsbr_call_rcu((struct rcu_head *)(void *)item->reserved, reclaimed);
}

struct spate_reclaim *spate_rcu_reclaim(void)
{
    /* Never written: what changes is liburcu's. */
    static const struct spate_reclaim qsbr = {.retire = retire};

    /* Starts liburcu's thread now, so that the first retire() neither allocates nor waits. */
    (void)urcu_qsbr_get_default_call_rcu_data();
    return (struct spate_reclaim *)(uintptr_t)&qsbr;
}

/*
 * All items go through liburcu's default queue, which is first in, first out: when a further item
 * comes back, all before it have. (urcu_qsbr_barrier() would allocate.)
 */
void spate_rcu_barrier(void)
{
    const bool was_online = urcu_qsbr_read_ongoing() != 0;
    struct spate_retired last = {0};

    retire(spate_rcu_reclaim(), &last);
    if (was_online) {
        spate_rcu_offline();
    }
    while (!spate_retired_is_reclaimed(&last)) {
        (void)sched_yield();
    }
    if (was_online) {
        spate_rcu_online();
    }
}

static void retire_at_once(struct spate_reclaim *reclaim, struct spate_retired *item)
{
    (void)reclaim;
    spate_assert(!spate_retired_is_reclaimed(item));
    atomic_store_explicit(&item->is_reclaimed, true, memory_order_release);
}

struct spate_reclaim *spate_reclaim_immediate(void)
{
    static const struct spate_reclaim immediate = {.retire = retire_at_once};
    return (struct spate_reclaim *)(uintptr_t)&immediate;
}
