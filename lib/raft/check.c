/* The invariants of the engine, as a function. */
#include "raft_internal.h"

static bool indexes_are_valid(const struct spate_raft *raft)
{
    const spate_index first = spate_log_first(raft->log);
    const spate_index last = spate_log_last(raft->log);
    const struct spate_tickets *tickets = &raft->tickets;

    return raft->commit + 1 >= first && raft->commit <= last && tickets->submitted.last <= last &&
           tickets->durable.last <= tickets->submitted.last &&
           (spate_raft_is_leader(raft) || raft->follower.verified <= last) &&
           raft->follower.told_match <= last;
}

static bool hard_state_is_valid(const struct spate_raft *raft)
{
    const struct spate_tickets *tickets = &raft->tickets;

    if (raft->term > SPATE_TERM_MAX || spate_log_last_term(raft->log) > raft->term ||
        tickets->submitted.term > raft->term || tickets->durable.term > tickets->submitted.term) {
        return false;
    }
    /* One vote in a term: what the store was told can only be made definite. */
    if (tickets->submitted.term == raft->term && tickets->submitted.vote != 0 &&
        tickets->submitted.vote != raft->vote) {
        return false;
    }
    return spate_tickets_valid(tickets);
}

static bool role_is_valid(const struct spate_raft *raft)
{
    const spate_node_id self = raft->options.self;
    const bool is_voter = spate_members_may_campaign(raft);

    if ((raft->granted & raft->refused) != 0) {
        return false;
    }
    switch (raft->role) {
    case SPATE_ROLE_LEARNER:
        return !is_voter && raft->leader != self;
    case SPATE_ROLE_FOLLOWER:
        return is_voter && raft->leader != self;
    case SPATE_ROLE_PRE_CANDIDATE:
        return is_voter && raft->leader == 0;
    case SPATE_ROLE_CANDIDATE:
        return is_voter && raft->leader == 0 && raft->vote == self;
    case SPATE_ROLE_LEADER:
        /* Also one that was removed, until that is committed (thesis section 4.2.2). */
        return raft->leader == self && raft->vote == self && spate_raft_vote_is_durable(raft);
    }
    return false;
}

static bool leadership_is_valid(const struct spate_raft *raft)
{
    const spate_index last = spate_log_last(raft->log);

    if (!spate_raft_is_leader(raft)) {
        return true;
    }
    if (raft->lead_first != SPATE_INDEX_NONE_YET &&
        (raft->lead_first > last || spate_log_last_term(raft->log) != raft->term)) {
        return false;
    }
    for (uint32_t place = 0; place < raft->configs.now.count; place++) {
        const struct spate_progress *progress = &raft->progress[place];
        if (place == raft->self) {
            continue;
        }
        if (!spate_progress_valid(progress, last) || progress->rewind_round > raft->round + 1 ||
            progress->session_round > progress->rewind_round ||
            progress->commit_sent > raft->commit) {
            return false;
        }
    }
    return true;
}

static bool reads_are_valid(const struct spate_raft *raft)
{
    const struct spate_reads *reads = &raft->reads;

    if (reads->ready > reads->told || reads->told > reads->asked ||
        reads->count > SPATE_READS_MAX || (reads->count > 0 && !spate_raft_is_leader(raft))) {
        return false;
    }
    for (uint32_t i = 1; i < reads->count; i++) {
        const struct spate_read *one = &reads->items[(reads->begin + i - 1) % SPATE_READS_MAX];
        const struct spate_read *next = &reads->items[(reads->begin + i) % SPATE_READS_MAX];
        if (next->round < one->round || next->index < one->index) {
            return false;
        }
    }
    return true;
}

bool spate_raft_valid(const struct spate_raft *raft)
{
    spate_assert(raft != NULL);
    spate_assert(raft->log != NULL);
    return (raft->configs.now.count == 0 || spate_membership_is_valid(&raft->configs.now)) &&
           raft->configs.index <= spate_log_last(raft->log) && indexes_are_valid(raft) &&
           hard_state_is_valid(raft) && (!raft->is_new || spate_log_last(raft->log) == 0) &&
           role_is_valid(raft) && leadership_is_valid(raft) && reads_are_valid(raft);
}
