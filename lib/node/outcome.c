/*
 * Entries to outcomes: what became of the proposals of this node. Belongs to the apply stage.
 *
 * The node's thread notes every proposal that became an entry in a run {first, term, count}, in
 * the order in which it proposed them, before the entry can commit. Applied entries settle them:
 *
 *   same index, same term      the proposal took effect: OK
 *   a run of an older term     an entry of a newer term is committed at or before its place, so it
 *                              can never commit any more: NOT_READY, safe to repeat
 *
 * (Terms never decrease along the log: Raft paper section 5.3.)
 */
#include "node_internal.h"

#include "base/assert.h"

static void settle(struct spate_node *node, struct spate_origin origin,
                   const struct spate_result *result)
{
    if (origin.epoch == 0) {
        spate_assert(origin.place < node->port_count);
        struct spate_result *slot =
            spate_ring_reserve(node->ports[origin.place]->applied, sizeof *slot);
        spate_assert(slot != NULL);
        *slot = *result;
        node->apply.ports_touched |= 1u << origin.place;
        return;
    }
    struct spate_answer *answer = spate_ring_reserve(node->answers, sizeof *answer);
    spate_assert(answer != NULL);
    answer->origin = origin;
    answer->result = *result;
    node->apply.has_answers = true;
}

/* The oldest run that is not settled, or NULL. */
static struct spate_pending *oldest_run(struct spate_node *node)
{
    while (node->apply.run == NULL || node->apply.run_done == node->apply.run->count) {
        uint32_t bytes;

        if (node->apply.run != NULL) {
            spate_ring_release(node->pending);
        }
        node->apply.run = spate_ring_take(node->pending, &bytes);
        node->apply.run_done = 0;
        if (node->apply.run == NULL) {
            return NULL;
        }
    }
    return node->apply.run;
}

static void supersede(struct spate_node *node, struct spate_pending *run)
{
    for (; node->apply.run_done < run->count; node->apply.run_done++) {
        const struct spate_result result = {.cookie = run->cookies[node->apply.run_done],
                                            .status = SPATE_ERR_NOT_READY};
        settle(node, run->origin, &result);
    }
}

void spate_node_resolve(struct spate_node *node, spate_index first, spate_term term, uint32_t count,
                        const uint64_t values[])
{
    const spate_index after = first + count;
    struct spate_pending *run;

    spate_assert(first >= 1);
    while ((run = oldest_run(node)) != NULL) {
        if (run->term < term) {
            supersede(node, run);
            continue;
        }
        spate_index next = run->first + node->apply.run_done;
        if (run->term > term || next >= after) {
            return;
        }
        spate_assert(next >= first);
        spate_assert(values != NULL);
        for (; node->apply.run_done < run->count && next < after; next++) {
            const struct spate_result result = {
                .cookie = run->cookies[node->apply.run_done],
                .status = SPATE_OK,
                .index = next,
                .value = values[next - first],
            };
            settle(node, run->origin, &result);
            node->apply.run_done++;
        }
    }
}

void spate_node_publish_outcomes(struct spate_node *node)
{
    uint32_t touched = node->apply.ports_touched;

    node->apply.ports_touched = 0;
    while (touched != 0) {
        struct spate_port *port = node->ports[__builtin_ctz(touched)];

        touched &= touched - 1;
        spate_ring_publish(port->applied);
        spate_port_wake_client(port);
    }
    if (node->apply.has_answers) {
        node->apply.has_answers = false;
        spate_ring_publish(node->answers);
        if (!spate_node_applies_inline(node)) {
            spate_node_wake(node);
        }
    }
}
