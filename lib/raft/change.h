/*
 * What may be changed about a membership, and into what: pure rules, for the leader.
 *
 * Voters stay odd: 1, 3, 5, 7. An even number tolerates no more failures than the odd one below it
 * and needs a larger majority, so learners are promoted and voters removed in pairs, in one joint
 * change (paper section 6). `is_override` insists all the same; the membership then says so.
 */
#ifndef SPATE_RAFT_CHANGE_H
#define SPATE_RAFT_CHANGE_H

#include "raft/membership.h"

enum spate_change_kind {
    SPATE_CHANGE_ADD,     /* members[0]: a learner; promotable, replacing somebody, or neither. */
    SPATE_CHANGE_PROMOTE, /* members[…].id: learners become voters, all at once. */
    SPATE_CHANGE_REMOVE,  /* members[…].id: learners or voters go, all at once. */
    SPATE_CHANGE_REPLACE, /* members[0].id, a voter, gives its place to members[1].id, a learner. */
    SPATE_CHANGE_UPDATE,  /* members[0]: another address or priority. */
};

#define SPATE_CHANGE_MEMBERS_MAX 8u

struct spate_change {
    enum spate_change_kind kind;
    uint32_t count;
    struct spate_member members[SPATE_CHANGE_MEMBERS_MAX];
    bool is_override;
};

/* name, text for people: what is wrong and the way out */
#define SPATE_CHANGE_MAP(X)                                                                   \
    X(ACCEPTED, "accepted")                                                                   \
    X(NOT_LEADER, "this core does not lead: ask the leader")                                  \
    X(UNDER_WAY, "a change is under way: wait until it is committed, then try again")         \
    X(TOO_EARLY, "the leader has just been elected: try again in a moment")                   \
    X(MALFORMED, "not a change: name each member once, with an id of 1 or more")              \
    X(EXISTS, "a member has this id already: remove it first, or choose another id")          \
    X(ADDRESS_USED, "another member has this address: choose another")                        \
    X(UNKNOWN, "no member has this id: see the list of members")                              \
    X(IS_VOTER, "this member votes already")                                                  \
    X(IS_LEARNER, "this member is a learner: only a voter can be replaced")                   \
    X(FULL, "there are 16 members already: remove one first")                                 \
    X(EVEN_PROMOTION,                                                                         \
      "the number of voters would be even: promote two at once, or insist with override")     \
    X(EVEN_REMOVAL, "the number of voters would be even: replace the member, remove two, or " \
                    "insist with override")                                                   \
    X(NO_VOTER, "no voter would be left")                                                     \
    X(BEHIND, "a learner has not caught up yet: wait until it has")                           \
    X(NO_QUORUM, "too few of those who would vote answer: bring them back first")             \
    X(NOTHING, "that is how it is already")

enum spate_change_verdict {
#define SPATE_CHANGE_ENUM(name, text) SPATE_CHANGE_##name,
    SPATE_CHANGE_MAP(SPATE_CHANGE_ENUM)
#undef SPATE_CHANGE_ENUM
        SPATE_CHANGE_VERDICTS
};

/* Memory: static. Thread: any. */
const char *spate_change_text(enum spate_change_verdict verdict);
/* "EVEN_REMOVAL", for programs. */
const char *spate_change_name(enum spate_change_verdict verdict);

/*
 * What the membership becomes by the change: a joint one when voters change, else the final one.
 * Whether learners have caught up is the leader's to know. Requires: `now` is not joint.
 */
enum spate_change_verdict spate_change_apply(const struct spate_membership *now,
                                             const struct spate_change *change,
                                             struct spate_membership *ret_next) SPATE_MUST_CHECK;

/* What a joint membership becomes when it is committed: who votes no more is gone. */
void spate_change_finish(const struct spate_membership *joint, struct spate_membership *ret_final);

/*
 * What is to be done by itself: a replacement or a pair of promotable learners, among the members
 * in the set `caught_up` (bit i: members[i]). False: nothing.
 */
bool spate_change_find(const struct spate_membership *now, uint32_t caught_up,
                       struct spate_change *ret_change);

#endif
