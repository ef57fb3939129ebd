/*
 * The follower's side of AppendEntries (paper section 5.3 and figure 2). Everything in the message
 * comes from outside: it is checked, and dropped and counted when no correct leader can have sent
 * it; none of it reaches an assertion.
 */
#include "raft_internal.h"

/* Whether any correct leader of message->term could have sent this. */
static bool is_plausible(const struct spate_message *message)
{
    spate_assert(message->kind == SPATE_MESSAGE_APPEND);
    spate_assert(message->term >= 1);
    const struct spate_message_append *append = &message->append;

    if (append->prev.term > message->term ||
        (append->prev.index == 0) != (append->prev.term == 0)) {
        return false;
    }
    if (append->prev.index > UINT64_MAX - 2 - append->count) {
        return false;
    }
    if (append->count == 0) {
        return append->bytes == 0;
    }
    return append->entries != NULL && append->entries_term >= 1 &&
           append->entries_term >= append->prev.term && append->entries_term <= message->term &&
           append->bytes / SPATE_ENTRY_HEADER_BYTES >= append->count;
}

static void owe_term(struct spate_raft *raft, const struct spate_message *message)
{
    struct spate_answers *answers = spate_vote_owe(raft, message->from);

    spate_assert(message->term < raft->term);
    if (answers == NULL) {
        return;
    }
    answers->has_stale_append = true;
    answers->stale_session = message->session;
    answers->stale_round = message->append.round;
    answers->stale_prev = message->append.prev.index;
    spate_assert(answers->to == message->from);
}

bool spate_append_acknowledge(struct spate_raft *raft, const struct spate_message *message)
{
    spate_assert(message->term >= raft->term);
    if (message->term == raft->term) {
        if (spate_raft_is_leader(raft)) {
            return false;
        }
        if (raft->leader != 0 &&
            (raft->leader != message->from || raft->follower.leader_session != message->session)) {
            return false;
        }
    }
    if (message->term > raft->term || raft->leader == 0) {
        spate_election_follow(raft, message->term, message->from);
        raft->follower.leader_session = message->session;
    } else {
        spate_election_arm(raft);
    }
    raft->follower.heard_at = raft->now;
    spate_mute_meet(raft, message->from);
    if (raft->vote == 0 && raft->role == SPATE_ROLE_LEARNER) {
        /* Should it be promoted within this term, it must not elect a second leader after a
         * restart that forgets the first. */
        raft->vote = message->from;
    }
    spate_assert(raft->leader == message->from);
    return true;
}

/* The offset of the entry number `skip`, or UINT32_MAX when the bytes are no entries. */
static uint32_t offset_of(const struct spate_message_append *append, uint32_t skip)
{
    uint32_t offset = 0;

    spate_assert(skip <= append->count);
    for (uint32_t i = 0; i < skip; i++) {
        struct spate_entry entry;
        const uint32_t stride =
            spate_entry_decode(append->entries + offset, append->bytes - offset, &entry);
        if (stride == 0) {
            return UINT32_MAX;
        }
        offset += stride;
    }
    spate_assert(offset <= append->bytes);
    return offset;
}

/* Up to which index, beyond prev, our log has the message's entries already. */
static spate_index same_until(const struct spate_raft *raft,
                              const struct spate_message_append *append)
{
    spate_assert(append->prev.index <= spate_log_last(raft->log));
    const spate_index end = append->prev.index + append->count;
    const spate_index last = spate_log_last(raft->log);
    const spate_index overlap = end < last ? end : last;
    spate_index floor = append->prev.index > raft->commit ? append->prev.index : raft->commit;

    floor = floor < overlap ? floor : overlap;
    spate_index same = overlap;
    /* One term in the message, so by log matching one equal term settles all before it. */
    while (same > floor && spate_conflict_term(raft->log, same) != append->entries_term) {
        same = spate_log_term_first(raft->log, same) - 1;
    }
    spate_assert(floor <= overlap);
    return same > floor ? same : floor;
}

