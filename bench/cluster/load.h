/*
 * The load generator: proposes commands through a port and times their outcomes.
 *
 * A closed loop keeps a number of commands in flight and begins the next when one is decided: it
 * shows the peak, and hides what a client would have waited. An open loop begins commands at given
 * times, whatever came of the earlier ones, and times each from when it should have begun, so
 * that a stall counts for every command that it held up (no coordinated omission).
 */
#ifndef SPATE_BENCH_LOAD_H
#define SPATE_BENCH_LOAD_H

#include "base/clock.h"
#include "base/histogram.h"
#include "base/prng.h"
#include "machine.h"
#include "spate/spate.h"

/* Commands in flight at once, at the most. A power of two. */
#define LOAD_SLOTS 65536u

struct load_options {
    uint32_t in_flight; /* Closed loop; 0: open loop. */
    double rate;        /* Open loop: commands per second. */
    bool is_poisson;    /* Open loop: exponential gaps, else constant. */
    uint32_t payload_bytes;
    spate_time_ns warm_ns; /* Not counted. */
    spate_time_ns run_ns;  /* Counted. */
};

struct load {
    struct load_options options;
    struct spate_port *port;
    struct spate_histogram *latency; /* ns, of commands begun in the counted time. */
    struct spate_prng prng;
    spate_time_ns began;
    spate_time_ns counted_from;
    spate_time_ns counted_until;
    double next_offset; /* Open loop: ns since `began`. */
    spate_time_ns next_arrival;
    uint64_t proposed, decided; /* All. */
    uint64_t counted;           /* Decided with success within the counted time. */
    uint64_t failed;
    uint64_t missed;   /* Open loop: should have begun, but there was no room; begun late. */
    bool is_next_late; /* The next was counted as missed already. */
    uint32_t free_count;
    uint32_t free_slots[LOAD_SLOTS];
    spate_time_ns starts[LOAD_SLOTS];
    const struct machine *machine; /* Commands are for it. */
    uint64_t keys_written;         /* Of all loads. */
    uint32_t command_bytes;
    uint32_t number_at; /* Where each command has its number, or its key. */
    uint8_t payload[SPATE_ENTRY_BYTES_MAX];
};

/* Memory: the caller's; `latency` is reset. */
void load_begin(struct load *load, const struct load_options *options, spate_time_ns now);

/* One turn at `now`: takes outcomes, begins commands. Returns false when the time is over and all
 * that was begun is decided (or a second has passed since). */
bool load_turn(struct load *load, spate_time_ns now);

#endif
