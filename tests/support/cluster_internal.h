/* The cluster's parts, shared by its files. */
#ifndef SPATE_SUPPORT_CLUSTER_INTERNAL_H
#define SPATE_SUPPORT_CLUSTER_INTERNAL_H

#include "support/cluster.h"

#define NODES_MAX        7u
#define DISK_ENTRIES_MAX 8192u
#define MESSAGES_MAX     4096u
#define TRANSCRIPT_BYTES (1u << 20)
#define TERMS_MAX        4096u
#define READS_MAX        256u

struct disk_entry {
    spate_term term;
    uint32_t bytes;
    uint8_t *encoded;
};

struct disk {
    spate_term term;
    spate_node_id vote;
    bool is_mute;
    spate_index commit;
    struct spate_entry_id base; /* A snapshot stands for all up to it. */
    spate_index installed;      /* A snapshot up to here is there, whatever the log says. */
    spate_index last;
    struct disk_entry entries[DISK_ENTRIES_MAX]; /* By index. */
};

struct batch {
    struct spate_effect_store store;
    struct disk_entry *entries;
};

struct node {
    spate_node_id id;
    uint64_t life;
    spate_time_ns now;
    struct spate_log *log;
    struct spate_raft *raft;
    struct spate_effects effects;
    struct disk disk;
    struct batch batches[SPATE_TICKETS_MAX];
    uint32_t batch_count;
    bool store_is_manual;
    struct spate_effect_fetch fetch;
    enum spate_role role;
    spate_term term;
    spate_index commit;
    spate_index membership_index;
    uint32_t snapshots_wanted; /* Members that need one, by id, as a set. */
    uint64_t read_asked, read_ready;
    spate_index read_index;
    spate_index read_floor[READS_MAX]; /* By number: what some node had committed when asked. */
};

struct flying {
    struct spate_message message;
    uint8_t *bytes;
};

struct cluster {
    struct cluster_options options;
    struct node nodes[NODES_MAX];
    struct flying flying[MESSAGES_MAX];
    uint32_t flying_count;
    bool is_cut[NODES_MAX + 1][NODES_MAX + 1];
    spate_node_id leader_of[TERMS_MAX];
    spate_term committed[DISK_ENTRIES_MAX]; /* By index: the term that some node committed. */
    char *transcript;
    uint32_t transcript_bytes;
    bool transcript_is_read;
    char terms[4096];
};

struct node *cluster_node_of(struct cluster *cluster, spate_node_id id);
void cluster_step(struct cluster *cluster, struct node *node, struct spate_event *event);
void cluster_send(struct cluster *cluster, struct node *node, const struct spate_message *message);

void cluster_write_down(struct cluster *cluster, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cluster_write_message(struct cluster *cluster, const struct spate_message *m);
void cluster_write_members(struct cluster *cluster, const struct node *node);
void cluster_note_state(struct cluster *cluster, struct node *node);
/* Everything that a message promises is on the disk of its sender; aborts. */
void cluster_check_promise(const struct node *node, const struct spate_message *m);

#endif
