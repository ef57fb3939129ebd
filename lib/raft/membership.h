/*
 * Who the members are and what counts as a majority of them.
 *
 * The structure already holds what joint consensus (Raft paper section 6) needs: a member may vote
 * in the current configuration, in the next one, in both, or in neither (a learner). With no `next`
 * voters the next configuration is absent. For now memberships come from the configuration only.
 */
#ifndef SPATE_RAFT_MEMBERSHIP_H
#define SPATE_RAFT_MEMBERSHIP_H

#include "base/error.h"
#include "base/types.h"

struct spate_member {
    spate_node_id id;
    bool is_voter;      /* Votes in the current configuration. */
    bool is_voter_next; /* Votes in the configuration that is being changed to. */
    uint8_t priority;   /* Reserved for preferred leaders. */
};

struct spate_membership {
    uint32_t count;
    struct spate_member members[SPATE_MEMBERS_MAX]; /* In ascending order of ids. */
};

/* Ids ascending and non-zero, at least one voter, count within bounds. */
bool spate_membership_is_valid(const struct spate_membership *membership);

/* The place of `id` in members[], or SPATE_MEMBERS_MAX. */
uint32_t spate_membership_find(const struct spate_membership *membership, spate_node_id id);

bool spate_membership_is_voter(const struct spate_membership *membership, spate_node_id id);

/*
 * The highest index that a majority of each configuration in force has reached.
 * `match[i]` belongs to members[i].
 */
spate_index spate_quorum_index(const struct spate_membership *membership,
                               const spate_index match[]);

enum spate_vote_outcome { SPATE_VOTE_PENDING, SPATE_VOTE_WON, SPATE_VOTE_LOST };

/* Bit i of a set is members[i]. */
enum spate_vote_outcome spate_quorum_votes(const struct spate_membership *membership,
                                           uint32_t granted, uint32_t refused);

/* Whether the members in the set are a majority of each configuration in force. */
bool spate_quorum_has(const struct spate_membership *membership, uint32_t members);

#endif
