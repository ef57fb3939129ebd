/*
 * Who leads: timeouts, pre-vote (thesis section 9.6), candidacy (paper section 5.2) and
 * check-quorum (thesis section 6.2: a leader that no majority answers steps down).
 */
#include "raft_internal.h"

void spate_election_arm(struct spate_raft *raft)
{
    spate_assert(raft->options.election_timeout_ns_min <= raft->options.election_timeout_ns_max);
    const spate_time_ns wait_ns = spate_prng_between(
        &raft->prng, raft->options.election_timeout_ns_min, raft->options.election_timeout_ns_max);
    raft->election_at = raft->now + wait_ns;
    spate_assert(raft->election_at >= raft->now);
}

static enum spate_role role_at_rest(const struct spate_raft *raft)
{
    spate_assert(raft->self <= SPATE_MEMBERS_MAX);
    spate_assert(raft->options.self != 0);
    return spate_members_may_campaign(raft) ? SPATE_ROLE_FOLLOWER : SPATE_ROLE_LEARNER;
}

void spate_election_rest(struct spate_raft *raft)
{
    spate_assert(!spate_raft_is_leader(raft));
    const bool is_asking =
        raft->role == SPATE_ROLE_CANDIDATE || raft->role == SPATE_ROLE_PRE_CANDIDATE;

    if (!is_asking) {
        raft->role = role_at_rest(raft);
    } else if (role_at_rest(raft) == SPATE_ROLE_LEARNER) {
        spate_election_follow(raft, raft->term, 0);
    }
    spate_assert(raft->role != SPATE_ROLE_LEADER);
}

void spate_election_follow(struct spate_raft *raft, spate_term term, spate_node_id leader)
{
    spate_assert(term >= raft->term);
    spate_assert(term <= SPATE_TERM_MAX);
    spate_assert(leader != raft->options.self);

    if (term > raft->term) {
        raft->term = term;
        raft->vote = 0;
        /* Committed entries are in every later leader's log (paper section 5.4), nothing else is
         * known of it. */
        raft->follower = (struct spate_follower){
            .verified = raft->commit, .told_match = 0, .heard_at = raft->follower.heard_at};
    } else if (raft->role == SPATE_ROLE_LEADER) {
        raft->follower = (struct spate_follower){.verified = raft->commit};
    }
    raft->role = role_at_rest(raft);
    raft->leader = leader;
    raft->granted = 0;
    raft->refused = 0;
    raft->unasked = 0;
    raft->fetching.is_out = false;
    raft->is_dirty = true;
    raft->is_taking_over = false;
    raft->transfer = (struct spate_transfer){.to = 0};
    spate_read_forget(raft);
    spate_election_arm(raft);
}

/* The places of all who may vote, ourselves excepted. */
static uint32_t other_voters(const struct spate_raft *raft)
{
    spate_assert(raft->configs.now.count <= SPATE_MEMBERS_MAX);
    const struct spate_membership *membership = &raft->configs.now;
    uint32_t voters = 0;

    for (uint32_t place = 0; place < membership->count; place++) {
        const struct spate_member *member = &membership->members[place];
        if ((member->is_voter || member->is_voter_next) && place != raft->self) {
            voters |= 1u << place;
        }
    }
    spate_assert(raft->self == SPATE_MEMBERS_MAX || (voters & 1u << raft->self) == 0);
    return voters;
}

/* None, when the membership that we are to agree upon is without us. */
static uint32_t own_vote(const struct spate_raft *raft)
{
    spate_assert(raft->self <= SPATE_MEMBERS_MAX);
    spate_assert(raft->self == SPATE_MEMBERS_MAX || raft->self < raft->configs.now.count);
    return raft->self == SPATE_MEMBERS_MAX ? 0 : 1u << raft->self;
}

static void begin_asking(struct spate_raft *raft)
{
    spate_assert(raft->role != SPATE_ROLE_LEADER);
    spate_assert(raft->options.heartbeat_ns >= 1);
    raft->leader = 0;
    raft->granted = 0;
    raft->refused = 0;
    raft->unasked = other_voters(raft);
    raft->ask_again_at = raft->now + raft->options.heartbeat_ns;
    raft->is_dirty = true;
    spate_election_arm(raft);
}

static void become_candidate(struct spate_raft *raft)
{
    spate_assert(raft->term < SPATE_TERM_MAX);
    spate_election_follow(raft, raft->term + 1, 0);
    begin_asking(raft);
    raft->role = SPATE_ROLE_CANDIDATE;
    raft->vote = raft->options.self;
    raft->is_new = false;
    raft->elections_started++;
    /* The own vote is counted when it is durable. Until then nobody may be led. */
    spate_assert(!spate_raft_vote_is_durable(raft));
}

