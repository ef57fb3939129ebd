/* The end of a turn: timers, the store's batch, the messages, the next deadline. */
#include "raft_internal.h"

static void run_timers(struct spate_raft *raft)
{
    if (spate_raft_is_leader(raft)) {
        spate_election_check_quorum(raft);
    } else if (raft->now >= raft->election_at) {
        spate_election_campaign(raft);
    }
    if (spate_raft_is_leader(raft) && raft->lead_first == SPATE_INDEX_NONE_YET) {
        spate_propose_noop(raft);
    }
    spate_assert(raft->term <= SPATE_TERM_MAX);
}

static spate_time_ns deadline_of(const struct spate_raft *raft)
{
    if (raft->is_waiting) {
        return raft->now;
    }
    if (!spate_raft_is_leader(raft)) {
        const bool is_asking =
            raft->role == SPATE_ROLE_CANDIDATE || raft->role == SPATE_ROLE_PRE_CANDIDATE;
        const spate_time_ns read_at = spate_read_deadline(raft);
        const spate_time_ns at = is_asking && raft->ask_again_at < raft->election_at
                                     ? raft->ask_again_at
                                     : raft->election_at;
        return read_at < at ? read_at : at;
    }
    spate_time_ns deadline = spate_replicate_deadline(raft);
    if (raft->options.check_quorum_enabled && raft->check_quorum_at < deadline) {
        deadline = raft->check_quorum_at;
    }
    if (raft->lead_first == SPATE_INDEX_NONE_YET &&
        raft->now + raft->options.heartbeat_ns < deadline) {
        deadline = raft->now + raft->options.heartbeat_ns;
    }
    if (raft->transfer.to != 0 && raft->transfer.until < deadline) {
        deadline = raft->transfer.until;
    }
    if (raft->fetching.ask_at > raft->now && raft->fetching.ask_at < deadline) {
        deadline = raft->fetching.ask_at;
    }
    spate_assert(deadline > 0);
    return deadline;
}

void spate_flush(struct spate_raft *raft, bool store_is_ready, uint64_t store_bytes_max,
                 struct spate_effects *effects)
{
    spate_assert(effects != NULL);
    if (raft->is_dirty || raft->now >= raft->deadline) {
        raft->is_dirty = false;
        raft->is_waiting = false;
        run_timers(raft);
        spate_vote_send(raft, effects);
        if (spate_raft_is_leader(raft)) {
            spate_transfer_advance(raft, effects);
            spate_mute_advance(raft, effects);
            spate_members_advance(raft, effects);
        }
        if (spate_raft_is_leader(raft)) {
            spate_read_confirm(raft, effects);
            spate_replicate_send(raft, effects);
            spate_fetch_ask(raft, effects);
            spate_snapshot_ask(raft, effects);
        } else {
            spate_append_send(raft, effects);
            spate_read_tell(raft, effects);
        }
        /* What the timers did was done in this flush; only what waits calls for another. */
        raft->is_dirty = false;
        raft->deadline = deadline_of(raft);
    }
    if (store_is_ready && spate_batch_is_due(raft) && spate_tickets_has_room(&raft->tickets)) {
        spate_batch_make(raft, store_bytes_max, effects);
    }
    spate_assert(raft->deadline >= raft->now || raft->is_waiting);
}
