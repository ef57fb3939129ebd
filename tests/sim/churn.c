/*
 * Members come and go: whoever leads is asked for additions, promotions, removals, replacements,
 * other priorities and other leaders, sensible or not. Nodes that are members nowhere lose their
 * data now and then, and come back as another incarnation.
 */
#include "node/node_internal.h"
#include "raft/raft_internal.h"
#include "sim.h"

uint32_t sim_leader(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        if (sim->nodes[i].is_up && sim->nodes[i].was_leader) {
            return i;
        }
    }
    return SIM_NODES_MAX;
}

struct spate_member sim_member(const struct sim *sim, uint32_t i)
{
    struct spate_member member = {.id = i + 1, .incarnation = sim->nodes[i].incarnation};
    const struct spate_address address = spate_net_sim_address(i);

    spate_address_format(&address, member.address);
    return member;
}

static const struct spate_member *find(const struct spate_membership *membership,
                                       const struct sim *sim, uint32_t i)
{
    const uint32_t place = spate_membership_find(membership, i + 1);

    return place != SPATE_MEMBERS_MAX &&
                   membership->members[place].incarnation == sim->nodes[i].incarnation
               ? &membership->members[place]
               : NULL;
}

bool sim_is_member(const struct sim *sim, uint32_t i)
{
    const uint32_t leader = sim_leader(sim);

    return leader == SIM_NODES_MAX ||
           find(spate_raft_membership(sim->nodes[leader].node->raft), sim, i) != NULL;
}

/* Whether a node that runs has a committed membership, later than node i's own, without it. */
static bool is_removed(const struct sim *sim, uint32_t i)
{
    for (uint32_t n = 0; n < sim->options.nodes; n++) {
        const struct sim_node *node = &sim->nodes[n];
        const struct spate_configs *configs = node->is_up ? &node->node->raft->configs : NULL;

        if (configs != NULL && configs->index <= node->node->effects.commit &&
            configs->index > sim->nodes[i].node->raft->configs.index &&
            find(&configs->now, sim, i) == NULL) {
            return true;
        }
    }
    return false;
}

/* Whether some node, itself included, may count with what node i has. */
static bool is_needed(const struct sim *sim, uint32_t i)
{
    for (uint32_t n = 0; n < sim->options.nodes; n++) {
        const struct sim_node *node = &sim->nodes[n];

        if (!node->is_up) {
            return true; /* It may know more than those that run. */
        }
        if (n != i && (find(&node->node->raft->configs.now, sim, i) != NULL ||
                       find(&node->node->raft->configs.before, sim, i) != NULL)) {
            return true;
        }
    }
    return find(&sim->nodes[i].node->raft->configs.now, sim, i) != NULL && !is_removed(sim, i);
}

/* The data is gone; the node that comes back knows nobody, and is another one. */
static void wipe(struct sim *sim, uint32_t i)
{
    struct sim_node *node = &sim->nodes[i];

    if (node->is_up) {
        sim_crash_node(sim, i);
    }
    spate_store_image_destroy(node->image);
    if (spate_store_image_create(&node->image) != SPATE_OK) {
        sim_fail(sim, "out of memory");
        return;
    }
    spate_snapshots_image_clear(&node->snapshot);
    node->incarnation++;
    node->is_joining = true;
    for (uint32_t term = 0; term < SIM_TERMS_MAX; term++) {
        sim->votes[i][term] = 0;
    }
    node->restart_at = sim_now(sim) + sim_exponential(&sim->churn, 100 * SIM_MS);
    sim->wipes++;
}

static spate_node_id any_id(struct sim *sim)
{
    return (spate_node_id)spate_prng_between(&sim->churn, 1, sim->options.nodes);
}

static struct spate_order draw_addition(struct sim *sim)
{
    const uint32_t i = any_id(sim) - 1;
    struct spate_order order = {.change = {.kind = SPATE_CHANGE_ADD, .count = 1}};
    struct spate_member *member = &order.change.members[0];

    *member = sim_member(sim, i);
    member->is_promotable = spate_prng_below(&sim->churn, 4) != 0;
    member->replaces = spate_prng_below(&sim->churn, 4) == 0 ? any_id(sim) : 0;
    member->priority = (uint8_t)spate_prng_below(&sim->churn, 2);
    return order;
}

