/*
 * The simulator: a whole cluster of production nodes in one thread, with a seeded network, seeded
 * disks, crashes and clients, and a clock that jumps to whatever happens next. After every event
 * the checker, which sees everything, looks whether anything has happened that must never happen.
 *
 *   seed --> options, weather, faults, load        spate_node_poll() x N, as in production
 *                |                                      ^            |
 *                v                                      | frames     | batches
 *            sim_run: the earliest deadline --> net/sim, store/fault, clock/sim --> check.c
 */
#ifndef SPATE_TESTS_SIM_SIM_H
#define SPATE_TESTS_SIM_SIM_H

#include "base/prng.h"
#include "clock/sim.h"
#include "net/sim/sim.h"
#include "node/node.h"
#include "store/fault/fault.h"
#include "store/mem/snapshots.h"

#define SIM_NODES_MAX     5u
#define SIM_TERMS_MAX     4096u
#define SIM_INDEXES_MAX   65536u
#define SIM_PROPOSALS_MAX 65536u

#define SIM_US 1000ull
#define SIM_MS (1000ull * SIM_US)
#define SIM_S  (1000ull * SIM_MS)

/* What a crash takes away besides what was not durable. */
enum sim_forgetting {
    SIM_FORGETS_NOTHING,
    SIM_FORGETS_MEMORY,  /* Everything, and the node knows it. */
    SIM_FORGETS_DISK,    /* Everything, now and then, and the node does not know it. */
    SIM_FORGETS_RECORDS, /* Now and then a record and all behind it, which the store finds. */
};

/* What a seed decides about a run. */
struct sim_options {
    uint64_t seed;
    uint32_t nodes;    /* 0: drawn from the seed: 1, 3 or 5. */
    bool is_calm;      /* No faults at all. */
    bool has_churn;    /* Members come and go. */
    bool has_leases;   /* Leases, and all that could break them. */
    uint32_t founders; /* Of the nodes; the others are no members yet. */
    spate_time_ns churn_every_ns;
    spate_time_ns duration_ns; /* Of the phase with faults. 0: drawn. */

    struct spate_net_sim_link weather;
    spate_time_ns disk_ns_mean;
    uint32_t disk_busy_ppm;
    spate_time_ns crash_every_ns; /* Mean; 0: never. */
    spate_time_ns cut_every_ns;
    spate_time_ns pause_every_ns;
    spate_time_ns clog_every_ns;
    spate_time_ns propose_every_ns;
    uint32_t large_ppm; /* Commands that need more than a frame. */
    uint32_t append_count_max;
    uint64_t snapshot_entries; /* 0: no snapshots. */
    uint64_t snapshot_keep_entries;
    bool lease_enabled;
    enum sim_forgetting forgetting;
    uint32_t drift_ppm; /* Clocks run at most so much too fast or too slow. */
};

/* The state machine of a simulated node: shows each command to the checker. */
struct sim_fsm {
    struct spate_fsm fsm;
    struct sim *sim;
    uint32_t node;
    spate_index applied; /* In this life. */
    uint64_t digest;     /* Of all that was applied. */
    uint8_t saved[16];   /* Of an open save or restore: applied, digest. */
    uint32_t saved_bytes;
};

/* A net that looks at what leaves: what a message promises must be on the sender's disk. */
struct sim_spy {
    struct spate_net net;
    struct spate_net *inner;
    struct sim *sim;
    uint32_t node;
};

/* A node's own clock: right, or up to a tenth too fast or too slow. */
struct sim_clock {
    struct spate_clock clock;
    struct spate_clock_sim *time;
    uint64_t rate_ppm;
    spate_time_ns stalled_at; /* What is read next was read then. 0: it is read now. */
};

struct sim_node {
    struct sim_clock clock;
    bool is_up;
    uint32_t life; /* Counts its starts. */
    struct spate_node *node;
    struct spate_store *store;
    struct spate_store_image *image;
    struct spate_snapshots_image snapshot;
    struct spate_port *port;
    struct sim_fsm fsm;
    struct sim_spy spy;
    uint64_t incarnation;
    bool is_joining;   /* Founded nothing, or lost its data. */
    bool is_forgetful; /* It forgot, and was not reinstated since. */
    uint64_t ticket;   /* Of what it was asked for as a leader. */
    spate_time_ns paused_until;
    spate_time_ns disk_at; /* When the oldest pending batch becomes durable. */
    spate_time_ns restart_at;
    /* The checker's memory of what it saw last. */
    spate_index seen_commit;
    spate_index seen_last;
    uint64_t seen_generation;
    bool was_leader;
};

enum sim_outcome { SIM_OPEN, SIM_OK, SIM_REFUSED, SIM_MAYBE };

struct sim_proposal {
    enum sim_outcome outcome;
    spate_index applied_at; /* 0: nowhere yet. */
};

