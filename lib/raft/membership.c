#include "raft/membership.h"

#include <string.h>

#include "base/assert.h"

bool spate_membership_is_valid(const struct spate_membership *membership)
{
    bool has_voter = false;
    spate_node_id previous = 0;

    spate_assert(membership != NULL);
    if (membership->count == 0 || membership->count > SPATE_MEMBERS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < membership->count; i++) {
        const struct spate_member *member = &membership->members[i];
        if (member->id <= previous) {
            return false;
        }
        if (memchr(member->address, '\0', sizeof member->address) == NULL) {
            return false;
        }
        previous = member->id;
        has_voter = has_voter || member->is_voter;
    }
    return has_voter;
}

bool spate_membership_is_joint(const struct spate_membership *membership)
{
    spate_assert(membership != NULL);
    spate_assert(membership->count <= SPATE_MEMBERS_MAX);
    for (uint32_t i = 0; i < membership->count; i++) {
        if (membership->members[i].is_voter_next) {
            return true;
        }
    }
    return false;
}

uint32_t spate_membership_voters(const struct spate_membership *membership)
{
    spate_assert(membership != NULL);
    const bool is_joint = spate_membership_is_joint(membership);
    uint32_t voters = 0;

    spate_assert(membership->count <= SPATE_MEMBERS_MAX);
    for (uint32_t i = 0; i < membership->count; i++) {
        const struct spate_member *member = &membership->members[i];
        voters += (is_joint ? member->is_voter_next : member->is_voter) ? 1u : 0u;
    }
    return voters;
}

uint32_t spate_membership_find(const struct spate_membership *membership, spate_node_id id)
{
    spate_assert(membership != NULL);
    spate_assert(membership->count <= SPATE_MEMBERS_MAX);
    for (uint32_t i = 0; i < membership->count; i++) {
        if (membership->members[i].id == id) {
            return i;
        }
    }
    return SPATE_MEMBERS_MAX;
}

bool spate_membership_is_voter(const struct spate_membership *membership, spate_node_id id)
{
    spate_assert(membership != NULL);
    const uint32_t place = spate_membership_find(membership, id);

    if (place == SPATE_MEMBERS_MAX) {
        return false;
    }
    spate_assert(place < membership->count);
    return membership->members[place].is_voter || membership->members[place].is_voter_next;
}
