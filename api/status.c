/* What a core tells about itself: the node's published copy, and the counters of link and driver.
 */
#include "core_internal.h"

#include <string.h>

#define LOAD(counter) atomic_load_explicit(&(counter), memory_order_relaxed)

static void fill_traffic(const struct spate_link *link, struct spate_status *status)
{
    const struct spate_net *net = spate_link_net(link);

    status->transport = net->ops->name;
    status->rx_frames = LOAD(net->stats.rx_frames);
    status->rx_bytes = LOAD(net->stats.rx_bytes);
    status->rx_dropped = LOAD(net->stats.rx_dropped);
    status->tx_frames = LOAD(net->stats.tx_frames);
    status->tx_bytes = LOAD(net->stats.tx_bytes);
    status->tx_dropped = LOAD(net->stats.tx_dropped);
    for (uint32_t i = 0; i < SPATE_LINK_DROP_COUNT; i++) {
        status->rx_dropped += spate_link_dropped(link, (enum spate_link_drop)i);
    }
}

static void fill_peer(const struct spate_link *link, const struct spate_raft_peer_status *raft,
                      struct spate_peer_status *peer)
{
    struct spate_link_peer_status status;

    peer->id = raft->id;
    peer->is_active = raft->is_active;
    peer->match = raft->match;
    if (!spate_link_peer_status(link, raft->id, &status)) {
        return;
    }
    peer->is_connected = status.is_connected;
    peer->is_refused = status.is_refused;
    peer->rtt_ns = status.rtt_ns;
    peer->refusal = status.is_refused ? spate_link_drop_text(status.refusal) : NULL;
    spate_address_format(&status.address, peer->address);
}

void spate_get_status(const struct spate *spate, struct spate_status *ret_status)
{
    const struct spate_link *link = spate_node_link(spate->node);
    struct spate_node_status node;

    _Static_assert(sizeof ret_status->peers[0].address >= SPATE_ADDRESS_TEXT_BYTES,
                   "an address fits");
    spate_node_status(spate->node, &node);
    memset(ret_status, 0, sizeof *ret_status);
    ret_status->id = spate->id;
    ret_status->leader = node.raft.leader;
    ret_status->role = node.raft.role;
    ret_status->term = node.raft.term;
    ret_status->first = node.log_first;
    ret_status->received = node.raft.received;
    ret_status->durable = node.raft.durable;
    ret_status->committed = node.raft.commit;
    ret_status->applied = node.applied;
    ret_status->quorum_age_ns = node.raft.quorum_age_ns;
    ret_status->elections_started = node.raft.elections_started;
    ret_status->log_used_bytes = node.log_used_bytes;
    ret_status->snapshot_index = node.snapshot_index;
    ret_status->snapshots_taken = node.snapshots_taken;
    ret_status->snapshots_sent = node.snapshots_sent;
    ret_status->snapshots_installed = node.snapshots_installed;
    ret_status->snapshot_bytes_sent = node.snapshot_bytes_sent;
    ret_status->snapshot_bytes_received = node.snapshot_bytes_received;
    ret_status->log_budget_bytes = node.log_budget_bytes;
    ret_status->proposals = node.proposals;
    ret_status->proposals_forwarded = node.proposals_forwarded;
    ret_status->proposals_refused = node.proposals_refused;
    ret_status->reads = node.reads;
    ret_status->reads_refused = node.reads_refused;
    ret_status->reads_leased = node.raft.reads_leased;
    ret_status->entries_applied = node.entries_applied;
    ret_status->turns = node.turns;
    ret_status->turns_idle = node.turns_idle;
    ret_status->durability = node.durability;
    ret_status->is_insecure = spate->is_insecure;
    ret_status->is_loopback_only = spate->is_loopback_only;
    ret_status->is_disk_low = node.is_disk_low;
    ret_status->is_mute = node.raft.is_mute;
    ret_status->device = spate->device;
    ret_status->poll = spate->poll;
    ret_status->peer_count = node.raft.peer_count;
    for (uint32_t i = 0; i < node.raft.peer_count; i++) {
        fill_peer(link, &node.raft.peers[i], &ret_status->peers[i]);
    }
    fill_traffic(link, ret_status);
}

bool spate_get_drop(const struct spate *spate, uint32_t reason, const char **ret_name,
                    uint64_t *ret_count)
{
    const struct spate_link *link = spate_node_link(spate->node);

    if (reason >= SPATE_LINK_DROP_COUNT) {
        return false;
    }
    *ret_name = spate_link_drop_text((enum spate_link_drop)reason);
    *ret_count = spate_link_dropped(link, (enum spate_link_drop)reason);
    return true;
}

bool spate_get_counter(const struct spate *spate, uint32_t place, struct spate_counter *ret_counter)
{
    struct spate_net_counter counter;

    if (!spate_net_counter(spate->net, place, &counter)) {
        return false;
    }
    *ret_counter = (struct spate_counter){
        .name = counter.name,
        .value = counter.value,
        .is_level = counter.kind == SPATE_NET_COUNTER_LEVEL,
        .is_drop = counter.is_drop,
    };
    return true;
}

bool spate_next_sample(struct spate *spate, struct spate_sample *ret_sample)
{
    return spate_node_next_sample(spate->node, ret_sample);
}

bool spate_next_notice(struct spate *spate, struct spate_notice *ret_notice)
{
    struct spate_net_notice notice;

    if (!spate_net_notice(spate->net, &notice)) {
        return false;
    }
    _Static_assert(sizeof ret_notice->text == sizeof notice.text, "a line fits");
    ret_notice->is_warning = notice.level == SPATE_NET_NOTICE_WARNING;
    memcpy(ret_notice->text, notice.text, sizeof notice.text);
    return true;
}
