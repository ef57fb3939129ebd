/*
 * What operators ask of the cluster: changes of the membership, and another leader.
 *
 * Any thread asks, and looks for the answer later. Each slot belongs to one side at a time:
 *
 *   FREE --ask--> FILLING --> ASKED --take--> WAITING --finish--> ANSWERED --answer--> FREE
 *                               '------ abandon -----'--> ABANDONED --finish--> FREE
 *
 * A slot's word carries its generation besides its state, so whoever is late changes nothing.
 */
#include "node_internal.h"

#include "base/assert.h"

/* A change that comes too early, or while another one is under way, waits for so many times the
 * longest election timeout; so does a transfer that was begun. */
#define PATIENCE 4u

enum order_state { FREE, FILLING, ASKED, WAITING, ANSWERED, ABANDONED };

static uint64_t word_of(uint64_t generation, enum order_state state)
{
    return generation << 8 | (uint64_t)state;
}

static bool move(struct spate_node_order *slot, uint64_t generation, enum order_state from,
                 enum order_state to)
{
    uint64_t expected = word_of(generation, from);

    spate_assert(from != to);
    return atomic_compare_exchange_strong_explicit(&slot->word, &expected, word_of(generation, to),
                                                   memory_order_acq_rel, memory_order_relaxed);
}

static struct spate_node_order *slot_of(struct spate_node *node, uint64_t ticket)
{
    return &node->orders.slots[ticket % SPATE_ORDERS_MAX];
}

spate_err spate_node_order(struct spate_node *node, const struct spate_order *order,
                           uint64_t *ret_ticket)
{
    spate_assert(node != NULL && order != NULL);
    for (uint32_t i = 0; i < SPATE_ORDERS_MAX; i++) {
        struct spate_node_order *slot = &node->orders.slots[i];
        uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
        const uint64_t generation = (word >> 8) + 1;

        if ((word & 0xff) != FREE || !atomic_compare_exchange_strong_explicit(
                                         &slot->word, &word, word_of(generation, FILLING),
                                         memory_order_acquire, memory_order_relaxed)) {
            continue;
        }
        slot->order = *order;
        (void)atomic_fetch_add_explicit(&node->orders.open, 1, memory_order_relaxed);
        atomic_store_explicit(&slot->word, word_of(generation, ASKED), memory_order_release);
        *ret_ticket = generation * SPATE_ORDERS_MAX + i;
        spate_node_wake(node);
        return SPATE_OK;
    }
    return SPATE_ERR_BUSY;
}

bool spate_node_order_answer(struct spate_node *node, uint64_t ticket,
                             struct spate_order_answer *ret_answer)
{
    struct spate_node_order *slot = slot_of(node, ticket);
    const uint64_t answered = word_of(ticket / SPATE_ORDERS_MAX, ANSWERED);

    spate_assert(ret_answer != NULL);
    spate_assert(ticket >= SPATE_ORDERS_MAX);
    if (atomic_load_explicit(&slot->word, memory_order_acquire) != answered) {
        return false;
    }
    *ret_answer = slot->answer;
    atomic_store_explicit(&slot->word, word_of(ticket / SPATE_ORDERS_MAX, FREE),
                          memory_order_release);
    return true;
}

void spate_node_order_abandon(struct spate_node *node, uint64_t ticket)
{
    struct spate_node_order *slot = slot_of(node, ticket);
    const uint64_t generation = ticket / SPATE_ORDERS_MAX;

    spate_assert(generation > 0);
    if (!move(slot, generation, ASKED, ABANDONED) && !move(slot, generation, WAITING, ABANDONED)) {
        (void)move(slot, generation, ANSWERED, FREE);
    }
}

static void finish(struct spate_node *node, struct spate_node_order *slot, spate_err err,
                   enum spate_change_verdict verdict)
{
    const uint64_t generation = atomic_load_explicit(&slot->word, memory_order_relaxed) >> 8;

    slot->answer = (struct spate_order_answer){
        .err = err, .verdict = verdict, .index = slot->index, .leader = node->leader};
    slot->is_taken = false;
    slot->give_up_at = 0;
    (void)atomic_fetch_sub_explicit(&node->orders.open, 1, memory_order_relaxed);
    if (!move(slot, generation, WAITING, ANSWERED) && !move(slot, generation, ASKED, ANSWERED)) {
        atomic_store_explicit(&slot->word, word_of(generation, FREE), memory_order_release);
    }
}

