/* The weather: what a link does to a packet, one small step after the other. */
#include <math.h>
#include <string.h>

#include "sim_internal.h"

static bool chance(struct spate_net_sim *network, uint32_t ppm)
{
    return ppm > 0 && spate_prng_chance_ppm(&network->prng, ppm);
}

/* Exponential with the given mean, cut at eight times the mean. */
static spate_time_ns exponential(struct spate_net_sim *network, spate_time_ns mean)
{
    if (mean == 0) {
        return 0;
    }
    const double uniform = (double)((spate_prng_next(&network->prng) >> 11) + 1) * 0x1p-53;
    const double drawn = -log(uniform) * (double)mean;
    const double most = 8.0 * (double)mean;
    return (spate_time_ns)(drawn < most ? drawn : most);
}

/* The bottleneck: when the packet has left it. False: too much waits already. */
static bool leave(struct spate_net_sim *network, struct link *link, uint32_t size,
                  spate_time_ns *ret_left)
{
    const struct spate_net_sim_link *options = &link->options;
    const spate_time_ns start = link->sent_until > network->now ? link->sent_until : network->now;

    if (options->bytes_per_s == 0) {
        *ret_left = network->now;
        return true;
    }
    if (options->queue_ns_max != 0 && start - network->now > options->queue_ns_max) {
        return false;
    }
    link->sent_until = start + (uint64_t)size * 1000000000u / options->bytes_per_s;
    *ret_left = link->sent_until;
    return true;
}

static spate_time_ns arrival(struct spate_net_sim *network, struct link *link, spate_time_ns left)
{
    const struct spate_net_sim_link *options = &link->options;
    spate_time_ns due = left + options->delay_ns_min + exponential(network, options->delay_ns_mean);

    if (due < link->clogged_until) {
        due = link->clogged_until;
    }
    if (due < link->last_due && !chance(network, options->reorder_ppm)) {
        due = link->last_due;
    }
    if (due > link->last_due) {
        link->last_due = due;
    }
    return due;
}

static void schedule_copy(struct spate_net_sim *network, const struct packet *packet,
                          spate_time_ns due)
{
    struct packet *copy = spate_sim_packet_take(network);

    if (copy == NULL) {
        return;
    }
    copy->from = packet->from;
    copy->to = packet->to;
    copy->size = packet->size;
    memcpy(copy->data, packet->data, packet->size);
    spate_sim_schedule(network, copy, due);
}

bool spate_sim_link_forward(struct spate_net_sim *network, struct packet *packet)
{
    struct link *link = &network->links[packet->from][packet->to];
    const struct spate_net_sim_link *options = &link->options;
    spate_time_ns left = 0;

    if (!leave(network, link, packet->size, &left)) {
        spate_sim_packet_give(network, packet);
        return false;
    }
    if (link->is_cut || chance(network, options->loss_ppm)) {
        spate_sim_packet_give(network, packet);
        return true; /* The sender cannot know. */
    }
    if (chance(network, options->duplicate_ppm)) {
        schedule_copy(network, packet, arrival(network, link, left));
    }
    if (chance(network, options->replay_ppm)) {
        schedule_copy(network, packet,
                      left + spate_prng_between(&network->prng, 0, options->replay_ns_max));
    }
    spate_sim_schedule(network, packet, arrival(network, link, left));
    return true;
}
