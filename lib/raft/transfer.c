/*
 * Leadership transfer (thesis section 3.10): the leader takes no more proposals, waits until the
 * target has its whole log, and tells it to campaign at once. If that takes longer than an election
 * timeout the leader goes on as before.
 */
#include "raft_internal.h"

/* A leader looks for a voter of higher priority no more often than this many election timeouts. */
#define PREFER_EVERY 10u

static bool may_lead(const struct spate_raft *raft, uint32_t place)
{
    const struct spate_member *member = &raft->configs.now.members[place];
    const struct spate_progress *progress = &raft->progress[place];

    spate_assert(place < raft->configs.now.count);
    spate_assert(progress->active_at <= raft->now);
    return place != raft->self && (member->is_voter || member->is_voter_next) &&
           !(spate_membership_is_joint(&raft->configs.now) && !member->is_voter_next) &&
           progress->session != 0 && progress->is_replicating && !progress->is_mute &&
           raft->now - progress->active_at < raft->options.election_timeout_ns_min;
}

/* The voter of the highest priority, and of those the one with most of the log. */
static uint32_t best(const struct spate_raft *raft)
{
    uint32_t found = SPATE_MEMBERS_MAX;

    spate_assert(spate_raft_is_leader(raft));
    for (uint32_t place = 0; place < raft->configs.now.count; place++) {
        if (!may_lead(raft, place)) {
            continue;
        }
        const uint8_t priority = raft->configs.now.members[place].priority;
        const uint8_t highest =
            found == SPATE_MEMBERS_MAX ? 0 : raft->configs.now.members[found].priority;
        if (found == SPATE_MEMBERS_MAX || priority > highest ||
            (priority == highest && raft->progress[place].match > raft->progress[found].match)) {
            found = place;
        }
    }
    spate_assert(found == SPATE_MEMBERS_MAX || found < raft->configs.now.count);
    return found;
}

static bool emit(struct spate_raft *raft, struct spate_effects *effects, spate_node_id to)
{
    struct spate_message *message =
        spate_effects_message(raft, effects, SPATE_MESSAGE_TIMEOUT_NOW, to);

    spate_assert(spate_raft_is_leader(raft));
    spate_assert(to != raft->options.self);
    if (message == NULL) {
        return false;
    }
    /* It may win whenever that message arrives, so no promise of silence holds any more. */
    raft->is_lease_void = true;
    return true;
}

bool spate_transfer_begin(struct spate_raft *raft, spate_node_id to)
{
    spate_assert(raft->options.election_timeout_ns_max > 0);
    if (!spate_raft_is_leader(raft) || raft->transfer.to != 0 ||
        raft->lead_first == SPATE_INDEX_NONE_YET) {
        return false;
    }
    const uint32_t place = to == 0 ? best(raft) : spate_membership_find(&raft->configs.now, to);
    if (place == SPATE_MEMBERS_MAX || !may_lead(raft, place)) {
        return false;
    }
    raft->transfer = (struct spate_transfer){
        .to = spate_raft_member(raft, place),
        .until = raft->now + raft->options.election_timeout_ns_max,
    };
    raft->is_dirty = true;
    return true;
}

void spate_transfer_hand_over(struct spate_raft *raft, struct spate_effects *effects)
{
    const uint32_t place = best(raft);

    spate_assert(spate_raft_is_leader(raft));
    spate_assert(place == SPATE_MEMBERS_MAX || place != raft->self);
    if (place != SPATE_MEMBERS_MAX) {
        (void)emit(raft, effects, spate_raft_member(raft, place));
    }
}

/* Hands over to a caught-up voter of higher priority, if there is one. */
static void prefer(struct spate_raft *raft)
{
    spate_assert(spate_raft_is_leader(raft));
    spate_assert(raft->transfer.to == 0);
    if (raft->now < raft->prefer_at || raft->self == SPATE_MEMBERS_MAX) {
        return;
    }
    raft->prefer_at = raft->now + PREFER_EVERY * raft->options.election_timeout_ns_max;
    const uint32_t place = best(raft);
    if (place != SPATE_MEMBERS_MAX &&
        raft->configs.now.members[place].priority >
            raft->configs.now.members[raft->self].priority &&
        (spate_members_caught_up(raft) & 1u << place) != 0) {
        (void)spate_transfer_begin(raft, spate_raft_member(raft, place));
    }
}

void spate_transfer_advance(struct spate_raft *raft, struct spate_effects *effects)
{
    struct spate_transfer *transfer = &raft->transfer;

    spate_assert(spate_raft_is_leader(raft));
    if (transfer->to == 0) {
        prefer(raft);
    }
    if (transfer->to == 0) {
        return;
    }
    const uint32_t place = spate_membership_find(&raft->configs.now, transfer->to);
    if (raft->now >= transfer->until || place == SPATE_MEMBERS_MAX) {
        *transfer = (struct spate_transfer){.to = 0};
        return;
    }
    if (raft->progress[place].match == spate_log_last(raft->log) &&
        raft->now >= transfer->tell_at && emit(raft, effects, transfer->to)) {
        transfer->tell_at = raft->now + raft->options.heartbeat_ns;
    }
    spate_assert(transfer->until > raft->now);
}

void spate_transfer_receive(struct spate_raft *raft, const struct spate_message *message)
{
    spate_assert(message->kind == SPATE_MESSAGE_TIMEOUT_NOW);
    spate_assert(message->from != raft->options.self);
    if (message->term != raft->term || raft->leader != message->from ||
        spate_raft_is_leader(raft)) {
        return; /* Of an earlier term, or from somebody who does not lead us. */
    }
    spate_election_take_over(raft);
}
