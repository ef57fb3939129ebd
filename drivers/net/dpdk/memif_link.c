/* One link: from a peer that is not there to a port that the owner polls, and back. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "memif_internal.h"

#define RETRY_NS    20000000u   /* How often an absent peer is called. */
#define LOOK_NS     1000000u    /* How often we look whether the driver is done. */
#define PATIENCE_NS 2000000000u /* How long a driver may take over the last step. */
#define RING_LOG2   10u

static void text_of(uint32_t address, char text[16])
{
    (void)snprintf(text, 16, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
                   address & 255);
}

spate_err spate_dpdk_memif_link_init(struct memif *memif, struct link *link, uint32_t address)
{
    const uint32_t own = memif->endpoint->address;
    const bool is_server = own < address;
    char low[16], high[16], self[16];

    text_of(is_server ? own : address, low);
    text_of(is_server ? address : own, high);
    text_of(own, self);
    *link = (struct link){.address = address,
                          .is_server = is_server,
                          .listen_fd = -1,
                          .peer_fd = -1,
                          .driver_fd = -1};
    const int folder =
        snprintf(link->folder_path, sizeof link->folder_path, "%s/%s-%s", memif->folder, low, high);
    const int driver = snprintf(link->driver_path, sizeof link->driver_path, "%s/%s-%s.%s",
                                memif->folder, low, high, self);
    return (size_t)folder < sizeof link->folder_path && (size_t)driver < sizeof link->driver_path
               ? SPATE_OK
               : SPATE_ERR_INVALID;
}

/* Locally administered, and different for every address. */
struct spate_mac spate_dpdk_memif_mac(uint32_t address)
{
    return (struct spate_mac){.bytes = {0x02, 0x73, (uint8_t)(address >> 24),
                                        (uint8_t)(address >> 16), (uint8_t)(address >> 8),
                                        (uint8_t)address}};
}

static bool make_port(struct memif *memif, struct link *link)
{
    const struct spate_mac mac = spate_dpdk_memif_mac(memif->endpoint->address);
    const struct port_plan plan = {.pool = memif->endpoint->pool, .mtu_is_fixed = true};
    char devargs[320];

    (void)snprintf(devargs, sizeof devargs,
                   "net_memif%u_%u,role=%s,socket=%s,socket-abstract=no,bsize=%u,rsize=%u,"
                   "mac=%02x:%02x:%02x:%02x:%02x:%02x",
                   memif->number, (unsigned)(link - memif->links),
                   link->is_server ? "server" : "client", link->driver_path, MEMIF_BUFFER_BYTES,
                   RING_LOG2, mac.bytes[0], mac.bytes[1], mac.bytes[2], mac.bytes[3], mac.bytes[4],
                   mac.bytes[5]);
    if (link->is_server) {
        /* The driver makes the socket, and does not if there is one. */
        (void)unlink(link->driver_path);
        link->listen_fd = spate_dpdk_memif_listen(link->folder_path);
    } else {
        link->listen_fd = spate_dpdk_memif_listen(link->driver_path);
    }
    spate_dpdk_eal_lock();
    const bool is_made = link->listen_fd >= 0 &&
                         spate_dpdk_port_probe(devargs, &link->port->id) == SPATE_OK &&
                         spate_dpdk_port_configure(link->port, &plan) == SPATE_OK &&
                         spate_dpdk_port_start(link->port) == SPATE_OK;
    spate_dpdk_eal_unlock();
    return is_made;
}

static void make(struct memif *memif, struct link *link)
{
    char complaint[128];

    if (make_port(memif, link)) {
        link->phase = PHASE_ABSENT;
        return;
    }
    spate_dpdk_eal_complaint(complaint, sizeof complaint);
    spate_dpdk_notify(&memif->endpoint->notices, SPATE_NET_NOTICE_WARNING,
                      "%s cannot be made (%s; %s): is %s writable, and dpdk.memory enough?",
                      link->port->label, strerror(errno), complaint, memif->folder);
    link->phase = PHASE_BROKEN;
}

