/* The engine as others see it. */
#include "raft_internal.h"

static struct spate_raft_peer_status peer_status(const struct spate_raft *raft, uint32_t place,
                                                 spate_time_ns now)
{
    spate_assert(place < raft->configs.now.count);
    const struct spate_progress *progress = &raft->progress[place];
    struct spate_raft_peer_status status = {
        .id = spate_raft_member(raft, place),
        .is_voter = spate_membership_is_voter(&raft->configs.now, spate_raft_member(raft, place)),
        .is_caught_up = (spate_members_caught_up(raft) & 1u << place) != 0,
    };

    spate_assert(place != raft->self);
    if (!spate_raft_is_leader(raft)) {
        return status;
    }
    const spate_time_ns age = now > progress->active_at ? now - progress->active_at : 0;
    status.is_active = progress->session != 0 && age < raft->options.election_timeout_ns_max;
    status.is_replicating = progress->is_replicating;
    status.needs_snapshot = spate_snapshot_is_needed(raft, place);
    status.is_mute = progress->is_mute;
    status.match = progress->match;
    status.next = progress->next;
    status.inflight_messages = progress->inflight_count;
    status.inflight_bytes = progress->inflight_bytes;
    return status;
}

void spate_raft_status(const struct spate_raft *raft, spate_time_ns now,
                       struct spate_raft_status *ret_status)
{
    spate_assert(raft != NULL);
    spate_assert(ret_status != NULL);
    *ret_status = (struct spate_raft_status){
        .self = raft->options.self,
        .leader = raft->leader,
        .role = raft->role,
        .term = raft->term,
        .vote = raft->vote,
        .commit = raft->commit,
        .received = spate_log_last(raft->log),
        .durable = raft->tickets.durable.last,
        .is_mute = raft->is_mute,
        .elections_started = raft->elections_started,
        .terms_led = raft->terms_led,
        .retransmits = raft->retransmits,
        .messages_invalid = raft->messages_invalid,
        .votes_ignored = raft->votes_ignored,
        .appends_busy = raft->appends_busy,
        .members_unserved = raft->members_unserved,
        .reads_confirmed = raft->reads_confirmed,
        .reads_leased = raft->reads_leased,
        .membership = raft->configs.now,
        .membership_index = raft->configs.index,
        .transfer_to = raft->transfer.to,
    };
    if (spate_raft_is_leader(raft)) {
        /* Ourselves count as heard at the engine's last event, which may lie before `now`. */
        const bool is_alone = spate_raft_is_alone(raft);
        const spate_time_ns quorum_at = is_alone ? now : spate_election_quorum_at(raft);
        ret_status->quorum_age_ns = now > quorum_at ? now - quorum_at : 0;
    }
    for (uint32_t place = 0; place < raft->configs.now.count; place++) {
        if (place != raft->self) {
            ret_status->peers[ret_status->peer_count++] = peer_status(raft, place, now);
        }
    }
    spate_assert(ret_status->peer_count <= raft->configs.now.count);
}

spate_index spate_raft_needed_first(const struct spate_raft *raft)
{
    spate_assert(raft != NULL);
    spate_index needed = spate_log_last(raft->log) + 1;

    if (!spate_raft_is_leader(raft)) {
        return needed;
    }
    for (uint32_t place = 0; place < raft->configs.now.count; place++) {
        const struct spate_progress *progress = &raft->progress[place];
        const bool is_reachable =
            place != raft->self && progress->session != 0 &&
            raft->now - progress->active_at < raft->options.election_timeout_ns_max;
        if (is_reachable && progress->received + 1 < needed) {
            needed = progress->received + 1;
        }
    }
    spate_assert(needed >= 1);
    return needed;
}

spate_index spate_raft_received_by(const struct spate_raft *raft, spate_node_id member)
{
    spate_assert(raft != NULL);
    spate_assert(member != 0);
    const uint32_t place = spate_membership_find(&raft->configs.now, member);

    return spate_raft_is_leader(raft) && place != SPATE_MEMBERS_MAX && place != raft->self
               ? raft->progress[place].received
               : 0;
}

spate_index spate_raft_held_by_all(const struct spate_raft *raft)
{
    spate_assert(raft != NULL);
    spate_index held = spate_log_last(raft->log);

    if (!spate_raft_is_leader(raft)) {
        return 0;
    }
    for (uint32_t place = 0; place < raft->configs.now.count; place++) {
        const struct spate_progress *progress = &raft->progress[place];
        if (place != raft->self) {
            const spate_index received = progress->session != 0 ? progress->received : 0;
            held = received < held ? received : held;
        }
    }
    return held;
}

spate_index spate_raft_durable(const struct spate_raft *raft)
{
    spate_assert(raft != NULL);
    return raft->tickets.durable.last;
}
