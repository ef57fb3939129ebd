/* Creation, the way in for frames, time, and what other threads may read. */
#include <stdlib.h>

#include "link_internal.h"

static spate_err check_options(const struct spate_link_options *options)
{
    if (options->self == 0 || options->session == 0 || options->peer_count > SPATE_PEERS_MAX ||
        options->net->frame_bytes_max < SPATE_FRAME_BYTES_MIN) {
        return SPATE_ERR_INVALID;
    }
    for (uint32_t i = 0; i < options->peer_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (options->peers[i].id != 0 && options->peers[i].id == options->peers[j].id) {
                return SPATE_ERR_INVALID;
            }
        }
    }
    /* Sealing does not exist yet, so every peer needs the permission. */
    for (uint32_t i = 0; i < options->peer_count; i++) {
        if (options->peers[i].id != 0 &&
            !spate_link_is_allowed(options->insecure_peers, options->net_is_local,
                                   &options->peers[i].address)) {
            return SPATE_ERR_PERMISSION;
        }
    }
    return SPATE_OK;
}

static spate_err create_peer(struct spate_link *link, spate_peer place,
                             const struct spate_link_peer_options *options)
{
    struct peer *peer = &link->peers[place];

    peer->place = place;
    peer->receiving.repair_at = SPATE_TIME_NEVER;
    peer->sending.window = WINDOW_START;
    if (options->id == 0 || options->id == link->self) {
        return SPATE_OK;
    }
    return spate_link_peer_place(link, peer, options->id, &options->address);
}

spate_err spate_link_create(const struct spate_link_options *options, struct spate_link **ret_link)
{
    spate_assert(options != NULL && ret_link != NULL);
    spate_assert(options->net != NULL);

    spate_err err = check_options(options);
    if (err != SPATE_OK) {
        options->net->ops->close(options->net);
        return err;
    }
    struct spate_link *link = calloc(1, sizeof *link);

    if (link == NULL) {
        options->net->ops->close(options->net);
        return SPATE_ERR_NO_MEMORY;
    }
    link->net = options->net;
    link->self = options->self;
    link->group_id = options->group_id;
    link->session = options->session;
    link->cluster = spate_link_cluster_fold(options->cluster_id);
    memcpy(link->cluster_id, options->cluster_id, sizeof link->cluster_id);
    link->insecure_peers = options->insecure_peers;
    link->net_is_local = options->net_is_local;
    link->own_address = options->own_address;
    link->peer_count = options->peer_count;
    for (uint32_t i = 0; i < options->peer_count && err == SPATE_OK; i++) {
        err = create_peer(link, i, &options->peers[i]);
    }
    if (err != SPATE_OK) {
        spate_link_destroy(link);
        return err;
    }
    *ret_link = link;
    return SPATE_OK;
}

void spate_link_destroy(struct spate_link *link)
{
    if (link == NULL) {
        return;
    }
    const struct spate_net_ops *ops = link->net->ops;

    spate_link_release(link);
    spate_link_send_out(link);
    for (uint32_t i = 0; i < SPATE_PEERS_MAX; i++) {
        struct peer *peer = &link->peers[i];
        if (peer->is_open) {
            ops->release(link->net, &peer->open, 1);
        }
        free(peer->sending.buffer);
        free(peer->receiving.buffer);
    }
    ops->close(link->net);
    free(link);
}

/* Whose this frame is: the peer at the address that it came from, if it says so itself. */
static struct peer *sender_of(struct spate_link *link, const struct spate_frame *frame,
                              spate_time_ns now)
{
    struct peer *peer = frame->peer < link->peer_count ? &link->peers[frame->peer] : NULL;

    if (peer != NULL && peer->id != 0 && peer->id == spate_get_u32(frame->data + AT_SOURCE)) {
        return peer;
    }
    return spate_link_peer_meet(link, frame, now);
}