/* Begins to take the driver down. It must not be polled now. */
static void close_driver(struct link *link)
{
    spate_assert(atomic_load(&link->port->state) == PORT_DOWN);
    spate_dpdk_memif_close(&link->peer_fd);
    if (link->driver_fd >= 0) {
        (void)shutdown(link->driver_fd, SHUT_WR);
    }
    link->phase = PHASE_CLOSING;
}

/* The driver has closed its end: nothing of the rings is left. */
static void restart(struct link *link)
{
    spate_dpdk_memif_close(&link->driver_fd);
    link->phase = PHASE_ABSENT;
    link->retry_at = 0;
    if (!link->is_server) {
        spate_dpdk_eal_lock();
        (void)rte_eth_dev_stop(link->port->id);
        const bool is_started = rte_eth_dev_start(link->port->id) == 0;
        spate_dpdk_eal_unlock();
        link->phase = is_started ? PHASE_ABSENT : PHASE_BROKEN;
    }
}

/* Both ends are wanted before messages pass. */
static void meet(struct link *link, spate_time_ns now)
{
    if (link->driver_fd < 0 && !link->is_server) {
        link->driver_fd = spate_dpdk_memif_accept(link->listen_fd);
    }
    if (link->peer_fd < 0 && link->is_server) {
        link->peer_fd = spate_dpdk_memif_accept(link->listen_fd);
    } else if (link->peer_fd < 0 && now >= link->retry_at) {
        link->retry_at = now + RETRY_NS;
        link->peer_fd = spate_dpdk_memif_connect(link->folder_path);
    }
    if (link->peer_fd >= 0 && !spate_dpdk_memif_is_ours(link->peer_fd)) {
        spate_dpdk_memif_close(&link->peer_fd);
    }
    if (link->peer_fd >= 0 && link->driver_fd < 0 && link->is_server) {
        link->driver_fd = spate_dpdk_memif_connect(link->driver_path);
    }
    if (link->peer_fd >= 0 && link->driver_fd >= 0) {
        link->phase = PHASE_PASSING;
    }
}

/* Passes what waits, both ways. Returns how it ended. */
static enum passed pass_all(const struct link *link)
{
    enum passed last = PASSED_NOTHING;

    for (;;) {
        const enum passed in = spate_dpdk_memif_pass(link->peer_fd, link->driver_fd);
        const enum passed out = spate_dpdk_memif_pass(link->driver_fd, link->peer_fd);
        if (in == PASSED_END || out == PASSED_END) {
            return PASSED_END;
        }
        if (in == PASSED_CONNECTED || out == PASSED_CONNECTED) {
            last = PASSED_CONNECTED;
        }
        if (in == PASSED_NOTHING && out == PASSED_NOTHING) {
            return last;
        }
    }
}

static void pass(struct link *link, spate_time_ns now)
{
    switch (pass_all(link)) {
    case PASSED_END:
        close_driver(link);
        break;
    case PASSED_CONNECTED:
        link->phase = PHASE_STARTING;
        link->give_up_at = now + PATIENCE_NS;
        link->retry_at = 0;
        break;
    case PASSED_NOTHING:
    case PASSED_MESSAGE:
        break;
    }
}

static void look(struct memif *memif, struct link *link, spate_time_ns now)
{
    if (pass_all(link) == PASSED_END || now >= link->give_up_at) {
        close_driver(link);
        return;
    }
    link->retry_at = now + LOOK_NS;
    if (!spate_dpdk_port_link_is_up(link->port)) {
        return;
    }
    link->phase = PHASE_UP;
    count(&link->port->counters.links_up, 1);
    atomic_store_explicit(&link->port->state, PORT_UP, memory_order_release);
    spate_dpdk_notify(&memif->endpoint->notices, SPATE_NET_NOTICE_INFO, "%s: the peer is there",
                      link->port->label);
    memif->endpoint->net.ops->wake(&memif->endpoint->net);
}

