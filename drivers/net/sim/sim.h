/*
 * A seeded network among up to 16 endpoints in one process. The owner has the time: nothing moves
 * but in spate_net_sim_run(), and the same seed and calls give the same deliveries.
 *
 * Thread: one for the network and all its endpoints; only wake may come from others.
 */
#ifndef SPATE_NET_SIM_SIM_H
#define SPATE_NET_SIM_SIM_H

#include "net/net.h"

struct spate_net_sim;

struct spate_net_sim_options {
    uint64_t seed;
    uint32_t endpoints;       /* 1 to 16. */
    uint32_t frame_bytes_max; /* 0: 1,472. */
    uint32_t frames_max;      /* In flight or waiting, all together; 0: 4,096. */
};

/* The weather of one direction between two endpoints. All zero: perfect and immediate. */
struct spate_net_sim_link {
    spate_time_ns delay_ns_min;
    spate_time_ns delay_ns_mean; /* Of the exponential part that is added. */
    uint32_t loss_ppm;
    uint32_t duplicate_ppm;
    uint32_t replay_ppm; /* A copy that comes up to replay_ns_max later. */
    spate_time_ns replay_ns_max;
    uint32_t reorder_ppm;       /* Frames that may overtake; the others keep their order. */
    uint64_t bytes_per_s;       /* 0: no limit. */
    spate_time_ns queue_ns_max; /* Tail drop behind this much waiting; 0: no limit. */
};

/* Errors: SPATE_ERR_INVALID, SPATE_ERR_NO_MEMORY */
spate_err spate_net_sim_create(const struct spate_net_sim_options *options,
                               struct spate_net_sim **ret_network) SPATE_MUST_CHECK;

/* Requires: all endpoints are closed. Accepts NULL. */
void spate_net_sim_destroy(struct spate_net_sim *network);

/*
 * An endpoint and its address. Closing it throws away what waits for it; opening it again is a
 * restart. Requires: it is not open.
 */
struct spate_net *spate_net_sim_open(struct spate_net_sim *network, uint32_t index);
struct spate_address spate_net_sim_address(uint32_t endpoint);

void spate_net_sim_set_link(struct spate_net_sim *network, uint32_t from, uint32_t to,
                            const struct spate_net_sim_link *link);

/* A cut link loses what is sent from now on; what is in flight arrives. Any matrix can be cut. */
void spate_net_sim_cut(struct spate_net_sim *network, uint32_t from, uint32_t to, bool is_cut);

/* A clogged link keeps everything until `until`, then delivers. */
void spate_net_sim_clog(struct spate_net_sim *network, uint32_t from, uint32_t to,
                        spate_time_ns until);

/* When the next frame is due; SPATE_TIME_NEVER: nothing is in flight. */
spate_time_ns spate_net_sim_next_run_at(const struct spate_net_sim *network);

/* Delivers all that is due at `now`. Requires: now does not go back. */
void spate_net_sim_run(struct spate_net_sim *network, spate_time_ns now);

#endif