void spate_election_campaign(struct spate_raft *raft)
{
    spate_assert(raft->now >= raft->election_at);
    spate_assert(raft->role != SPATE_ROLE_LEADER);
    if (role_at_rest(raft) == SPATE_ROLE_LEARNER || raft->term >= SPATE_TERM_MAX - 1) {
        raft->leader = 0;
        spate_election_arm(raft);
        return;
    }
    if (!raft->options.pre_vote_enabled) {
        become_candidate(raft);
        return;
    }
    begin_asking(raft);
    raft->is_taking_over = false; /* What a leader wanted was for the election before. */
    raft->role = SPATE_ROLE_PRE_CANDIDATE;
    raft->granted = own_vote(raft); /* Promises nothing, so nothing need be durable. */
    spate_election_count(raft);
}

void spate_election_take_over(struct spate_raft *raft)
{
    spate_assert(raft->role != SPATE_ROLE_LEADER);
    if (role_at_rest(raft) == SPATE_ROLE_LEARNER || raft->term >= SPATE_TERM_MAX - 1) {
        return;
    }
    become_candidate(raft);
    raft->is_taking_over = true;
    spate_assert(raft->role == SPATE_ROLE_CANDIDATE);
}

static void become_leader(struct spate_raft *raft)
{
    spate_assert(raft->role == SPATE_ROLE_CANDIDATE);
    spate_assert(raft->vote == raft->options.self);
    spate_assert(spate_raft_vote_is_durable(raft));

    spate_assert(!raft->is_mute);
    raft->role = SPATE_ROLE_LEADER;
    raft->leader = raft->options.self;
    raft->is_new = false;
    raft->unasked = 0;
    raft->terms_led++;
    raft->is_dirty = true;
    raft->check_quorum_at = raft->now + raft->options.election_timeout_ns_max;
    raft->mark = 0;
    raft->mark_before = 0;
    raft->mark_at = 0;
    raft->prefer_at = raft->now + 2 * raft->options.election_timeout_ns_max;
    spate_read_forget(raft);
    spate_replicate_begin(raft);
    spate_propose_noop(raft);
}

void spate_election_count(struct spate_raft *raft)
{
    spate_assert(raft->granted >> raft->configs.now.count == 0);
    spate_assert(raft->refused >> raft->configs.now.count == 0);
    if (raft->role == SPATE_ROLE_CANDIDATE && spate_raft_vote_is_durable(raft)) {
        raft->granted |= own_vote(raft);
    }
    if (raft->role != SPATE_ROLE_CANDIDATE && raft->role != SPATE_ROLE_PRE_CANDIDATE) {
        return;
    }
    spate_assert((raft->granted & raft->refused) == 0);
    switch (spate_quorum_votes(&raft->configs.now, raft->granted, raft->refused)) {
    case SPATE_VOTE_PENDING:
        break;
    case SPATE_VOTE_LOST: {
        /* Back to following; the timer goes on, so a hopeless asker does not ask more often. */
        const spate_time_ns election_at = raft->election_at;
        spate_election_follow(raft, raft->term, 0);
        raft->election_at = election_at;
        break;
    }
    case SPATE_VOTE_WON:
        if (raft->role == SPATE_ROLE_PRE_CANDIDATE) {
            become_candidate(raft);
        } else if (spate_raft_vote_is_durable(raft)) {
            become_leader(raft);
        }
        break;
    }
}

spate_time_ns spate_election_quorum_at(const struct spate_raft *raft)
{
    spate_time_ns active_at[SPATE_MEMBERS_MAX] = {0};

    spate_assert(spate_raft_is_leader(raft));
    for (uint32_t place = 0; place < raft->configs.now.count; place++) {
        active_at[place] = place == raft->self              ? raft->now
                           : spate_raft_counts(raft, place) ? raft->progress[place].active_at
                                                            : 0;
    }
    /* The latest moment since which a majority was heard is a quorum's index over times. */
    const spate_time_ns quorum_at = spate_quorum_index(&raft->configs.now, active_at);
    spate_assert(quorum_at <= raft->now);
    return quorum_at;
}

void spate_election_check_quorum(struct spate_raft *raft)
{
    spate_assert(spate_raft_is_leader(raft));
    if (!raft->options.check_quorum_enabled || raft->now < raft->check_quorum_at) {
        return;
    }
    const spate_time_ns lost_at =
        spate_election_quorum_at(raft) + raft->options.election_timeout_ns_max;
    if (raft->now >= lost_at) {
        spate_election_follow(raft, raft->term, 0);
        return;
    }
    raft->check_quorum_at = lost_at;
    spate_assert(raft->check_quorum_at > raft->now);
}
