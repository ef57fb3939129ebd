/*
 * What must hold after every event (Raft paper figure 3), seen by somebody who sees all logs and
 * all disks:
 *
 *   - election safety: at most one leader in a term, over all lives;
 *   - log matching: an index and a term name one entry, and one entry before it;
 *   - leader completeness: a new leader has every entry committed in an earlier term;
 *   - state-machine safety: what is committed at an index never differs (load.c: nor what is
 *     applied);
 *   - durability: what is committed is on the disks of a majority;
 *   - monotonicity: a commit index does not go back within a life;
 *   - leases: nobody else leads a later term while a leader may read without asking.
 */
#include "base/crc32c.h"
#include "node/node_internal.h"
#include "raft/raft_internal.h"
#include "sim.h"

static void check_leader(struct sim *sim, uint32_t i, spate_term term)
{
    struct sim_node *node = &sim->nodes[i];

    if (term >= SIM_TERMS_MAX) {
        sim_fail(sim, "term %llu: terms run away", (unsigned long long)term);
        return;
    }
    if (sim->leaders[term].life != 0 &&
        (sim->leaders[term].node != i || sim->leaders[term].life != node->life)) {
        sim_fail(sim, "term %llu has two leaders: %u and %u", (unsigned long long)term,
                 sim->leaders[term].node + 1, i + 1);
        return;
    }
    if (sim->leaders[term].life != 0) {
        return;
    }
    sim->leaders[term].node = i;
    sim->leaders[term].life = node->life;
    sim->leader_changes++;
    for (spate_index index = spate_log_first(node->node->log); index <= sim->committed_last;
         index++) {
        spate_term here = 0;
        /* Who wins an election late need not have what a later leader committed meanwhile. */
        if (sim->committed[index] == 0 || sim->committed_in[index] > term) {
            continue;
        }
        if (index > spate_log_last(node->node->log) ||
            spate_log_term_at(node->node->log, index, &here) != SPATE_OK ||
            here != sim->committed[index]) {
            sim_fail(sim, "node %u leads term %llu without the committed entry %llu", i + 1,
                     (unsigned long long)term, (unsigned long long)index);
            return;
        }
    }
}

/* That it reads nothing old has to do with luck; that it may not read has not (thesis 6.4.1). */
static void check_lease(struct sim *sim, uint32_t i)
{
    const struct sim_node *node = &sim->nodes[i];

    if (!spate_raft_is_leader(node->node->raft) ||
        !spate_read_has_lease(node->node->raft, sim_clock_now(&node->clock))) {
        return;
    }
    for (uint32_t other = 0; other < sim->options.nodes; other++) {
        const struct sim_node *rival = &sim->nodes[other];
        if (rival->is_up && rival->node->role == SPATE_ROLE_LEADER &&
            rival->node->term > node->node->term) {
            sim_fail(sim, "node %u has a lease in term %llu, but node %u leads term %llu", i + 1,
                     (unsigned long long)node->node->term, other + 1,
                     (unsigned long long)rival->node->term);
        }
    }
}

bool sim_disk_has(const struct sim *sim, uint32_t i, struct spate_entry_id id)
{
    const struct sim_node *node = &sim->nodes[i];

    /* A snapshot has seen committed entries only: it has this one if it reaches so far and this is
     * the one that was committed there. */
    if (node->snapshot.last.index == id.index) {
        return node->snapshot.last.term == id.term;
    }
    return spate_store_image_term(node->image, id.index) == id.term ||
           (node->snapshot.last.index > id.index &&
            (sim->committed[id.index] == 0 || sim->committed[id.index] == id.term));
}

static void check_commit(struct sim *sim, uint32_t i, spate_index commit)
{
    struct sim_node *node = &sim->nodes[i];

    if (commit < node->seen_commit) {
        sim_fail(sim, "node %u: the commit index goes back from %llu to %llu", i + 1,
                 (unsigned long long)node->seen_commit, (unsigned long long)commit);
        return;
    }
    if (commit > node->seen_commit && node->was_leader && node->node->role == SPATE_ROLE_LEADER) {
        /* Paper section 5.4.2: replicas of an earlier term's entry are not counted. */
        spate_term term = 0;
        if (spate_log_term_at(node->node->log, commit, &term) == SPATE_OK &&
            term != node->node->term) {
            sim_fail(sim, "node %u leads term %llu and commits %llu of term %llu", i + 1,
                     (unsigned long long)node->node->term, (unsigned long long)commit,
                     (unsigned long long)term);
            return;
        }
    }
    for (spate_index index = node->seen_commit + 1; index <= commit && !sim->has_failed; index++) {
        spate_term term = 0;
        if (index < SIM_INDEXES_MAX &&
            spate_log_term_at(node->node->log, index, &term) != SPATE_OK &&
            index > node->snapshot.last.index) {
            /* Taken from memory in the turn that committed it, or not read back. */
            term = spate_store_image_term(node->image, index);
        }
        if (index >= SIM_INDEXES_MAX || term == 0) {
            continue; /* In a snapshot's state: that is compared. */
        }
        if (sim->committed[index] != 0 && sim->committed[index] != term) {
            sim_fail(sim, "node %u commits %llu of term %llu, where term %llu is committed", i + 1,
                     (unsigned long long)index, (unsigned long long)term,
                     (unsigned long long)sim->committed[index]);
        }
        if (sim->committed[index] == 0 && node->node->role == SPATE_ROLE_LEADER &&
            !sim_is_held(sim, i, index, term)) {
            sim_fail(sim, "%llu is committed, but not on the disks of a majority",
                     (unsigned long long)index);
        }
        if (sim->committed[index] == 0) {
            sim->committed[index] = term;
            sim->committed_in[index] = node->node->term;
        }
    }
    node->seen_commit = commit;
    sim->committed_last = commit > sim->committed_last ? commit : sim->committed_last;
}

