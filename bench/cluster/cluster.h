/* A cluster of agent processes on this machine, as its coordinator sees it. */
#ifndef SPATE_BENCH_CLUSTER_H
#define SPATE_BENCH_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "bench/process.h"
#include "bench/transport/transport.h"
#include "spate/sample.h"

#define CLUSTER_NODES_MAX 7u

struct cluster_options {
    const char *program; /* This program: agents are started as `program agent …`. */
    uint32_t nodes;
    const struct transport *transport; /* Open while the cluster runs. */
    bool is_busy;                      /* Polling; else adaptive. */
    const char *directory;             /* Durable below it; NULL: memory. */
    uint32_t frame_bytes;              /* UDP payload; 0: what the transport is best at. */
    int leader_cpu;
    int follower_cpu;
    uint64_t log_budget_bytes;
    uint32_t election_timeout_ms;
    uint32_t sample_every; /* As in spate_options. */
    enum spate_disk disk;
    uint32_t absent;         /* So many of the nodes are not started yet: the last ones. */
    uint64_t keys;           /* The key-value machine, and loads that write so many; 0: counting. */
    uint64_t snapshot_bytes; /* As in spate_options. */
};

struct cluster {
    struct cluster_options options;
    char members[256];
    uint32_t leader; /* Its place in agents[]. */
    struct process agents[CLUSTER_NODES_MAX];
};

/* What one run of load gave. */
struct cluster_result {
    double per_s; /* Commands decided per second of the counted time. */
    double seconds;
    uint64_t counted, failed, missed;
    uint64_t cpu_ns;                 /* Of the leader's process, while the load counts. */
    uint64_t work_ns;                /* Of its turns that found something to do. */
    uint64_t heap;                   /* Allocations of the leader's thread, over the whole run. */
    uint64_t tx_bytes, tx_frames;    /* Of the leader, since it began. */
    struct spate_histogram *latency; /* Merged into the caller's. */
};

struct cluster_load {
    uint32_t in_flight; /* 0: open loop. */
    double rate;
    bool is_poisson;
    uint32_t payload_bytes;
    double warm_s;
    double run_s;
};

/* Starts all agents and waits until one of them leads. False: `message` says why not. */
bool cluster_start(struct cluster *cluster, const struct cluster_options *options, char *message,
                   uint32_t message_bytes);

/* Runs a load on the leader. `ret_result->latency` is the caller's and is added to. */
bool cluster_load(struct cluster *cluster, const struct cluster_load *load,
                  struct cluster_result *ret_result, char *message, uint32_t message_bytes);

/* Begins a load and does not wait for its end. */
bool cluster_begin_load(struct cluster *cluster, const struct cluster_load *load);

/* Looks for the agent that leads in the highest term; waits for one. */
bool cluster_find_leader(struct cluster *cluster, int timeout_ms);

struct cluster_agent_status {
    bool is_leader;
    uint64_t term;
    uint64_t applied;
    uint32_t digest;
    uint64_t resident_bytes;
    uint64_t snapshot_bytes_in;
    uint64_t snapshots_taken;
    bool is_mute;
};

bool cluster_status(struct cluster *cluster, uint32_t agent,
                    struct cluster_agent_status *ret_status);

/*
 * Medians, in ns, of the stages that an agent has sampled since it was last asked; 0 where it has
 * none.
 */
bool cluster_stages(struct cluster *cluster, uint32_t agent, double ret_ns[SPATE_STAGE_COUNT]);

/* CPU time per second that an agent without load uses. */
bool cluster_idle(struct cluster *cluster, uint32_t agent, double seconds, double *ret_share);

/* Whether all running agents have applied the same commands; waits for it. */
bool cluster_is_equal(struct cluster *cluster, int timeout_ms);

/* kill -9, and starting it again with the same arguments. */
void cluster_kill(struct cluster *cluster, uint32_t agent);
bool cluster_restart(struct cluster *cluster, uint32_t agent);

/* Ends all agents. Accepts a cluster that did not start. */
void cluster_stop(struct cluster *cluster);

#endif
