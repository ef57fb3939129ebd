#include "raft/change.h"

#include <string.h>

#include "base/assert.h"

const char *spate_change_text(enum spate_change_verdict verdict)
{
    static const char *const texts[] = {
#define TEXT(name, text) text,
        SPATE_CHANGE_MAP(TEXT)
#undef TEXT
    };
    spate_assert(SPATE_ARRAY_COUNT(texts) == SPATE_CHANGE_VERDICTS);
    spate_assert(texts[0] != NULL);
    return verdict < SPATE_CHANGE_VERDICTS ? texts[verdict] : "unknown";
}

const char *spate_change_name(enum spate_change_verdict verdict)
{
    static const char *const names[] = {
#define NAME(name, text) #name,
        SPATE_CHANGE_MAP(NAME)
#undef NAME
    };
    spate_assert(SPATE_ARRAY_COUNT(names) == SPATE_CHANGE_VERDICTS);
    spate_assert(names[0] != NULL);
    return verdict < SPATE_CHANGE_VERDICTS ? names[verdict] : "UNKNOWN";
}

static bool names_each_once(const struct spate_change *change)
{
    spate_assert(change != NULL);
    spate_assert(change->kind <= SPATE_CHANGE_UPDATE);
    if (change->count == 0 || change->count > SPATE_CHANGE_MEMBERS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < change->count; i++) {
        const struct spate_member *member = &change->members[i];
        if (member->id == 0 || memchr(member->address, '\0', sizeof member->address) == NULL) {
            return false;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (change->members[j].id == change->members[i].id) {
                return false;
            }
        }
    }
    return true;
}

static bool address_is_used(const struct spate_membership *membership,
                            const struct spate_member *by)
{
    spate_assert(membership->count <= SPATE_MEMBERS_MAX);
    spate_assert(memchr(by->address, '\0', sizeof by->address) != NULL);
    for (uint32_t i = 0; i < membership->count && by->address[0] != '\0'; i++) {
        const struct spate_member *member = &membership->members[i];
        if (member->id != by->id && strcmp(member->address, by->address) == 0) {
            return true;
        }
    }
    return false;
}

/* Puts a member in its place by id. Requires: there is room, and none with that id. */
static void insert(struct spate_membership *membership, const struct spate_member *member)
{
    uint32_t at = membership->count;

    spate_assert(membership->count < SPATE_MEMBERS_MAX);
    spate_assert(spate_membership_find(membership, member->id) == SPATE_MEMBERS_MAX);
    while (at > 0 && membership->members[at - 1].id > member->id) {
        membership->members[at] = membership->members[at - 1];
        at--;
    }
    membership->members[at] = *member;
    membership->count++;
}

static void take_out(struct spate_membership *membership, uint32_t place)
{
    spate_assert(place < membership->count);
    spate_assert(membership->count >= 1);
    membership->count--;
    for (uint32_t i = place; i < membership->count; i++) {
        membership->members[i] = membership->members[i + 1];
    }
    membership->members[membership->count] = (struct spate_member){.id = 0};
}

static enum spate_change_verdict add(struct spate_membership *next,
                                     const struct spate_change *change)
{
    struct spate_member member = change->members[0];

    spate_assert(change->kind == SPATE_CHANGE_ADD);
    spate_assert(member.id != 0);
    if (change->count != 1) {
        return SPATE_CHANGE_MALFORMED;
    }
    if (spate_membership_find(next, member.id) != SPATE_MEMBERS_MAX) {
        return SPATE_CHANGE_EXISTS;
    }
    if (address_is_used(next, &member)) {
        return SPATE_CHANGE_ADDRESS_USED;
    }
    if (next->count == SPATE_MEMBERS_MAX) {
        return SPATE_CHANGE_FULL;
    }
    if (member.replaces != 0) {
        const uint32_t place = spate_membership_find(next, member.replaces);
        if (place == SPATE_MEMBERS_MAX) {
            return SPATE_CHANGE_UNKNOWN;
        }
        if (!next->members[place].is_voter) {
            return SPATE_CHANGE_IS_LEARNER;
        }
    }
    member.is_voter = false;
    member.is_voter_next = false;
    insert(next, &member);
    return SPATE_CHANGE_ACCEPTED;
}