/* Reads carry cookies from here on, so that they are told from proposals. */
#define SIM_READ_COOKIE (1ull << 32)
#define SIM_READS_MAX   65536u

/* An entry as it is known by (index, term): log matching. */
struct sim_entry {
    spate_index index;
    spate_term term;
    spate_term prev_term;
    uint64_t hash;
};

#define SIM_ENTRIES_MAX (1u << 18)

struct sim {
    struct sim_options options;
    struct spate_clock_sim clock;
    struct spate_net_sim *network;
    struct spate_prng weather, disk, process, load, churn, forgetting, leases;
    struct sim_node nodes[SIM_NODES_MAX];
    spate_time_ns crash_at, cut_at, heal_at, pause_at, clog_at, propose_at, churn_at;

    /* What the checker knows. */
    struct {
        uint32_t node, life;
    } leaders[SIM_TERMS_MAX];
    spate_node_id votes[SIM_NODES_MAX][SIM_TERMS_MAX]; /* Granted, in all lives. */
    spate_term committed[SIM_INDEXES_MAX];             /* Term; 0: not committed. */
    spate_term committed_in[SIM_INDEXES_MAX];          /* The term in which it was committed. */
    spate_index committed_last;
    uint64_t digests[SIM_INDEXES_MAX]; /* Of the state once that index was applied; 0: unknown. */
    uint64_t applied[SIM_INDEXES_MAX]; /* Hash of the command; 0: not applied. */
    struct sim_proposal proposals[SIM_PROPOSALS_MAX];
    uint32_t proposal_count;
    spate_index read_floors[SIM_READS_MAX]; /* What was committed when the read was asked. */
    uint32_t read_count, reads_ok;
    struct sim_entry *entries; /* SIM_ENTRIES_MAX, a hash table. */
    uint32_t entry_count;

    uint64_t events;
    uint64_t trace; /* Hash of all that happened. */
    uint64_t snapshots_taken, snapshots_installed;
    uint32_t changes, wipes, forgotten, reinstated, stopped;
    uint32_t leader_changes, crashes, cuts, outcomes_ok;
    spate_term term_max;
    bool has_failed;
    char failure[512];
};

/* Runs one seed. Memory: the caller frees. Returns whether nothing forbidden happened. */
bool sim_run(struct sim *sim, const struct sim_options *options);

/* Remembers the first failure. */
__attribute__((format(printf, 2, 3))) void sim_fail(struct sim *sim, const char *format, ...);

/* node.c: lives. */
void sim_clock_init(struct sim_clock *clock, struct spate_clock_sim *time, uint64_t rate_ppm);
/* What the clock shows now, stalled or not. */
spate_time_ns sim_clock_now(const struct sim_clock *clock);
void sim_start_node(struct sim *sim, uint32_t i);
void sim_crash_node(struct sim *sim, uint32_t i);
spate_time_ns sim_now(struct sim *sim);
/* An exponential draw with this mean, at least 1. */
spate_time_ns sim_exponential(struct spate_prng *prng, spate_time_ns mean);

/* faults.c: draws the options of a seed; does what is due and says what comes next. */
void sim_draw_options(struct sim *sim, const struct sim_options *wanted);
void sim_do_faults(struct sim *sim);
void sim_heal(struct sim *sim);
spate_time_ns sim_next_fault(const struct sim *sim);

/* load.c: clients. */
void sim_propose(struct sim *sim, uint32_t node);
void sim_read(struct sim *sim, uint32_t node);
void sim_take_outcomes(struct sim *sim, uint32_t node);
void sim_fsm_init(struct sim_fsm *fsm, struct sim *sim, uint32_t node);

/* spy.c */
struct spate_net *sim_spy_init(struct sim_spy *spy, struct sim *sim, uint32_t node,
                               struct spate_net *inner);

/* churn.c: who leads, who is a member, and asking for other members. */
uint32_t sim_leader(const struct sim *sim);
struct spate_member sim_member(const struct sim *sim, uint32_t i);
bool sim_is_member(const struct sim *sim, uint32_t i);
void sim_churn(struct sim *sim);
void sim_check_members(struct sim *sim, uint32_t i);
bool sim_is_held(const struct sim *sim, uint32_t leader, spate_index index, spate_term term);

/* forget.c */
void sim_draw_forgetting(struct sim *sim);
/* Whether enough nodes would be left that remember. */
bool sim_may_crash(const struct sim *sim, uint32_t i);
/* What a crash takes away. */
void sim_forget(struct sim *sim, uint32_t i);
void sim_check_memory(struct sim *sim, uint32_t i);

/* check.c */
/* Whether an entry is on a node's disk: in its log, or in the state of a snapshot. */
bool sim_disk_has(const struct sim *sim, uint32_t i, struct spate_entry_id id);
void sim_check(struct sim *sim);
void sim_check_end(struct sim *sim);

#endif
