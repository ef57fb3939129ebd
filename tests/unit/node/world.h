/* A few nodes on a tiny hub with tiny stores, turned by hand in virtual time. */
#ifndef SPATE_TESTS_UNIT_NODE_WORLD_H
#define SPATE_TESTS_UNIT_NODE_WORLD_H

#include "kv/counting.h"
#include "node/node.h"
#include "support/tiny_net.h"
#include "support/tiny_store.h"

#define US                1000ull
#define MSEC              (1000ull * US)
#define WORLD_NODES_MAX   3u
#define WORLD_RESULTS_MAX (1u << 18)

struct world_client {
    struct spate_port *port;
    uint64_t proposed;
    uint64_t outcomes, ok, not_ready, unknown;
    uint8_t *seen; /* Outcomes by cookie, modulo WORLD_RESULTS_MAX. */
    struct spate_result last;
};

struct world_node {
    bool is_up;
    struct spate_node *node;
    struct tiny_store *store;
    struct tiny_image image;
    struct spate_counting counting;
    struct world_client client;
};

struct world {
    struct spate_clock clock;
    spate_time_ns stalled_at; /* What is read next of the clock was read then. 0: it is read now. */
    struct tiny_hub *hub;
    uint32_t count;
    uint64_t sessions;
    /* What differs from the defaults; set before a node starts. */
    uint32_t frame_bytes;
    uint64_t log_budget_bytes;
    bool apply_is_threaded;
    bool lease_enabled;
    uint32_t sample_every;
    uint32_t store_delay_polls;
    uint32_t store_busy_ppm;
    struct world_node nodes[WORLD_NODES_MAX];
};

struct world *world_create(uint32_t count, uint64_t seed);
void world_destroy(struct world *world);

void world_start(struct world *world, uint32_t i);
void world_start_all(struct world *world);

/* As kill -9 does: what the store has not completed is lost. */
void world_stop(struct world *world, uint32_t i);

/* Lets `ns` of virtual time pass. */
void world_run(struct world *world, uint64_t ns);

/* Runs until there is one leader that the majority follows; returns its place. */
uint32_t world_elect(struct world *world);

/* Proposes `size` bytes through node i's port. The cookie is the count of proposals. */
bool world_propose(struct world *world, uint32_t i, uint32_t size);
void world_submit(struct world *world, uint32_t i);

/* Runs until the client of node i has all its outcomes; false: not within `ns`. */
bool world_settle(struct world *world, uint32_t i, uint64_t ns);

/* Runs until every running node has applied as much as the one that has most; compares them. */
void world_converge(struct world *world);

struct spate_node_status world_status(struct world *world, uint32_t i);

#endif