static void ask_for_change(struct spate_node *node, struct spate_node_order *slot)
{
    struct spate_event event = {.kind = SPATE_EVENT_CHANGE, .change = &slot->order.change};

    spate_assert(!slot->is_taken && !slot->order.is_transfer);
    spate_node_step(node, &event);
    const enum spate_change_verdict verdict = node->effects.change_verdict;
    const bool may_wait = verdict == SPATE_CHANGE_TOO_EARLY || verdict == SPATE_CHANGE_UNDER_WAY;

    if (verdict == SPATE_CHANGE_ACCEPTED) {
        slot->is_taken = true;
        slot->index = node->effects.change_index;
        slot->term = node->term;
    } else if (verdict == SPATE_CHANGE_NOT_LEADER) {
        finish(node, slot, SPATE_ERR_NOT_READY, verdict);
    } else if (!may_wait || node->now >= slot->give_up_at) {
        finish(node, slot, SPATE_ERR_INVALID, verdict);
    }
}

static void ask_for_transfer(struct spate_node *node, struct spate_node_order *slot)
{
    struct spate_event event = {.kind = SPATE_EVENT_TRANSFER,
                                .transfer = {.to = slot->order.transfer_to}};

    if (node->role != SPATE_ROLE_LEADER) {
        finish(node, slot, SPATE_ERR_NOT_READY, SPATE_CHANGE_NOT_LEADER);
        return;
    }
    spate_node_step(node, &event);
    if (node->effects.transfer_accepted) {
        slot->is_taken = true;
        slot->term = node->term;
    } else {
        finish(node, slot, SPATE_ERR_INVALID, SPATE_CHANGE_BEHIND);
    }
}

static void await_change(struct spate_node *node, struct spate_node_order *slot)
{
    spate_assert(slot->is_taken && slot->index > 0);
    const bool is_done = node->effects.membership_index >= slot->index &&
                         node->effects.commit >= node->effects.membership_index &&
                         !spate_membership_is_joint(spate_raft_membership(node->raft));

    if (is_done && node->term == slot->term) {
        finish(node, slot, SPATE_OK, SPATE_CHANGE_ACCEPTED);
    } else if (node->term != slot->term || node->role != SPATE_ROLE_LEADER) {
        /* Another leader carries it through, or it never was. */
        finish(node, slot, SPATE_ERR_UNKNOWN, SPATE_CHANGE_NOT_LEADER);
    }
}

static void await_transfer(struct spate_node *node, struct spate_node_order *slot)
{
    spate_assert(slot->is_taken && slot->order.is_transfer);
    if (node->leader != 0 && node->leader != node->options.self) {
        finish(node, slot, SPATE_OK, SPATE_CHANGE_ACCEPTED);
    } else if (node->now >= slot->give_up_at) {
        finish(node, slot, SPATE_ERR_UNKNOWN, SPATE_CHANGE_BEHIND);
    }
}

static void serve(struct spate_node *node, struct spate_node_order *slot)
{
    const uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);

    switch ((enum order_state)(word & 0xff)) {
    case FREE:
    case FILLING:
    case ANSWERED:
        return;
    case ABANDONED:
        finish(node, slot, SPATE_ERR_UNKNOWN, SPATE_CHANGE_ACCEPTED);
        return;
    case ASKED:
    case WAITING:
        break;
    }
    if (slot->give_up_at == 0) {
        slot->index = 0;
        slot->give_up_at = node->now + PATIENCE * node->options.election_timeout_ns_max;
        (void)move(slot, word >> 8, ASKED, WAITING);
    }
    if (slot->order.is_transfer) {
        (slot->is_taken ? await_transfer : ask_for_transfer)(node, slot);
    } else {
        (slot->is_taken ? await_change : ask_for_change)(node, slot);
    }
}

uint32_t spate_node_take_orders(struct spate_node *node)
{
    const uint32_t open = atomic_load_explicit(&node->orders.open, memory_order_relaxed);

    if (open == 0) {
        node->orders.look_at = SPATE_TIME_NEVER;
        return 0;
    }
    for (uint32_t i = 0; i < SPATE_ORDERS_MAX; i++) {
        serve(node, &node->orders.slots[i]);
    }
    node->orders.look_at = node->now + node->options.heartbeat_ns / 4 + 1;
    return 0;
}
