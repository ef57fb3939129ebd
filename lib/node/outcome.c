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

/* Room for outcomes that belong to a port. */
static struct spate_result *reserve_outcomes(struct spate_node *node, uint32_t place,
                                             uint32_t count)
{
    spate_assert(place < node->port_count);
    spate_assert(count >= 1);
    struct spate_result *slots =
        spate_ring_reserve(node->ports[place]->applied.ring, count * (uint32_t)sizeof *slots);
    spate_assert(slots != NULL);
    node->apply.ports_touched |= 1u << place;
    return slots;
}

static void answer(struct spate_node *node, struct spate_origin origin,
                   const struct spate_result *result)
{
    struct spate_answer *slot = spate_ring_reserve(node->answers, sizeof *slot);

    spate_assert(origin.epoch != 0);
    spate_assert(slot != NULL);
    slot->origin = origin;
    slot->result = *result;
    node->apply.has_answers = true;
}

static void settle(struct spate_node *node, struct spate_origin origin,
                   const struct spate_result *result)
{
    if (origin.epoch == 0) {
        *reserve_outcomes(node, origin.place, 1) = *result;
    } else {
        answer(node, origin, result);
    }
}

/* The next `count` proposals of the run took effect, from the entry `index` on. */
static void succeed(struct spate_node *node, const struct spate_pending *run, spate_index index,
                    uint32_t count, const uint64_t values[])
{
    const uint64_t *cookies = &run->cookies[node->apply.run_done];
    struct spate_result *slots =
        run->origin.epoch == 0 ? reserve_outcomes(node, run->origin.place, count) : NULL;

    spate_assert(values != NULL);
    spate_assert(node->apply.run_done + count <= run->count);
    for (uint32_t i = 0; i < count; i++) {
        const struct spate_result result = {
            .cookie = cookies[i], .status = SPATE_OK, .index = index + i, .value = values[i]};
        if (slots != NULL) {
            slots[i] = result;
        } else {
            answer(node, run->origin, &result);
        }
    }
    node->apply.run_done += count;
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
        const spate_index next = run->first + node->apply.run_done;
        if (run->term > term || next >= after) {
            return;
        }
        spate_assert(next >= first);
        const uint64_t here = after - next;
        const uint32_t left = run->count - node->apply.run_done;
        succeed(node, run, next, here < left ? (uint32_t)here : left, &values[next - first]);
    }
}

void spate_node_resolve_skipped(struct spate_node *node, struct spate_entry_id last)
{
    struct spate_pending *run;

    spate_assert(last.index >= 1);
    while ((run = oldest_run(node)) != NULL) {
        const spate_index next = run->first + node->apply.run_done;

        if (next > last.index) {
            if (run->term >= last.term) {
                return;
            }
            supersede(node, run);
            continue;
        }
        const struct spate_result result = {.cookie = run->cookies[node->apply.run_done],
                                            .status = SPATE_ERR_UNKNOWN};
        settle(node, run->origin, &result);
        node->apply.run_done++;
    }
}

void spate_node_publish_outcomes(struct spate_node *node)
{
    uint32_t touched = node->apply.ports_touched;

    node->apply.ports_touched = 0;
    while (touched != 0) {
        struct spate_port *port = node->ports[__builtin_ctz(touched)];

        touched &= touched - 1;
        spate_ring_publish(port->applied.ring);
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
