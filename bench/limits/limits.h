/*
 * What the machine can do at best, measured in the same run as what is compared with it.
 *
 * The bare loop replicates without Raft: one leader, n - 1 followers, each a process, over UDP
 * sockets, with the pinning, polling, bytes and group commit of a cluster; a follower
 * copies entries into its log and acknowledges, a majority commits. The round trip is one frame
 * there and back. The sync is one write + fdatasync.
 */
#ifndef SPATE_BENCH_LIMITS_LIMITS_H
#define SPATE_BENCH_LIMITS_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "bench/transport/transport.h"

enum bench_polling {
    BENCH_POLLING_BUSY,     /* Never blocks; yields the processor when it finds nothing. */
    BENCH_POLLING_ADAPTIVE, /* Polls for a while, then blocks. */
    BENCH_POLLING_BLOCKING, /* Blocks whenever there is nothing to do. */
};

#define BENCH_BARE_NODES_MAX TRANSPORT_NODES_MAX

struct bench_bare_options {
    const struct transport *transport; /* NULL: loopback. Open; not DPDK. */
    uint32_t nodes;                    /* 1 to BENCH_BARE_NODES_MAX */
    uint32_t payload_bytes;            /* Of an entry; a multiple of 8, at least 8. */
    uint32_t in_flight;                /* Entries not yet committed: a closed loop. */
    uint32_t frame_bytes;              /* Of a datagram, at most 65,000. */
    double seconds;
    double warmup_seconds; /* Before `seconds`; not counted. */
    enum bench_polling polling;
    const char *durable_directory; /* NULL: memory. Else every process writes and syncs there. */
    int leader_cpu;                /* BENCH_CPU_ANY: not pinned. */
    int follower_cpu;              /* They share it. */
};

struct bench_bare_result {
    double seconds;
    uint64_t committed; /* Entries. */
    double entries_per_s;
    double entries_per_sync; /* Durable: the leader's group commit. */
    uint64_t datagrams;      /* Sent by the leader; UDP_SEGMENT counts its pieces. */
    uint64_t repeats;        /* How often the leader went back after a loss. */
    double leader_cores;     /* CPU time over time. */
    double followers_cores;  /* All of them together. */
};

/*
 * Latencies from creation to commit, in nanoseconds, are added to `latency`. The calling process is
 * the leader while it runs. Ends early when interrupted. False: it could not be set up; says why
 * on stderr.
 */
bool bench_bare_run(const struct bench_bare_options *options, struct spate_histogram *latency,
                    struct bench_bare_result *ret_result);

struct bench_round_trip_options {
    const struct transport *transport; /* NULL: loopback. Open; not DPDK. */
    uint32_t frame_bytes;
    double seconds;
    enum bench_polling polling;
    int client_cpu;
    int server_cpu;
};

/* Adds round trips in nanoseconds to `latency`. False: could not be set up. */
bool bench_round_trip_run(const struct bench_round_trip_options *options,
                          struct spate_histogram *latency);

/* Adds durations of write + fdatasync of `bytes` in `directory`. False: could not be set up. */
bool bench_sync_run(const char *directory, uint32_t bytes, double seconds,
                    struct spate_histogram *latency);

#endif
