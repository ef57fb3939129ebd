/*
 * Engines without a host: each with its log and a disk that the test completes by hand, joined by
 * a network that the test delivers by hand. Every node has its own clock. All that happens is
 * written down as text. An I/O-free cluster for the suites unit, paper and script.
 */
#ifndef SPATE_SUPPORT_CLUSTER_H
#define SPATE_SUPPORT_CLUSTER_H

#include "log/log.h"
#include "raft/raft.h"

#define CLUSTER_ELECTION_NS  100000000u
#define CLUSTER_HEARTBEAT_NS 20000000u

struct cluster_options {
    uint32_t nodes;    /* 1 to 7 */
    uint32_t joiners;  /* Of these nodes, the last ones: they know no membership. */
    uint32_t learners; /* Of these nodes, the last ones. */
    bool pre_vote_disabled;
    bool check_quorum_disabled;
    bool lease_enabled;
    bool new_is_known;    /* Nodes know when their disk is empty, as those of lib/node do. */
    bool store_is_manual; /* Else every batch is durable as soon as it is made. */
    uint32_t append_count_max;
    uint32_t window_messages; /* 0: 16 */
    uint64_t window_bytes;    /* 0: 1 MiB */
    uint32_t append_bytes_max;
    uint32_t append_large_bytes_max; /* 0: an entry larger than that goes by itself */
    uint64_t log_budget_bytes;       /* 0: plenty */
};

struct cluster;

struct cluster *cluster_create(const struct cluster_options *options);
void cluster_destroy(struct cluster *cluster);

/* What was written down since the last call; the cluster's, until the next event. */
const char *cluster_transcript(struct cluster *cluster);

struct spate_raft *cluster_raft(struct cluster *cluster, spate_node_id id);
struct spate_log *cluster_log(struct cluster *cluster, spate_node_id id);
struct spate_raft_status cluster_status(struct cluster *cluster, spate_node_id id);
spate_time_ns cluster_now(struct cluster *cluster, spate_node_id id);

/* Replaces what is on a node's disk and starts it with that: entries 1… of these terms. */
void cluster_set_log(struct cluster *cluster, spate_node_id id, spate_term term, spate_node_id vote,
                     const spate_term entry_terms[], uint32_t count);

/* The node loses what is not durable and starts anew, in a new session. */
void cluster_restart(struct cluster *cluster, spate_node_id id);

/* The same, but of its disk only the entries up to `last` are left, and the hard state of then; 0:
 * it is empty. Whether it knows: as a core in memory mode does, and one that found damaged records.
 */
void cluster_forget(struct cluster *cluster, spate_node_id id, spate_index last, bool is_known);

void cluster_flush(struct cluster *cluster, spate_node_id id);
void cluster_elapse(struct cluster *cluster, spate_node_id id, spate_time_ns ns);
void cluster_elapse_all(struct cluster *cluster, spate_time_ns ns);
void cluster_campaign(struct cluster *cluster, spate_node_id id); /* Its election timeout passes. */
spate_err cluster_propose(struct cluster *cluster, spate_node_id id, uint32_t count, uint32_t size);
/* What the node says to the change. */
enum spate_change_verdict cluster_change(struct cluster *cluster, spate_node_id id,
                                         const struct spate_change *change);
bool cluster_transfer(struct cluster *cluster, spate_node_id id, spate_node_id to);
/* Asks for a read index; returns the number of the read. */
uint64_t cluster_read(struct cluster *cluster, spate_node_id id);
/* The newest read of the node that may be answered, and at which index. */
uint64_t cluster_read_ready(struct cluster *cluster, spate_node_id id, spate_index *ret_index);
void cluster_measure(struct cluster *cluster, spate_node_id id, spate_node_id member,
                     spate_time_ns rtt_ns);
/* Hands a message of the test's own to its receiver, without a flush. */
void cluster_receive(struct cluster *cluster, struct spate_message *message);

/* Messages under way, in the order in which they were sent. 0 stands for any node. */
uint32_t cluster_pending(const struct cluster *cluster, spate_node_id from, spate_node_id to);
/* The first such message; the cluster's until it is delivered or dropped. */
const struct spate_message *cluster_peek(const struct cluster *cluster, spate_node_id from,
                                         spate_node_id to);
uint32_t cluster_deliver(struct cluster *cluster, spate_node_id from, spate_node_id to,
                         uint32_t count);
uint32_t cluster_drop(struct cluster *cluster, spate_node_id from, spate_node_id to,
                      uint32_t count);
void cluster_duplicate(struct cluster *cluster, spate_node_id from, spate_node_id to);
void cluster_delay(struct cluster *cluster, spate_node_id from, spate_node_id to); /* To the end. */
void cluster_cut(struct cluster *cluster, spate_node_id one, spate_node_id other, bool is_cut);

/* Batches that are not durable yet. */
uint32_t cluster_storing(const struct cluster *cluster, spate_node_id id);
uint32_t cluster_store(struct cluster *cluster, spate_node_id id, uint32_t count);
void cluster_store_automatic(struct cluster *cluster, spate_node_id id, bool is_automatic);

/* Forgets the log in memory before `first_kept`; the disk has it still. */
void cluster_compact(struct cluster *cluster, spate_node_id id, spate_index first_kept);
/* A snapshot stands for all before `first_kept`: log and disk forget it. */
void cluster_snapshot(struct cluster *cluster, spate_node_id id, spate_index first_kept);
/* The node has received and restored a snapshot of what is committed up to `index`. */
spate_err cluster_install(struct cluster *cluster, spate_node_id id, spate_index index);
/* Answers the outstanding fetch; false: there is none. */
bool cluster_fetched(struct cluster *cluster, spate_node_id id, spate_err err);

/* Stores and delivers until nothing is left to do at this time. Returns the messages delivered. */
uint32_t cluster_stabilize(struct cluster *cluster);

/* The term of an entry on a node's disk, 0 when there is none. */
spate_term cluster_disk_term(const struct cluster *cluster, spate_node_id id, spate_index index);
/* Writes the terms of the log in memory ("1 1 2"). */
const char *cluster_log_terms(struct cluster *cluster, spate_node_id id);
/* Election safety, log matching, state-machine safety and what was acknowledged; aborts. */
void cluster_check(struct cluster *cluster);

#endif
