/*
 * Nodes that forget what they promised: in some seeds every crash does, as in memory mode, and the
 * node knows it; in others it may find its disk empty, and does not know; or its store finds
 * records damaged. Never so many that no majority remembers: then the cluster would have to stand
 * still for good.
 */
#include "node/node_internal.h"
#include "raft/raft_internal.h"
#include "sim.h"

void sim_draw_forgetting(struct sim *sim)
{
    static const enum sim_forgetting kinds[] = {SIM_FORGETS_NOTHING, SIM_FORGETS_NOTHING,
                                                SIM_FORGETS_MEMORY, SIM_FORGETS_DISK};

    /* A stream of its own, so that older seeds still mean what they meant. */
    spate_prng_seed(&sim->forgetting, sim->options.seed, 8);
    if (!sim->options.is_calm && !sim->options.has_churn) {
        sim->options.forgetting =
            kinds[spate_prng_below(&sim->forgetting, SPATE_ARRAY_COUNT(kinds))];
        /* Half of those that would forget nothing have disks that rot. */
        if (sim->options.forgetting == SIM_FORGETS_NOTHING &&
            spate_prng_below(&sim->forgetting, 2) == 0) {
            sim->options.forgetting = SIM_FORGETS_RECORDS;
        }
    }
}

static bool has_data(const struct sim_node *node)
{
    return spate_store_image_term(node->image, 1) != 0 || node->snapshot.last.index != 0;
}

/* Whether it knows what it promised, and has something of the log; after a crash too. */
static bool remembers(const struct sim_node *node)
{
    return node->is_up && !node->node->raft->is_mute && !node->node->raft->is_new &&
           !spate_store_image_hard_state(node->image).is_mute && has_data(node);
}

/* Whether a majority remembers without node i, and nobody is as empty as a founder. */
static bool may_forget(const struct sim *sim, uint32_t i)
{
    uint32_t others = 0;

    for (uint32_t n = 0; n < sim->options.nodes; n++) {
        const struct sim_node *node = &sim->nodes[n];
        if (n == i) {
            continue;
        }
        others += remembers(node);
        if (sim->options.forgetting == SIM_FORGETS_DISK && !node->is_forgetful && !has_data(node)) {
            return false; /* The empty disk that nobody can tell from a lost one (ADR 0015). */
        }
    }
    return others > sim->options.nodes / 2;
}

bool sim_may_crash(const struct sim *sim, uint32_t i)
{
    return sim->options.forgetting != SIM_FORGETS_MEMORY || may_forget(sim, i);
}

void sim_forget(struct sim *sim, uint32_t i)
{
    struct sim_node *node = &sim->nodes[i];
    const bool is_known = sim->options.forgetting == SIM_FORGETS_MEMORY;

    if (sim->options.forgetting == SIM_FORGETS_NOTHING || !may_forget(sim, i) ||
        (!is_known && spate_prng_below(&sim->forgetting, 2) == 0)) {
        return;
    }
    if (sim->options.forgetting != SIM_FORGETS_RECORDS) {
        spate_store_image_forget(node->image, is_known);
        spate_snapshots_image_clear(&node->snapshot);
    } else if (!spate_store_image_damage(node->image, spate_prng_next(&sim->forgetting))) {
        return;
    }
    for (uint32_t term = 0; term < SIM_TERMS_MAX; term++) {
        sim->votes[i][term] = 0; /* It may vote again: no such vote may matter. */
    }
    node->is_forgetful = true;
    sim->forgotten++;
}

void sim_check_memory(struct sim *sim, uint32_t i)
{
    struct sim_node *node = &sim->nodes[i];

    if (node->is_forgetful && remembers(node)) {
        node->is_forgetful = false;
        sim->reinstated++;
    }
}
