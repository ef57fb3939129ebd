/*
 * Snapshots, as far as the engine goes (paper section 7). Images are the host's: it takes, sends,
 * receives and restores them. The engine says who needs one, lets a member's chunks in only when
 * they come from its leader, and puts an installed snapshot in the place of the log.
 *
 * Nothing is remembered of a member that needs a snapshot: it needs one as long as what comes next
 * for it is stored nowhere here. So a transfer that fails, or is no longer needed, leaves nothing
 * behind; what a member has is learnt from its answers to AppendEntries, as always.
 */
#include "raft_internal.h"

bool spate_snapshot_is_needed(const struct spate_raft *raft, uint32_t place)
{
    spate_assert(place < raft->configs.now.count);
    const struct spate_progress *progress = &raft->progress[place];

    /* Of a member that was never heard of, `next` is only a guess. */
    return spate_raft_is_leader(raft) && place != raft->self && progress->session != 0 &&
           progress->next < spate_log_first(raft->log) &&
           progress->next < raft->options.first_stored;
}

void spate_snapshot_ask(struct spate_raft *raft, struct spate_effects *effects)
{
    spate_assert(spate_raft_is_leader(raft));
    spate_assert(raft->configs.now.count >= 1);
    effects->snapshot_count = 0;
    for (uint32_t place = 0; place < raft->configs.now.count; place++) {
        if (spate_snapshot_is_needed(raft, place)) {
            effects->snapshot_members[effects->snapshot_count++] = spate_raft_member(raft, place);
        }
    }
    spate_assert(effects->snapshot_count < SPATE_MEMBERS_MAX);
}

void spate_snapshot_receive(struct spate_raft *raft, const struct spate_message *message)
{
    const struct spate_message_snapshot *snapshot = &message->snapshot;

    spate_assert(message->kind == SPATE_MESSAGE_SNAPSHOT);
    if (message->term < raft->term) {
        return; /* Its heartbeats tell that leader. */
    }
    if (snapshot->last.term > message->term || snapshot->last.index < 1 ||
        snapshot->last.term < 1 || snapshot->last.index > SPATE_TERM_MAX ||
        !spate_append_acknowledge(raft, message)) {
        raft->messages_invalid++;
        return;
    }
    raft->is_chunk_welcome = true;
    spate_assert(raft->leader == message->from);
}

/* Whether the log has the snapshot's last entry. */
static bool has_entry(const struct spate_raft *raft, struct spate_entry_id id)
{
    spate_assert(id.term >= 1);
    spate_assert(id.index > raft->commit);
    return id.index <= spate_log_last(raft->log) &&
           spate_conflict_term(raft->log, id.index) == id.term;
}

/* The log begins anew behind the snapshot. */
static spate_err begin_anew(struct spate_raft *raft, const struct spate_event *event)
{
    const struct spate_entry_id last = event->installed.last;
    struct spate_follower *follower = &raft->follower;

    spate_assert(!spate_raft_is_leader(raft));
    spate_assert(event->installed.membership_index <= last.index);
    const spate_err err = spate_log_reset(raft->log, last);
    if (err != SPATE_OK) {
        return err;
    }
    spate_tickets_reset(&raft->tickets, last);
    raft->options.first_stored = last.index + 1;
    raft->commit = last.index;
    follower->verified = last.index;
    follower->told_match = 0;
    follower->has_reject = false;
    follower->has_accept = raft->leader != 0 && follower->accept_round > 0;
    /* Nothing that the old log said of members counts: it may never have been committed. */
    spate_members_reset(raft, event->installed.membership_index, event->installed.membership);
    spate_assert(spate_log_last(raft->log) == last.index);
    return SPATE_OK;
}

spate_err spate_snapshot_install(struct spate_raft *raft, const struct spate_event *event)
{
    const struct spate_entry_id last = event->installed.last;

    spate_assert(last.index >= 1);
    spate_assert(last.term >= 1);
    spate_assert(event->installed.membership != NULL);
    spate_assert(event->kind == SPATE_EVENT_INSTALLED);
    raft->is_dirty = true;
    if (last.index <= raft->commit) {
        return SPATE_OK; /* We have come there by ourselves. */
    }
    if (has_entry(raft, last)) {
        /* All up to it is the same in both (log matching), and what follows may be as well. */
        raft->commit = last.index;
        if (!spate_raft_is_leader(raft) && raft->follower.verified < last.index) {
            raft->follower.verified = last.index;
        }
        return SPATE_OK;
    }
    /* No correct leader sends what contradicts our term, our leadership, or itself. */
    if (event->installed.membership_index > last.index ||
        !spate_membership_is_valid(event->installed.membership) || last.term > raft->term ||
        spate_raft_is_leader(raft) || raft->follower.verified >= last.index) {
        raft->messages_invalid++;
        return SPATE_ERR_CORRUPT;
    }
    return begin_anew(raft, event);
}

void spate_raft_compacted(struct spate_raft *raft, spate_index first_stored)
{
    spate_assert(raft != NULL);
    spate_assert(first_stored >= 1);
    if (first_stored > raft->options.first_stored) {
        raft->options.first_stored = first_stored;
    }
}
