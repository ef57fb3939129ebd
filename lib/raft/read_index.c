/*
 * Linearizable reads without the log: ReadIndex (thesis section 6.4), and leases (6.4.1).
 *
 * A read may be answered from the state at index i when i covers all that was committed when the
 * read was asked, and when whoever named i still led then. The leader notes i and the round of its
 * next AppendEntries; once a majority has answered that round or a later one, nobody else can have
 * committed anything before the read was asked. Rounds are never used twice, so an answer to an
 * earlier read proves nothing for a later one. A follower asks its leader and serves the read
 * itself.
 *
 * Reads are known by numbers that count up. An answer to number n holds for all up to n, because
 * they were asked earlier; so of the host's reads three numbers are all that is kept.
 */
#include "raft_internal.h"

static spate_index greater(spate_index a, spate_index b)
{
    return a > b ? a : b;
}

/*
 * What a read that is asked now has to see. Before an entry of the own term is committed a leader
 * does not know which of the earlier ones are (thesis section 6.4, step 1): that entry covers them.
 */
static spate_index index_now(const struct spate_raft *raft)
{
    spate_assert(spate_raft_is_leader(raft));
    spate_assert(raft->commit <= spate_log_last(raft->log));
    if (raft->lead_first == SPATE_INDEX_NONE_YET) {
        return spate_log_last(raft->log) + 1;
    }
    return greater(raft->commit, raft->lead_first);
}

static struct spate_read *read_at(struct spate_reads *reads, uint32_t place)
{
    spate_assert(place < reads->count);
    spate_assert(reads->begin < SPATE_READS_MAX);
    return &reads->items[(reads->begin + place) % SPATE_READS_MAX];
}

/* The leader takes a read, its own or a member's. False: there is no room, ask again. */
static bool take_read(struct spate_raft *raft, spate_node_id member, uint64_t id, uint64_t session)
{
    struct spate_reads *reads = &raft->reads;

    spate_assert(spate_raft_is_leader(raft));
    if (reads->count == SPATE_READS_MAX) {
        return false;
    }
    spate_assert(spate_read_round(raft) <= raft->round + 1);
    reads->count++;
    *read_at(reads, reads->count - 1) = (struct spate_read){
        .member = member,
        .id = id,
        .session = session,
        .round = raft->round + 1,
        .index = index_now(raft),
    };
    return true;
}

static void become_ready(struct spate_raft *raft, uint64_t id, spate_index index)
{
    struct spate_reads *reads = &raft->reads;

    spate_assert(id <= reads->asked);
    spate_assert(id > 0);
    if (id > reads->ready) {
        reads->ready = id;
        reads->ready_index = greater(reads->ready_index, index);
        reads->told = greater(reads->told, id);
    }
    spate_assert(reads->ready <= reads->told);
    spate_assert(reads->told <= reads->asked);
}

void spate_read_ask(struct spate_raft *raft, uint64_t id)
{
    spate_assert(id > raft->reads.asked);
    spate_assert(raft->reads.ready <= raft->reads.told);
    raft->reads.asked = id;
    raft->is_dirty = true;
}

void spate_read_forget(struct spate_raft *raft)
{
    spate_assert(raft->reads.ready <= raft->reads.asked);
    spate_assert(raft->reads.count <= SPATE_READS_MAX);
    raft->reads.begin = 0;
    raft->reads.count = 0;
    raft->reads.told = raft->reads.ready;
    raft->is_lease_void = false;
}

void spate_read_receive(struct spate_raft *raft, uint32_t place,
                        const struct spate_message *message)
{
    struct spate_reads *reads = &raft->reads;

    spate_assert(message->kind == SPATE_MESSAGE_READ);
    spate_assert(place != raft->self);
    if (message->term > raft->term) {
        spate_election_follow(raft, message->term, 0);
    }
    if (!spate_raft_is_leader(raft)) {
        return; /* Whoever asked asks again, whom it then takes for the leader. */
    }
    for (uint32_t i = 0; i < reads->count; i++) {
        const struct spate_read *read = read_at(reads, i);
        if (read->member == message->from && read->session == message->session &&
            read->id >= message->read.id) {
            return; /* A repetition: the answer is on its way. */
        }
    }
    (void)take_read(raft, message->from, message->read.id, message->session);
}

void spate_read_receive_result(struct spate_raft *raft, const struct spate_message *message)
{
    spate_assert(message->kind == SPATE_MESSAGE_READ_RESULT);
    spate_assert(message->session != 0);
    if (message->peer_session != raft->options.session) {
        return; /* Meant for an earlier life. */
    }
    if (message->read_result.id == 0 || message->read_result.id > raft->reads.asked) {
        raft->messages_invalid++;
        return;
    }
    if (message->term > raft->term) {
        spate_election_follow(raft, message->term, 0);
    }
    become_ready(raft, message->read_result.id, message->read_result.index);
}

/*
 * Nobody else can be elected before this time: a majority answered what was sent at lease_at, and
 * votes for nobody for the shortest election timeout by its own clock. Clocks may run apart by 10 %
 * each way: 3/4 is below 0.9 / 1.1.
 */
