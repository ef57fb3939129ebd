/* What the files of lib/link share: the state of a link and of each peer. */
#ifndef SPATE_LINK_LINK_INTERNAL_H
#define SPATE_LINK_LINK_INTERNAL_H

#include <stdatomic.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "frame_internal.h"
#include "link/link.h"

#define MS ((spate_time_ns)1000 * 1000)

#define HELLO_NS_MIN (5 * MS)
#define HELLO_NS_MAX (500 * MS)
#define CHALLENGE_NS MS           /* Between HELLOs that others bring about. */
#define PROBE_NS_MAX (10000 * MS) /* Between probes for a larger frame. */
#define PING_NS      (100 * MS)
#define SILENT_NS    (1000 * MS) /* Of a peer that counts as unreachable. */
#define REFUSE_NS    (100 * MS)  /* Between refusals to one peer. */
#define NO_FRAME_NS  (MS / 10)   /* Until another attempt, when none was free. */
#define WINDOW_MIN   4u          /* Pieces on their way. */
#define WINDOW_START 32u
#define WINDOW_MAX   128u
#define WINDOW_BYTES (512u * 1024u) /* The same in bytes, for large frames. */
#define PIECES_WORDS ((PIECES_MAX + 63u) / 64u)

/* What the status of a peer is read from by other threads. Written by the owner, relaxed. */
#define SPATE_LINK_ADDRESS_WORDS ((sizeof(struct spate_address) + 7u) / 8u)

struct published {
    _Atomic uint32_t version; /* Of id, is_guest and address, which belong together. */
    _Atomic uint32_t id;
    _Atomic bool is_guest;
    _Atomic uint64_t address[SPATE_LINK_ADDRESS_WORDS];
    _Atomic bool is_connected, is_refused;
    _Atomic uint32_t refusal, frame_bytes;
    _Atomic uint64_t session, rtt_ns, heard_at, large_sent, large_received, pieces_repaired;
};

/* The large message on its way to a peer. */
struct sending {
    uint8_t *buffer;
    uint64_t message; /* The number of the last one begun. */
    bool is_busy;
    uint32_t total;
    uint32_t step;
    uint32_t next;     /* Offset of the first byte never sent. */
    uint32_t received; /* As the peer reported. */
    uint32_t leading;
    uint32_t window; /* In pieces. */
    uint32_t retries;
    spate_time_ns cut_at; /* When the window was last cut. */
    spate_time_ns retry_at;
};

/* The large message that is arriving. */
struct receiving {
    uint8_t *buffer;
    uint64_t message; /* The number of the one in the buffer; 0: none yet. */
    bool is_complete;
    bool is_lent;          /* The host has it until spate_link_release(). */
    bool is_report_wanted; /* At the end of this burst. */
    uint32_t total;
    uint32_t step;
    uint32_t received;
    uint32_t leading;        /* Pieces before the first hole. */
    uint32_t highest;        /* Pieces up to the last that arrived. */
    uint32_t repair_limit;   /* Holes below this piece are old enough to be named. */
    spate_time_ns repair_at; /* When to name them. */
    uint64_t has[PIECES_WORDS];
};

struct peer {
    spate_node_id id; /* 0: this place is empty. */
    spate_peer place;
    bool is_guest;             /* No member here: forgotten when it is silent. */
    spate_time_ns guest_since; /* SPATE_TIME_NEVER: since the next tick. */
    bool is_established;       /* Its session has answered one of our HELLOs. */
    bool is_silent;            /* Not heard of for SILENT_NS. Frames go on being sent. */
    bool is_challenged;        /* Another session asks: it was asked whether it is alive. */
    uint64_t session;
    uint64_t proven_counter; /* Of the HELLO that the session answered. */
    uint64_t counter;        /* Of the last frame sent. */
    uint32_t capacity;       /* What the driver carries to this peer; 0: not asked yet. */
    uint32_t offered;        /* What the peer says that it can take; 0: not known. */
    uint32_t frame_bytes;    /* What the path was shown to carry, both ways. */
    bool is_open;            /* `open` is a frame being filled. */
    struct spate_frame open;
    spate_time_ns hello_at, hello_gap, hello_sent_at;
    spate_time_ns ping_at;
    spate_time_ns refuse_at; /* Before this no other refusal is sent. */
    spate_time_ns heard_at;
    spate_time_ns rtt_ns;
    struct sending sending;
    struct receiving receiving;
    struct spate_address address;
    struct published published;
};

