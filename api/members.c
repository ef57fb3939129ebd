/* The membership: as it is, and what somebody wants of it. */
#include <string.h>

#include "core_internal.h"

void spate_core_show_member(const struct spate_member *from, struct spate_member_status *to)
{
    *to = (struct spate_member_status){
        .id = from->id,
        .is_voter = from->is_voter,
        .is_voter_next = from->is_voter_next,
        .is_promotable = from->is_promotable,
        .priority = from->priority,
        .replaces = from->replaces,
        .incarnation = from->incarnation,
    };
    _Static_assert(sizeof to->address == sizeof from->address, "an address fits");
    memcpy(to->address, from->address, sizeof to->address);
}

void spate_get_members(const struct spate *spate, struct spate_members *ret_members)
{
    struct spate_node_status node;

    spate_node_status(spate->node, &node);
    const struct spate_membership *membership = &node.raft.membership;
    *ret_members = (struct spate_members){
        .index = node.raft.membership_index,
        .is_joint = spate_membership_is_joint(membership),
        .is_overridden = membership->is_overridden,
        .transfer_to = node.raft.transfer_to,
        .unreachable = node.members_unreachable,
        .count = membership->count,
    };
    for (uint32_t i = 0; i < membership->count; i++) {
        struct spate_member_status *member = &ret_members->members[i];

        spate_core_show_member(&membership->members[i], member);
        ret_members->is_member |=
            member->id == spate->id && member->incarnation == spate->incarnation;
        member->is_caught_up = member->id == spate->id && node.raft.leader == spate->id;
        for (uint32_t p = 0; p < node.raft.peer_count; p++) {
            const struct spate_raft_peer_status *peer = &node.raft.peers[p];
            member->is_caught_up |= peer->id == member->id && peer->is_caught_up;
            member->is_mute |= peer->id == member->id && peer->is_mute;
        }
    }
}

/* Whether frames to such an address may leave unsealed, as when the core was opened. */
static bool is_allowed(const struct spate *spate, const struct spate_address *address)
{
    return spate->insecure_peers == SPATE_INSECURE_ANY ||
           (spate->insecure_peers == SPATE_INSECURE_LOCAL &&
            (spate->net_is_local || spate_address_is_loopback(address)));
}

static spate_err set_address(const struct spate *spate, const char *text,
                             struct spate_member *member)
{
    struct spate_address address;

    if (text == NULL || spate_address_parse(text, &address) != SPATE_OK) {
        return SPATE_ERR_INVALID;
    }
    spate_address_format(&address, member->address);
    return is_allowed(spate, &address) ? SPATE_OK : SPATE_ERR_PERMISSION;
}

/* What is not to change stays as it is in the membership in force. */
static spate_err fill_update(const struct spate *spate, const struct spate_members_change *change,
                             struct spate_member *member)
{
    struct spate_members now;

    spate_get_members(spate, &now);
    for (uint32_t i = 0; i < now.count; i++) {
        if (now.members[i].id != member->id) {
            continue;
        }
        member->priority = change->has_priority ? change->priority : now.members[i].priority;
        if (change->address != NULL) {
            return set_address(spate, change->address, member);
        }
        memcpy(member->address, now.members[i].address, sizeof member->address);
        return SPATE_OK;
    }
    return SPATE_ERR_NOT_FOUND;
}

static spate_err fill_change(const struct spate *spate, const struct spate_members_change *change,
                             struct spate_change *to)
{
    static const enum spate_change_kind kinds[] = {
        [SPATE_MEMBERS_ADD] = SPATE_CHANGE_ADD,
        [SPATE_MEMBERS_PROMOTE] = SPATE_CHANGE_PROMOTE,
        [SPATE_MEMBERS_REMOVE] = SPATE_CHANGE_REMOVE,
        [SPATE_MEMBERS_REPLACE] = SPATE_CHANGE_REPLACE,
        [SPATE_MEMBERS_UPDATE] = SPATE_CHANGE_UPDATE,
    };

    _Static_assert(SPATE_MEMBERS_CHANGED_MAX == SPATE_CHANGE_MEMBERS_MAX, "as many as the rules");
    if (change->op < SPATE_MEMBERS_ADD || change->op > SPATE_MEMBERS_UPDATE || change->count == 0 ||
        change->count > SPATE_MEMBERS_CHANGED_MAX) {
        return SPATE_ERR_INVALID;
    }
    to->kind = kinds[change->op];
    to->count = change->count;
    to->is_override = change->is_override;
    for (uint32_t i = 0; i < change->count; i++) {
        to->members[i].id = change->ids[i];
    }
    if (change->op == SPATE_MEMBERS_UPDATE) {
        return fill_update(spate, change, &to->members[0]);
    }
    if (change->op != SPATE_MEMBERS_ADD) {
        return SPATE_OK;
    }
    to->members[0].priority = change->priority;
    to->members[0].incarnation = change->incarnation == 0 ? 1 : change->incarnation;
    to->members[0].is_promotable = change->is_promotable;
    to->members[0].replaces = change->replaces;
    return set_address(spate, change->address, &to->members[0]);
}

spate_err spate_change_members(struct spate *spate, const struct spate_members_change *change,
                               uint64_t *ret_ticket)
{
    struct spate_order order = {.is_transfer = false};

    if (spate == NULL || change == NULL || ret_ticket == NULL) {
        return SPATE_ERR_INVALID;
    }
    const spate_err err = fill_change(spate, change, &order.change);
    return err == SPATE_OK ? spate_node_order(spate->node, &order, ret_ticket) : err;
}

spate_err spate_transfer(struct spate *spate, spate_node_id to, uint64_t *ret_ticket)
{
    const struct spate_order order = {.is_transfer = true, .transfer_to = to};

    if (spate == NULL || ret_ticket == NULL) {
        return SPATE_ERR_INVALID;
    }
    return spate_node_order(spate->node, &order, ret_ticket);
}

bool spate_take_answer(struct spate *spate, uint64_t ticket,
                       struct spate_members_answer *ret_answer)
{
    struct spate_order_answer answer;

    if (!spate_node_order_answer(spate->node, ticket, &answer)) {
        return false;
    }
    *ret_answer = (struct spate_members_answer){
        .err = answer.err,
        .index = answer.index,
        .leader = answer.leader,
        .name = spate_change_name(answer.verdict),
        .text = spate_change_text(answer.verdict),
    };
    return true;
}

void spate_forget_answer(struct spate *spate, uint64_t ticket)
{
    spate_node_order_abandon(spate->node, ticket);
}