/* The next configuration begins as the current one. */
static void begin_joint(struct spate_membership *next)
{
    spate_assert(next->count >= 1);
    spate_assert(!spate_membership_is_joint(next));
    for (uint32_t i = 0; i < next->count; i++) {
        next->members[i].is_voter_next = next->members[i].is_voter;
    }
}

static uint32_t voters_next(const struct spate_membership *next)
{
    uint32_t voters = 0;

    spate_assert(next->count >= 1);
    spate_assert(next->count <= SPATE_MEMBERS_MAX);
    for (uint32_t i = 0; i < next->count; i++) {
        voters += next->members[i].is_voter_next ? 1u : 0u;
    }
    return voters;
}

/* Voters stay odd, unless somebody insists; then it is noted. */
static enum spate_change_verdict judge_number(struct spate_membership *next,
                                              const struct spate_change *change,
                                              enum spate_change_verdict if_even)
{
    spate_assert(if_even != SPATE_CHANGE_ACCEPTED);
    spate_assert(voters_next(next) >= 1);
    next->is_overridden = voters_next(next) % 2 == 0;
    return next->is_overridden && !change->is_override ? if_even : SPATE_CHANGE_ACCEPTED;
}

static enum spate_change_verdict promote(struct spate_membership *next,
                                         const struct spate_change *change)
{
    spate_assert(change->kind == SPATE_CHANGE_PROMOTE);
    spate_assert(change->count >= 1);
    begin_joint(next);
    for (uint32_t i = 0; i < change->count; i++) {
        const uint32_t place = spate_membership_find(next, change->members[i].id);
        if (place == SPATE_MEMBERS_MAX) {
            return SPATE_CHANGE_UNKNOWN;
        }
        if (next->members[place].is_voter) {
            return SPATE_CHANGE_IS_VOTER;
        }
        next->members[place].is_voter_next = true;
    }
    return judge_number(next, change, SPATE_CHANGE_EVEN_PROMOTION);
}

/* Nobody waits for the place of a member that is gone. */
static void forget_replaced(struct spate_membership *next)
{
    spate_assert(next->count >= 1);
    spate_assert(next->count <= SPATE_MEMBERS_MAX);
    for (uint32_t i = 0; i < next->count; i++) {
        struct spate_member *member = &next->members[i];
        if (member->replaces != 0 &&
            spate_membership_find(next, member->replaces) == SPATE_MEMBERS_MAX) {
            member->replaces = 0;
        }
    }
}

static enum spate_change_verdict take_away(struct spate_membership *next,
                                           const struct spate_change *change)
{
    bool has_voter = false;

    spate_assert(change->kind == SPATE_CHANGE_REMOVE);
    spate_assert(change->count >= 1);
    begin_joint(next);
    for (uint32_t i = 0; i < change->count; i++) {
        const uint32_t place = spate_membership_find(next, change->members[i].id);
        if (place == SPATE_MEMBERS_MAX) {
            return SPATE_CHANGE_UNKNOWN;
        }
        if (next->members[place].is_voter) {
            next->members[place].is_voter_next = false;
            has_voter = true;
        } else {
            take_out(next, place);
        }
    }
    forget_replaced(next);
    if (!has_voter) {
        for (uint32_t i = 0; i < next->count; i++) {
            next->members[i].is_voter_next = false;
        }
        return SPATE_CHANGE_ACCEPTED;
    }
    if (voters_next(next) == 0) {
        return SPATE_CHANGE_NO_VOTER;
    }
    return judge_number(next, change, SPATE_CHANGE_EVEN_REMOVAL);
}

static enum spate_change_verdict replace(struct spate_membership *next,
                                         const struct spate_change *change)
{
    spate_assert(change->kind == SPATE_CHANGE_REPLACE);
    spate_assert(change->count >= 1);
    if (change->count != 2) {
        return SPATE_CHANGE_MALFORMED;
    }
    const uint32_t old = spate_membership_find(next, change->members[0].id);
    const uint32_t new = spate_membership_find(next, change->members[1].id);
    if (old == SPATE_MEMBERS_MAX || new == SPATE_MEMBERS_MAX) {
        return SPATE_CHANGE_UNKNOWN;
    }
    if (!next->members[old].is_voter) {
        return SPATE_CHANGE_IS_LEARNER;
    }
    if (next->members[new].is_voter) {
        return SPATE_CHANGE_IS_VOTER;
    }
    begin_joint(next);
    next->members[old].is_voter_next = false;
    next->members[new].is_voter_next = true;
    return SPATE_CHANGE_ACCEPTED;
}

