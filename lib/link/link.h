/*
 * The link to each peer, on top of any net driver: the frame header, who the peer is and whether
 * it belongs here, round trips, and messages that are larger than a frame.
 *
 *   frame: | link header 48 bytes | payload: messages of lib/wire, or pieces | tag room 16 bytes |
 *
 * A peer is connected once both sides have shown each other the cluster id, the protocol version,
 * their node id and their session (HELLO). Frames of anybody else are dropped and counted by
 * reason; one of another cluster or version is reported. Sealing comes later: the tag room is there
 * and is zero. Until then links are insecure, and creating one takes an explicit permission.
 *
 * Messages too large for a frame travel as pieces, keyed (session, message, offset), into one
 * bounded buffer per member; the receiver names what is missing and repeats fill the holes.
 *
 * Thread: the owner of the net endpoint; spate_link_peer_status from any.
 */
#ifndef SPATE_LINK_LINK_H
#define SPATE_LINK_LINK_H

#include "base/error.h"
#include "base/types.h"
#include "net/net.h"

#define SPATE_LINK_VERSION        1u
#define SPATE_LINK_HEADER_BYTES   48u
#define SPATE_LINK_TAG_BYTES      16u
#define SPATE_LINK_OVERHEAD_BYTES (SPATE_LINK_HEADER_BYTES + SPATE_LINK_TAG_BYTES)

/* The largest message that travels in pieces: one largest entry and what stands around it. */
#define SPATE_LINK_LARGE_BYTES_MAX (SPATE_ENTRY_BYTES_MAX + 256u)

enum spate_insecure_peers {
    SPATE_INSECURE_PEERS_REFUSED = 0,
    SPATE_INSECURE_PEERS_LOCAL = 1, /* Loopback addresses and shared memory only. */
    SPATE_INSECURE_PEERS_ANY = 2,
};

struct spate_link_peer_options {
    spate_node_id id;             /* 0, or the node's own: no such peer. */
    struct spate_address address; /* Passed to set_peer; family 0: the driver knows the place. */
};

struct spate_link_options {
    struct spate_net *net; /* Owned by the link from now on, also when creation fails. */
    uint8_t cluster_id[16];
    uint32_t group_id; /* 0 for now: one Raft group per process. */
    spate_node_id self;
    uint64_t session; /* Drawn at each process start; not 0. */
    enum spate_insecure_peers insecure_peers;
    bool net_is_local; /* `net` reaches this machine alone, whatever its addresses look like. */
    struct spate_address own_address; /* Told to the others, so that those who do not know us can
                                       * answer. Family 0: they cannot. */
    uint32_t peer_count;
    struct spate_link_peer_options peers[SPATE_PEERS_MAX];
};

struct spate_link;

/*
 * peers[i] is the driver's place i.
 *
 * Memory: everything is reserved here, the buffers for large messages touched when first used.
 * Errors: SPATE_ERR_PERMISSION   insecure_peers does not allow one of the addresses
 *         SPATE_ERR_INVALID, SPATE_ERR_NO_MEMORY, SPATE_ERR_UNSUPPORTED
 */
spate_err spate_link_create(const struct spate_link_options *options,
                            struct spate_link **ret_link) SPATE_MUST_CHECK;
void spate_link_destroy(struct spate_link *link);

/*
 * Makes `id` a member's peer at `address`, or moves it there; the link shakes hands anew. Large
 * messages of a place used for the first time need memory, reserved here.
 *
 * Requires: id is neither 0 nor our own.
 * Errors: SPATE_ERR_PERMISSION (insecure_peers), SPATE_ERR_BUSY (all places are members'),
 *         SPATE_ERR_UNSUPPORTED (the driver cannot reach such an address), SPATE_ERR_NO_MEMORY
 */
spate_err spate_link_set_peer(struct spate_link *link, spate_node_id id,
                              const struct spate_address *address) SPATE_MUST_CHECK;

/*
 * `id` is a member no more. It is heard and answered until it has been silent for half a minute, or
 * a member needs its place: it may still have to learn that it left.
 */
void spate_link_dismiss_peer(struct spate_link *link, spate_node_id id);

/* A received payload: one or more encoded messages. */
struct spate_link_payload {
    const uint8_t *data; /* Valid until spate_link_release(). At any alignment. */
    uint64_t session;    /* The sender's process start. */
    spate_node_id from;
    uint32_t size;
};

