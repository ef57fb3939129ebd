/*
 * Who is there. Each side asks for itself:
 *
 *   HELLO (my session, counter c) ------------>
 *                              <------------ HELLO_ACK (its session, echoes my session and c)
 *
 * The echo proves that the answer is of now: a delayed frame of an earlier life cannot bring that
 * life back, and a restarted peer takes the place of its former self within one round trip. An
 * answer is as large as its question, so it also proves that frames of that size pass both ways.
 */
#include "link_internal.h"

/* What is known of the driver's frames for this peer: asked once, by borrowing one. */
static uint32_t capacity_of(struct spate_link *link, struct peer *peer)
{
    struct spate_frame frame;

    if (peer->capacity == 0 && spate_link_frame_begin(link, peer, HELLO_BYTES, &frame)) {
        peer->capacity =
            frame.capacity < SPATE_FRAME_BYTES_MAX ? frame.capacity : SPATE_FRAME_BYTES_MAX;
        link->net->ops->release(link->net, &frame, 1);
    }
    return peer->capacity;
}

/* One HELLO or HELLO_ACK, padded to `frame_bytes`. */
static void send_one(struct spate_link *link, struct peer *peer, enum frame_type type,
                     uint32_t frame_bytes, const uint64_t echo[2])
{
    const uint32_t payload_bytes = frame_bytes - SPATE_LINK_OVERHEAD_BYTES;
    struct spate_frame frame;

    spate_assert(payload_bytes >= HELLO_BYTES);
    if (!spate_link_frame_begin(link, peer, payload_bytes, &frame)) {
        return;
    }
    uint8_t *payload = frame.data + SPATE_LINK_HEADER_BYTES;

    memcpy(payload + HELLO_AT_CLUSTER_ID, link->cluster_id, sizeof link->cluster_id);
    spate_put_u16(payload + HELLO_AT_VERSION_MIN, SPATE_LINK_VERSION);
    spate_put_u16(payload + HELLO_AT_VERSION_MAX, SPATE_LINK_VERSION);
    spate_put_u32(payload + HELLO_AT_FRAME_BYTES, peer->capacity);
    spate_put_u64(payload + HELLO_AT_PEER_SESSION, echo[0]);
    spate_put_u64(payload + HELLO_AT_ECHO, echo[1]);
    spate_link_write_own(link, payload);
    memset(payload + HELLO_BYTES, 0, payload_bytes - HELLO_BYTES);
    spate_link_frame_finish(link, peer, &frame, type, payload_bytes);
}

/* The frame size to try for: what both ends say that they can take. */
static uint32_t frame_bytes_wanted(const struct peer *peer)
{
    const bool is_less = peer->offered != 0 && peer->offered < peer->capacity;

    return is_less ? peer->offered : peer->capacity;
}

/* Asks in the size that is hoped for, and, until there is a session, in the one that must pass. */
void spate_link_hello_send(struct spate_link *link, struct peer *peer, spate_time_ns now)
{
    const uint64_t echo[2] = {0, 0};

    const bool is_asking = !peer->is_established || peer->is_challenged || peer->is_silent;
    const spate_time_ns gap_max = is_asking ? HELLO_NS_MAX : PROBE_NS_MAX;

    peer->hello_gap = peer->hello_gap == 0 ? HELLO_NS_MIN : peer->hello_gap * 2;
    if (peer->hello_gap > gap_max) {
        peer->hello_gap = gap_max;
    }
    peer->hello_sent_at = now;
    peer->hello_at = now + peer->hello_gap;
    tick_by(link, peer->hello_at);
    if (capacity_of(link, peer) < SPATE_FRAME_BYTES_MIN) {
        return;
    }
    const uint32_t wanted = frame_bytes_wanted(peer);

    spate_assert(wanted >= SPATE_FRAME_BYTES_MIN);
    if (wanted > SPATE_FRAME_BYTES_MIN) {
        send_one(link, peer, FRAME_HELLO, wanted, echo);
    }
    if (is_asking) {
        send_one(link, peer, FRAME_HELLO, SPATE_FRAME_BYTES_MIN, echo);
    }
}

