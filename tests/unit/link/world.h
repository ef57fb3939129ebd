/* A few links on a tiny hub, turned by hand in virtual time. */
#ifndef SPATE_TESTS_UNIT_LINK_WORLD_H
#define SPATE_TESTS_UNIT_LINK_WORLD_H

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "link/link.h"
#include "support/test.h"
#include "support/tiny_net.h"

#define US       1000u
#define MSEC     (1000u * US)
#define CLUSTER  0x11
#define HEADER   SPATE_LINK_HEADER_BYTES
#define OVERHEAD SPATE_LINK_OVERHEAD_BYTES

struct inbox {
    uint64_t count;
    spate_node_id from;
    uint64_t session;
    uint32_t size;
    uint8_t *data; /* A copy of the last payload. */
};

/* Node i + 1 lives at place i. */
struct world {
    struct tiny_hub *hub;
    uint32_t count;
    uint32_t frame_bytes[TINY_ENDPOINTS_MAX];
    uint8_t cluster[TINY_ENDPOINTS_MAX];
    uint64_t session[TINY_ENDPOINTS_MAX];
    struct spate_address own_address; /* Of all; family 0: they name none. */
    struct spate_link *links[TINY_ENDPOINTS_MAX];
    struct inbox inbox[TINY_ENDPOINTS_MAX];
};

static inline void world_start(struct world *world, uint32_t i)
{
    struct spate_net *net = NULL;
    assert_int_equal(
        spate_net_checked_create(tiny_hub_open(world->hub, i, world->frame_bytes[i]), &net),
        SPATE_OK);
    struct spate_link_options options = {
        .net = net,
        .self = i + 1,
        .session = world->session[i],
        .insecure_peers = SPATE_INSECURE_PEERS_LOCAL,
        .own_address = world->own_address,
        .peer_count = world->count,
    };

    memset(options.cluster_id, world->cluster[i], sizeof options.cluster_id);
    for (uint32_t p = 0; p < world->count; p++) {
        options.peers[p].id = p + 1;
    }
    assert_int_equal(spate_link_create(&options, &world->links[i]), SPATE_OK);
}

static inline void world_stop(struct world *world, uint32_t i)
{
    spate_link_destroy(world->links[i]);
    world->links[i] = NULL;
}

static inline struct world *world_create(uint32_t count, uint64_t seed)
{
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    world->hub = tiny_hub_create(seed);
    world->count = count;
    for (uint32_t i = 0; i < count; i++) {
        world->frame_bytes[i] = SPATE_FRAME_BYTES_MIN;
        world->cluster[i] = CLUSTER;
        world->session[i] = 0x1000 + i;
        world->inbox[i].data = malloc(SPATE_LINK_LARGE_BYTES_MAX);
    }
    return world;
}

static inline void world_start_all(struct world *world)
{
    for (uint32_t i = 0; i < world->count; i++) {
        world_start(world, i);
    }
}

static inline void world_destroy(struct world *world)
{
    for (uint32_t i = 0; i < world->count; i++) {
        spate_link_destroy(world->links[i]);
        free(world->inbox[i].data);
    }
    tiny_hub_destroy(world->hub);
    free(world);
}

static inline void world_turn(struct world *world, uint32_t i)
{
    struct spate_link_payload payloads[SPATE_BURST_MAX];
    struct inbox *inbox = &world->inbox[i];
    const uint32_t count =
        spate_link_rx(world->links[i], world->hub->now, payloads, SPATE_BURST_MAX);

    for (uint32_t p = 0; p < count; p++) {
        assert_int_equal((uintptr_t)payloads[p].data % 8, 0);
        inbox->count++;
        inbox->from = payloads[p].from;
        inbox->session = payloads[p].session;
        inbox->size = payloads[p].size;
        memcpy(inbox->data, payloads[p].data, payloads[p].size);
    }
    spate_link_release(world->links[i]);
    (void)spate_link_tick(world->links[i], world->hub->now);
    spate_link_flush(world->links[i], world->hub->now);
}

/* Turns all links that run, every 10 µs, for `duration`. */
static inline void world_run(struct world *world, spate_time_ns duration)
{
    const spate_time_ns until = world->hub->now + duration;

    while (world->hub->now < until) {
        for (uint32_t i = 0; i < world->count; i++) {
            if (world->links[i] != NULL) {
                world_turn(world, i);
            }
        }
        world->hub->now += 10 * US;
    }
}

static inline struct spate_link_peer_status world_status(const struct world *world, uint32_t i,
                                                         spate_node_id peer)
{
    struct spate_link_peer_status status;

    assert_true(spate_link_peer_status(world->links[i], peer, &status));
    return status;
}

static inline bool world_is_connected(const struct world *world, uint32_t i, spate_node_id peer)
{
    return world_status(world, i, peer).is_connected;
}

/* Sends eight bytes that hold `value`. */
static inline bool world_send(struct world *world, uint32_t i, spate_node_id peer, uint64_t value)
{
    uint8_t *to = spate_link_reserve(world->links[i], peer, 8);

    if (to == NULL) {
        return false;
    }
    spate_put_u64(to, value);
    spate_link_wrote(world->links[i], peer, 8);
    spate_link_flush(world->links[i], world->hub->now);
    return true;
}

static inline uint64_t world_dropped(const struct world *world, uint32_t i,
                                     enum spate_link_drop reason)
{
    return spate_link_dropped(world->links[i], reason);
}

#endif
