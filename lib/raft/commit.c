/* What is committed (paper sections 5.3 and 5.4.2). */
#include "raft_internal.h"

void spate_commit_count(struct spate_raft *raft)
{
    spate_index match[SPATE_MEMBERS_MAX];

    if (!spate_raft_is_leader(raft)) {
        return;
    }
    for (uint32_t place = 0; place < raft->configs.now.count; place++) {
        match[place] = place == raft->self              ? raft->tickets.durable.last
                       : spate_raft_counts(raft, place) ? raft->progress[place].match
                                                        : 0;
    }
    const spate_index index = spate_quorum_index(&raft->configs.now, match);
    spate_assert(index <= spate_log_last(raft->log));
    /* Only entries of the own term are committed by counting; those before follow (figure 8). */
    if (index > raft->commit && index >= raft->lead_first) {
        spate_assert(spate_conflict_term(raft->log, index) == raft->term);
        raft->commit = index;
        raft->is_dirty = true;
    }
}

void spate_commit_follow(struct spate_raft *raft)
{
    spate_assert(raft->follower.verified <= spate_log_last(raft->log));
    const struct spate_follower *follower = &raft->follower;
    /* Never past what was compared with the leader's log, however long ours is. */
    const spate_index index =
        follower->leader_commit < follower->verified ? follower->leader_commit : follower->verified;

    spate_assert(!spate_raft_is_leader(raft));
    spate_assert(index <= spate_log_last(raft->log));
    if (index > raft->commit) {
        const bool is_settled = raft->commit < raft->configs.index && index >= raft->configs.index;
        raft->commit = index;
        raft->is_dirty = true;
        if (is_settled) {
            spate_election_rest(raft); /* Who was removed is so for good. */
        }
    }
}
