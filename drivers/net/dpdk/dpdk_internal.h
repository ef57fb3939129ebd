/* Shared by the files of this driver: devices, ports, the endpoint. */
#ifndef SPATE_DPDK_INTERNAL_H
#define SPATE_DPDK_INTERNAL_H

#include <net/if.h>
#include <pthread.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "base/waiter.h"
#include "net/dpdk/dpdk.h"
#include "net/dpdk/stack/stack.h"

/* memif has a port per peer; addresses that were given up keep theirs. */
#define PORTS_MAX (2 * SPATE_PEERS_MAX)

/* Frames that may be lent at once, received and reserved together. */
#define LENT_MAX 768u

/* What the mbufs of memif hold in one piece: MTU 9000, headers, and room for the PMD. */
#define MEMIF_BUFFER_BYTES 9216u

/* One line for whoever called create(). */
struct spate_dpdk_line {
    char *text;
    size_t bytes;
};

/* Fills the line (if there is one) and returns err. */
spate_err spate_dpdk_explain(const struct spate_dpdk_line *line, spate_err err, const char *format,
                             ...) __attribute__((format(printf, 3, 4)));

/* device.c: the words of the configuration. */
enum device_kind {
    DEVICE_MEMIF,
    DEVICE_AF_PACKET,
    DEVICE_AF_XDP,
    DEVICE_TAP,
    DEVICE_PCI,
    DEVICE_VDEV,
};

struct device {
    enum device_kind kind;
    const char *word; /* "memif" */
    char what[192];   /* Behind the colon: a folder, an interface, an address, EAL's own words. */
};

spate_err spate_dpdk_device_parse(const char *text, struct device *ret_device,
                                  const struct spate_dpdk_line *line);

/* address.c: SPATE_ERR_IN_USE when an interface of the kernel has our address. */
spate_err spate_dpdk_address_check(const struct device *device, const struct spate_address *address,
                                   const struct spate_dpdk_line *line);

/* What EAL is told to make. `device_mtu` is used when `mtu` is 0. Not for memif. */
void spate_dpdk_device_arguments(const struct device *device, uint32_t mtu, uint32_t device_mtu,
                                 char *text, size_t bytes);
uint32_t spate_dpdk_af_packet_frame_bytes(uint32_t mtu);

/* Whether the kernel has an interface of that name behind the port. */
static inline bool device_has_interface(const struct device *device)
{
    return device->kind == DEVICE_AF_PACKET || device->kind == DEVICE_AF_XDP ||
           device->kind == DEVICE_TAP;
}

/* notice.c: lines for people, from any thread to any. */
#define NOTICES_MAX 16u

struct notices {
    pthread_mutex_t lock;
    uint32_t first, count;
    _Atomic uint64_t lost; /* Read as a counter by any thread. */
    struct spate_net_notice lines[NOTICES_MAX];
};

void spate_dpdk_notices_init(struct notices *notices);
void spate_dpdk_notices_destroy(struct notices *notices);
bool spate_dpdk_notices_take(struct notices *notices, struct spate_net_notice *ret_notice);
void spate_dpdk_notify(struct notices *notices, enum spate_net_notice_level level,
                       const char *format, ...) __attribute__((format(printf, 3, 4)));

/* eal.c: what a process has once. */
spate_err spate_dpdk_eal_start(const struct spate_net_dpdk_options *options,
                               const struct device *device, struct notices *notices,
                               const struct spate_dpdk_line *line);

/* Makes the calling thread one that EAL knows, so that it has a mempool cache. Cheap if it is. */
void spate_dpdk_eal_adopt_thread(void);

/* Adding, removing and configuring ports is not safe in two threads at once. */
void spate_dpdk_eal_lock(void);
void spate_dpdk_eal_unlock(void);

/* What EAL or a driver last complained about, "" if it did not. */
void spate_dpdk_eal_complaint(char *text, size_t bytes);
/* How often that happened. */
uint64_t spate_dpdk_eal_complaints(void);

/* Who may touch a port. Everything but memif's ports stays UP from start to close. */
enum port_state {
    PORT_DOWN = 0,    /* The control thread; the owner stays away. */
    PORT_UP = 1,      /* The owner polls and sends. */
    PORT_LEAVING = 2, /* The control thread wants it back: the owner answers with DOWN. */
};

/* The names of a port's counters, made once: counters.c */
#define PORT_COUNTERS_MAX 32u

struct port_names {
    char text[PORT_COUNTERS_MAX][72];
};

struct port_counters {
    _Atomic uint64_t tx_full;      /* The device's queue had no room. */
    _Atomic uint64_t tx_down;      /* There was no link to send on. */
    _Atomic uint64_t rx_scattered; /* A frame in several pieces: larger than what was agreed. */
    _Atomic uint64_t links_up;     /* How often the link came up. */
    _Atomic uint64_t links_lost;
};