void spate_link_heard(struct peer *peer, spate_time_ns now)
{
    spate_assert(peer->is_established);
    peer->heard_at = now;
    atomic_store_explicit(&peer->published.heard_at, now, memory_order_relaxed);
    if (peer->is_silent) {
        peer->is_silent = false;
        atomic_store_explicit(&peer->published.is_connected, true, memory_order_relaxed);
    }
}

static void refused(struct spate_link *link, struct peer *peer, enum spate_link_drop reason,
                    spate_time_ns now)
{
    /* What anybody can send does not disturb a peer that is there. */
    if (peer->is_established && !peer->is_silent) {
        return;
    }
    if (peer->is_established) {
        peer->is_established = false;
        peer->hello_gap = HELLO_NS_MAX;
        peer->hello_at = now + HELLO_NS_MAX;
        tick_by(link, peer->hello_at);
    }
    atomic_store_explicit(&peer->published.is_connected, false, memory_order_relaxed);
    atomic_store_explicit(&peer->published.refusal, (uint32_t)reason, memory_order_relaxed);
    atomic_store_explicit(&peer->published.is_refused, true, memory_order_release);
}

/* The other process is a new one: nothing of its former life goes on. */
static void establish(struct spate_link *link, struct peer *peer, uint64_t session,
                      spate_time_ns now)
{
    struct published *published = &peer->published;

    spate_assert(session != 0);
    if (peer->is_open) {
        link->net->ops->release(link->net, &peer->open, 1);
        peer->is_open = false;
    }
    if (peer->session != session) {
        spate_link_pieces_forget(peer);
        peer->session = session;
    }
    peer->is_established = true;
    peer->frame_bytes = 0;
    peer->hello_gap = 0;
    peer->rtt_ns = 0;
    atomic_store_explicit(&published->session, session, memory_order_relaxed);
    atomic_store_explicit(&published->rtt_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&published->is_refused, false, memory_order_relaxed);
    atomic_store_explicit(&published->is_connected, true, memory_order_release);
    spate_link_ping_send(link, peer, now);
}

static void take_ack(struct spate_link *link, struct peer *peer, const struct spate_frame *frame,
                     spate_time_ns now)
{
    const uint8_t *payload = frame->data + SPATE_LINK_HEADER_BYTES;
    const uint64_t session = spate_get_u64(frame->data + AT_SESSION);
    const uint64_t echo = spate_get_u64(payload + HELLO_AT_ECHO);
    const bool is_known = peer->is_established && session == peer->session;

    if (frame->size > peer->capacity) {
        drop(link, SPATE_LINK_DROP_MALFORMED);
        return;
    }
    if (spate_get_u64(payload + HELLO_AT_PEER_SESSION) != link->session || echo > peer->counter ||
        (!is_known && echo <= peer->proven_counter)) {
        drop(link, SPATE_LINK_DROP_SESSION);
        return;
    }
    if (!is_known) {
        establish(link, peer, session, now);
    }
    spate_link_heard(peer, now);
    if (echo > peer->proven_counter) {
        peer->proven_counter = echo;
        peer->is_challenged = false;
    }
    if (frame->size > peer->frame_bytes) {
        peer->frame_bytes = frame->size;
        atomic_store_explicit(&peer->published.frame_bytes, frame->size, memory_order_relaxed);
    }
    if (peer->frame_bytes >= frame_bytes_wanted(peer)) {
        peer->hello_at = SPATE_TIME_NEVER;
    } else if (peer->hello_at == SPATE_TIME_NEVER || !is_known) {
        peer->hello_at = now + HELLO_NS_MIN;
        tick_by(link, peer->hello_at);
    }
}

