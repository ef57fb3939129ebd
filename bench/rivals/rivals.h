/*
 * Others that replicate, measured on the same work: started, driven by a closed loop and ended
 * here, with the pinning, payload and durability of the cluster that they are shown beside.
 */
#ifndef SPATE_BENCH_RIVALS_H
#define SPATE_BENCH_RIVALS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"

#define RIVAL_NODES_MAX  7u
#define RIVAL_TEXT_BYTES 256u

enum rival_kind {
    RIVAL_CRAFT,        /* Canonical's C raft, proposed to in batches. */
    RIVAL_CRAFT_SINGLE, /* The same, one call for each entry. */
    RIVAL_ETCD,
    RIVAL_REDIS, /* One process, which replicates nothing: a reference. */
    RIVAL_KINDS,
};

struct rival_options {
    const char *craft;     /* Path of spate-rival-craft. */
    const char *directory; /* Of one run, absolute; the caller makes and removes it. */
    uint32_t nodes;
    uint32_t payload_bytes;
    uint32_t in_flight;
    double warmup_seconds;
    double seconds;
    bool is_durable;
    int leader_cpu;
    int follower_cpu;
};

struct rival_result {
    double per_s;
    uint64_t counted;
    uint64_t leader_cpu_ns; /* Of its process, in the counted time. */
    uint64_t client_cpu_ns; /* Of ours; 0: the load is made in the leader's process. */
};

/* As on the command line, and as in the label `system` of results. */
const char *rival_name(enum rival_kind kind);
const char *rival_label(enum rival_kind kind);
bool rival_parse(const char *name, enum rival_kind *ret_kind);

/* Whether the load is made by a client outside the leader's process. */
bool rival_has_client(enum rival_kind kind);

/* NULL: can be measured. Else the words that stand instead of figures. */
const char *rival_obstacle(enum rival_kind kind, const struct rival_options *options);

/*
 * One run. Latencies in nanoseconds, from the making of an entry to its commit (seen by a client:
 * to the answer), are added to `latency`. No process is left, whatever happens. False: `message`
 * says why.
 */
bool rival_run(enum rival_kind kind, const struct rival_options *options,
               struct spate_histogram *latency, struct rival_result *ret_result,
               char message[RIVAL_TEXT_BYTES]);

#endif
