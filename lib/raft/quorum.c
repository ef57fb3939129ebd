/* Majorities, of one configuration or of both while the membership changes (paper section 6). */
#include "raft/membership.h"

#include "base/assert.h"

/* Voters of the current (or the next) configuration, as a set. */
static uint32_t voters_of(const struct spate_membership *membership, bool is_next)
{
    uint32_t voters = 0;

    spate_assert(membership->count >= 1);
    spate_assert(membership->count <= SPATE_MEMBERS_MAX);
    for (uint32_t i = 0; i < membership->count; i++) {
        const struct spate_member *member = &membership->members[i];
        voters |= (uint32_t)(is_next ? member->is_voter_next : member->is_voter) << i;
    }
    return voters;
}

static uint32_t count_of(uint32_t set)
{
    return (uint32_t)__builtin_popcount(set);
}

static uint32_t majority_of(uint32_t voters)
{
    spate_assert(voters != 0);
    return count_of(voters) / 2 + 1;
}

/* The highest index that a majority of `voters` has reached. */
static spate_index index_of_majority(uint32_t voters, const spate_index match[])
{
    spate_index sorted[SPATE_MEMBERS_MAX];
    uint32_t count = 0;

    spate_assert(voters != 0);
    /* At most sixteen and mostly three: insertion into descending order. */
    for (uint32_t rest = voters; rest != 0; rest &= rest - 1) {
        const spate_index index = match[__builtin_ctz(rest)];
        uint32_t at = count++;
        while (at > 0 && sorted[at - 1] < index) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = index;
    }
    spate_assert(count == count_of(voters));
    return sorted[majority_of(voters) - 1];
}

spate_index spate_quorum_index(const struct spate_membership *membership, const spate_index match[])
{
    spate_assert(membership != NULL);
    spate_assert(match != NULL);
    const uint32_t voters = voters_of(membership, false);
    const uint32_t voters_next = voters_of(membership, true);
    spate_index index = index_of_majority(voters, match);

    if (voters_next != 0) {
        const spate_index index_next = index_of_majority(voters_next, match);
        index = index_next < index ? index_next : index;
    }
    return index;
}

static enum spate_vote_outcome outcome_of(uint32_t voters, uint32_t granted, uint32_t refused)
{
    spate_assert(voters != 0);
    spate_assert((granted & refused) == 0);
    if (count_of(granted & voters) >= majority_of(voters)) {
        return SPATE_VOTE_WON;
    }
    /* Lost when those that may still grant are too few; of an even number, half suffices. */
    if (count_of(voters & ~refused) < majority_of(voters)) {
        return SPATE_VOTE_LOST;
    }
    return SPATE_VOTE_PENDING;
}

enum spate_vote_outcome spate_quorum_votes(const struct spate_membership *membership,
                                           uint32_t granted, uint32_t refused)
{
    spate_assert(membership != NULL);
    spate_assert((granted & refused) == 0);
    const uint32_t voters_next = voters_of(membership, true);
    const enum spate_vote_outcome outcome =
        outcome_of(voters_of(membership, false), granted, refused);

    if (voters_next == 0) {
        return outcome;
    }
    const enum spate_vote_outcome outcome_next = outcome_of(voters_next, granted, refused);
    if (outcome == SPATE_VOTE_LOST || outcome_next == SPATE_VOTE_LOST) {
        return SPATE_VOTE_LOST;
    }
    return outcome == SPATE_VOTE_WON ? outcome_next : SPATE_VOTE_PENDING;
}

bool spate_quorum_has(const struct spate_membership *membership, uint32_t members)
{
    spate_assert(membership != NULL);
    return spate_quorum_votes(membership, members, 0) == SPATE_VOTE_WON;
}
