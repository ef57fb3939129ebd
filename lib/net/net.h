/*
 * The network driver table: frames to and from the other members of a cluster.
 *
 * A frame is the payload of one datagram. Frames are lent: rx lends received ones, reserve lends
 * empty ones, and every frame goes back exactly once, by tx or by release. A driver may be a kernel
 * socket, one DPDK port, n-1 point-to-point ports, or the simulator; nobody above can tell.
 * Delivery is best effort: frames may be lost, duplicated and reordered, but never altered.
 *
 * Thread: all functions but wake, counter and notice are called by one thread, the owner of the
 * endpoint.
 */
#ifndef SPATE_NET_NET_H
#define SPATE_NET_NET_H

#include <stdatomic.h>

#include "base/error.h"
#include "base/types.h"

/* A member as the drivers know it: its place in the host's table of peers. */
typedef uint32_t spate_peer;

#define SPATE_PEER_NONE UINT32_MAX /* The sender's address belongs to no peer. */
#define SPATE_PEERS_MAX SPATE_MEMBERS_MAX

/* Frames in one burst, at the most. */
#define SPATE_BURST_MAX 64u

/* Every driver can carry this much in one frame (an Ethernet MTU of 1,500 less IPv4 and UDP). */
#define SPATE_FRAME_BYTES_MIN 1472u

/* No driver carries more (the largest UDP payload over IPv4, rounded down). */
#define SPATE_FRAME_BYTES_MAX 65000u

/* Wide enough for IPv6. Port in host order; family 0: not set. */
struct spate_address {
    uint8_t family; /* 4 or 6 */
    uint16_t port;
    uint8_t bytes[16]; /* Network order; the first four for IPv4. */
};

struct spate_frame {
    spate_peer peer;   /* Sender on receive (or SPATE_PEER_NONE); target on transmit. */
    uint32_t size;     /* Bytes used at `data`. */
    uint32_t capacity; /* Bytes available at `data`. */
    uint8_t *data;     /* Reserved frames: aligned to 8. Received ones: not at all. */
    void *owner;       /* The driver's own handle (an mbuf, a slot); not ours to read. */
};

/* Counters, written by the owner thread and readable from any. They only grow. */
struct spate_net_stats {
    _Atomic uint64_t rx_frames, rx_bytes, rx_bursts;
    _Atomic uint64_t tx_frames, tx_bytes, tx_bursts;
    _Atomic uint64_t rx_dropped; /* Malformed or oversized. */
    _Atomic uint64_t tx_dropped; /* A full queue, an unreachable peer. */
};

/* What a counter counts: things that happened (it only grows), or a level (it moves both ways). */
enum spate_net_counter_kind { SPATE_NET_COUNTER_EVENTS = 0, SPATE_NET_COUNTER_LEVEL = 1 };

struct spate_net_counter {
    const char *name;
    uint64_t value;
    enum spate_net_counter_kind kind;
    bool is_drop; /* Frames lost for the reason that its name says. */
};

enum spate_net_notice_level { SPATE_NET_NOTICE_INFO = 0, SPATE_NET_NOTICE_WARNING = 1 };

struct spate_net_notice {
    enum spate_net_notice_level level;
    char text[232]; /* One line, without its end. */
};

struct spate_net;

struct spate_net_ops {
    const char *name; /* "socket", "sim", "dpdk" */

    /* Lends up to `count` received frames. Never blocks. Returns how many. */
    uint32_t (*rx)(struct spate_net *net, struct spate_frame frames[], uint32_t count);

    /*
     * Lends `count` empty frames for `peer`, all or none. A frame's capacity is what that peer can
     * be sent in one frame. SPATE_ERR_BUSY: all are lent; transmit or release some.
     */
    spate_err (*reserve)(struct spate_net *net, spate_peer peer, struct spate_frame frames[],
                         uint32_t count);

    /*
     * Takes frames back and sends them. Best effort: what a full queue cannot take is dropped and
     * counted. Frames that rx lent may be sent too. Requires: frames[i].peer is set.
     */
    void (*tx)(struct spate_net *net, struct spate_frame frames[], uint32_t count);

    /* Takes frames back without sending. */
    void (*release)(struct spate_net *net, struct spate_frame frames[], uint32_t count);

    /*
     * Sets, or with family 0 clears, the address of a peer.
     * SPATE_ERR_UNSUPPORTED: not an address this driver can reach. SPATE_ERR_INVALID: no such
     * place.
     */
    spate_err (*set_peer)(struct spate_net *net, spate_peer peer,
                          const struct spate_address *address);

    /*
     * Blocks until a frame may have arrived, wake() was called since the last wait, or `timeout_ns`
     * passed; returns early without harm. Yields the processor at least once.
     */
    void (*wait)(struct spate_net *net, spate_time_ns timeout_ns);

    /* Ends the current or the next wait. Thread: any. Cheap when nobody waits. */
    void (*wake)(struct spate_net *net);

    /*
     * The driver's own counters by name ("memif.10.77.0.2.drop.vlan", "mbufs_free"), beside those
     * that all drivers have. False behind the last. A name's place does not change while the driver
     * lives; more may be added behind. NULL: it has none. Memory: names live as long as the driver.
     * Thread: any.
     */
    bool (*counter)(struct spate_net *net, uint32_t place, struct spate_net_counter *ret_counter);

    /*
     * Takes the oldest line that people should read (a link went down, an address is used twice);
     * false: none. What finds no room because nobody takes is dropped. NULL: it has none. Thread:
     * any, one at a time.
     */
    bool (*notice)(struct spate_net *net, struct spate_net_notice *ret_notice);

    /* Requires: no frame is lent. Accepts NULL. */
    void (*close)(struct spate_net *net);
};

/* One endpoint. Drivers embed this as their first member. */
struct spate_net {
    const struct spate_net_ops *ops;
    uint32_t frame_bytes_max; /* The largest capacity that reserve will lend. */
    struct spate_net_stats stats;
};

/* The two functions that a driver may leave out. */
static inline bool spate_net_counter(struct spate_net *net, uint32_t place,
                                     struct spate_net_counter *ret_counter)
{
    return net->ops->counter != NULL && net->ops->counter(net, place, ret_counter);
}

static inline bool spate_net_notice(struct spate_net *net, struct spate_net_notice *ret_notice)
{
    return net->ops->notice != NULL && net->ops->notice(net, ret_notice);
}

/*
 * A decorator that proves the contract at run time: every frame returns exactly once, bursts and
 * sizes keep their bounds, a frame's bytes are not read after its return (they are overwritten).
 * Breaking it is a programmer's error: an assertion. Takes ownership of `inner`.
 */
spate_err spate_net_checked_create(struct spate_net *inner,
                                   struct spate_net **ret_net) SPATE_MUST_CHECK;

/* "10.0.0.1:7209" or "[::1]:7209", numeric only. Errors: SPATE_ERR_INVALID */
spate_err spate_address_parse(const char *text, struct spate_address *ret_address) SPATE_MUST_CHECK;

/* Writes the text form, always terminated. */
#define SPATE_ADDRESS_TEXT_BYTES 56u
void spate_address_format(const struct spate_address *address, char text[SPATE_ADDRESS_TEXT_BYTES]);

bool spate_address_is_equal(const struct spate_address *a, const struct spate_address *b);
bool spate_address_is_loopback(const struct spate_address *address);

#endif