static struct sim_entry *find_entry(struct sim *sim, spate_index index, spate_term term)
{
    uint64_t at = (index * 0x9e3779b97f4a7c15u) ^ (term * 0xc2b2ae3d27d4eb4fu);
    at ^= at >> 29;
    struct sim_entry *entry = &sim->entries[at % SIM_ENTRIES_MAX];
    while (entry->index != 0 && (entry->index != index || entry->term != term)) {
        at++;
        entry = &sim->entries[at % SIM_ENTRIES_MAX];
    }
    return entry;
}

/* Holds one entry of a node's log against the same (index, term) anywhere else. */
static void check_entry(struct sim *sim, uint32_t i, const struct spate_log_view *view,
                        spate_index index)
{
    struct spate_log_span span;
    spate_term prev_term = 0;

    spate_log_view_span(view, index, 1, UINT32_MAX, &span);
    if (spate_log_view_term(view, index - 1, &prev_term) != SPATE_OK) {
        return;
    }
    const uint64_t hash = spate_crc32c(0, span.data, span.bytes);
    struct sim_entry *entry = find_entry(sim, index, span.term);
    if (entry->index == 0 && sim->entry_count < SIM_ENTRIES_MAX / 2) {
        *entry = (struct sim_entry){index, span.term, prev_term, hash};
        sim->entry_count++;
    } else if (entry->index != 0 && (entry->hash != hash || entry->prev_term != prev_term)) {
        sim_fail(sim, "node %u: entry %llu of term %llu is not what it is elsewhere", i + 1,
                 (unsigned long long)index, (unsigned long long)span.term);
    }
}

static void check_log(struct sim *sim, uint32_t i)
{
    struct sim_node *node = &sim->nodes[i];
    struct spate_log_view view;

    spate_log_view(node->node->log, &view);
    spate_index next = node->seen_last + 1;
    if (view.generation != node->seen_generation || next < view.first) {
        next = view.first; /* Something was cut: look at all of it again. */
    }
    for (; next <= view.last && !sim->has_failed; next++) {
        check_entry(sim, i, &view, next);
    }
    node->seen_last = view.last;
    node->seen_generation = view.generation;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0xff51afd7ed558ccdu;
    return hash ^ (hash >> 32);
}

void sim_check(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->options.nodes && !sim->has_failed; i++) {
        struct sim_node *node = &sim->nodes[i];
        if (!node->is_up) {
            continue;
        }
        const bool is_leader = node->node->role == SPATE_ROLE_LEADER;
        const spate_term term = node->node->term;
        const spate_index commit =
            atomic_load_explicit(&node->node->commit_shown, memory_order_relaxed);

        check_log(sim, i);
        sim_check_members(sim, i);
        sim_check_memory(sim, i);
        check_commit(sim, i, commit);
        if (is_leader) {
            check_leader(sim, i, term);
            check_lease(sim, i);
        }
        node->was_leader = is_leader;
        sim->term_max = term > sim->term_max ? term : sim->term_max;
        sim->trace =
            mix(mix(mix(sim->trace, sim_now(sim)), term * 8 + node->node->role), commit * 8 + i);
    }
}

void sim_check_end(struct sim *sim)
{
    for (uint32_t p = 0; p < sim->proposal_count && !sim->has_failed; p++) {
        const struct sim_proposal *proposal = &sim->proposals[p];
        if (proposal->outcome == SIM_OK && proposal->applied_at == 0) {
            sim_fail(sim, "proposal %u was acknowledged and is lost", p);
        }
    }
    if (sim->options.is_calm && (sim->leader_changes != 1 || sim->term_max != 1)) {
        sim_fail(sim, "a calm run had %u elections and came to term %llu", sim->leader_changes,
                 (unsigned long long)sim->term_max);
    }
}
