/* Frames on their way out: the header, the burst, and the frame that each peer's messages share. */
#include "link_internal.h"

/* Any change of one bit of the id changes the fold; the full id is compared in the handshake. */
uint64_t spate_link_cluster_fold(const uint8_t cluster_id[16])
{
    spate_assert(cluster_id != NULL);

    uint64_t fold = spate_get_u64(cluster_id) * UINT64_C(0x9e3779b97f4a7c15);
    fold = (fold ^ (fold >> 32)) + spate_get_u64(cluster_id + 8);
    fold *= UINT64_C(0xd1b54a32d192ed03);
    return fold ^ (fold >> 29);
}

void spate_link_send_out(struct spate_link *link)
{
    spate_assert(link->out_count <= SPATE_BURST_MAX);
    if (link->out_count > 0) {
        link->net->ops->tx(link->net, link->out, link->out_count);
        link->out_count = 0;
    }
}

/*
 * Lends a frame with room for `payload_bytes`. When the driver has none free, those that wait for
 * the burst go first.
 */
bool spate_link_frame_begin(struct spate_link *link, struct peer *peer, uint32_t payload_bytes,
                            struct spate_frame *ret_frame)
{
    const struct spate_net_ops *ops = link->net->ops;

    spate_assert(peer->id != 0);
    if (ops->reserve(link->net, peer->place, ret_frame, 1) != SPATE_OK) {
        spate_link_send_out(link);
        if (ops->reserve(link->net, peer->place, ret_frame, 1) != SPATE_OK) {
            drop(link, SPATE_LINK_DROP_NO_FRAME);
            return false;
        }
    }
    ret_frame->peer = peer->place;
    if (ret_frame->capacity < payload_bytes + SPATE_LINK_OVERHEAD_BYTES) {
        /* The driver found out that the path carries less than it said. */
        peer->capacity = ret_frame->capacity;
        if (peer->frame_bytes > peer->capacity && peer->capacity >= SPATE_FRAME_BYTES_MIN) {
            peer->frame_bytes = peer->capacity;
            atomic_store_explicit(&peer->published.frame_bytes, peer->frame_bytes,
                                  memory_order_relaxed);
        }
        ops->release(link->net, ret_frame, 1);
        drop(link, SPATE_LINK_DROP_NO_FRAME);
        return false;
    }
    return true;
}

/* Writes header and tag around a payload that stands in its place, and queues the frame. */
void spate_link_frame_finish(struct spate_link *link, struct peer *peer, struct spate_frame *frame,
                             enum frame_type type, uint32_t payload_bytes)
{
    uint8_t *data = frame->data;

    spate_assert(payload_bytes + SPATE_LINK_OVERHEAD_BYTES <= frame->capacity);
    spate_assert(payload_bytes <= UINT16_MAX);
    peer->counter++;
    spate_put_u32(data + AT_MAGIC, FRAME_MAGIC);
    data[AT_VERSION] = SPATE_LINK_VERSION;
    data[AT_TYPE] = (uint8_t)type;
    spate_put_u16(data + AT_LENGTH, (uint16_t)payload_bytes);
    spate_put_u64(data + AT_CLUSTER, link->cluster);
    spate_put_u32(data + AT_GROUP, link->group_id);
    spate_put_u32(data + AT_SOURCE, link->self);
    spate_put_u32(data + AT_DESTINATION, peer->id);
    spate_put_u32(data + AT_ZERO, 0);
    spate_put_u64(data + AT_SESSION, link->session);
    spate_put_u64(data + AT_COUNTER, peer->counter);
    memset(data + SPATE_LINK_HEADER_BYTES + payload_bytes, 0, SPATE_LINK_TAG_BYTES);
    frame->size = SPATE_LINK_OVERHEAD_BYTES + payload_bytes;
    if (link->out_count == SPATE_BURST_MAX) {
        spate_link_send_out(link);
    }
    link->out[link->out_count++] = *frame;
}

static void close_open(struct spate_link *link, struct peer *peer)
{
    const uint32_t used = peer->open.size;

    spate_assert(peer->is_open);
    peer->is_open = false;
    if (used == 0) {
        link->net->ops->release(link->net, &peer->open, 1);
        return;
    }
    spate_link_frame_finish(link, peer, &peer->open, FRAME_DATA, used);
}

uint32_t spate_link_payload_bytes_max(const struct spate_link *link, spate_node_id id)
{
    for (uint32_t i = 0; i < link->peer_count; i++) {
        const struct peer *peer = &link->peers[i];
        if (id != 0 && peer->id == id && peer->is_established) {
            return payload_bytes_max(peer);
        }
    }
    return 0;
}

/* While a frame is open its `size` counts the payload written so far. */
uint8_t *spate_link_reserve(struct spate_link *link, spate_node_id id, uint32_t bytes)
{
    struct peer *peer = peer_find(link, id);

    if (peer == NULL || !peer->is_established) {
        return NULL;
    }
    const uint32_t bytes_max = payload_bytes_max(peer);

    if (bytes > bytes_max) {
        return NULL;
    }
    if (peer->is_open && peer->open.size + bytes > bytes_max) {
        close_open(link, peer);
    }
    if (!peer->is_open) {
        if (!spate_link_frame_begin(link, peer, bytes_max, &peer->open)) {
            return NULL;
        }
        peer->is_open = true;
        peer->open.size = 0;
    }
    return peer->open.data + SPATE_LINK_HEADER_BYTES + peer->open.size;
}

void spate_link_wrote(struct spate_link *link, spate_node_id id, uint32_t bytes)
{
    struct peer *peer = peer_find(link, id);

    spate_assert(peer != NULL);
    spate_assert(peer->is_open);
    spate_assert(bytes % 8 == 0);
    spate_assert(peer->open.size + bytes <= payload_bytes_max(peer));
    peer->open.size += bytes;
}

void spate_link_flush(struct spate_link *link, spate_time_ns now)
{
    (void)now;
    spate_assert(link->peer_count <= SPATE_PEERS_MAX);
    for (uint32_t i = 0; i < link->peer_count; i++) {
        if (link->peers[i].is_open) {
            close_open(link, &link->peers[i]);
        }
    }
    spate_link_send_out(link);
}
