/*
 * Who the peers are while the cluster runs: members come, move and go; guests are cores that are no
 * members here and may have to be heard all the same.
 *
 * A core that was away knows only the members of its day. When members that have joined since then
 * speak to it, it must answer, or it would never learn of them. So a HELLO that shows our cluster's
 * id makes its sender a guest at the address that the HELLO names; the handshake then proves that
 * it is there. A member that left stays a guest too, until it has nothing more to say.
 */
#include <stdlib.h>

#include "link_internal.h"

/* A guest that never shook hands is forgotten after this … */
#define GUEST_NEW_NS (3000 * MS)

/* … and one that did when it has been silent for so long. */
#define GUEST_SILENT_NS (30000 * MS)

static void publish_place(struct peer *peer)
{
    struct published *published = &peer->published;
    const uint32_t version = atomic_load_explicit(&published->version, memory_order_relaxed);
    uint64_t words[SPATE_LINK_ADDRESS_WORDS] = {0};

    memcpy(words, &peer->address, sizeof peer->address);
    /* Odd while it is written, as the status of a node (lib/node/status.c). */
    atomic_store_explicit(&published->version, version + 1, memory_order_relaxed);
    atomic_store_explicit(&published->id, peer->id, memory_order_release);
    atomic_store_explicit(&published->is_guest, peer->is_guest, memory_order_release);
    for (uint32_t i = 0; i < SPATE_LINK_ADDRESS_WORDS; i++) {
        atomic_store_explicit(&published->address[i], words[i], memory_order_release);
    }
    atomic_store_explicit(&published->version, version + 2, memory_order_release);
}

/* Nothing is left of who had this place, but for the counter: frames may still be on their way. */
static void clear(struct spate_link *link, struct peer *peer)
{
    struct published *published = &peer->published;

    spate_link_send_out(link);
    if (peer->is_open) {
        link->net->ops->release(link->net, &peer->open, 1);
        peer->is_open = false;
    }
    if (peer->id != 0) {
        spate_link_pieces_forget(peer);
    }
    peer->id = 0;
    peer->is_guest = false;
    peer->is_established = false;
    peer->is_silent = false;
    peer->is_challenged = false;
    peer->session = 0;
    peer->proven_counter = peer->counter;
    peer->capacity = 0;
    peer->offered = 0;
    peer->frame_bytes = 0;
    peer->hello_at = 0;
    peer->hello_gap = 0;
    peer->hello_sent_at = 0;
    peer->ping_at = 0;
    peer->refuse_at = 0;
    peer->heard_at = 0;
    peer->rtt_ns = 0;
    peer->address = (struct spate_address){0};
    atomic_store_explicit(&published->is_connected, false, memory_order_relaxed);
    atomic_store_explicit(&published->is_refused, false, memory_order_relaxed);
    atomic_store_explicit(&published->session, 0, memory_order_relaxed);
    atomic_store_explicit(&published->rtt_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&published->heard_at, 0, memory_order_relaxed);
    atomic_store_explicit(&published->frame_bytes, 0, memory_order_relaxed);
    publish_place(peer);
}

static void forget(struct spate_link *link, struct peer *peer)
{
    const struct spate_address none = {.family = 0};

    spate_assert(peer->id != 0);
    clear(link, peer);
    (void)link->net->ops->set_peer(link->net, peer->place, &none);
}

/* A free place, those never used first; else that of the guest heard of least recently. */
static struct peer *find_place(struct spate_link *link, bool is_for_member)
{
    struct peer *oldest = NULL;

    spate_assert(link->peer_count <= SPATE_PEERS_MAX);
    if (link->peer_count < SPATE_PEERS_MAX) {
        struct peer *peer = &link->peers[link->peer_count];
        peer->place = link->peer_count++;
        return peer;
    }
    for (uint32_t i = 0; i < link->peer_count; i++) {
        struct peer *peer = &link->peers[i];
        if (peer->id == 0) {
            return peer;
        }
        if (peer->is_guest && (oldest == NULL || peer->heard_at < oldest->heard_at)) {
            oldest = peer;
        }
    }
    if (oldest == NULL || !is_for_member) {
        return NULL;
    }
    forget(link, oldest);
    return oldest;
}

static bool has_buffers(struct peer *peer)
{
    if (peer->sending.buffer == NULL) {
        peer->sending.buffer = calloc(1, SPATE_LINK_LARGE_BYTES_MAX);
    }
    if (peer->receiving.buffer == NULL) {
        peer->receiving.buffer = calloc(1, SPATE_LINK_LARGE_BYTES_MAX);
    }
    return peer->sending.buffer != NULL && peer->receiving.buffer != NULL;
}

