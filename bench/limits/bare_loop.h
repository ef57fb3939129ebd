/* The two sides of the bare loop. */
#ifndef SPATE_BENCH_LIMITS_BARE_LOOP_H
#define SPATE_BENCH_LIMITS_BARE_LOOP_H

#include <pthread.h>
#include <stdatomic.h>

#include "bench/limits/journal_internal.h"
#include "bench/limits/socket.h"

/* Before the slots of a frame; alone: an acknowledgement. */
struct bare_header {
    uint64_t first; /* Of the slots; in an acknowledgement the last one held. */
    uint32_t count;
    uint32_t from; /* Follower that acknowledges. */
};

/*
 * The entries in a circle of slots. An entry has one; one that is larger than a frame has as many
 * as it takes frames, of one size (rounded up to 8 bytes), and is there when its last one is.
 */
struct bare_log {
    uint8_t *bytes;
    uint64_t mask; /* Slots - 1. */
    uint32_t slot_bytes;
    uint32_t entry_slots;
};

bool bare_log_create(struct bare_log *log, const struct bench_bare_options *options);
void bare_log_destroy(struct bare_log *log);

/* The bytes of the slots [first, first + count) as one part, or as two across the end. Returns how
 * many. */
uint32_t bare_log_parts(const struct bare_log *log, uint64_t first, uint64_t count,
                        struct iovec parts[2]);

struct bare_setup {
    const struct bench_bare_options *options;
    _Atomic bool *is_over; /* Shared by the children. */
    struct bench_port *leader_port;
    struct sockaddr_in leader_address;
    struct bench_port *follower_ports[BENCH_BARE_NODES_MAX];
    struct bench_port sockets[BENCH_BARE_NODES_MAX]; /* What the ports are on sockets. */
    struct sockaddr_in follower_addresses[BENCH_BARE_NODES_MAX];
    uint32_t followers;
};

struct bare_follower {
    struct bare_setup *setup;
    uint32_t index;
};

/* A follower's process: argument is its struct bare_follower. Returns the exit status. */
int bare_follow(void *argument);

/* The leader, in the calling process. */
bool bare_lead(struct bare_setup *setup, struct spate_histogram *latency,
               struct bench_bare_result *ret_result);

/* The leader's disk, on a thread of its own so that frames leave while it syncs. */
struct bare_disk {
    pthread_t thread;
    struct bench_journal journal;
    const struct bare_log *log;
    int work_fd; /* eventfd: something was staged. */
    int done_fd; /* eventfd: something is durable. */
    _Atomic uint64_t staged;
    _Atomic uint64_t durable;
    _Atomic uint64_t syncs;
    _Atomic bool is_over;
    uint64_t seen; /* The owner's: what it last saw as durable. */
};

bool bare_disk_start(struct bare_disk *disk, const char *directory, const struct bare_log *log);
void bare_disk_stop(struct bare_disk *disk);

/* Slots up to `last` may be written. */
void bare_disk_stage(struct bare_disk *disk, uint64_t last);

/* The last durable slot; clears done_fd. */
uint64_t bare_disk_durable(struct bare_disk *disk);

#endif