static struct spate_order draw_order(struct sim *sim)
{
    static const enum spate_change_kind kinds[] = {SPATE_CHANGE_PROMOTE, SPATE_CHANGE_REMOVE,
                                                   SPATE_CHANGE_REMOVE, SPATE_CHANGE_REPLACE,
                                                   SPATE_CHANGE_UPDATE};
    const uint64_t drawn = spate_prng_below(&sim->churn, 12);
    struct spate_order order = {.is_transfer = drawn == 11};

    if (drawn < 6) {
        return draw_addition(sim);
    }
    if (order.is_transfer) {
        order.transfer_to = (spate_node_id)spate_prng_below(&sim->churn, sim->options.nodes + 1);
        return order;
    }
    order.change.kind = kinds[drawn - 6];
    order.change.count = order.change.kind == SPATE_CHANGE_UPDATE
                             ? 1
                             : (uint32_t)spate_prng_between(&sim->churn, 1, 2);
    order.change.is_override = spate_prng_below(&sim->churn, 10) == 0;
    for (uint32_t m = 0; m < order.change.count; m++) {
        order.change.members[m] = sim_member(sim, any_id(sim) - 1);
        order.change.members[m].priority = (uint8_t)spate_prng_below(&sim->churn, 3);
    }
    return order;
}

void sim_churn(struct sim *sim)
{
    const uint32_t leader = sim_leader(sim);
    const uint32_t lost = (uint32_t)spate_prng_below(&sim->churn, sim->options.nodes);
    const struct spate_order order = draw_order(sim);
    struct spate_order_answer answer;

    if (spate_prng_below(&sim->churn, 4) == 0 && !is_needed(sim, lost)) {
        wipe(sim, lost);
        return;
    }
    if (leader == SIM_NODES_MAX) {
        return;
    }
    struct sim_node *node = &sim->nodes[leader];
    if (node->ticket != 0 && !spate_node_order_answer(node->node, node->ticket, &answer)) {
        return;
    }
    if (node->ticket != 0 && answer.err == SPATE_OK) {
        sim->changes++;
    }
    node->ticket = 0;
    if (spate_node_order(node->node, &order, &node->ticket) != SPATE_OK) {
        sim_fail(sim, "node %u takes no order", leader + 1);
    }
}

/* Voters are odd unless somebody insisted, and there are some. */
void sim_check_members(struct sim *sim, uint32_t i)
{
    const struct spate_membership *membership = spate_raft_membership(sim->nodes[i].node->raft);

    if (membership->count == 0) {
        return;
    }
    if (!spate_membership_is_valid(membership)) {
        sim_fail(sim, "node %u: a membership that cannot be", i + 1);
    } else if (spate_membership_voters(membership) % 2 == 0 && !membership->is_overridden) {
        sim_fail(sim, "node %u: %u voters, and nobody insisted", i + 1,
                 spate_membership_voters(membership));
    }
}

static bool is_quorum(const struct sim *sim, const struct spate_membership *membership,
                      spate_index index, spate_term term)
{
    uint32_t holders = 0;

    for (uint32_t place = 0; place < membership->count; place++) {
        const uint32_t n = membership->members[place].id - 1;
        /* Who forgot is counted by a leader that had its word before: as good as crashed. */
        if (sim->nodes[n].is_forgetful ||
            sim_disk_has(sim, n, (struct spate_entry_id){.term = term, .index = index})) {
            holders |= 1u << place;
        }
    }
    return membership->count > 0 && spate_quorum_has(membership, holders);
}

/*
 * Whether the entry is on the disks of a majority of whom the leader counts: by the membership in
 * force, or, when that one came after it had counted, by the one before.
 */
bool sim_is_held(const struct sim *sim, uint32_t leader, spate_index index, spate_term term)
{
    const struct spate_configs *configs = &sim->nodes[leader].node->raft->configs;

    return is_quorum(sim, &configs->now, index, term) ||
           (configs->index > sim->nodes[leader].node->effects.commit &&
            is_quorum(sim, &configs->before, index, term));
}
