/* An endpoint: the driver's table over packets of the network. A lent frame is a packet. */
#include <string.h>

#include "base/assert.h"
#include "sim_internal.h"

static struct endpoint *endpoint_of(struct spate_net *net)
{
    return (struct endpoint *)net;
}

/* 10.0.0.1:7209 is endpoint 0. */
struct spate_address spate_net_sim_address(uint32_t endpoint)
{
    return (struct spate_address){
        .family = 4, .port = 7209, .bytes = {10, 0, 0, (uint8_t)(endpoint + 1)}};
}

static spate_peer peer_of(const struct endpoint *endpoint, uint32_t from)
{
    const struct spate_address address = spate_net_sim_address(from);

    for (spate_peer peer = 0; peer < SPATE_PEERS_MAX; peer++) {
        if (spate_address_is_equal(&endpoint->peers[peer], &address)) {
            return peer;
        }
    }
    return SPATE_PEER_NONE;
}

static bool is_known(const struct endpoint *endpoint, const struct spate_address *address)
{
    const struct spate_address known = spate_net_sim_address(address->bytes[3] - 1u);
    return address->bytes[3] >= 1 && address->bytes[3] <= endpoint->network->endpoint_count &&
           spate_address_is_equal(&known, address);
}

static struct spate_frame lend(struct endpoint *endpoint, struct packet *packet, spate_peer peer,
                               uint32_t size)
{
    spate_assert(!packet->is_lent);
    packet->is_lent = true;
    endpoint->lent++;
    return (struct spate_frame){.peer = peer,
                                .size = size,
                                .capacity = endpoint->net.frame_bytes_max,
                                .data = packet->data,
                                .owner = packet};
}

static struct packet *take_back(struct endpoint *endpoint, const struct spate_frame *frame)
{
    struct packet *packet = frame->owner;

    spate_assert(packet->is_lent);
    spate_assert(endpoint->lent > 0);
    packet->is_lent = false;
    endpoint->lent--;
    return packet;
}

static uint32_t rx(struct spate_net *net, struct spate_frame frames[], uint32_t room)
{
    struct endpoint *endpoint = endpoint_of(net);
    uint32_t lent = 0;

    while (lent < room && endpoint->first != NULL) {
        struct packet *packet = endpoint->first;
        endpoint->first = packet->next;
        endpoint->last = endpoint->first == NULL ? NULL : endpoint->last;
        packet->next = NULL;
        frames[lent++] = lend(endpoint, packet, peer_of(endpoint, packet->from), packet->size);
        count(&net->stats.rx_bytes, packet->size);
    }
    if (lent > 0) {
        count(&net->stats.rx_frames, lent);
        count(&net->stats.rx_bursts, 1);
    }
    return lent;
}

static void release(struct spate_net *net, struct spate_frame frames[], uint32_t frame_count)
{
    struct endpoint *endpoint = endpoint_of(net);

    for (uint32_t i = 0; i < frame_count; i++) {
        spate_sim_packet_give(endpoint->network, take_back(endpoint, &frames[i]));
    }
}

static spate_err reserve(struct spate_net *net, spate_peer peer, struct spate_frame frames[],
                         uint32_t frame_count)
{
    struct endpoint *endpoint = endpoint_of(net);

    if (endpoint->lent + frame_count > endpoint->network->lent_max) {
        return SPATE_ERR_BUSY;
    }
    for (uint32_t i = 0; i < frame_count; i++) {
        struct packet *packet = spate_sim_packet_take(endpoint->network);
        if (packet == NULL) {
            release(net, frames, i);
            return SPATE_ERR_BUSY;
        }
        frames[i] = lend(endpoint, packet, peer, 0);
    }
    return SPATE_OK;
}

static bool send(struct endpoint *endpoint, const struct spate_frame *frame, struct packet *packet)
{
    const bool is_set = frame->peer < SPATE_PEERS_MAX && endpoint->peers[frame->peer].family != 0;

    if (!is_set || frame->size == 0) {
        spate_sim_packet_give(endpoint->network, packet);
        return false;
    }
    spate_assert(frame->size <= frame->capacity);
    packet->from = endpoint->index;
    packet->to = endpoint->peers[frame->peer].bytes[3] - 1u;
    packet->size = frame->size;
    return spate_sim_link_forward(endpoint->network, packet);
}

static void tx(struct spate_net *net, struct spate_frame frames[], uint32_t frame_count)
{
    struct endpoint *endpoint = endpoint_of(net);

    for (uint32_t i = 0; i < frame_count; i++) {
        if (send(endpoint, &frames[i], take_back(endpoint, &frames[i]))) {
            count(&net->stats.tx_frames, 1);
            count(&net->stats.tx_bytes, frames[i].size);
        } else {
            count(&net->stats.tx_dropped, 1);
        }
    }
    if (frame_count > 0) {
        count(&net->stats.tx_bursts, 1);
    }
}

static spate_err set_peer(struct spate_net *net, spate_peer peer,
                          const struct spate_address *address)
{
    struct endpoint *endpoint = endpoint_of(net);

    if (peer >= SPATE_PEERS_MAX) {
        return SPATE_ERR_INVALID;
    }
    if (address->family != 0 && !is_known(endpoint, address)) {
        return SPATE_ERR_UNSUPPORTED;
    }
    endpoint->peers[peer] = *address;
    return SPATE_OK;
}

/* The owner of the network owns the time: there is nothing to wait for. */
static void wait_never(struct spate_net *net, spate_time_ns timeout_ns)
{
    (void)net;
    (void)timeout_ns;
}

static void wake(struct spate_net *net)
{
    (void)net;
}

static void close_endpoint(struct spate_net *net)
{
    struct endpoint *endpoint = endpoint_of(net);

    if (endpoint == NULL) {
        return;
    }
    spate_assert(endpoint->is_open);
    spate_assert(endpoint->lent == 0);
    while (endpoint->first != NULL) {
        struct packet *packet = endpoint->first;
        endpoint->first = packet->next;
        spate_sim_packet_give(endpoint->network, packet);
    }
    endpoint->last = NULL;
    endpoint->is_open = false;
}

static const struct spate_net_ops sim_ops = {
    .name = "sim",
    .rx = rx,
    .reserve = reserve,
    .tx = tx,
    .release = release,
    .set_peer = set_peer,
    .wait = wait_never,
    .wake = wake,
    .close = close_endpoint,
};

void spate_sim_endpoint_init(struct spate_net_sim *network, uint32_t index)
{
    struct endpoint *endpoint = &network->endpoints[index];

    *endpoint = (struct endpoint){.network = network, .index = index};
    endpoint->net.ops = &sim_ops;
    endpoint->net.frame_bytes_max = network->frame_bytes_max;
}

struct spate_net *spate_net_sim_open(struct spate_net_sim *network, uint32_t index)
{
    spate_assert(index < network->endpoint_count);
    struct endpoint *endpoint = &network->endpoints[index];
    spate_assert(!endpoint->is_open);
    spate_sim_endpoint_init(network, index);
    endpoint->is_open = true;
    return &endpoint->net;
}

void spate_sim_endpoint_deliver(struct endpoint *endpoint, struct packet *packet)
{
    if (!endpoint->is_open) {
        spate_sim_packet_give(endpoint->network, packet);
        return;
    }
    packet->next = NULL;
    if (endpoint->last == NULL) {
        endpoint->first = packet;
    } else {
        endpoint->last->next = packet;
    }
    endpoint->last = packet;
}
