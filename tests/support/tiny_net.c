#include "support/tiny_net.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static struct tiny_endpoint *endpoint_of(struct spate_net *net)
{
    return (struct tiny_endpoint *)(void *)net;
}

static void queue_one(struct tiny_hub *hub, uint32_t from, uint32_t to, const uint8_t *data,
                      uint32_t size)
{
    spate_assert(to < TINY_ENDPOINTS_MAX);
    /* No driver hands on nothing, or more than its frames hold. */
    if (hub->queued == TINY_QUEUE_MAX || size == 0 ||
        size > hub->endpoints[to].net.frame_bytes_max) {
        return;
    }
    struct tiny_packet *packet = &hub->queue[hub->queued++];

    packet->due = hub->now + spate_prng_between(&hub->prng, hub->delay_ns_min, hub->delay_ns_max);
    packet->order = hub->order++;
    packet->from = from;
    packet->to = to;
    packet->size = size;
    packet->data = malloc(size);
    spate_assert(packet->data != NULL);
    memcpy(packet->data, data, size);
}

void tiny_hub_inject(struct tiny_hub *hub, uint32_t from, uint32_t to, const uint8_t *data,
                     uint32_t size)
{
    queue_one(hub, from, to, data, size);
}

static uint32_t tiny_rx(struct spate_net *net, struct spate_frame frames[], uint32_t count)
{
    struct tiny_endpoint *endpoint = endpoint_of(net);
    struct tiny_hub *hub = endpoint->hub;
    uint32_t taken = 0;

    while (taken < count) {
        uint32_t best = hub->queued;

        for (uint32_t i = 0; i < hub->queued; i++) {
            const struct tiny_packet *packet = &hub->queue[i];
            if (packet->to == endpoint->place && packet->due <= hub->now &&
                (best == hub->queued || packet->due < hub->queue[best].due ||
                 (packet->due == hub->queue[best].due && packet->order < hub->queue[best].order))) {
                best = i;
            }
        }
        if (best == hub->queued) {
            break;
        }
        frames[taken++] = (struct spate_frame){.peer = hub->queue[best].from,
                                               .size = hub->queue[best].size,
                                               .capacity = hub->queue[best].size,
                                               .data = hub->queue[best].data,
                                               .owner = hub->queue[best].data};
        hub->queue[best] = hub->queue[--hub->queued];
    }
    endpoint->lent += taken;
    return taken;
}

static spate_err tiny_reserve(struct spate_net *net, spate_peer peer, struct spate_frame frames[],
                              uint32_t count)
{
    struct tiny_endpoint *endpoint = endpoint_of(net);

    if (endpoint->lent_max > 0 && endpoint->lent + count > endpoint->lent_max) {
        return SPATE_ERR_BUSY;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *data = malloc(net->frame_bytes_max);

        spate_assert(data != NULL);
        /* Whoever sends what he has not written shows it. */
        memset(data, 0xa5, net->frame_bytes_max);
        frames[i] = (struct spate_frame){
            .peer = peer, .capacity = net->frame_bytes_max, .data = data, .owner = data};
    }
    endpoint->lent += count;
    return SPATE_OK;
}

static void tiny_release(struct spate_net *net, struct spate_frame frames[], uint32_t count)
{
    struct tiny_endpoint *endpoint = endpoint_of(net);

    spate_assert(endpoint->lent >= count);
    endpoint->lent -= count;
    for (uint32_t i = 0; i < count; i++) {
        spate_assert(frames[i].owner == frames[i].data);
        free(frames[i].data);
    }
}

static void send_one(struct tiny_endpoint *endpoint, const struct spate_frame *frame)
{
    struct tiny_hub *hub = endpoint->hub;

    spate_assert(frame->peer < TINY_ENDPOINTS_MAX);
    spate_assert(frame->size <= frame->capacity);
    hub->sent_frames++;
    if (hub->is_cut || (hub->path_bytes_max > 0 && frame->size > hub->path_bytes_max) ||
        spate_prng_chance_ppm(&hub->prng, hub->loss_ppm)) {
        return;
    }
    if (hub->tap != NULL &&
        !hub->tap(hub->tap_context, endpoint->place, frame->peer, frame->data, frame->size)) {
        return;
    }
    queue_one(hub, endpoint->place, frame->peer, frame->data, frame->size);
    if (spate_prng_chance_ppm(&hub->prng, hub->duplicate_ppm)) {
        queue_one(hub, endpoint->place, frame->peer, frame->data, frame->size);
    }
}

static void tiny_tx(struct spate_net *net, struct spate_frame frames[], uint32_t count)
{
    struct tiny_endpoint *endpoint = endpoint_of(net);

    endpoint->hub->sent_bursts++;
    for (uint32_t i = 0; i < count; i++) {
        send_one(endpoint, &frames[i]);
    }
    tiny_release(net, frames, count);
}

static spate_err tiny_set_peer(struct spate_net *net, spate_peer peer,
                               const struct spate_address *address)
{
    (void)net;
    (void)address;
    return peer < TINY_ENDPOINTS_MAX ? SPATE_OK : SPATE_ERR_INVALID;
}

static void tiny_wait(struct spate_net *net, spate_time_ns timeout_ns)
{
    (void)net;
    (void)timeout_ns;
}

static void tiny_wake(struct spate_net *net)
{
    (void)net;
}

static void tiny_close(struct spate_net *net)
{
    struct tiny_endpoint *endpoint = endpoint_of(net);

    spate_assert(endpoint->lent == 0);
    spate_assert(endpoint->is_open);
    endpoint->is_open = false;
}

static const struct spate_net_ops tiny_ops = {
    .name = "tiny",
    .rx = tiny_rx,
    .reserve = tiny_reserve,
    .tx = tiny_tx,
    .release = tiny_release,
    .set_peer = tiny_set_peer,
    .wait = tiny_wait,
    .wake = tiny_wake,
    .close = tiny_close,
};

struct tiny_hub *tiny_hub_create(uint64_t seed)
{
    struct tiny_hub *hub = calloc(1, sizeof *hub);

    spate_assert(hub != NULL);
    hub->now = 1000;
    hub->delay_ns_min = 10 * 1000;
    hub->delay_ns_max = 10 * 1000;
    spate_prng_seed(&hub->prng, seed, 1);
    return hub;
}

void tiny_hub_destroy(struct tiny_hub *hub)
{
    for (uint32_t i = 0; i < hub->queued; i++) {
        free(hub->queue[i].data);
    }
    for (uint32_t i = 0; i < TINY_ENDPOINTS_MAX; i++) {
        spate_assert(!hub->endpoints[i].is_open);
    }
    free(hub);
}

struct spate_net *tiny_hub_open(struct tiny_hub *hub, uint32_t place, uint32_t frame_bytes_max)
{
    struct tiny_endpoint *endpoint = &hub->endpoints[place];

    spate_assert(!endpoint->is_open);
    *endpoint = (struct tiny_endpoint){
        .net = {.ops = &tiny_ops, .frame_bytes_max = frame_bytes_max},
        .hub = hub,
        .place = place,
        .is_open = true,
    };
    return &endpoint->net;
}