static bool is_tag_zero(const struct spate_frame *frame)
{
    const uint8_t *tag = frame->data + frame->size - SPATE_LINK_TAG_BYTES;

    return (spate_get_u64(tag) | spate_get_u64(tag + 8)) == 0;
}

/* The member that sent this frame to us, or NULL: dropped and counted. */
static struct peer *check_header(struct spate_link *link, const struct spate_frame *frame,
                                 spate_time_ns now)
{
    const uint8_t *data = frame->data;

    if (frame->size < SPATE_LINK_OVERHEAD_BYTES || spate_get_u32(data + AT_MAGIC) != FRAME_MAGIC) {
        drop(link, SPATE_LINK_DROP_MALFORMED);
        return NULL;
    }
    if (data[AT_TYPE] == FRAME_REFUSE) {
        spate_link_refuse_take(link, frame, now);
        return NULL;
    }
    enum spate_link_drop reason;

    if (data[AT_VERSION] != SPATE_LINK_VERSION) {
        reason = SPATE_LINK_DROP_VERSION;
    } else if (spate_get_u16(data + AT_LENGTH) != frame->size - SPATE_LINK_OVERHEAD_BYTES ||
               spate_get_u32(data + AT_ZERO) != 0 || spate_get_u64(data + AT_SESSION) == 0 ||
               !is_tag_zero(frame)) {
        drop(link, SPATE_LINK_DROP_MALFORMED);
        return NULL;
    } else if (spate_get_u64(data + AT_CLUSTER) != link->cluster) {
        reason = SPATE_LINK_DROP_CLUSTER;
    } else if (spate_get_u32(data + AT_GROUP) != link->group_id) {
        reason = SPATE_LINK_DROP_GROUP;
    } else if (spate_get_u32(data + AT_DESTINATION) != link->self) {
        reason = SPATE_LINK_DROP_MISDIRECTED;
    } else {
        struct peer *peer = sender_of(link, frame, now);
        if (peer != NULL) {
            return peer;
        }
        reason = SPATE_LINK_DROP_STRANGER;
    }
    drop(link, reason);
    spate_link_refuse_send(link, frame, reason, now);
    return NULL;
}

/* Whether there is a payload for the host: in the frame itself, or (large) in the peer's buffer. */
static bool take_frame(struct spate_link *link, const struct spate_frame *frame, spate_time_ns now,
                       struct spate_link_payload *ret_payload)
{
    struct peer *peer = check_header(link, frame, now);

    if (peer == NULL) {
        return false;
    }
    const uint8_t type = frame->data[AT_TYPE];
    const uint8_t *payload = frame->data + SPATE_LINK_HEADER_BYTES;
    const uint32_t size = frame->size - SPATE_LINK_OVERHEAD_BYTES;

    if (type == FRAME_HELLO || type == FRAME_HELLO_ACK) {
        spate_link_hello_take(link, peer, frame, now);
        return false;
    }
    if (!peer->is_established || spate_get_u64(frame->data + AT_SESSION) != peer->session) {
        drop(link, SPATE_LINK_DROP_SESSION);
        return false;
    }
    spate_link_heard(peer, now);
    *ret_payload = (struct spate_link_payload){
        .from = peer->id, .session = peer->session, .data = payload, .size = size};
    switch (type) {
    case FRAME_DATA:
        if (size == 0 || size % 8 != 0) {
            break;
        }
        return true;
    case FRAME_PING:
    case FRAME_PONG:
        spate_link_ping_take(link, peer, frame, now);
        return false;
    case FRAME_PIECE:
        if (!spate_link_pieces_take(link, peer, payload, size, now)) {
            return false;
        }
        ret_payload->data = peer->receiving.buffer;
        ret_payload->size = peer->receiving.total;
        return true;
    case FRAME_PIECES:
        spate_link_pieces_reported(link, peer, payload, size, now);
        return false;
    default: /* Not an enumeration: a byte from outside. */
        break;
    }
    drop(link, SPATE_LINK_DROP_MALFORMED);
    return false;
}

