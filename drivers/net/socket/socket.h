/*
 * The network driver over one kernel UDP socket, IPv4 or IPv6.
 *
 * Bursts cost few system calls: frames of one size for one peer leave as one segmented send
 * (UDP_SEGMENT) and may arrive as one (UDP_GRO); the rest goes by sendmmsg and recvmmsg. Both
 * offloads are probed at creation and given up, per peer, when the path refuses them.
 */
#ifndef SPATE_NET_SOCKET_SOCKET_H
#define SPATE_NET_SOCKET_SOCKET_H

#include "net/net.h"

struct spate_net_socket_options {
    struct spate_address bind;    /* Port 0: the kernel chooses. */
    uint32_t frame_bytes_max;     /* 0: 1,472. Loopback carries up to SPATE_FRAME_BYTES_MAX. */
    uint32_t rx_slots;            /* Receive buffers; 0: 128. */
    uint32_t tx_slots;            /* Send buffers; 0: 256. */
    uint32_t socket_buffer_bytes; /* Asked of the kernel, each way; 0: 8 MiB. */
    uint32_t busy_poll_us;        /* SO_BUSY_POLL, for network cards that have it; 0: off. */
    bool segmentation_avoided;    /* Never use UDP_SEGMENT and UDP_GRO. */
};

/* What only this driver counts. */
struct spate_net_socket_counters {
    _Atomic uint64_t tx_segmented;     /* Sends that carried several frames. */
    _Atomic uint64_t tx_fallbacks;     /* Segmented sends refused and repeated without. */
    _Atomic uint64_t rx_coalesced;     /* Receives that carried several frames. */
    _Atomic uint64_t errors_swallowed; /* Reports about earlier frames (connection refused …). */
    _Atomic uint64_t rx_drops_size;    /* Empty, or larger than our frames. */
    _Atomic uint64_t tx_drops_peer;    /* For a place that has no address. */
    _Atomic uint64_t tx_drops_full;    /* The kernel's send queue was full. */
    _Atomic uint64_t tx_drops_refused; /* The kernel did not take it: too long for the path, say. */
};

/*
 * Binds a socket and allocates every slot.
 *
 * Errors: SPATE_ERR_INVALID      options out of range, or not an address of this machine.
 *         SPATE_ERR_IN_USE       another socket is bound there.
 *         SPATE_ERR_PERMISSION   the system forbids it.
 *         SPATE_ERR_UNSUPPORTED  no such address family on this machine.
 *         SPATE_ERR_NO_MEMORY, SPATE_ERR_IO
 */
spate_err spate_net_socket_create(const struct spate_net_socket_options *options,
                                  struct spate_net **ret_net) SPATE_MUST_CHECK;

/* The address that the socket is bound to, with the port the kernel chose. */
void spate_net_socket_address(struct spate_net *net, struct spate_address *ret_address);

/* Thread: any. Memory: lives as long as the driver. */
const struct spate_net_socket_counters *spate_net_socket_counters(struct spate_net *net);

#endif
