/*
 * What carries the frames of a measured cluster, and what that needs on this machine: a private
 * folder for memif's sockets, or network namespaces joined by a bridge. Made before the cores start
 * and removed after them, also when a run fails or is interrupted; what a killed harness left, the
 * next one removes.
 */
#ifndef SPATE_BENCH_TRANSPORT_H
#define SPATE_BENCH_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#define TRANSPORT_NODES_MAX 7u

enum transport_kind {
    TRANSPORT_SOCKET,    /* Kernel UDP over loopback. */
    TRANSPORT_VETH,      /* Kernel UDP over veth pairs joined by a bridge. */
    TRANSPORT_MEMIF,     /* DPDK in shared memory. Not a wire. */
    TRANSPORT_AF_PACKET, /* DPDK over the same kind of veth. */
    TRANSPORT_AF_XDP,
    TRANSPORT_TAP, /* DPDK over interfaces that it makes, bridged to a veth each. */
    TRANSPORT_PCI, /* DPDK on network cards, one for each core. */
    TRANSPORT_KINDS,
};

struct transport_node {
    char device[160];       /* dpdk.device; empty: kernel sockets. */
    char address[48];       /* Of the core. Empty: a free port of loopback. */
    char network_space[48]; /* The namespace its process runs in; empty: ours. */
    uint8_t mac[6];         /* Of its interface, where there is one. */
};

struct transport {
    enum transport_kind kind;
    uint32_t nodes;
    uint32_t cards; /* TRANSPORT_PCI: how many are named, each in its node's `device`. */
    char folder[64];
    struct transport_node node[TRANSPORT_NODES_MAX];
};

/* "memif" */
const char *transport_name(enum transport_kind kind);

/*
 * Names transports as the command line does: "memif,socket", "pci:0000:03:00.0,0000:03:00.1,…".
 * What they need is neither made nor looked for yet. Returns how many; 0: it cannot be read.
 */
uint32_t transport_parse(char *text, struct transport transports[TRANSPORT_KINDS]);

static inline bool transport_is_dpdk(enum transport_kind kind)
{
    return kind >= TRANSPORT_MEMIF;
}

/* Makes what `nodes` cores need. False: `message` says what is missing; nothing is left. */
bool transport_open(struct transport *transport, uint32_t nodes, char *message,
                    uint32_t message_bytes);

/* The core of `node` is up: joins the interface that it made to the others'. False: it cannot be.
 */
bool transport_attach(const struct transport *transport, uint32_t node);
void transport_close(struct transport *transport);

/* What is made for a run is named PREFIX, process id of the harness, and more. */
#define TRANSPORT_PREFIX "spate-bench-"

/* True: the name is that of a run whose harness is gone. */
bool transport_is_left(const char *name);

/* The interface that DPDK makes of a tap, in the namespace of its core. */
#define TRANSPORT_TAP_NAME "spate0"

/* network.c: namespaces, veth pairs, a bridge. */
bool network_open(struct transport *transport, char *message, uint32_t message_bytes);
bool network_attach_tap(uint32_t node);
void network_close(void);

/* cards.c: whether cores can have the cards. */
bool cards_open(const struct transport *transport, char *message, uint32_t message_bytes);

#endif