bool spate_read_has_lease(const struct spate_raft *raft, spate_time_ns now)
{
    spate_time_ns lease_at[SPATE_MEMBERS_MAX] = {0};

    spate_assert(spate_raft_is_leader(raft));
    spate_assert(raft->now <= now);
    if (!raft->options.lease_enabled || raft->is_lease_void ||
        raft->lead_first == SPATE_INDEX_NONE_YET || raft->commit < raft->lead_first) {
        return false;
    }
    for (uint32_t place = 0; place < raft->configs.now.count; place++) {
        lease_at[place] = place == raft->self              ? now
                          : spate_raft_counts(raft, place) ? raft->progress[place].lease_at
                                                           : 0;
    }
    const spate_time_ns began = spate_quorum_index(&raft->configs.now, lease_at);
    return began > 0 && now < began + raft->options.election_timeout_ns_min / 4 * 3;
}

/* The round up to which a majority has answered. */
static uint64_t confirmed_round(const struct spate_raft *raft)
{
    uint64_t answered[SPATE_MEMBERS_MAX] = {0};

    spate_assert(spate_raft_is_leader(raft));
    spate_assert(raft->configs.now.count >= 1);
    for (uint32_t place = 0; place < raft->configs.now.count; place++) {
        answered[place] = place == raft->self              ? UINT64_MAX
                          : spate_raft_counts(raft, place) ? raft->progress[place].round_answered
                                                           : 0;
    }
    return spate_quorum_index(&raft->configs.now, answered);
}

/* Answers one read whose index is confirmed. False: there was no room. */
static bool answer_read(struct spate_raft *raft, struct spate_effects *effects,
                        const struct spate_read *read)
{
    spate_assert(read->index <= raft->commit);
    spate_assert(read->round <= raft->round + 1);
    if (read->member == raft->options.self) {
        become_ready(raft, read->id, read->index);
        return true;
    }
    const uint32_t place = spate_membership_find(&raft->configs.now, read->member);
    if (place == SPATE_MEMBERS_MAX) {
        return true; /* It was removed meanwhile. */
    }
    struct spate_message *message =
        spate_effects_message(raft, effects, SPATE_MESSAGE_READ_RESULT, read->member);
    if (message == NULL) {
        raft->is_waiting = true;
        return false;
    }
    spate_assert(place != raft->self);
    spate_assert(read->session != 0);
    message->peer_session = read->session;
    message->read_result.id = read->id;
    message->read_result.index = read->index;
    return true;
}

void spate_read_confirm(struct spate_raft *raft, struct spate_effects *effects)
{
    struct spate_reads *reads = &raft->reads;

    spate_assert(spate_raft_is_leader(raft));
    spate_assert(reads->told <= reads->asked);
    if (reads->told < reads->asked) {
        if (spate_read_has_lease(raft, raft->now)) {
            raft->reads_leased++;
            become_ready(raft, reads->asked, raft->commit);
        } else if (take_read(raft, raft->options.self, reads->asked, raft->options.session)) {
            reads->told = reads->asked;
        }
    }
    if (reads->count == 0) {
        return;
    }
    const uint64_t round = confirmed_round(raft);
    while (reads->count > 0) {
        const struct spate_read *read = read_at(reads, 0);
        if (read->round > round || read->index > raft->commit ||
            !answer_read(raft, effects, read)) {
            return;
        }
        raft->reads_confirmed++;
        reads->begin = (reads->begin + 1) % SPATE_READS_MAX;
        reads->count--;
    }
}

uint64_t spate_read_round(const struct spate_raft *raft)
{
    const struct spate_reads *reads = &raft->reads;

    spate_assert(reads->count <= SPATE_READS_MAX);
    spate_assert(reads->begin < SPATE_READS_MAX);
    return reads->count == 0
               ? 0
               : reads->items[(reads->begin + reads->count - 1) % SPATE_READS_MAX].round;
}

void spate_read_tell(struct spate_raft *raft, struct spate_effects *effects)
{
    struct spate_reads *reads = &raft->reads;

    spate_assert(!spate_raft_is_leader(raft));
    spate_assert(reads->count == 0);
    if (reads->ready == reads->asked || raft->leader == 0) {
        return;
    }
    const bool is_told = reads->told == reads->asked && reads->told_leader == raft->leader &&
                         reads->told_term == raft->term;
    if (is_told && raft->now < reads->tell_again_at) {
        return;
    }
    struct spate_message *message =
        spate_effects_message(raft, effects, SPATE_MESSAGE_READ, raft->leader);
    if (message == NULL) {
        raft->is_waiting = true;
        return;
    }
    spate_assert(reads->asked > 0);
    message->read.id = reads->asked;
    reads->told = reads->asked;
    reads->told_leader = raft->leader;
    reads->told_term = raft->term;
    reads->tell_again_at = raft->now + raft->options.heartbeat_ns;
}

spate_time_ns spate_read_deadline(const struct spate_raft *raft)
{
    const struct spate_reads *reads = &raft->reads;

    spate_assert(!spate_raft_is_leader(raft));
    spate_assert(reads->ready <= reads->asked);
    return reads->ready < reads->asked && raft->leader != 0 ? reads->tell_again_at
                                                            : SPATE_TIME_NEVER;
}
