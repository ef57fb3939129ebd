/*
 * Snapshots of a node: taken beside the work, sent to members that are too far behind, received
 * and installed, and the store compacted behind them.
 *
 * The state machine belongs to the apply stage, the driver to the node's thread. They hand each
 * other one piece at a time, and `stage` says whose turn it is: whoever may leave a stage is named
 * beside it, and leaves it with release order.
 */
#ifndef SPATE_NODE_SNAPSHOT_INTERNAL_H
#define SPATE_NODE_SNAPSHOT_INTERNAL_H

#include "node_internal.h"

enum spate_snapshot_stage {
    SPATE_STAGE_IDLE,           /* node */
    SPATE_STAGE_SAVE_WANTED,    /* apply: freezes the state */
    SPATE_STAGE_SAVE_FROZEN,    /* node: begins the image */
    SPATE_STAGE_SAVE_READING,   /* apply: piece after piece, to the end */
    SPATE_STAGE_SAVE_READ,      /* node: writes the last piece, commits */
    SPATE_STAGE_RESTORE_WANTED, /* apply: piece after piece, to the end; applies nothing more */
    SPATE_STAGE_RESTORED,       /* node: lets the engine know */
};

/* One piece on its way between state machine and driver. */
#define SPATE_PIECE_BYTES (16u << 10)
#define SPATE_PIECE_FULL  (1u << 31)

/* How much of a transfer may be under way without an answer. */
#define SPATE_TRANSFER_WINDOW_BYTES (512u << 10)

/* A snapshot on its way to a member. */
struct spate_transfer {
    spate_node_id member;
    bool is_open;                         /* It has a reader. */
    bool is_needed;                       /* The engine said so at its last flush. */
    struct spate_snapshot_reader *reader; /* What is being sent; never changes while it is open. */
    struct spate_entry_id last;
    /* The store keeps entries from here on for the member: behind the image that it wants or
     * restores, then behind what it has taken of them. 0: none. */
    spate_index hold_from;
    uint64_t
        behind; /* By how much that was behind the snapshot before this one; 0: there was none. */
    uint32_t fell_back; /* Snapshots in a row at which that was no less. */
    uint64_t image_bytes;
    uint64_t hash;
    uint64_t acked;
    uint64_t sent;
    uint32_t repeats; /* Answers in a row that named the same offset. */
    spate_time_ns resend_at;
    spate_time_ns wait_until; /* Complete: the member restores; nothing before this. */
};

/* A snapshot on its way to us. */
struct spate_receiving {
    bool is_open;       /* The driver takes it. */
    bool is_committing; /* All has come; the driver makes it durable. */
    spate_node_id from;
    uint64_t leader_session;
    struct spate_entry_id last;
    uint64_t image_bytes;
    uint64_t hash;
    uint64_t next;
    uint8_t header[SPATE_SNAPSHOT_HEADER_BYTES];
};

/* A snapshot that is handed to somebody outside; snapshot_copy.c. */
enum spate_copy_stage { SPATE_COPY_FREE, SPATE_COPY_WANTED, SPATE_COPY_FULL, SPATE_COPY_EMPTY };

struct spate_copy {
    _Atomic uint32_t stage; /* enum spate_copy_stage; FULL is the reader's, the rest the node's. */
    _Atomic bool is_ended;  /* Nobody reads any more. */
    bool is_begun;
    spate_index wanted;                   /* It must have what was applied up to here. */
    struct spate_snapshot_reader *reader; /* NULL: not open yet. */
    uint64_t at, end;                     /* Of the image. */
    spate_err err;
    uint32_t piece_bytes, piece_taken; /* 0 bytes: that was all. */
    uint8_t piece[SPATE_SNAPSHOT_WRITE_BYTES_MAX];
};

struct spate_node_snapshots {
    struct spate_snapshots *driver;
    bool has_newest;
    struct spate_snapshot_manifest newest;

    /* Between node and apply stage. */
    _Atomic uint32_t stage;       /* enum spate_snapshot_stage */
    _Atomic uint32_t piece_bytes; /* And SPATE_PIECE_FULL. 0: the piece is free to be filled. */
    _Atomic uint32_t failure;     /* spate_err of the state machine. */
    _Atomic bool is_cancelled;    /* The save is to end as soon as it can. */
    struct spate_entry_id saved;  /* Where the save was frozen. */
    bool is_last_piece;           /* Restore: nothing comes behind this piece. */
    bool is_begun;                /* Apply's: save or restore is open. */
    uint8_t piece[SPATE_PIECE_BYTES];

    /* Taking: the node's. */
    bool is_taking;     /* The driver takes what is saved … */
    bool is_committing; /* … or makes it durable. */
    bool is_wanted;     /* Somebody needs a newer one. */
    bool is_suspect;    /* A member found the newest to be damaged. */
    uint64_t bytes_at_newest;
    spate_time_ns piece_at; /* The next piece not before this. */

    /* Sending, receiving, installing: the node's. */
    bool has_transfers; /* False: all of `transfers` are free, and no turn looks at them. */
    struct spate_transfer transfers[SPATE_MEMBERS_MAX];
    struct spate_receiving receiving;
    struct spate_snapshot_reader *restoring; /* NULL: no restore is fed. */
    uint64_t restored;                       /* Bytes of the image that were fed. */
    uint64_t restored_end;

    struct spate_copy copy;

    spate_index compact_to; /* The store has yet to be told. 0: no. */
    spate_time_ns deadline;

    uint64_t taken, sent, installed, refused;
    uint64_t bytes_sent, bytes_received;
};

static inline enum spate_snapshot_stage spate_snapshots_stage(const struct spate_node_snapshots *s)
{
    return (enum spate_snapshot_stage)atomic_load_explicit(&s->stage, memory_order_acquire);
}

/* snapshot.c */
void spate_snapshots_go_to(struct spate_node *node, enum spate_snapshot_stage stage);
void spate_snapshots_wake_at(struct spate_node *node, spate_time_ns at);
/* The driver has a newer snapshot. */
void spate_snapshots_have(struct spate_node *node);

/* snapshot_take.c */
void spate_snapshots_take_turn(struct spate_node *node);
/* Whether the driver is free for somebody else; gives up a save that is not durable yet. */
bool spate_snapshots_yield_driver(struct spate_node *node);

/* snapshot_send.c */
void spate_snapshots_close_transfers(struct spate_node *node);
/* A newer snapshot is there: whether it is worth while to wait for those that have an older one. */
void spate_snapshots_judge_followers(struct spate_node *node);

/* snapshot_copy.c */
void spate_snapshots_copy_turn(struct spate_node *node);
void spate_snapshots_close_copy(struct spate_node_snapshots *snapshots);

/* snapshot_receive.c */
void spate_snapshots_receive_turn(struct spate_node *node);
void spate_snapshots_received(struct spate_node *node, enum spate_snapshot_event event);

#endif
