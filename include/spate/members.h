/*
 * The members of a cluster, as they are and as they shall be.
 *
 * Members change while the cluster works: learners are added and catch up, two at a time become
 * voters, members are removed, replaced, moved. The number of voters stays odd: an even number
 * tolerates no more failures and needs a larger majority. Changes go to the leader; one at a time
 * is under way, and each is an entry of the log.
 */
#ifndef SPATE_MEMBERS_H
#define SPATE_MEMBERS_H

#include "spate/error.h"
#include "spate/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct spate;

/* One member, as the membership in force has it. */
struct spate_member_status {
    spate_node_id id;
    bool is_voter;          /* Votes now. */
    bool is_voter_next;     /* Votes when the change that is under way is done. */
    bool is_promotable;     /* A learner that becomes a voter, in a pair, once it has caught up. */
    bool is_caught_up;      /* Leader only: it has what was committed a little while ago. */
    bool is_mute;           /* Leader only: as in struct spate_status. */
    uint8_t priority;       /* A caught-up voter with a higher one is handed the leadership. */
    spate_node_id replaces; /* A learner that takes this voter's place once it has caught up; 0. */
    uint64_t incarnation;   /* Grows when the member comes back without its data. */
    char address[56];
};

/* The membership in force on a core. */
struct spate_members {
    spate_index index;         /* The entry that brought it; 0: the founders' configuration. */
    bool is_member;            /* This core is one of them. */
    bool is_joint;             /* A change of voters is under way. */
    bool is_overridden;        /* Somebody insisted on an even number of voters. */
    spate_node_id transfer_to; /* Leader only: who is to lead next; 0: nobody. */
    uint64_t unreachable;      /* Addresses that this core's transport could not take. */
    uint32_t count;            /* 0: a core that joins, and has not heard yet. */
    struct spate_member_status members[SPATE_MEMBERS_MAX];
};

/* Thread: any. */
SPATE_API void spate_get_members(const struct spate *spate, struct spate_members *ret_members);

/* What can be changed. */
enum spate_members_op {
    SPATE_MEMBERS_ADD = 1,     /* ids[0] at `address` becomes a learner. */
    SPATE_MEMBERS_PROMOTE = 2, /* The learners in ids become voters, all at once. */
    SPATE_MEMBERS_REMOVE = 3,  /* The members in ids go, all at once. */
    SPATE_MEMBERS_REPLACE = 4, /* ids[0], a voter, gives its place to ids[1], a learner. */
    SPATE_MEMBERS_UPDATE = 5,  /* ids[0] has another address or priority. */
};

/* Members that one change can name. */
#define SPATE_MEMBERS_CHANGED_MAX 8u

/* One change. Zero means the default everywhere. */
struct spate_members_change {
    enum spate_members_op op;
    uint32_t count; /* Of ids. */
    spate_node_id ids[SPATE_MEMBERS_CHANGED_MAX];
    const char *address;    /* ADD: needed. UPDATE: NULL: as it is. "10.0.0.4:7209" */
    bool has_priority;      /* UPDATE: otherwise as it is. */
    uint8_t priority;       /* ADD, UPDATE. */
    uint64_t incarnation;   /* ADD: of that core; 0: 1. */
    bool is_promotable;     /* ADD: it becomes a voter by itself, in a pair. */
    spate_node_id replaces; /* ADD: it takes this voter's place by itself; 0. */
    bool is_override;       /* Insists on an even number of voters. */
};

/*
 * OK: done; of a change: committed, and no change is under way any more. NOT_READY: this core does
 * not lead; `leader` does (0: it knows of none). INVALID: refused: `name` says why to a program,
 * `text` to people, with the way out. UNKNOWN: another leader came first: look at the members.
 */
struct spate_members_answer {
    spate_err err;
    spate_index index; /* The entry that the change became. */
    spate_node_id leader;
    const char *name; /* "EVEN_REMOVAL"; static, as is the text. */
    const char *text;
};

/*
 * Asks for a change; its answer comes within a few election timeouts, while a majority answers.
 *
 * Thread: any. Errors: BUSY (too many ask at once), INVALID (not a change), PERMISSION (such an
 * address needs insecure_peers), NOT_FOUND (update of nobody).
 */
SPATE_API spate_err spate_change_members(struct spate *spate,
                                         const struct spate_members_change *change,
                                         uint64_t *ret_ticket) SPATE_MUST_CHECK;

/* Asks the leader, which this core must be, to hand over to `to`; 0: to whoever is best. The rest
 * is as above. */
SPATE_API spate_err spate_transfer(struct spate *spate, spate_node_id to,
                                   uint64_t *ret_ticket) SPATE_MUST_CHECK;

/* Takes the answer; false: there is none yet. Thread: any, one for each ticket. */
SPATE_API bool spate_take_answer(struct spate *spate, uint64_t ticket,
                                 struct spate_members_answer *ret_answer);

/* Nobody will take the answer. Thread: as above. */
SPATE_API void spate_forget_answer(struct spate *spate, uint64_t ticket);

#ifdef __cplusplus
}
#endif

#endif