/* Removes what conflicts behind `same`. False: it cannot be done, or must not be. */
static bool remove_conflict(struct spate_raft *raft, const struct spate_message_append *append,
                            spate_index same)
{
    spate_assert(same < spate_log_last(raft->log));
    spate_assert(same >= raft->commit);
    /* What this leader has vouched for it cannot take back; and nothing is thrown away for bytes
     * that turn out not to be entries. */
    if (same < raft->follower.verified || !spate_configs_can_cut(&raft->configs, same) ||
        offset_of(append, append->count) != append->bytes) {
        raft->messages_invalid++;
        return false;
    }
    if (spate_log_truncate(raft->log, same) != SPATE_OK) {
        raft->appends_busy++;
        return false;
    }
    spate_tickets_truncate(&raft->tickets, same);
    spate_members_cut(raft, same);
    spate_assert(spate_log_last(raft->log) == same);
    return true;
}

/* Takes the entries into the log. Returns how far the log is now the same as the leader's. */
static spate_index take_entries(struct spate_raft *raft, const struct spate_message_append *append)
{
    const spate_index end = append->prev.index + append->count;
    const spate_index same = same_until(raft, append);

    spate_assert(same >= append->prev.index);
    if (same == end) {
        return end;
    }
    const uint32_t skip = (uint32_t)(same - append->prev.index);
    const uint32_t offset = offset_of(append, skip);
    if (offset == UINT32_MAX || spate_conflict_term(raft->log, same) > append->entries_term) {
        raft->messages_invalid++;
        return append->prev.index;
    }
    if (same < spate_log_last(raft->log) && !remove_conflict(raft, append, same)) {
        return append->prev.index;
    }
    const spate_err err =
        spate_log_stage_encoded(raft->log, append->entries_term, append->entries + offset,
                                append->bytes - offset, append->count - skip);
    if (err != SPATE_OK) {
        /* Back-pressure, or bytes that are no entries: either way only what we have counts. */
        *(err == SPATE_ERR_BUSY ? &raft->appends_busy : &raft->messages_invalid) += 1;
        return same;
    }
    spate_log_publish(raft->log);
    if ((spate_log_published_kinds(raft->log) & SPATE_LOG_KIND(SPATE_ENTRY_MEMBERSHIP)) != 0) {
        spate_members_follow_log(raft, same + 1);
    }
    spate_assert(spate_log_last(raft->log) == end);
    return end;
}

enum prev_check { PREV_SAME, PREV_DIFFERS, PREV_IMPOSSIBLE };

static enum prev_check check_prev(const struct spate_raft *raft, struct spate_entry_id prev)
{
    spate_assert(raft->commit <= spate_log_last(raft->log));
    if (prev.index > spate_log_last(raft->log)) {
        return PREV_DIFFERS;
    }
    const spate_term term = spate_conflict_term(raft->log, prev.index);
    if (prev.index <= raft->commit) {
        /* What is committed is in the leader's log, also where ours no longer reaches. */
        return term == 0 || term == prev.term ? PREV_SAME : PREV_IMPOSSIBLE;
    }
    spate_assert(term >= 1);
    return term == prev.term ? PREV_SAME : PREV_DIFFERS;
}

void spate_append_receive(struct spate_raft *raft, const struct spate_message *message)
{
    const struct spate_message_append *append = &message->append;
    struct spate_follower *follower = &raft->follower;

    spate_assert(message->kind == SPATE_MESSAGE_APPEND);
    if (message->term < raft->term) {
        owe_term(raft, message);
        return;
    }
    if (!is_plausible(message) || !spate_append_acknowledge(raft, message)) {
        raft->messages_invalid++;
        return;
    }
    spate_index same = 0;
    switch (check_prev(raft, append->prev)) {
    case PREV_IMPOSSIBLE:
        raft->messages_invalid++;
        return;
    case PREV_DIFFERS:
        if (!follower->has_reject || append->round > follower->reject_round) {
            follower->has_reject = true;
            follower->reject_round = append->round;
            follower->reject_prev = append->prev;
        }
        return;
    case PREV_SAME:
        same = take_entries(raft, append);
        break;
    }
    follower->verified = same > follower->verified ? same : follower->verified;
    follower->has_accept = true;
    follower->accept_round =
        append->round > follower->accept_round ? append->round : follower->accept_round;
    follower->leader_commit =
        append->commit > follower->leader_commit ? append->commit : follower->leader_commit;
    spate_commit_follow(raft);
    spate_assert(follower->verified <= spate_log_last(raft->log));
}