spate_err spate_link_peer_place(struct spate_link *link, struct peer *peer, spate_node_id id,
                                const struct spate_address *address)
{
    spate_err err = SPATE_OK;

    spate_assert(id != 0 && id != link->self);
    clear(link, peer);
    if (!has_buffers(peer)) {
        return SPATE_ERR_NO_MEMORY;
    }
    if (address->family != 0) {
        err = link->net->ops->set_peer(link->net, peer->place, address);
    }
    if (err != SPATE_OK) {
        return err;
    }
    peer->id = id;
    peer->address = *address;
    peer->receiving.repair_at = SPATE_TIME_NEVER;
    peer->sending.window = WINDOW_START;
    publish_place(peer);
    link->next_tick = 0; /* The first HELLO leaves with the next tick. */
    return SPATE_OK;
}

bool spate_link_is_allowed(enum spate_insecure_peers insecure_peers, bool net_is_local,
                           const struct spate_address *address)
{
    switch (insecure_peers) {
    case SPATE_INSECURE_PEERS_ANY:
        return true;
    case SPATE_INSECURE_PEERS_LOCAL:
        return net_is_local || address->family == 0 || spate_address_is_loopback(address);
    case SPATE_INSECURE_PEERS_REFUSED:
        break;
    }
    return false;
}

spate_err spate_link_set_peer(struct spate_link *link, spate_node_id id,
                              const struct spate_address *address)
{
    spate_assert(id != 0 && id != link->self);
    spate_assert(address != NULL);
    struct peer *peer = peer_find(link, id);

    if (!spate_link_is_allowed(link->insecure_peers, link->net_is_local, address)) {
        return SPATE_ERR_PERMISSION;
    }
    if (peer == NULL) {
        peer = find_place(link, true);
    } else if (spate_address_is_equal(&peer->address, address)) {
        peer->is_guest = false;
        publish_place(peer);
        return SPATE_OK;
    }
    if (peer == NULL) {
        return SPATE_ERR_BUSY;
    }
    return spate_link_peer_place(link, peer, id, address);
}

void spate_link_dismiss_peer(struct spate_link *link, spate_node_id id)
{
    struct peer *peer = peer_find(link, id);

    spate_assert(link->peer_count <= SPATE_PEERS_MAX);
    if (peer != NULL) {
        peer->is_guest = true;
        peer->guest_since = SPATE_TIME_NEVER; /* The next tick knows the time. */
        publish_place(peer);
        link->next_tick = 0;
    }
}

/* The address that a HELLO names as its sender's. Family 0: none, or none that can be. */
static struct spate_address read_own(const uint8_t *payload)
{
    struct spate_address address = {.family = payload[HELLO_AT_ADDRESS],
                                    .port = spate_get_u16(payload + HELLO_AT_ADDRESS + 2)};

    if ((address.family != 4 && address.family != 6) || address.port == 0 ||
        payload[HELLO_AT_ADDRESS + 1] != 0 || spate_get_u32(payload + HELLO_AT_ADDRESS + 4) != 0) {
        return (struct spate_address){0};
    }
    memcpy(address.bytes, payload + HELLO_AT_ADDRESS + 8, address.family == 6 ? 16 : 4);
    return address;
}

void spate_link_write_own(const struct spate_link *link, uint8_t *payload)
{
    spate_assert(payload != NULL);
    memset(payload + HELLO_AT_ADDRESS, 0, HELLO_BYTES - HELLO_AT_ADDRESS);
    payload[HELLO_AT_ADDRESS] = link->own_address.family;
    spate_put_u16(payload + HELLO_AT_ADDRESS + 2, link->own_address.port);
    memcpy(payload + HELLO_AT_ADDRESS + 8, link->own_address.bytes,
           link->own_address.family == 4 ? 4 : 16);
}

/* Whether `frame` is a HELLO of our cluster and version; *ret_address: where its sender is. */
static bool is_introduction(const struct spate_link *link, const struct spate_frame *frame,
                            struct spate_address *ret_address)
{
    const uint8_t *payload = frame->data + SPATE_LINK_HEADER_BYTES;

    spate_assert(ret_address != NULL);
    if (frame->data[AT_TYPE] != FRAME_HELLO || frame->size < SPATE_FRAME_BYTES_MIN ||
        memcmp(payload + HELLO_AT_CLUSTER_ID, link->cluster_id, sizeof link->cluster_id) != 0) {
        return false;
    }
    *ret_address = read_own(payload);
    return ret_address->family != 0 &&
           spate_link_is_allowed(link->insecure_peers, link->net_is_local, ret_address);
}