struct spate_link {
    struct spate_net *net;
    spate_node_id self;
    uint32_t group_id;
    uint64_t session;
    uint64_t cluster;
    uint8_t cluster_id[16];
    enum spate_insecure_peers insecure_peers;
    bool net_is_local;
    struct spate_address own_address;
    spate_time_ns next_tick;
    uint32_t peer_count;
    uint32_t out_count;
    uint32_t held_count;
    bool are_reports_wanted;
    struct spate_frame out[SPATE_BURST_MAX];  /* Finished, to be sent in one burst. */
    struct spate_frame held[SPATE_BURST_MAX]; /* Received and lent on to the host. */
    _Atomic uint64_t dropped[SPATE_LINK_DROP_COUNT];
    struct peer peers[SPATE_PEERS_MAX];
};

/* Only the owner writes these, so a load and a store do. */
static inline void grow(_Atomic uint64_t *counter, uint64_t by)
{
    const uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, before + by, memory_order_relaxed);
}

static inline void drop(struct spate_link *link, enum spate_link_drop reason)
{
    grow(&link->dropped[reason], 1);
}

/* Makes sure that the next tick comes at `at` or before. */
static inline void tick_by(struct spate_link *link, spate_time_ns at)
{
    if (at < link->next_tick) {
        link->next_tick = at;
    }
}

static inline uint32_t payload_bytes_max(const struct peer *peer)
{
    return (peer->frame_bytes - SPATE_LINK_OVERHEAD_BYTES) & ~7u;
}

static inline struct peer *peer_find(struct spate_link *link, spate_node_id id)
{
    for (uint32_t i = 0; i < link->peer_count; i++) {
        if (link->peers[i].id == id && id != 0) {
            return &link->peers[i];
        }
    }
    return NULL;
}

/* frame.c: frames out. */
bool spate_link_frame_begin(struct spate_link *link, struct peer *peer, uint32_t payload_bytes,
                            struct spate_frame *ret_frame);
void spate_link_frame_finish(struct spate_link *link, struct peer *peer, struct spate_frame *frame,
                             enum frame_type type, uint32_t payload_bytes);
void spate_link_send_out(struct spate_link *link);
uint64_t spate_link_cluster_fold(const uint8_t cluster_id[16]);

/* hello.c: who is there. */
void spate_link_hello_send(struct spate_link *link, struct peer *peer, spate_time_ns now);
void spate_link_hello_take(struct spate_link *link, struct peer *peer,
                           const struct spate_frame *frame, spate_time_ns now);
void spate_link_ping_send(struct spate_link *link, struct peer *peer, spate_time_ns now);
void spate_link_ping_take(struct spate_link *link, struct peer *peer,
                          const struct spate_frame *frame, spate_time_ns now);
void spate_link_refuse_send(struct spate_link *link, const struct spate_frame *frame,
                            enum spate_link_drop reason, spate_time_ns now);
void spate_link_refuse_take(struct spate_link *link, const struct spate_frame *frame,
                            spate_time_ns now);
void spate_link_heard(struct peer *peer, spate_time_ns now);
void spate_link_hello_tick(struct spate_link *link, struct peer *peer, spate_time_ns now);

/* peers.c: who comes and goes. */
bool spate_link_is_allowed(enum spate_insecure_peers insecure_peers, bool net_is_local,
                           const struct spate_address *address);
/* Gives the place to `id`. On failure it is empty. */
spate_err spate_link_peer_place(struct spate_link *link, struct peer *peer, spate_node_id id,
                                const struct spate_address *address);
/* Whose a frame is that the driver's table does not explain. NULL: a stranger's. */
struct peer *spate_link_peer_meet(struct spate_link *link, const struct spate_frame *frame,
                                  spate_time_ns now);
void spate_link_guest_tick(struct spate_link *link, struct peer *peer, spate_time_ns now);
/* Our own address into a HELLO. */
void spate_link_write_own(const struct spate_link *link, uint8_t *payload);

/* pieces_send.c, pieces_take.c: messages larger than a frame. */
void spate_link_pieces_pump(struct spate_link *link, struct peer *peer, spate_time_ns now);
void spate_link_pieces_reported(struct spate_link *link, struct peer *peer, const uint8_t *payload,
                                uint32_t size, spate_time_ns now);
void spate_link_pieces_send_tick(struct spate_link *link, struct peer *peer, spate_time_ns now);
bool spate_link_pieces_take(struct spate_link *link, struct peer *peer, const uint8_t *payload,
                            uint32_t size, spate_time_ns now);
void spate_link_pieces_report(struct spate_link *link, struct peer *peer, bool is_repair_due);
void spate_link_pieces_take_tick(struct spate_link *link, struct peer *peer, spate_time_ns now);
void spate_link_pieces_forget(struct peer *peer);

#endif