static spate_index match_of(const struct spate_raft *raft)
{
    spate_assert(raft->follower.verified <= spate_log_last(raft->log));
    spate_assert(raft->tickets.durable.last <= spate_log_last(raft->log));
    const spate_index durable = raft->tickets.durable.last;
    return durable < raft->follower.verified ? durable : raft->follower.verified;
}

void spate_append_stored(struct spate_raft *raft)
{
    spate_assert(raft->tickets.completed <= raft->tickets.issued);
    spate_assert(raft->tickets.durable.last <= spate_log_last(raft->log));
    /* Rounds begin at 1: before the leader's first the answer would name none. */
    if (!spate_raft_is_leader(raft) && raft->leader != 0 && raft->follower.accept_round > 0 &&
        match_of(raft) > raft->follower.told_match) {
        raft->follower.has_accept = true;
    }
}

static bool send_accept(struct spate_raft *raft, struct spate_effects *effects)
{
    spate_assert(spate_raft_term_is_durable(raft));
    spate_assert(raft->leader != 0);
    struct spate_follower *follower = &raft->follower;
    struct spate_message *message =
        spate_effects_message(raft, effects, SPATE_MESSAGE_APPEND_RESULT, raft->leader);
    if (message == NULL) {
        return false;
    }
    follower->told_match = match_of(raft);
    message->peer_session = follower->leader_session;
    message->append_result.is_accepted = true;
    message->append_result.is_mute = !spate_mute_may_count(raft);
    message->append_result.round = follower->accept_round;
    message->append_result.match = follower->told_match;
    message->append_result.last = follower->verified;
    spate_assert(message->append_result.match <= message->append_result.last);
    return true;
}

static bool send_reject(struct spate_raft *raft, struct spate_effects *effects)
{
    spate_assert(spate_raft_term_is_durable(raft));
    spate_assert(raft->follower.has_reject);
    const struct spate_follower *follower = &raft->follower;
    struct spate_message *message =
        spate_effects_message(raft, effects, SPATE_MESSAGE_APPEND_RESULT, raft->leader);
    if (message == NULL) {
        return false;
    }
    const spate_index last = spate_log_last(raft->log);
    const spate_index prev = follower->reject_prev.index;
    spate_index hint =
        spate_conflict_find(raft->log, prev < last ? prev : last, follower->reject_prev.term);
    hint = hint > follower->verified ? hint : follower->verified;
    spate_assert(hint <= last);
    message->peer_session = follower->leader_session;
    message->append_result.is_accepted = false;
    message->append_result.is_mute = !spate_mute_may_count(raft);
    message->append_result.round = follower->reject_round;
    message->append_result.prev = prev;
    message->append_result.last = hint;
    message->append_result.hint_term = spate_conflict_term(raft->log, hint);
    return true;
}

void spate_append_send(struct spate_raft *raft, struct spate_effects *effects)
{
    spate_assert(!spate_raft_is_leader(raft) || raft->leader == raft->options.self);
    struct spate_follower *follower = &raft->follower;

    if (!follower->has_accept && !follower->has_reject) {
        return;
    }
    if (raft->leader == 0 || spate_raft_is_leader(raft)) {
        follower->has_accept = false; /* Nobody is left to be answered. */
        follower->has_reject = false;
        return;
    }
    if (!spate_raft_term_is_durable(raft)) {
        return;
    }
    follower->has_accept = follower->has_accept && !send_accept(raft, effects);
    follower->has_reject = follower->has_reject && !send_reject(raft, effects);
    raft->is_waiting = raft->is_waiting || follower->has_accept || follower->has_reject;
}