struct peer *spate_link_peer_meet(struct spate_link *link, const struct spate_frame *frame,
                                  spate_time_ns now)
{
    const spate_node_id id = spate_get_u32(frame->data + AT_SOURCE);
    spate_assert(frame->size >= SPATE_LINK_OVERHEAD_BYTES);
    struct peer *peer = peer_find(link, id);
    const struct peer *at = frame->peer < link->peer_count ? &link->peers[frame->peer] : NULL;
    struct spate_address address;

    if (id == 0 || id == link->self) {
        return NULL;
    }
    /* One address, two ids: a core that takes the place of another. The driver names the first. */
    if (peer != NULL && at != NULL && at->address.family != 0 &&
        spate_address_is_equal(&at->address, &peer->address)) {
        return peer;
    }
    if (!is_introduction(link, frame, &address)) {
        return NULL;
    }
    if (peer == NULL) {
        peer = find_place(link, false);
        if (peer == NULL || spate_link_peer_place(link, peer, id, &address) != SPATE_OK) {
            return NULL;
        }
        peer->is_guest = true;
        peer->guest_since = now;
        publish_place(peer);
        return peer;
    }
    /* A member that moved while we were away. While it is heard where it was, it has not. */
    const bool is_guest = peer->is_guest;
    if ((peer->is_established && !peer->is_silent) ||
        spate_address_is_equal(&peer->address, &address) ||
        spate_link_peer_place(link, peer, id, &address) != SPATE_OK) {
        return NULL;
    }
    peer->is_guest = is_guest;
    peer->guest_since = now;
    publish_place(peer);
    return peer;
}

void spate_link_guest_tick(struct spate_link *link, struct peer *peer, spate_time_ns now)
{
    spate_assert(peer->is_guest);
    if (peer->guest_since == SPATE_TIME_NEVER) {
        peer->guest_since = now;
    }
    const spate_time_ns since =
        peer->heard_at > peer->guest_since ? peer->heard_at : peer->guest_since;
    const spate_time_ns forget_at = since + (peer->is_established ? GUEST_SILENT_NS : GUEST_NEW_NS);

    if (now >= forget_at) {
        forget(link, peer);
    } else {
        tick_by(link, forget_at);
    }
}

/* The place of `id` as another thread may see it. */
static bool read_place(const struct peer *peer, spate_node_id id,
                       struct spate_link_peer_status *status)
{
    const struct published *from = &peer->published;
    uint64_t words[SPATE_LINK_ADDRESS_WORDS];
    uint32_t before = 0;
    uint32_t after = 0;

    do {
        before = atomic_load_explicit(&from->version, memory_order_acquire);
        status->id = atomic_load_explicit(&from->id, memory_order_acquire);
        status->is_guest = atomic_load_explicit(&from->is_guest, memory_order_acquire);
        for (uint32_t i = 0; i < SPATE_LINK_ADDRESS_WORDS; i++) {
            words[i] = atomic_load_explicit(&from->address[i], memory_order_acquire);
        }
        after = atomic_load_explicit(&from->version, memory_order_relaxed);
    } while (before != after || before % 2 != 0);
    memcpy(&status->address, words, sizeof status->address);
    return status->id == id;
}

bool spate_link_peer_status(const struct spate_link *link, spate_node_id id,
                            struct spate_link_peer_status *ret_status)
{
    spate_assert(ret_status != NULL);
    for (uint32_t i = 0; i < SPATE_PEERS_MAX && id != 0; i++) {
        const struct published *from = &link->peers[i].published;
        struct spate_link_peer_status status;

        if (!read_place(&link->peers[i], id, &status)) {
            continue;
        }
        status.is_connected = atomic_load_explicit(&from->is_connected, memory_order_acquire);
        status.is_refused = atomic_load_explicit(&from->is_refused, memory_order_acquire);
        status.refusal =
            (enum spate_link_drop)atomic_load_explicit(&from->refusal, memory_order_relaxed);
        status.session = atomic_load_explicit(&from->session, memory_order_relaxed);
        status.rtt_ns = atomic_load_explicit(&from->rtt_ns, memory_order_relaxed);
        status.heard_at = atomic_load_explicit(&from->heard_at, memory_order_relaxed);
        status.frame_bytes = atomic_load_explicit(&from->frame_bytes, memory_order_relaxed);
        status.large_sent = atomic_load_explicit(&from->large_sent, memory_order_relaxed);
        status.large_received = atomic_load_explicit(&from->large_received, memory_order_relaxed);
        status.pieces_repaired = atomic_load_explicit(&from->pieces_repaired, memory_order_relaxed);
        *ret_status = status;
        return true;
    }
    return false;
}
