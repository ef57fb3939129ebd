/* The packets in flight, by time: a binary heap over a bounded pool. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "sim_internal.h"

#define FRAMES_MAX 4096u

static bool is_before(const struct packet *a, const struct packet *b)
{
    return a->due < b->due || (a->due == b->due && a->order < b->order);
}

struct packet *spate_sim_packet_take(struct spate_net_sim *network)
{
    struct packet *packet = network->free;

    if (packet != NULL) {
        network->free = packet->next;
        packet->next = NULL;
    }
    return packet;
}

void spate_sim_packet_give(struct spate_net_sim *network, struct packet *packet)
{
    spate_assert(!packet->is_lent);
    packet->next = network->free;
    network->free = packet;
}

void spate_sim_schedule(struct spate_net_sim *network, struct packet *packet, spate_time_ns due)
{
    uint32_t at = network->heap_count++;

    spate_assert(network->heap_count <= network->packets_count);
    packet->due = due;
    packet->order = network->order++;
    while (at > 0 && is_before(packet, network->heap[(at - 1) / 2])) {
        network->heap[at] = network->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    network->heap[at] = packet;
}

static struct packet *take_earliest(struct spate_net_sim *network)
{
    struct packet *earliest = network->heap[0];
    struct packet *moved = network->heap[--network->heap_count];
    uint32_t at = 0;

    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < network->heap_count &&
            is_before(network->heap[child + 1], network->heap[child])) {
            child++;
        }
        if (child >= network->heap_count || !is_before(network->heap[child], moved)) {
            break;
        }
        network->heap[at] = network->heap[child];
        at = child;
    }
    network->heap[at] = moved;
    return earliest;
}

spate_time_ns spate_net_sim_next_run_at(const struct spate_net_sim *network)
{
    return network->heap_count == 0 ? SPATE_TIME_NEVER : network->heap[0]->due;
}

void spate_net_sim_run(struct spate_net_sim *network, spate_time_ns now)
{
    spate_assert(now >= network->now);
    network->now = now;
    while (network->heap_count > 0 && network->heap[0]->due <= now) {
        struct packet *packet = take_earliest(network);
        spate_sim_endpoint_deliver(&network->endpoints[packet->to], packet);
    }
}

void spate_net_sim_set_link(struct spate_net_sim *network, uint32_t from, uint32_t to,
                            const struct spate_net_sim_link *link)
{
    spate_assert(from < network->endpoint_count);
    spate_assert(to < network->endpoint_count);
    network->links[from][to].options = *link;
}

void spate_net_sim_cut(struct spate_net_sim *network, uint32_t from, uint32_t to, bool is_cut)
{
    spate_assert(from < network->endpoint_count);
    spate_assert(to < network->endpoint_count);
    network->links[from][to].is_cut = is_cut;
}

void spate_net_sim_clog(struct spate_net_sim *network, uint32_t from, uint32_t to,
                        spate_time_ns until)
{
    spate_assert(from < network->endpoint_count);
    spate_assert(to < network->endpoint_count);
    network->links[from][to].clogged_until = until;
}

void spate_net_sim_destroy(struct spate_net_sim *network)
{
    if (network == NULL) {
        return;
    }
    for (uint32_t i = 0; i < network->endpoint_count; i++) {
        spate_assert(!network->endpoints[i].is_open);
    }
    free(network->packets);
    free(network->bytes);
    free(network->heap);
    free(network);
}

spate_err spate_net_sim_create(const struct spate_net_sim_options *options,
                               struct spate_net_sim **ret_network)
{
    const uint32_t frame_bytes =
        options->frame_bytes_max != 0 ? options->frame_bytes_max : SPATE_FRAME_BYTES_MIN;
    const uint32_t frames = options->frames_max != 0 ? options->frames_max : FRAMES_MAX;
    const size_t stride = spate_round_up_8(frame_bytes);

    if (options->endpoints < 1 || options->endpoints > SPATE_PEERS_MAX ||
        frame_bytes < SPATE_FRAME_BYTES_MIN || frame_bytes > SPATE_FRAME_BYTES_MAX ||
        frames < SPATE_BURST_MAX * options->endpoints * 2) {
        return SPATE_ERR_INVALID;
    }
    struct spate_net_sim *network = calloc(1, sizeof *network);
    if (network == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    network->packets = calloc(frames, sizeof *network->packets);
    network->bytes = calloc(frames, stride);
    network->heap = calloc(frames, sizeof(struct packet *));
    if (network->packets == NULL || network->bytes == NULL || network->heap == NULL) {
        spate_net_sim_destroy(network);
        return SPATE_ERR_NO_MEMORY;
    }
    spate_prng_seed(&network->prng, options->seed, 0x6e6574);
    network->packets_count = frames;
    network->frame_bytes_max = frame_bytes;
    network->endpoint_count = options->endpoints;
    network->lent_max = frames / options->endpoints / 2;
    for (uint32_t i = frames; i > 0; i--) {
        network->packets[i - 1].data = network->bytes + stride * (i - 1);
        spate_sim_packet_give(network, &network->packets[i - 1]);
    }
    for (uint32_t i = 0; i < options->endpoints; i++) {
        spate_sim_endpoint_init(network, i);
    }
    *ret_network = network;
    return SPATE_OK;
}
