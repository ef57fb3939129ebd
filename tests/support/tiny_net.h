/*
 * The smallest network that a link can be tested on: a hub with virtual time. Place i of every
 * endpoint is endpoint i. Each frame is a block of its own from malloc, of exactly its size, so
 * the sanitizers see every byte too many, every frame kept, and every frame returned twice.
 */
#ifndef SPATE_SUPPORT_TINY_NET_H
#define SPATE_SUPPORT_TINY_NET_H

#include "base/prng.h"
#include "net/net.h"

#define TINY_ENDPOINTS_MAX 4u
#define TINY_QUEUE_MAX     8192u

struct tiny_hub;

/* Sees (and may change) each frame sent. False: the frame is lost. */
typedef bool (*tiny_tap)(void *context, uint32_t from, uint32_t to, uint8_t *data, uint32_t size);

struct tiny_endpoint {
    struct spate_net net;
    struct tiny_hub *hub;
    uint32_t place;
    uint32_t lent;
    uint32_t lent_max; /* 0: no limit. */
    bool is_open;
};

struct tiny_packet {
    spate_time_ns due;
    uint64_t order;
    uint32_t from;
    uint32_t to;
    uint32_t size;
    uint8_t *data;
};

struct tiny_hub {
    spate_time_ns now;
    spate_time_ns delay_ns_min, delay_ns_max;
    uint32_t loss_ppm, duplicate_ppm;
    uint32_t path_bytes_max; /* Larger frames are lost. 0: none. */
    bool is_cut;             /* All frames are lost. */
    tiny_tap tap;
    void *tap_context;
    struct spate_prng prng;
    uint64_t sent_frames;
    uint64_t sent_bursts;
    uint64_t order;
    uint32_t queued;
    struct tiny_packet queue[TINY_QUEUE_MAX];
    struct tiny_endpoint endpoints[TINY_ENDPOINTS_MAX];
};

struct tiny_hub *tiny_hub_create(uint64_t seed);
void tiny_hub_destroy(struct tiny_hub *hub);

/* Opens endpoint `place`; a closed one may be opened again. */
struct spate_net *tiny_hub_open(struct tiny_hub *hub, uint32_t place, uint32_t frame_bytes_max);

/* Puts bytes of the test's own on the way. `from` may be SPATE_PEER_NONE. */
void tiny_hub_inject(struct tiny_hub *hub, uint32_t from, uint32_t to, const uint8_t *data,
                     uint32_t size);

#endif
