/* The threads of a core: one for the node, and one for its state machine when asked for. */
#include "core_internal.h"

#include <errno.h>
#include <poll.h>

#include "base/idler.h"
#include "base/rcu.h"

/* The apply thread looks whether it should stop at least so often. */
#define APPLY_WAIT_MS 100

static bool is_stopping(struct spate *spate)
{
    return atomic_load_explicit(&spate->is_stopping, memory_order_acquire);
}

struct spinner {
    spate_time_ns idle_since; /* 0 after work. */
    struct spate_idler idler;
};

/*
 * What a thread does that found nothing to do. Adaptive polling spins while there was work within
 * spin_ns; then it is time to block: false.
 */
static bool spin(const struct spate *spate, struct spinner *spinner)
{
    const spate_time_ns now = spate_clock_now(spate->clock);

    spinner->idle_since = spinner->idle_since == 0 ? now : spinner->idle_since;
    if (spate->poll != SPATE_POLL_BUSY && now - spinner->idle_since >= spate->spin_ns) {
        return false;
    }
    (void)spate_idler_turn(&spinner->idler, now, spate->clock);
    return true;
}

static void run_node_thread(struct spate *spate)
{
    struct spinner spinner = {0};

    while (!is_stopping(spate)) {
        uint32_t work;
        const spate_err err = spate_node_poll(spate->node, &work);

        if (err != SPATE_OK) {
            atomic_store_explicit(&spate->failure, (int)err, memory_order_release);
            return;
        }
        spate_rcu_quiescent();
        if (work > 0) {
            spinner.idle_since = 0;
            continue;
        }
        if (spin(spate, &spinner)) {
            continue;
        }
        spate_rcu_offline();
        spate_node_wait(spate->node);
        spate_rcu_online();
    }
}

static void *node_thread(void *argument)
{
    struct spate *spate = argument;

    spate_rcu_register();
    run_node_thread(spate);
    spate_rcu_unregister();
    return NULL;
}

static void block_until_committed(struct spate *spate)
{
    struct pollfd wanted = {.fd = spate->apply_waker.fd, .events = POLLIN};

    if (!spate_node_apply_may_wait(spate->node)) {
        return;
    }
    spate_rcu_offline();
    (void)poll(&wanted, 1, APPLY_WAIT_MS);
    spate_eventfd_waker_drain(&spate->apply_waker);
    spate_rcu_online();
}

static void *apply_thread(void *argument)
{
    struct spate *spate = argument;
    struct spinner spinner = {0};

    spate_rcu_register();
    while (!is_stopping(spate)) {
        const uint32_t applied = spate_node_apply(spate->node);

        spate_rcu_quiescent();
        if (applied > 0) {
            spinner.idle_since = 0;
            continue;
        }
        if (spin(spate, &spinner)) {
            continue;
        }
        block_until_committed(spate);
    }
    spate_rcu_unregister();
    return NULL;
}

static spate_err pin(pthread_attr_t *attributes, int cpu)
{
    cpu_set_t set;

    if (cpu <= 0) {
        return SPATE_OK;
    }
    if (cpu > CPU_SETSIZE) {
        return SPATE_ERR_INVALID;
    }
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu - 1, &set);
    return pthread_attr_setaffinity_np(attributes, sizeof set, &set) == 0 ? SPATE_OK
                                                                          : SPATE_ERR_INVALID;
}

static spate_err start_node_thread(struct spate *spate)
{
    pthread_attr_t attributes;

    if (pthread_attr_init(&attributes) != 0) {
        return SPATE_ERR_NO_MEMORY;
    }
    spate_err err = pin(&attributes, spate->cpu);
    if (err == SPATE_OK) {
        const int status = pthread_create(&spate->node_thread, &attributes, node_thread, spate);
        spate->node_runs = status == 0;
        /* A processor that does not exist shows only here. */
        if (status != 0) {
            err = status == EINVAL ? SPATE_ERR_INVALID : SPATE_ERR_NO_MEMORY;
        }
    }
    (void)pthread_attr_destroy(&attributes);
    return err;
}

spate_err spate_start(struct spate *spate)
{
    if (spate == NULL || spate->node_runs || spate->is_polled) {
        return SPATE_ERR_INVALID;
    }
    spate_err err = start_node_thread(spate);
    if (err == SPATE_OK && spate->apply_is_threaded) {
        spate->apply_runs = pthread_create(&spate->apply_thread, NULL, apply_thread, spate) == 0;
        err = spate->apply_runs ? SPATE_OK : SPATE_ERR_NO_MEMORY;
    }
    if (err != SPATE_OK) {
        spate_core_stop(spate);
    }
    return err;
}

void spate_core_stop(struct spate *spate)
{
    atomic_store_explicit(&spate->is_stopping, true, memory_order_release);
    if (spate->node_runs) {
        spate_node_wake(spate->node);
        (void)pthread_join(spate->node_thread, NULL);
        spate->node_runs = false;
    }
    if (spate->apply_runs) {
        spate->apply_waker.waker.wake(&spate->apply_waker.waker);
        (void)pthread_join(spate->apply_thread, NULL);
        spate->apply_runs = false;
    }
    atomic_store_explicit(&spate->is_stopping, false, memory_order_release);
}
