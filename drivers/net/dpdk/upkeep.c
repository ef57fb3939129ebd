/* What is done now and then: the stack's own frames, the links, what people should know. */
#include <inttypes.h>
#include <string.h>

#include "eal_internal.h"
#include "interface.h"

#define LINK_CHECK_NS 100000000u

static void send_own(struct endpoint *endpoint, struct port *port)
{
    uint8_t frame[SPATE_STACK_OWN_FRAME_BYTES_MAX];
    uint32_t size;

    while ((size = spate_stack_poll(port->stack, endpoint->now, frame)) > 0) {
        struct rte_mbuf *mbuf = rte_pktmbuf_alloc(endpoint->pool);
        if (mbuf == NULL) {
            return; /* The stack asks again. */
        }
        memcpy(rte_pktmbuf_append(mbuf, (uint16_t)size), frame, size);
        spate_dpdk_tx_own(endpoint, port, mbuf);
    }
}

/* The virtual devices over a kernel interface do not report its state: the kernel does. */
static void check_link(struct endpoint *endpoint, struct port *port)
{
    const bool is_up =
        endpoint->interface_fd >= 0
            ? spate_dpdk_interface_is_up(endpoint->interface_fd, endpoint->device.what)
            : spate_dpdk_port_link_is_up(port);

    if (is_up == port->is_link_up) {
        return;
    }
    port->is_link_up = is_up;
    if (is_up) {
        count(&port->counters.links_up, 1);
        spate_stack_link_up(port->stack, endpoint->now);
    } else {
        count(&port->counters.links_lost, 1);
    }
    spate_dpdk_notify(&endpoint->notices, is_up ? SPATE_NET_NOTICE_INFO : SPATE_NET_NOTICE_WARNING,
                      "%s: the link is %s", port->label,
                      is_up ? "up" : "down: check the cable, the switch, `ip link`");
}

static void check_conflicts(struct endpoint *endpoint)
{
    uint64_t conflicts = 0;
    struct spate_mac mac = {0};

    for (uint32_t i = 0; i < endpoint->port_count; i++) {
        const struct spate_stack *stack = endpoint->ports[i]->stack;
        const uint64_t of_port = atomic_load_explicit(
            &spate_stack_counters(stack)->address_conflicts, memory_order_relaxed);
        conflicts += of_port;
        if (of_port > 0) {
            mac = spate_stack_conflicting_mac(stack);
        }
    }
    /* Once when it begins, and then by powers of two. */
    if (conflicts > endpoint->conflicts_seen && (conflicts & (conflicts - 1)) == 0) {
        spate_dpdk_notify(&endpoint->notices, SPATE_NET_NOTICE_WARNING,
                          "our address is used by another station, "
                          "%02x:%02x:%02x:%02x:%02x:%02x (seen %" PRIu64
                          " times): give each core its own dpdk.address",
                          mac.bytes[0], mac.bytes[1], mac.bytes[2], mac.bytes[3], mac.bytes[4],
                          mac.bytes[5], conflicts);
    }
    endpoint->conflicts_seen = conflicts;
}

static void check_complaints(struct endpoint *endpoint)
{
    char text[160];
    const uint64_t complaints = spate_dpdk_eal_complaints();

    if (complaints != endpoint->complaints_seen) {
        endpoint->complaints_seen = complaints;
        spate_dpdk_eal_complaint(text, sizeof text);
        spate_dpdk_notify(&endpoint->notices, SPATE_NET_NOTICE_WARNING, "DPDK says: %s", text);
    }
}

void spate_dpdk_upkeep(struct endpoint *endpoint)
{
    endpoint->now = spate_clock_now(endpoint->options.clock);
    spate_dpdk_eal_adopt_thread();
    for (uint32_t i = 0; i < endpoint->port_count; i++) {
        struct port *port = endpoint->ports[i];
        if (spate_dpdk_port_is_mine(endpoint, port) &&
            spate_stack_deadline(port->stack) <= endpoint->now) {
            send_own(endpoint, port);
        }
    }
    if (endpoint->now < endpoint->link_check_at) {
        return;
    }
    endpoint->link_check_at = endpoint->now + LINK_CHECK_NS;
    if (endpoint->memif == NULL) {
        check_link(endpoint, endpoint->ports[0]);
    }
    check_conflicts(endpoint);
    check_complaints(endpoint);
}

spate_time_ns spate_dpdk_upkeep_deadline(const struct endpoint *endpoint)
{
    spate_time_ns deadline = endpoint->link_check_at;

    for (uint32_t i = 0; i < endpoint->port_count; i++) {
        const struct port *port = endpoint->ports[i];
        const spate_time_ns of_stack = spate_stack_deadline(port->stack);
        if (port->is_known_up && of_stack < deadline) {
            deadline = of_stack;
        }
    }
    return deadline;
}