struct port {
    uint16_t id; /* rte_ethdev's */
    _Atomic int state;
    bool is_known_up; /* The owner has seen that it is UP. */
    bool is_link_up;  /* What the last look at the link said. */
    char label[48];   /* "memif.10.77.0.2", "af_xdp.eth1": part of the names of counters. */
    struct spate_stack *stack;
    uint64_t tx_flags;           /* Of mbufs whose checksums the port fills in. */
    uint16_t tx_count;           /* Collected, not yet handed to the device. */
    uint16_t rx_first, rx_count; /* Received, not yet looked at. */
    struct rte_mbuf *tx[SPATE_BURST_MAX];
    struct rte_mbuf *rx[SPATE_BURST_MAX];
    bool has_interrupt;
    int rx_interrupt_fd; /* -1: the port has none. */
    struct port_counters counters;
    struct port_names names;
};

/* port.c */
struct port_plan {
    struct rte_mempool *pool;
    uint16_t mtu;      /* 0: leave it. */
    bool mtu_is_fixed; /* memif: it has no notion of one. */
    bool may_interrupt;
};
spate_err spate_dpdk_port_probe(const char *devargs, uint16_t *ret_id);
spate_err spate_dpdk_port_configure(struct port *port, const struct port_plan *plan);
spate_err spate_dpdk_port_start(struct port *port);
void spate_dpdk_port_close(struct port *port);
bool spate_dpdk_port_link_is_up(const struct port *port);

struct peer {
    struct spate_address address;
    struct spate_stack_route route;
    struct port *port; /* NULL: not set. */
};

struct memif;

struct endpoint {
    struct spate_net net;
    struct device device;
    struct spate_net_dpdk_options options; /* Its strings are not ours. */
    uint32_t address;                      /* Ours, host order. */
    uint16_t mtu;
    uint32_t header_bytes;
    struct rte_mempool *pool;
    uint32_t lent;
    _Atomic uint32_t port_count; /* Only grows. Written by the owner. */
    struct port *ports[PORTS_MAX];
    struct peer peers[SPATE_PEERS_MAX];
    spate_peer peer_hint; /* The sender of the last frame. */
    struct memif *memif;  /* NULL: one port for all. */

    spate_time_ns now; /* As of the last upkeep. */
    spate_time_ns link_check_at;
    uint32_t rx_first; /* The port to begin with, in turns. */
    uint32_t turns;
    spate_time_ns sleep_ns; /* How long the next sleep may be, without an interrupt. */
    struct spate_waiter waiter;
    int wake_fd;
    int interface_fd; /* For asking about the interface's state; -1: none. */
    int claim_fd;     /* The lock on it; -1: none. */
    uint64_t conflicts_seen;

    _Atomic uint64_t polls, polls_empty;
    uint64_t complaints_seen;
    struct notices notices;
    struct endpoint *next; /* Of all endpoints of the process: telemetry.c */
};

static inline struct endpoint *endpoint_of(struct spate_net *net)
{
    return (struct endpoint *)net;
}

static inline void count(_Atomic uint64_t *counter, uint64_t by)
{
    /* One writer: no need for a locked addition. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

/* endpoint.c */
spate_err spate_dpdk_endpoint_create(const struct spate_net_dpdk_options *options,
                                     struct spate_net **ret_net,
                                     const struct spate_dpdk_line *line);
/* A stack for `port` with the endpoint's addresses. */
spate_err spate_dpdk_endpoint_stack(struct endpoint *endpoint, struct port *port,
                                    struct spate_mac mac);

/* pool.c */
struct rte_mempool *spate_dpdk_pool_create(const struct endpoint *endpoint, int numa_node);

/* peers.c */
spate_err spate_dpdk_set_peer(struct spate_net *net, spate_peer peer,
                              const struct spate_address *address);
spate_peer spate_dpdk_peer_of(struct endpoint *endpoint, uint32_t address, uint16_t port);
uint32_t spate_dpdk_ipv4(const struct spate_address *address);

/* rx.c, tx.c */
uint32_t spate_dpdk_rx(struct spate_net *net, struct spate_frame frames[], uint32_t room);
spate_err spate_dpdk_reserve(struct spate_net *net, spate_peer peer, struct spate_frame frames[],
                             uint32_t frame_count);
void spate_dpdk_tx(struct spate_net *net, struct spate_frame frames[], uint32_t frame_count);
void spate_dpdk_release(struct spate_net *net, struct spate_frame frames[], uint32_t frame_count);
/* Sends one mbuf that is ours (an answer, a request). Takes it. */
void spate_dpdk_tx_own(struct endpoint *endpoint, struct port *port, struct rte_mbuf *mbuf);
/* True: the owner may use the port now. Answers a control thread that wants it back. */
bool spate_dpdk_port_is_mine(struct endpoint *endpoint, struct port *port);

/* upkeep.c */
void spate_dpdk_upkeep(struct endpoint *endpoint);
spate_time_ns spate_dpdk_upkeep_deadline(const struct endpoint *endpoint);

/* wait.c */
void spate_dpdk_wait(struct spate_net *net, spate_time_ns timeout_ns);
void spate_dpdk_wake(struct spate_net *net);

/* counters.c, telemetry.c */
void spate_dpdk_counters_name(struct port *port);
bool spate_dpdk_counter(struct spate_net *net, uint32_t place,
                        struct spate_net_counter *ret_counter);
void spate_dpdk_telemetry_add(struct endpoint *endpoint);
void spate_dpdk_telemetry_remove(struct endpoint *endpoint);

#endif
