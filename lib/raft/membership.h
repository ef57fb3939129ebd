/*
 * Who the members are and what counts as a majority of them.
 *
 * A membership is an entry of the log, in force as soon as it is in the log (paper section 6), and
 * nowhere else but in snapshots. A member votes in the current configuration, in the next one, in
 * both (joint consensus), or in neither (a learner). With no `next` voters there is no change.
 */
#ifndef SPATE_RAFT_MEMBERSHIP_H
#define SPATE_RAFT_MEMBERSHIP_H

#include "base/error.h"
#include "base/types.h"
#include "log/log.h"

/* "[ffff:…]:65535" and its end. */
#define SPATE_MEMBER_ADDRESS_BYTES 56u

struct spate_member {
    spate_node_id id;
    bool is_voter;          /* Votes in the current configuration. */
    bool is_voter_next;     /* Votes in the configuration that is being changed to. */
    bool is_promotable;     /* A learner that becomes a voter, in a pair, once it has caught up. */
    uint8_t priority;       /* A caught-up voter with a higher one is handed the leadership. */
    spate_node_id replaces; /* A learner that takes this voter's place once it has caught up; 0. */
    uint64_t incarnation;   /* Grows when the member comes back without its data. */
    char address[SPATE_MEMBER_ADDRESS_BYTES]; /* For the link; "" in tests. */
};

struct spate_membership {
    uint32_t count;     /* 0: not known yet (a core that joins). */
    bool is_overridden; /* Somebody insisted on an even number of voters. */
    struct spate_member members[SPATE_MEMBERS_MAX]; /* In ascending order of ids. */
};

/* Ids ascending and non-zero, at least one voter, count within bounds, addresses ended. */
bool spate_membership_is_valid(const struct spate_membership *membership);

/* The place of `id` in members[], or SPATE_MEMBERS_MAX. */
uint32_t spate_membership_find(const struct spate_membership *membership, spate_node_id id);

bool spate_membership_is_voter(const struct spate_membership *membership, spate_node_id id);

/* Whether a change is under way (paper section 6: C_old,new). */
bool spate_membership_is_joint(const struct spate_membership *membership);

/* Of the current configuration, or of the next one while it is being changed to. */
uint32_t spate_membership_voters(const struct spate_membership *membership);

/*
 * The payload of an entry of kind MEMBERSHIP, and of a snapshot's manifest; docs/protocol.md has
 * the table. `to` has SPATE_MEMBERSHIP_BYTES_MAX bytes. Returns the bytes written.
 */
#define SPATE_MEMBERSHIP_BYTES_MAX (8u + SPATE_MEMBERS_MAX * (24u + SPATE_MEMBER_ADDRESS_BYTES))
uint32_t spate_membership_encode(const struct spate_membership *membership, uint8_t *to);

/* Errors: SPATE_ERR_MALFORMED */
spate_err spate_membership_decode(const uint8_t *from, uint32_t size,
                                  struct spate_membership *ret_membership) SPATE_MUST_CHECK;

/*
 * The memberships that a log knows: the newest one, which is in force, and the one before it. No
 * more than the newest can be uncommitted, because a change waits for the one before (thesis
 * section 4.1).
 */
struct spate_configs {
    spate_index index; /* The entry that brought `now`; 0: the configuration of the founders. */
    struct spate_membership now;
    spate_index index_before;
    struct spate_membership before;
};

void spate_configs_begin(struct spate_configs *configs, spate_index index,
                         const struct spate_membership *membership);

/* Takes those entries of the span behind `configs->index` that are memberships. Whether there were
 * any. One that cannot be read is passed over: no correct leader wrote it. */
bool spate_configs_take(struct spate_configs *configs, const struct spate_log_span *span);

/* Whether entries behind `last_kept` can be taken back without forgetting what was committed. */
bool spate_configs_can_cut(const struct spate_configs *configs, spate_index last_kept);

/* They were. Whether another membership is in force now. Requires: can_cut. */
bool spate_configs_cut(struct spate_configs *configs, spate_index last_kept);

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