static void take_question(struct spate_link *link, struct peer *peer,
                          const struct spate_frame *frame, spate_time_ns now)
{
    const uint64_t session = spate_get_u64(frame->data + AT_SESSION);
    const uint64_t echo[2] = {session, spate_get_u64(frame->data + AT_COUNTER)};

    if (capacity_of(link, peer) < SPATE_FRAME_BYTES_MIN) {
        return;
    }
    const uint32_t bytes = frame->size < peer->capacity ? frame->size : peer->capacity;

    send_one(link, peer, FRAME_HELLO_ACK, bytes, echo);
    if (!peer->is_established || peer->session != session) {
        /* Somebody new, or an echo of somebody gone: ask at once, but not for every frame. */
        peer->is_challenged = true;
        peer->hello_gap = 0;
        if (now - peer->hello_sent_at >= CHALLENGE_NS) {
            spate_link_hello_send(link, peer, now);
        } else if (peer->hello_at > peer->hello_sent_at + CHALLENGE_NS) {
            peer->hello_at = peer->hello_sent_at + CHALLENGE_NS;
            tick_by(link, peer->hello_at);
        }
    }
}

void spate_link_hello_take(struct spate_link *link, struct peer *peer,
                           const struct spate_frame *frame, spate_time_ns now)
{
    /* Of at least the smallest frame: so an answer is never larger than what was asked with. */
    if (frame->size < SPATE_FRAME_BYTES_MIN) {
        drop(link, SPATE_LINK_DROP_MALFORMED);
        return;
    }
    const uint8_t *payload = frame->data + SPATE_LINK_HEADER_BYTES;
    const uint32_t offered = spate_get_u32(payload + HELLO_AT_FRAME_BYTES);

    if (offered < SPATE_FRAME_BYTES_MIN || offered > SPATE_FRAME_BYTES_MAX) {
        drop(link, SPATE_LINK_DROP_MALFORMED);
        return;
    }
    if (memcmp(payload + HELLO_AT_CLUSTER_ID, link->cluster_id, sizeof link->cluster_id) != 0) {
        drop(link, SPATE_LINK_DROP_CLUSTER);
        spate_link_refuse_send(link, frame, SPATE_LINK_DROP_CLUSTER, now);
        return;
    }
    if (spate_get_u16(payload + HELLO_AT_VERSION_MIN) > SPATE_LINK_VERSION ||
        spate_get_u16(payload + HELLO_AT_VERSION_MAX) < SPATE_LINK_VERSION) {
        drop(link, SPATE_LINK_DROP_VERSION);
        spate_link_refuse_send(link, frame, SPATE_LINK_DROP_VERSION, now);
        return;
    }
    peer->offered = offered;
    if (frame->data[AT_TYPE] == FRAME_HELLO_ACK) {
        take_ack(link, peer, frame, now);
    } else {
        take_question(link, peer, frame, now);
    }
}

void spate_link_ping_send(struct spate_link *link, struct peer *peer, spate_time_ns now)
{
    struct spate_frame frame;

    spate_assert(peer->is_established);
    peer->ping_at = now + PING_NS;
    tick_by(link, peer->ping_at);
    if (spate_link_frame_begin(link, peer, PING_BYTES, &frame)) {
        spate_put_u64(frame.data + SPATE_LINK_HEADER_BYTES + PING_AT_TIME, now);
        spate_link_frame_finish(link, peer, &frame, FRAME_PING, PING_BYTES);
    }
}

void spate_link_ping_take(struct spate_link *link, struct peer *peer,
                          const struct spate_frame *frame, spate_time_ns now)
{
    const uint8_t *payload = frame->data + SPATE_LINK_HEADER_BYTES;
    struct spate_frame answer;

    if (frame->size != SPATE_LINK_OVERHEAD_BYTES + PING_BYTES) {
        drop(link, SPATE_LINK_DROP_MALFORMED);
        return;
    }
    const spate_time_ns sent_at = spate_get_u64(payload + PING_AT_TIME);

    if (frame->data[AT_TYPE] == FRAME_PING) {
        if (spate_link_frame_begin(link, peer, PING_BYTES, &answer)) {
            spate_put_u64(answer.data + SPATE_LINK_HEADER_BYTES + PING_AT_TIME, sent_at);
            spate_link_frame_finish(link, peer, &answer, FRAME_PONG, PING_BYTES);
        }
        return;
    }
    if (sent_at > now || now - sent_at > SILENT_NS) {
        return; /* Too old to say anything about the path of today. */
    }
    const spate_time_ns sample = now - sent_at > 0 ? now - sent_at : 1;

    peer->rtt_ns = peer->rtt_ns == 0 ? sample : (peer->rtt_ns * 7 + sample) / 8;
    atomic_store_explicit(&peer->published.rtt_ns, peer->rtt_ns, memory_order_relaxed);
}

