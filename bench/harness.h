/* The harness: clusters of real processes, measured beside the limits of the machine. */
#ifndef SPATE_BENCH_HARNESS_H
#define SPATE_BENCH_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/cluster/cluster.h"
#include "bench/report/results.h"
#include "bench/rivals/rivals.h"

#define HARNESS_IN_FLIGHT_MAX 16u
#define HARNESS_SCALES_MAX    4u

/* Entries in flight, all together: cores and bare loop hold them several times, on one machine. */
#define HARNESS_IN_FLIGHT_BYTES_MAX (256u << 20)

/* What the command line asks for. */
struct harness {
    const char *program;     /* This program, for the agents. */
    const char *dpdk_limits; /* spate-limits-dpdk, beside it. */
    const char *output;      /* Folder of the results; NULL: print only. */
    const char *directory;   /* For durable rows. */
    uint32_t nodes;
    struct transport transports[TRANSPORT_KINDS];
    uint32_t transport_count;
    uint32_t transports_open;
    const struct transport *transport;   /* Of the cluster that is next. */
    uint32_t scales[HARNESS_SCALES_MAX]; /* Closed loops with so many nodes each, in turns … */
    uint32_t scale_count;                /* … 0: with `nodes`. */
    uint32_t payload_bytes;
    uint32_t in_flight[HARNESS_IN_FLIGHT_MAX];
    uint32_t in_flight_count;
    bool polls_busy;     /* Measure with busy polling … */
    bool polls_adaptive; /* … and/or with adaptive. */
    bool is_durable;
    enum spate_disk disk;
    uint32_t frame_bytes; /* 0: by transport. */
    uint32_t runs;
    double seconds;
    double warmup_seconds;
    double rate;          /* Open loop: entries a second; 0: shares of the peak. */
    bool is_constant;     /* Open loop: arrivals in equal gaps; else Poisson. */
    bool finds_max;       /* Looks for the highest rate with … */
    double p99_max_ns;    /* … a p99 below this. */
    uint64_t state_bytes; /* What an empty core is brought. */
    uint32_t kills;
    uint32_t election_timeout_ms;
    bool rivals[RIVAL_KINDS]; /* Closed loops: those that are measured too. */
    int leader_cpu;
    int follower_cpu;
    struct bench_results *results;
};

/*
 * Reads the command line into `harness`, which holds the defaults. False: it is of no use, which
 * was said, or help was asked for; *ret_code is the exit code. *ret_profile is NULL when none is
 * named.
 */
bool harness_read_options(struct harness *harness, int argument_count, char **arguments,
                          const char **ret_profile, int *ret_code);

/* Options for a cluster of this harness. `is_busy` and durability are the row's. */
struct cluster_options harness_cluster(const struct harness *harness, bool is_busy,
                                       const char *directory);

/* transports.c. Opening says why not. A core's frames; and what they are in the bare loop. */
bool harness_open_transports(struct harness *harness);
void harness_close_transports(struct harness *harness);
uint32_t harness_core_frame_bytes(const struct harness *harness);
uint32_t harness_bare_frame_bytes(const struct harness *harness);

/* Adds a row with the labels that every cell has. */
struct bench_row *harness_add_row(struct harness *harness, const char *name, const char *unit,
                                  const char *loop, bool is_busy);

/*
 * Starts a cluster with the polling and durability of `harness`, hands it to `use`, and ends it
 * whatever happens, its folder too. False: no cluster (says why), or `use` said so.
 */
bool harness_with_cluster(struct harness *harness, bool (*use)(void *context, struct cluster *),
                          void *context);

/* How many entries of this payload may be in flight. */
static inline uint32_t harness_in_flight_max(const struct harness *harness)
{
    return HARNESS_IN_FLIGHT_BYTES_MAX / harness->payload_bytes;
}

/* The rate of a closed loop of 4096 in flight. False: says why. */
bool harness_find_peak(struct harness *harness, struct cluster *cluster,
                       struct spate_histogram *latency, double *ret_per_s);

/* A fresh folder below harness->directory for one durable cluster. The caller removes it. */
bool harness_make_directory(const struct harness *harness, char *path, uint32_t path_bytes);
void harness_remove_directory(const char *path);

/* A line that says what is going on, on stderr; overwritten by the next on a terminal. */
__attribute__((format(printf, 1, 2))) void harness_progress(const char *format, ...);

/* Each measures one kind of thing into harness->results. False: failed or interrupted; what was
 * measured so far is kept. */
bool harness_trip(struct harness *harness);     /* One frame there and back, bare. */
bool harness_sync(struct harness *harness);     /* One write and fdatasync. */
bool harness_peak(struct harness *harness);     /* Closed loops beside the bare loop. */
bool harness_open(struct harness *harness);     /* Open loops: at a rate, or shares of the peak. */
bool harness_find_max(struct harness *harness); /* The highest rate whose p99 holds. */
bool harness_stages(struct harness *harness);   /* Where the time goes, and what knowing costs. */
bool harness_parts(struct harness *harness);    /* Parts of the library, by themselves. */
bool harness_failover(struct harness *harness); /* kill -9 of leaders under load. */
bool harness_bring_in(struct harness *harness); /* An empty core, and snapshots, under load. */
bool harness_idle(struct harness *harness);     /* CPU and memory of idle cores. */
bool harness_wake(struct harness *harness);     /* How soon a sleeping core answers. */

#endif
