/* RequestVote and its answer (paper sections 5.2 and 5.4.1), as pre-vote too (thesis 9.6). */
#include "raft_internal.h"

/*
 * Whether a leader speaks to us, so that nobody else is needed (thesis section 4.2.3). A leader
 * counts as hearing itself while a majority answers it. What a follower has answered may be part of
 * a lease (read_index.c): it holds though a newer term, of no leader as yet, was heard of since.
 */
static bool hears_leader(const struct spate_raft *raft)
{
    const spate_time_ns heard_at =
        spate_raft_is_leader(raft) ? spate_election_quorum_at(raft) : raft->follower.heard_at;

    spate_assert(raft->leader != raft->options.self || spate_raft_is_leader(raft));
    spate_assert(heard_at <= raft->now);
    return heard_at != 0 && raft->now - heard_at < raft->options.election_timeout_ns_min;
}

/* Paper section 5.4.1: later last term, or same last term and at least as long. */
static bool is_up_to_date(const struct spate_raft *raft, struct spate_entry_id last)
{
    spate_assert(raft->log != NULL);
    const spate_term own_term = spate_log_last_term(raft->log);

    spate_assert(own_term <= raft->term);
    if (last.term != own_term) {
        return last.term > own_term;
    }
    return last.index >= spate_log_last(raft->log);
}

struct spate_answers *spate_vote_owe(struct spate_raft *raft, spate_node_id to)
{
    uint32_t free_slot = SPATE_MEMBERS_MAX;

    spate_assert(to != 0);
    spate_assert(to != raft->options.self);
    for (uint32_t slot = 0; slot < SPATE_MEMBERS_MAX; slot++) {
        const bool is_owed = (raft->owed & 1u << slot) != 0;
        if (is_owed && raft->answers[slot].to == to) {
            return &raft->answers[slot];
        }
        free_slot = is_owed || free_slot != SPATE_MEMBERS_MAX ? free_slot : slot;
    }
    if (free_slot == SPATE_MEMBERS_MAX) {
        return NULL; /* They ask again. */
    }
    raft->owed |= 1u << free_slot;
    raft->answers[free_slot] = (struct spate_answers){.to = to};
    return &raft->answers[free_slot];
}

static void owe_answer(struct spate_raft *raft, const struct spate_message *message,
                       bool is_granted)
{
    struct spate_answers *answers = spate_vote_owe(raft, message->from);

    spate_assert(message->kind == SPATE_MESSAGE_VOTE);
    if (answers == NULL) {
        return;
    }
    answers->has_vote = true;
    answers->is_pre_vote = message->vote.is_pre_vote;
    answers->is_granted = is_granted;
    answers->asked_term = message->term;
    answers->vote_session = message->session;
    spate_assert(answers->to == message->from);
}

static void receive_vote_proper(struct spate_raft *raft, const struct spate_message *message)
{
    spate_assert(!message->vote.is_pre_vote);
    spate_assert(message->from != raft->options.self);
    if (message->term > raft->term) {
        spate_election_follow(raft, message->term, 0);
    }
    const bool is_free = raft->vote == message->from || (raft->vote == 0 && raft->leader == 0);
    const bool is_granted =
        message->term == raft->term && is_free && is_up_to_date(raft, message->vote.last);

    if (is_granted && raft->vote == 0) {
        spate_assert(raft->role != SPATE_ROLE_LEADER);
        spate_election_follow(raft, raft->term, 0);
        raft->vote = message->from;
        raft->is_new = false; /* A founder asked, or we would not have answered. */
    } else if (is_granted && raft->leader == 0) {
        spate_election_arm(raft);
    }
    owe_answer(raft, message, is_granted);
}

/*
 * Who has no data, or was a member in another incarnation, may have voted in an earlier life and
 * stays silent. Everybody else answers, whether it believes itself a voter or not: its membership
 * may be older than the candidate's (paper section 6).
 */
static bool may_vote(const struct spate_raft *raft)
{
    const struct spate_membership *now = &raft->configs.now;

    spate_assert(now->count <= SPATE_MEMBERS_MAX);
    spate_assert(raft->self <= SPATE_MEMBERS_MAX);
    return now->count > 0 && (raft->self != SPATE_MEMBERS_MAX ||
                              spate_membership_find(now, raft->options.self) == SPATE_MEMBERS_MAX);
}

void spate_vote_receive(struct spate_raft *raft, const struct spate_message *message)
{
    spate_assert(message->kind == SPATE_MESSAGE_VOTE);
    spate_assert(message->term >= 1);
    if (message->vote.last.term > message->term ||
        (message->vote.is_pre_vote && message->vote.last.term == message->term)) {
        raft->messages_invalid++;
        return;
    }
    const bool is_promised =
        ((message->vote.is_pre_vote || raft->options.check_quorum_enabled) && hears_leader(raft)) ||
        raft->now < raft->votes_after;
    if ((is_promised && !message->vote.is_transfer) || !may_vote(raft) ||
        spate_mute_refuses(raft, &message->vote)) {
        raft->votes_ignored++;
        return;
    }
    if (message->vote.is_pre_vote) {
        owe_answer(raft, message,
                   message->term > raft->term && is_up_to_date(raft, message->vote.last));
        return;
    }
    receive_vote_proper(raft, message);
}