/*
 * Takes what has arrived: at most `count` payloads. Handshakes, pings and pieces are dealt with
 * inside. Never blocks. The payloads stay lent until spate_link_release(), which comes before the
 * next call.
 *
 * Requires: count >= 1.
 */
uint32_t spate_link_rx(struct spate_link *link, spate_time_ns now,
                       struct spate_link_payload payloads[], uint32_t count);
void spate_link_release(struct spate_link *link);

/* The largest payload that goes to this peer in one frame; 0 while it is not connected. */
uint32_t spate_link_payload_bytes_max(const struct spate_link *link, spate_node_id id);

/*
 * Room for `bytes` more of payload to this peer: in the frame being filled, or in a new one. NULL:
 * the peer is not connected, no frame is free, or `bytes` is more than a frame takes; drop the
 * message. After writing, call spate_link_wrote(). Frames are sent by spate_link_flush().
 *
 * Requires: what is said to be written is a multiple of 8 bytes, and no more than was reserved.
 */
uint8_t *spate_link_reserve(struct spate_link *link, spate_node_id id, uint32_t bytes);
void spate_link_wrote(struct spate_link *link, spate_node_id id, uint32_t bytes);

/*
 * Room to build one message larger than a frame, of at most `bytes`. NULL: not connected, the one
 * before is still on its way, or `bytes` exceeds SPATE_LINK_LARGE_BYTES_MAX. After writing, call
 * spate_link_large_wrote().
 */
uint8_t *spate_link_large_reserve(struct spate_link *link, spate_node_id id, uint32_t bytes);
void spate_link_large_wrote(struct spate_link *link, spate_node_id id, uint32_t bytes,
                            spate_time_ns now);

/* Sends all frames being filled, in one burst. */
void spate_link_flush(struct spate_link *link, spate_time_ns now);

/*
 * Does what time demands (hellos, pings, repairs) and sends that, as well as the answers that rx
 * gave rise to. Returns the next deadline, which any received frame may bring forward: so call it
 * in every turn. Cost: two compares when nothing is due.
 */
spate_time_ns spate_link_tick(struct spate_link *link, spate_time_ns now);

void spate_link_wait(struct spate_link *link, spate_time_ns timeout_ns);
void spate_link_wake(struct spate_link *link); /* Thread: any. */

/* Why frames were dropped. */
#define SPATE_LINK_DROP_MAP(X)               \
    X(MALFORMED, "malformed")                \
    X(VERSION, "another protocol version")   \
    X(CLUSTER, "another cluster")            \
    X(GROUP, "another group")                \
    X(STRANGER, "not a member")              \
    X(MISDIRECTED, "meant for another node") \
    X(SESSION, "an earlier session")         \
    X(NO_FRAME, "no free frame")             \
    X(PIECES, "pieces that fit no message")

enum spate_link_drop {
#define SPATE_LINK_DROP_ENUM(name, text) SPATE_LINK_DROP_##name,
    SPATE_LINK_DROP_MAP(SPATE_LINK_DROP_ENUM)
#undef SPATE_LINK_DROP_ENUM
        SPATE_LINK_DROP_COUNT
};

const char *spate_link_drop_text(enum spate_link_drop reason);

/* Thread: any. Counters only grow. */
uint64_t spate_link_dropped(const struct spate_link *link, enum spate_link_drop reason);

struct spate_link_peer_status {
    spate_node_id id;
    bool is_connected; /* Has shaken hands, and was heard of within the last second or so. */
    bool is_guest;     /* No member as far as is known here. */
    bool is_refused;   /* The peer is of another cluster or version: see refusal. */
    enum spate_link_drop refusal;
    uint64_t session;
    spate_time_ns rtt_ns;   /* Smoothed; 0: not measured yet. */
    spate_time_ns heard_at; /* When the last valid frame came. 0: never. */
    uint32_t frame_bytes;   /* The size that both ends can take. */
    uint64_t large_sent, large_received, pieces_repaired;
    struct spate_address address;
};

/* Each field is the newest, by itself. Thread: any. False: no such peer. */
bool spate_link_peer_status(const struct spate_link *link, spate_node_id id,
                            struct spate_link_peer_status *ret_status);

const struct spate_net *spate_link_net(const struct spate_link *link);

#endif
