/*
 * Blocking until there may be a frame. A port with an Rx interrupt wakes us; the virtual devices
 * have none, so we sleep in short pieces that grow while nothing comes: what an idle core costs
 * against how late the first frame is seen.
 */
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "dpdk_internal.h"

#define SECOND_NS 1000000000u

#define SLEEP_NS_MIN 50000u
#define SLEEP_NS_MAX 1000000u

/* With an interrupt too: one may have come between the last look and its enabling. */
#define SLEEP_NS_MAX_INTERRUPT 10000000u

static bool has_frames(const struct endpoint *endpoint)
{
    for (uint32_t i = 0; i < endpoint->port_count; i++) {
        if (endpoint->ports[i]->rx_count > 0) {
            return true;
        }
    }
    return false;
}

/* The descriptor that says that a frame came, or -1. Only a single port has one. */
static int enable_interrupt(struct endpoint *endpoint)
{
    if (endpoint->memif != NULL || endpoint->ports[0]->rx_interrupt_fd < 0 ||
        rte_eth_dev_rx_intr_enable(endpoint->ports[0]->id, 0) != 0) {
        return -1;
    }
    return endpoint->ports[0]->rx_interrupt_fd;
}

static spate_time_ns next_sleep(struct endpoint *endpoint, spate_time_ns timeout_ns,
                                bool has_interrupt)
{
    const spate_time_ns deadline = spate_dpdk_upkeep_deadline(endpoint);
    const spate_time_ns until = deadline > endpoint->now ? deadline - endpoint->now : 0;
    spate_time_ns sleep_ns = SLEEP_NS_MAX_INTERRUPT;

    if (!has_interrupt) {
        endpoint->sleep_ns = endpoint->sleep_ns == 0 ? SLEEP_NS_MIN : 2 * endpoint->sleep_ns;
        endpoint->sleep_ns = endpoint->sleep_ns > SLEEP_NS_MAX ? SLEEP_NS_MAX : endpoint->sleep_ns;
        sleep_ns = endpoint->sleep_ns;
    }
    sleep_ns = sleep_ns < timeout_ns ? sleep_ns : timeout_ns;
    return sleep_ns < until ? sleep_ns : until;
}

static void drain(const struct pollfd *ready)
{
    uint64_t events;

    if ((ready->revents & POLLIN) != 0) {
        (void)!read(ready->fd, &events, sizeof events);
    }
}

static void sleep_until_ready(struct endpoint *endpoint, spate_time_ns timeout_ns)
{
    const int interrupt_fd = enable_interrupt(endpoint);
    const spate_time_ns sleep_ns = next_sleep(endpoint, timeout_ns, interrupt_fd >= 0);
    const struct timespec timeout = {.tv_sec = (time_t)(sleep_ns / SECOND_NS),
                                     .tv_nsec = (long)(sleep_ns % SECOND_NS)};
    struct pollfd fds[2] = {
        {.fd = endpoint->wake_fd, .events = POLLIN},
        {.fd = interrupt_fd, .events = POLLIN},
    };

    (void)ppoll(fds, 2, &timeout, NULL);
    drain(&fds[0]);
    drain(&fds[1]);
    if (interrupt_fd >= 0) {
        (void)rte_eth_dev_rx_intr_disable(endpoint->ports[0]->id, 0);
    }
}

void spate_dpdk_wait(struct spate_net *net, spate_time_ns timeout_ns)
{
    struct endpoint *endpoint = endpoint_of(net);

    spate_dpdk_upkeep(endpoint);
    if (timeout_ns == 0 || has_frames(endpoint) || endpoint->lent >= LENT_MAX) {
        spate_waiter_end(&endpoint->waiter);
        (void)sched_yield();
        return;
    }
    if (!spate_waiter_begin(&endpoint->waiter)) {
        (void)sched_yield();
        return;
    }
    sleep_until_ready(endpoint, timeout_ns);
    spate_waiter_end(&endpoint->waiter);
    endpoint->turns = 0;
}

void spate_dpdk_wake(struct spate_net *net)
{
    struct endpoint *endpoint = endpoint_of(net);

    if (spate_waiter_wake(&endpoint->waiter)) {
        const uint64_t one = 1;
        /* Fails only when the counter is full, and then the sleeper is awake already. */
        (void)!write(endpoint->wake_fd, &one, sizeof one);
    }
}
