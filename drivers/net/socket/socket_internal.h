/* Shared by the files of this driver: slots, peers, and the received datagrams in hand. */
#ifndef SPATE_SOCKET_INTERNAL_H
#define SPATE_SOCKET_INTERNAL_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/waiter.h"
#include "net/socket/socket.h"

#define SEGMENTS_MAX      64u    /* The kernel's UDP_MAX_SEGMENTS. */
#define SEND_BYTES_MAX    65507u /* The largest UDP payload over IPv4. */
#define RX_BATCH_MAX      32u
#define PEER_TABLE_PLACES 64u /* A power of two, at most a quarter full. */

_Static_assert(PEER_TABLE_PLACES >= 4 * SPATE_PEERS_MAX, "short probes");

/* A buffer. A receive slot may be lent as several frames at once and returns with the last. */
struct slot {
    uint8_t *data;
    uint32_t lent;
    bool is_rx;
};

struct slot_pool {
    uint8_t *bytes;
    struct slot *slots;
    struct slot **free; /* A stack: the slot last used is still in the cache. */
    uint32_t free_count;
    uint32_t count;
    uint32_t stride;
};

struct peer {
    struct spate_address address;
    struct sockaddr_storage socket_address;
    socklen_t socket_address_bytes;
    bool segmentation_refused; /* The path to this peer. */
};

/* A received datagram, or several of one sender and size, not yet all lent. */
struct received {
    struct slot *slot;
    spate_peer peer;
    uint32_t bytes;  /* Not yet lent. */
    uint32_t offset; /* Of the next frame. */
    uint32_t frame_bytes;
    uint32_t stride; /* From frame to frame: frame_bytes rounded up to 8. */
};

struct socket_net {
    struct spate_net net;
    struct spate_net_socket_counters counters;
    int fd;
    int wake_fd;
    bool wake_is_raised; /* As of the last sleep; the event is still to be taken back. */
    int family;          /* AF_INET or AF_INET6 */
    bool tx_segmentation;
    bool rx_coalescing;
    struct slot_pool rx_pool;
    struct slot_pool tx_pool;
    struct peer peers[SPATE_PEERS_MAX];
    uint8_t peer_table[PEER_TABLE_PLACES]; /* Peer + 1; 0: empty. */
    struct received received[RX_BATCH_MAX];
    uint32_t received_first;
    uint32_t received_count;
    uint32_t rx_batch; /* How many datagrams to ask for next. */
    struct spate_waiter waiter;
};

static inline struct socket_net *socket_of(struct spate_net *net)
{
    return (struct socket_net *)net;
}

static inline void count(_Atomic uint64_t *counter, uint64_t by)
{
    /* One writer: no need for a locked addition. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

/* peers.c */
spate_err spate_socket_set_peer(struct spate_net *net, spate_peer peer,
                                const struct spate_address *address);
spate_peer spate_socket_peer_of(const struct socket_net *socket,
                                const struct sockaddr_storage *from);
void spate_socket_address_to(const struct spate_address *address, struct sockaddr_storage *to,
                             socklen_t *ret_bytes);
void spate_socket_address_from(const struct sockaddr_storage *from, struct spate_address *address);

/* slots.c */
spate_err spate_socket_slots_create(struct slot_pool *pool, uint32_t count, uint32_t stride,
                                    bool is_rx);
void spate_socket_slots_destroy(struct slot_pool *pool);
struct slot *spate_socket_slot_take(struct slot_pool *pool);
void spate_socket_frame_return(struct socket_net *socket, const struct spate_frame *frame);
void spate_socket_slot_give(struct slot_pool *pool, struct slot *slot);

/* rx.c, tx.c, wait.c */
uint32_t spate_socket_rx(struct spate_net *net, struct spate_frame frames[], uint32_t room);
void spate_socket_tx(struct spate_net *net, struct spate_frame frames[], uint32_t count);
void spate_socket_wait(struct spate_net *net, spate_time_ns timeout_ns);
void spate_socket_wake(struct spate_net *net);

#endif