static enum spate_change_verdict update(struct spate_membership *next,
                                        const struct spate_change *change)
{
    const struct spate_member *wanted = &change->members[0];

    spate_assert(change->kind == SPATE_CHANGE_UPDATE);
    spate_assert(wanted->id != 0);
    if (change->count != 1) {
        return SPATE_CHANGE_MALFORMED;
    }
    const uint32_t place = spate_membership_find(next, wanted->id);
    if (place == SPATE_MEMBERS_MAX) {
        return SPATE_CHANGE_UNKNOWN;
    }
    if (address_is_used(next, wanted)) {
        return SPATE_CHANGE_ADDRESS_USED;
    }
    struct spate_member *member = &next->members[place];
    if (strcmp(member->address, wanted->address) == 0 && member->priority == wanted->priority) {
        return SPATE_CHANGE_NOTHING;
    }
    memcpy(member->address, wanted->address, sizeof member->address);
    member->priority = wanted->priority;
    return SPATE_CHANGE_ACCEPTED;
}

enum spate_change_verdict spate_change_apply(const struct spate_membership *now,
                                             const struct spate_change *change,
                                             struct spate_membership *ret_next)
{
    spate_assert(spate_membership_is_valid(now));
    spate_assert(!spate_membership_is_joint(now));
    enum spate_change_verdict verdict = SPATE_CHANGE_MALFORMED;

    if (!names_each_once(change)) {
        return verdict;
    }
    *ret_next = *now;
    switch (change->kind) {
    case SPATE_CHANGE_ADD:
        verdict = add(ret_next, change);
        break;
    case SPATE_CHANGE_PROMOTE:
        verdict = promote(ret_next, change);
        break;
    case SPATE_CHANGE_REMOVE:
        verdict = take_away(ret_next, change);
        break;
    case SPATE_CHANGE_REPLACE:
        verdict = replace(ret_next, change);
        break;
    case SPATE_CHANGE_UPDATE:
        verdict = update(ret_next, change);
        break;
    }
    spate_assert(verdict != SPATE_CHANGE_ACCEPTED || spate_membership_is_valid(ret_next));
    return verdict;
}

void spate_change_finish(const struct spate_membership *joint, struct spate_membership *ret_final)
{
    spate_assert(spate_membership_is_joint(joint));
    spate_assert(joint->count <= SPATE_MEMBERS_MAX);
    *ret_final = *joint;
    for (uint32_t place = ret_final->count; place-- > 0;) {
        struct spate_member *member = &ret_final->members[place];
        if (member->is_voter && !member->is_voter_next) {
            take_out(ret_final, place);
            continue;
        }
        member->is_voter = member->is_voter_next;
        member->is_voter_next = false;
        if (member->is_voter) {
            member->is_promotable = false;
            member->replaces = 0;
        }
    }
    forget_replaced(ret_final);
    spate_assert(spate_membership_is_valid(ret_final));
}

bool spate_change_find(const struct spate_membership *now, uint32_t caught_up,
                       struct spate_change *ret_change)
{
    spate_assert(!spate_membership_is_joint(now));
    spate_assert(caught_up >> now->count == 0);
    *ret_change = (struct spate_change){.kind = SPATE_CHANGE_PROMOTE};
    for (uint32_t place = 0; place < now->count; place++) {
        const struct spate_member *member = &now->members[place];
        if (member->is_voter || (caught_up & 1u << place) == 0) {
            continue;
        }
        if (member->replaces != 0) {
            ret_change->kind = SPATE_CHANGE_REPLACE;
            ret_change->count = 2;
            ret_change->members[0].id = member->replaces;
            ret_change->members[1].id = member->id;
            return true;
        }
        if (member->is_promotable && ret_change->count < 2) {
            ret_change->members[ret_change->count++].id = member->id;
        }
    }
    /* With an even number, which somebody insisted on, one makes it odd again. */
    const bool is_even = spate_membership_voters(now) % 2 == 0;
    if (is_even && ret_change->count > 1) {
        ret_change->count = 1;
    }
    return ret_change->count == (is_even ? 1u : 2u);
}