static void watch(struct memif *memif, struct link *link)
{
    if (atomic_load_explicit(&link->is_wanted, memory_order_acquire) &&
        pass_all(link) != PASSED_END) {
        return;
    }
    link->phase = PHASE_LEAVING;
    count(&link->port->counters.links_lost, 1);
    atomic_store_explicit(&link->port->state, PORT_LEAVING, memory_order_release);
    spate_dpdk_notify(&memif->endpoint->notices, SPATE_NET_NOTICE_INFO, "%s: the peer is gone",
                      link->port->label);
    memif->endpoint->net.ops->wake(&memif->endpoint->net);
}

/* Waits until the driver's end is closed too. */
static void await_end(struct link *link)
{
    enum passed passed = PASSED_END;

    if (link->driver_fd >= 0) {
        do {
            passed = spate_dpdk_memif_pass(link->driver_fd, -1);
        } while (passed == PASSED_MESSAGE || passed == PASSED_CONNECTED);
    }
    if (passed == PASSED_END) {
        restart(link);
    }
}

static void dismiss(struct link *link)
{
    if (link->phase == PHASE_PASSING || link->phase == PHASE_STARTING) {
        close_driver(link);
    }
    if (link->phase == PHASE_ABSENT) {
        spate_dpdk_memif_close(&link->peer_fd);
    }
}

void spate_dpdk_memif_link_run(struct memif *memif, struct link *link, spate_time_ns now)
{
    const bool is_wanted = atomic_load_explicit(&link->is_wanted, memory_order_acquire);

    if (!is_wanted) {
        dismiss(link);
    }
    if (link->phase == PHASE_UNMADE && is_wanted) {
        make(memif, link);
    }
    if (link->phase == PHASE_ABSENT && is_wanted) {
        meet(link, now);
    }
    if (link->phase == PHASE_PASSING) {
        pass(link, now);
    }
    if (link->phase == PHASE_STARTING && now >= link->retry_at) {
        look(memif, link, now);
    }
    if (link->phase == PHASE_UP) {
        watch(memif, link);
    }
    if (link->phase == PHASE_LEAVING &&
        atomic_load_explicit(&link->port->state, memory_order_acquire) == PORT_DOWN) {
        close_driver(link);
    }
    if (link->phase == PHASE_CLOSING) {
        await_end(link);
    }
}

static void wait_for(struct pollfd fds[3], uint32_t *count_of, int fd)
{
    if (fd >= 0) {
        fds[(*count_of)++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
}

uint32_t spate_dpdk_memif_link_fds(const struct link *link, struct pollfd fds[3],
                                   spate_time_ns *deadline)
{
    uint32_t wanted = 0;

    switch (link->phase) {
    case PHASE_ABSENT:
        if (atomic_load_explicit(&link->is_wanted, memory_order_acquire)) {
            if (link->is_server ? link->peer_fd < 0 : link->driver_fd < 0) {
                wait_for(fds, &wanted, link->listen_fd);
            }
            *deadline = *deadline < link->retry_at || link->is_server ? *deadline : link->retry_at;
        }
        break;
    case PHASE_PASSING:
    case PHASE_UP:
        wait_for(fds, &wanted, link->peer_fd);
        wait_for(fds, &wanted, link->driver_fd);
        break;
    case PHASE_STARTING:
        *deadline = *deadline < link->retry_at ? *deadline : link->retry_at;
        break;
    case PHASE_CLOSING:
        wait_for(fds, &wanted, link->driver_fd);
        break;
    case PHASE_UNMADE:
    case PHASE_LEAVING:
    case PHASE_BROKEN:
        break;
    }
    return wanted;
}

/* The endpoint closes: nobody polls any more. */
void spate_dpdk_memif_link_destroy(struct link *link)
{
    if (link->phase != PHASE_UNMADE && link->phase != PHASE_BROKEN) {
        spate_dpdk_eal_lock();
        spate_dpdk_port_close(link->port);
        spate_dpdk_eal_unlock();
    }
    spate_dpdk_memif_close(&link->peer_fd);
    spate_dpdk_memif_close(&link->driver_fd);
    if (link->listen_fd >= 0) {
        (void)unlink(link->is_server ? link->folder_path : link->driver_path);
    }
    if (link->is_server) {
        (void)unlink(link->driver_path);
    }
    spate_dpdk_memif_close(&link->listen_fd);
}
