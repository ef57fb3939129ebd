/* Shared by the network (network.c), its links (link.c) and its endpoints (endpoint.c). */
#ifndef SPATE_SIM_INTERNAL_H
#define SPATE_SIM_INTERNAL_H

#include "base/prng.h"
#include "net/sim/sim.h"

/* A copy of a frame on its way, or waiting at its endpoint. Also what is lent. */
struct packet {
    struct packet *next;
    spate_time_ns due;
    uint64_t order; /* Of sending: decides between equal times. */
    uint32_t from;
    uint32_t to;
    uint32_t size;
    bool is_lent;
    uint8_t *data;
};

struct link {
    struct spate_net_sim_link options;
    bool is_cut;
    spate_time_ns clogged_until;
    spate_time_ns sent_until; /* When the last byte of what was sent has left the bottleneck. */
    spate_time_ns last_due;
};

struct endpoint {
    struct spate_net net;
    struct spate_net_sim *network;
    uint32_t index;
    bool is_open;
    struct spate_address peers[SPATE_PEERS_MAX];
    struct packet *first;
    struct packet *last;
    uint32_t lent;
};

struct spate_net_sim {
    struct spate_prng prng;
    spate_time_ns now;
    uint64_t order;
    uint32_t endpoint_count;
    uint32_t frame_bytes_max;
    uint32_t lent_max; /* Per endpoint: nobody can starve the others. */
    struct packet *packets;
    uint8_t *bytes;
    struct packet *free;
    struct packet **heap; /* In flight, the earliest first. */
    uint32_t heap_count;
    uint32_t packets_count;
    struct link links[SPATE_PEERS_MAX][SPATE_PEERS_MAX];
    struct endpoint endpoints[SPATE_PEERS_MAX];
};

static inline void count(_Atomic uint64_t *counter, uint64_t by)
{
    (void)atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

/* network.c */
struct packet *spate_sim_packet_take(struct spate_net_sim *network);
void spate_sim_packet_give(struct spate_net_sim *network, struct packet *packet);
void spate_sim_schedule(struct spate_net_sim *network, struct packet *packet, spate_time_ns due);

/* link.c: takes the packet. False: it was dropped at the sender's queue. */
bool spate_sim_link_forward(struct spate_net_sim *network, struct packet *packet);

/* endpoint.c */
void spate_sim_endpoint_init(struct spate_net_sim *network, uint32_t index);
void spate_sim_endpoint_deliver(struct endpoint *endpoint, struct packet *packet);

#endif