static const struct {
    enum spate_link_drop drop;
    enum refuse_reason reason;
} refusals[] = {
    {SPATE_LINK_DROP_VERSION, REFUSE_VERSION},
    {SPATE_LINK_DROP_CLUSTER, REFUSE_CLUSTER},
    {SPATE_LINK_DROP_GROUP, REFUSE_GROUP},
    {SPATE_LINK_DROP_STRANGER, REFUSE_STRANGER},
    {SPATE_LINK_DROP_MISDIRECTED, REFUSE_MISDIRECTED},
};

/* Tells the sender of `frame` why it is not taken, if its address is one that we know. */
void spate_link_refuse_send(struct spate_link *link, const struct spate_frame *frame,
                            enum spate_link_drop reason, spate_time_ns now)
{
    if (frame->peer >= link->peer_count || link->peers[frame->peer].id == 0) {
        return;
    }
    struct peer *peer = &link->peers[frame->peer];
    struct spate_frame answer;

    refused(link, peer, reason, now);
    if (now < peer->refuse_at || !spate_link_frame_begin(link, peer, REFUSE_BYTES, &answer)) {
        return;
    }
    peer->refuse_at = now + REFUSE_NS;
    uint8_t *payload = answer.data + SPATE_LINK_HEADER_BYTES;

    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(refusals); i++) {
        if (refusals[i].drop == reason) {
            spate_put_u32(payload + REFUSE_AT_REASON, refusals[i].reason);
        }
    }
    spate_put_u32(payload + REFUSE_AT_ZERO, 0);
    spate_put_u64(payload + REFUSE_AT_PEER_SESSION, spate_get_u64(frame->data + AT_SESSION));
    spate_link_frame_finish(link, peer, &answer, FRAME_REFUSE, REFUSE_BYTES);
}

/* A refusal is of another cluster or version, so of its header only the sizes were checked. */
void spate_link_refuse_take(struct spate_link *link, const struct spate_frame *frame,
                            spate_time_ns now)
{
    const uint8_t *payload = frame->data + SPATE_LINK_HEADER_BYTES;

    if (frame->size != SPATE_LINK_OVERHEAD_BYTES + REFUSE_BYTES ||
        spate_get_u16(frame->data + AT_LENGTH) != REFUSE_BYTES ||
        spate_get_u32(payload + REFUSE_AT_ZERO) != 0) {
        drop(link, SPATE_LINK_DROP_MALFORMED);
        return;
    }
    if (frame->peer >= link->peer_count || link->peers[frame->peer].id == 0) {
        drop(link, SPATE_LINK_DROP_STRANGER);
        return;
    }
    if (spate_get_u64(payload + REFUSE_AT_PEER_SESSION) != link->session) {
        drop(link, SPATE_LINK_DROP_SESSION);
        return;
    }
    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(refusals); i++) {
        if (refusals[i].reason == spate_get_u32(payload + REFUSE_AT_REASON)) {
            refused(link, &link->peers[frame->peer], refusals[i].drop, now);
            return;
        }
    }
    drop(link, SPATE_LINK_DROP_MALFORMED);
}

void spate_link_hello_tick(struct spate_link *link, struct peer *peer, spate_time_ns now)
{
    if (peer->is_established && now >= peer->ping_at) {
        const bool is_silent = now > peer->heard_at && now - peer->heard_at >= SILENT_NS;

        if (is_silent != peer->is_silent) {
            peer->is_silent = is_silent;
            if (is_silent) {
                /* It may have come back knowing nobody: then it hears a HELLO, and nothing else. */
                peer->hello_gap = 0;
                peer->hello_at = now;
            }
            atomic_store_explicit(&peer->published.is_connected, !is_silent, memory_order_relaxed);
        }
        spate_link_ping_send(link, peer, now);
    }
    if (now >= peer->hello_at) {
        spate_link_hello_send(link, peer, now);
    }
    tick_by(link, peer->hello_at);
    if (peer->is_established) {
        tick_by(link, peer->ping_at);
    }
}