void spate_vote_receive_result(struct spate_raft *raft, uint32_t place,
                               const struct spate_message *message)
{
    const struct spate_message_vote_result *result = &message->vote_result;
    const uint32_t bit = 1u << place;

    spate_assert(message->kind == SPATE_MESSAGE_VOTE_RESULT);
    if (message->peer_session != raft->options.session) {
        return; /* Meant for an earlier life. */
    }
    if (message->term > raft->term) {
        spate_election_follow(raft, message->term, 0);
        return;
    }
    const bool is_ours =
        result->is_pre_vote
            ? raft->role == SPATE_ROLE_PRE_CANDIDATE && result->asked_term == raft->term + 1
            : raft->role == SPATE_ROLE_CANDIDATE && result->asked_term == raft->term;
    if (!is_ours || (result->is_granted && !result->is_pre_vote && message->term != raft->term)) {
        return; /* Of an earlier election. */
    }
    spate_assert(place != raft->self);
    if (result->is_granted) {
        raft->granted |= bit;
        raft->refused &= ~bit;
    } else if ((raft->granted & bit) == 0) {
        raft->refused |= bit;
    }
    spate_election_count(raft);
}

static bool send_request(struct spate_raft *raft, struct spate_effects *effects, uint32_t place)
{
    spate_assert(place != raft->self);
    spate_assert(raft->role != SPATE_ROLE_LEADER);
    struct spate_message *message =
        spate_effects_message(raft, effects, SPATE_MESSAGE_VOTE, spate_raft_member(raft, place));
    if (message == NULL) {
        return false;
    }
    const bool is_pre_vote = raft->role == SPATE_ROLE_PRE_CANDIDATE;
    message->term = raft->term + (is_pre_vote ? 1u : 0u);
    message->vote.is_pre_vote = is_pre_vote;
    message->vote.is_transfer = raft->is_taking_over;
    message->vote.last = (struct spate_entry_id){.term = spate_log_last_term(raft->log),
                                                 .index = spate_log_last(raft->log)};
    spate_assert(message->vote.last.term <= message->term);
    return true;
}

/* Sends what is owed to one member; keeps what must still wait for the disk, or for room. */
static void send_answers(struct spate_raft *raft, struct spate_effects *effects, uint32_t slot)
{
    spate_assert(slot < SPATE_MEMBERS_MAX);
    spate_assert((raft->owed & 1u << slot) != 0);
    struct spate_answers *answers = &raft->answers[slot];

    if (answers->has_vote) {
        const bool is_promise = answers->is_granted && !answers->is_pre_vote;
        /* A promise of an earlier term is no use to anybody. */
        const bool is_void =
            is_promise && (answers->asked_term != raft->term || raft->vote != answers->to);
        const bool is_ready = !is_promise || spate_raft_vote_is_durable(raft);
        struct spate_message *message = NULL;
        if (!is_void && is_ready) {
            message = spate_effects_message(raft, effects, SPATE_MESSAGE_VOTE_RESULT, answers->to);
        }
        if (message != NULL) {
            message->peer_session = answers->vote_session;
            message->vote_result.is_pre_vote = answers->is_pre_vote;
            message->vote_result.is_granted = answers->is_granted;
            message->vote_result.asked_term = answers->asked_term;
        }
        answers->has_vote = !is_void && message == NULL;
    }
    if (answers->has_stale_append && spate_raft_term_is_durable(raft)) {
        struct spate_message *message =
            spate_effects_message(raft, effects, SPATE_MESSAGE_APPEND_RESULT, answers->to);
        if (message != NULL) {
            message->peer_session = answers->stale_session;
            message->append_result.is_mute = !spate_mute_may_count(raft);
            message->append_result.round = answers->stale_round;
            message->append_result.prev = answers->stale_prev;
            answers->has_stale_append = false;
        }
    }
    if (!answers->has_vote && !answers->has_stale_append) {
        raft->owed &= ~(1u << slot);
    }
}

void spate_vote_send(struct spate_raft *raft, struct spate_effects *effects)
{
    spate_assert(raft->owed >> SPATE_MEMBERS_MAX == 0);
    const bool is_asking =
        raft->role == SPATE_ROLE_CANDIDATE || raft->role == SPATE_ROLE_PRE_CANDIDATE;

    spate_assert(is_asking || raft->unasked == 0);
    if (is_asking && raft->now >= raft->ask_again_at) {
        /* Repeat what was lost: voters that have said nothing. */
        for (uint32_t place = 0; place < raft->configs.now.count; place++) {
            const uint32_t bit = 1u << place;
            const bool is_silent = ((raft->granted | raft->refused) & bit) == 0;
            if (place != raft->self && is_silent &&
                spate_membership_is_voter(&raft->configs.now, spate_raft_member(raft, place))) {
                raft->unasked |= bit;
            }
        }
        raft->ask_again_at = raft->now + raft->options.heartbeat_ns;
    }
    for (uint32_t rest = raft->unasked; rest != 0; rest &= rest - 1) {
        const uint32_t place = (uint32_t)__builtin_ctz(rest);
        if (send_request(raft, effects, place)) {
            raft->unasked &= ~(1u << place);
        }
    }
    for (uint32_t rest = raft->owed; rest != 0; rest &= rest - 1) {
        send_answers(raft, effects, (uint32_t)__builtin_ctz(rest));
    }
}