/* One report for all the pieces of a burst: so the sender is clocked by bursts. */
static void report_pieces(struct spate_link *link)
{
    link->are_reports_wanted = false;
    for (uint32_t i = 0; i < link->peer_count; i++) {
        struct peer *peer = &link->peers[i];
        if (peer->receiving.is_report_wanted && peer->is_established) {
            spate_link_pieces_report(link, peer, false);
        }
        peer->receiving.is_report_wanted = false;
    }
}

uint32_t spate_link_rx(struct spate_link *link, spate_time_ns now,
                       struct spate_link_payload payloads[], uint32_t count)
{
    struct spate_frame frames[SPATE_BURST_MAX];
    uint32_t payload_count = 0;
    uint32_t done_count = 0;

    spate_assert(link->held_count == 0);
    spate_assert(count >= 1);
    const uint32_t frame_count =
        link->net->ops->rx(link->net, frames, count < SPATE_BURST_MAX ? count : SPATE_BURST_MAX);

    spate_assert(frame_count <= count);
    for (uint32_t i = 0; i < frame_count; i++) {
        const struct spate_frame frame = frames[i];
        struct spate_link_payload *payload = &payloads[payload_count];
        const bool is_payload = take_frame(link, &frame, now, payload);

        payload_count += is_payload ? 1 : 0;
        if (is_payload && payload->data == frame.data + SPATE_LINK_HEADER_BYTES) {
            link->held[link->held_count++] = frame;
        } else {
            frames[done_count++] = frame;
        }
    }
    if (done_count > 0) {
        link->net->ops->release(link->net, frames, done_count);
    }
    if (link->are_reports_wanted) {
        report_pieces(link);
    }
    return payload_count;
}

void spate_link_release(struct spate_link *link)
{
    spate_assert(link->held_count <= SPATE_BURST_MAX);
    if (link->held_count > 0) {
        link->net->ops->release(link->net, link->held, link->held_count);
        link->held_count = 0;
    }
    for (uint32_t i = 0; i < link->peer_count; i++) {
        link->peers[i].receiving.is_lent = false;
    }
}

spate_time_ns spate_link_tick(struct spate_link *link, spate_time_ns now)
{
    if (now >= link->next_tick) {
        link->next_tick = SPATE_TIME_NEVER;
        for (uint32_t i = 0; i < link->peer_count; i++) {
            struct peer *peer = &link->peers[i];
            if (peer->is_guest) {
                spate_link_guest_tick(link, peer, now);
            }
            if (peer->id != 0) {
                spate_link_hello_tick(link, peer, now);
                spate_link_pieces_send_tick(link, peer, now);
                spate_link_pieces_take_tick(link, peer, now);
            }
        }
    }
    spate_link_send_out(link);
    return link->next_tick;
}

void spate_link_wait(struct spate_link *link, spate_time_ns timeout_ns)
{
    spate_link_send_out(link);
    link->net->ops->wait(link->net, timeout_ns);
}

void spate_link_wake(struct spate_link *link)
{
    link->net->ops->wake(link->net);
}

const char *spate_link_drop_text(enum spate_link_drop reason)
{
    static const char *const texts[] = {
#define SPATE_LINK_DROP_TEXT(name, text) [SPATE_LINK_DROP_##name] = (text),
        SPATE_LINK_DROP_MAP(SPATE_LINK_DROP_TEXT)
#undef SPATE_LINK_DROP_TEXT
    };

    spate_assert(reason < SPATE_LINK_DROP_COUNT);
    return texts[reason];
}

uint64_t spate_link_dropped(const struct spate_link *link, enum spate_link_drop reason)
{
    spate_assert(reason < SPATE_LINK_DROP_COUNT);
    return atomic_load_explicit(&link->dropped[reason], memory_order_relaxed);
}

const struct spate_net *spate_link_net(const struct spate_link *link)
{
    spate_assert(link != NULL);
    return link->net;
}
