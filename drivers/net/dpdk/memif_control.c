/* The control thread: waits for all links at once, runs those that may go on. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "memif_internal.h"

#define NS_PER_MS 1000000u

/* Nothing is lost when this is long: every event has a descriptor. */
#define POLL_MS_MAX 1000u

static void wake(const struct memif *memif)
{
    const uint64_t one = 1;

    (void)!write(memif->wake_fd, &one, sizeof one);
}

static int timeout_ms(spate_time_ns deadline, spate_time_ns now)
{
    if (deadline <= now) {
        return 0;
    }
    const spate_time_ns ms = (deadline - now + NS_PER_MS - 1) / NS_PER_MS;
    return ms < POLL_MS_MAX ? (int)ms : (int)POLL_MS_MAX;
}

static void wait_for_events(struct memif *memif, uint32_t links)
{
    struct pollfd fds[1 + 3 * PORTS_MAX] = {{.fd = memif->wake_fd, .events = POLLIN}};
    uint32_t used = 1;
    uint64_t events;
    const spate_time_ns now = spate_clock_now(memif->endpoint->options.clock);
    spate_time_ns deadline = now + (spate_time_ns)POLL_MS_MAX * NS_PER_MS;

    for (uint32_t i = 0; i < links; i++) {
        used += spate_dpdk_memif_link_fds(&memif->links[i], &fds[used], &deadline);
    }
    (void)poll(fds, used, timeout_ms(deadline, now));
    if ((fds[0].revents & POLLIN) != 0) {
        (void)!read(memif->wake_fd, &events, sizeof events);
    }
}

static void *run(void *argument)
{
    struct memif *memif = argument;

    while (!atomic_load_explicit(&memif->is_stopping, memory_order_acquire)) {
        const uint32_t links = atomic_load_explicit(&memif->link_count, memory_order_acquire);
        const spate_time_ns now = spate_clock_now(memif->endpoint->options.clock);

        for (uint32_t i = 0; i < links; i++) {
            spate_dpdk_memif_link_run(memif, &memif->links[i], now);
        }
        wait_for_events(memif, links);
    }
    return NULL;
}

/* Signals are for the program's threads. */
static bool start_thread(struct memif *memif)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    memif->thread_runs = pthread_create(&memif->thread, NULL, run, memif) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return memif->thread_runs;
}

spate_err spate_dpdk_memif_create(struct endpoint *endpoint, struct memif **ret_memif,
                                  const struct spate_dpdk_line *line)
{
    static _Atomic uint32_t made;
    struct memif *memif = calloc(1, sizeof *memif);

    if (memif == NULL) {
        return spate_dpdk_explain(line, SPATE_ERR_NO_MEMORY, "out of memory");
    }
    memif->endpoint = endpoint;
    memif->number = atomic_fetch_add(&made, 1);
    memif->lock_fd = -1;
    memif->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    (void)snprintf(memif->folder, sizeof memif->folder, "%.*s", (int)sizeof memif->folder - 1,
                   endpoint->device.what);
    spate_err err = spate_dpdk_memif_lock(memif, line);
    if (err == SPATE_OK && (memif->wake_fd < 0 || !start_thread(memif))) {
        err = spate_dpdk_explain(line, SPATE_ERR_NO_MEMORY, "no thread can be started");
    }
    if (err != SPATE_OK) {
        spate_dpdk_memif_destroy(memif);
        return err;
    }
    *ret_memif = memif;
    return SPATE_OK;
}

void spate_dpdk_memif_destroy(struct memif *memif)
{
    if (memif == NULL) {
        return;
    }
    if (memif->thread_runs) {
        atomic_store_explicit(&memif->is_stopping, true, memory_order_release);
        wake(memif);
        (void)pthread_join(memif->thread, NULL);
    }
    for (uint32_t i = 0; i < memif->link_count; i++) {
        spate_dpdk_memif_link_destroy(&memif->links[i]);
    }
    spate_dpdk_memif_close(&memif->wake_fd);
    spate_dpdk_memif_unlock(memif);
    free(memif);
}

static spate_err add_port(struct memif *memif, struct link *link)
{
    struct endpoint *endpoint = memif->endpoint;
    struct port *port = calloc(1, sizeof *port);
    const uint32_t ip = link->address;

    if (port == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    (void)snprintf(port->label, sizeof port->label, "memif.%u.%u.%u.%u", ip >> 24, ip >> 16 & 255,
                   ip >> 8 & 255, ip & 255);
    const spate_err err =
        spate_dpdk_endpoint_stack(endpoint, port, spate_dpdk_memif_mac(endpoint->address));
    if (err != SPATE_OK) {
        free(port);
        return err;
    }
    spate_dpdk_counters_name(port);
    link->port = port;
    const uint32_t ports = endpoint->port_count;
    endpoint->ports[ports] = port;
    atomic_store_explicit(&endpoint->port_count, ports + 1, memory_order_release);
    return SPATE_OK;
}

static struct link *find(struct memif *memif, uint32_t address)
{
    for (uint32_t i = 0; i < memif->link_count; i++) {
        if (memif->links[i].address == address) {
            return &memif->links[i];
        }
    }
    return NULL;
}

spate_err spate_dpdk_memif_want(struct memif *memif, uint32_t address, struct port **ret_port)
{
    const uint32_t links = memif->link_count;
    struct link *link = find(memif, address);

    if (address == memif->endpoint->address) {
        return SPATE_ERR_INVALID;
    }
    if (link == NULL) {
        if (links == PORTS_MAX) {
            return SPATE_ERR_BUSY;
        }
        link = &memif->links[links];
        spate_err err = spate_dpdk_memif_link_init(memif, link, address);
        err = err == SPATE_OK ? add_port(memif, link) : err;
        if (err != SPATE_OK) {
            return err;
        }
        atomic_store_explicit(&memif->link_count, links + 1, memory_order_release);
    }
    atomic_store_explicit(&link->is_wanted, true, memory_order_release);
    wake(memif);
    *ret_port = link->port;
    return SPATE_OK;
}

void spate_dpdk_memif_dismiss(struct memif *memif, struct port *port)
{
    for (uint32_t i = 0; i < memif->link_count; i++) {
        if (memif->links[i].port == port) {
            atomic_store_explicit(&memif->links[i].is_wanted, false, memory_order_release);
        }
    }
    wake(memif);
}

void spate_dpdk_memif_left(struct memif *memif)
{
    wake(memif);
}
