/*
 * Where the time of a commit goes. A port marks one of its commands in some hundreds with the time;
 * the node's thread follows one such command at a time through its stages, the apply stage marks
 * its end, and what was measured goes into a ring that one thread may read. A follower times one
 * message with entries at a time, from when it was decoded until its answer left.
 *
 * Without a command under way each hook is one comparison.
 */
#include "node_internal.h"

#include "base/assert.h"

/* A command that came to nothing (another leader) is given up for the next marked one. */
#define GIVE_UP_NS 1000000000u

static spate_time_ns now(const struct spate_node *node)
{
    return spate_clock_now(node->options.clock);
}

/* The port keeps the lower half of the time; 0 means that nothing is marked. */
uint32_t spate_port_mark(struct spate_port *port)
{
    const uint32_t every = port->node->options.sample_every;

    spate_assert(every >= 1);
    if (++port->unmarked < every || every == SPATE_SAMPLE_NEVER) {
        return 0;
    }
    port->unmarked = 0;
    return (uint32_t)now(port->node) | 1;
}

void spate_node_sample_taken(struct spate_node *node, uint32_t place, uint32_t marked_at)
{
    struct spate_node_sample *sample = &node->sample;

    spate_assert(marked_at != 0);
    const spate_time_ns taken_at = now(node);
    if (sample->state == SPATE_SAMPLE_COMMITTED ||
        (sample->state != SPATE_SAMPLE_NONE && taken_at - sample->at[0] < GIVE_UP_NS)) {
        return;
    }
    sample->state = SPATE_SAMPLE_TAKEN;
    sample->place = place;
    /* Two seconds fit. The mark is odd, and so may lie a nanosecond ahead. */
    const int32_t waited = (int32_t)((uint32_t)taken_at - marked_at);
    sample->at[0] = taken_at - (waited > 0 ? (spate_time_ns)waited : 0);
    sample->at[1] = taken_at;
}

/* The batch is dealt with: a command that did not become an entry was passed on, or refused. */
void spate_node_sample_forget(struct spate_node *node)
{
    if (node->sample.state == SPATE_SAMPLE_TAKEN) {
        node->sample.state = SPATE_SAMPLE_NONE;
    }
}

/* The engine took a part of the batch that may hold the command. */
void spate_node_sample_proposed(struct spate_node *node, const struct spate_batch *batch)
{
    struct spate_node_sample *sample = &node->sample;
    const struct spate_effects *effects = &node->effects;

    spate_assert(sample->state == SPATE_SAMPLE_TAKEN);
    if (batch->port == NULL || sample->place < batch->next ||
        sample->place >= batch->next + effects->proposed_count) {
        return;
    }
    sample->index = effects->proposed_first.index + (sample->place - batch->next);
    sample->term = effects->proposed_first.term;
    sample->at[2] = now(node);
    sample->state = SPATE_SAMPLE_APPENDED;
}

static bool holds(const struct spate_message *message, spate_index index)
{
    return message->kind == SPATE_MESSAGE_APPEND && message->append.prev.index < index &&
           index <= message->append.prev.index + message->append.count;
}

void spate_node_sample_encoded(struct spate_node *node)
{
    struct spate_node_sample *sample = &node->sample;
    struct spate_node_follow *follow = &node->follow;

    spate_assert(node->effects.message_count <= SPATE_EFFECTS_MESSAGES_MAX);
    if (node->role == SPATE_ROLE_LEADER) {
        follow->index = 0;
    }
    for (uint32_t m = 0; m < node->effects.message_count; m++) {
        const struct spate_message *message = &node->effects.messages[m];
        if (sample->state == SPATE_SAMPLE_APPENDED && holds(message, sample->index)) {
            sample->at[3] = now(node);
            sample->state = SPATE_SAMPLE_ENCODED;
        }
        if (follow->index != 0 && message->kind == SPATE_MESSAGE_APPEND_RESULT &&
            message->append_result.is_accepted && message->append_result.match >= follow->index) {
            follow->is_answered = true;
        }
    }
}

/* What both kinds of sample end with. A full ring loses it: nobody reads. */
static void give(struct spate_node *node, const struct spate_sample *sample)
{
    struct spate_sample *slot = spate_ring_reserve(node->samples, sizeof *slot);

    if (slot != NULL) {
        *slot = *sample;
        spate_ring_publish(node->samples);
    }
}

void spate_node_sample_sent(struct spate_node *node)
{
    struct spate_node_sample *sample = &node->sample;
    struct spate_node_follow *follow = &node->follow;

    if (sample->state == SPATE_SAMPLE_ENCODED) {
        sample->at[4] = now(node);
        sample->state = SPATE_SAMPLE_SENT;
    }
    if (follow->is_answered) {
        spate_assert(follow->index != 0);
        struct spate_sample given = {.index = follow->index, .is_follower = true};
        given.ns[SPATE_STAGE_FOLLOW] = now(node) - follow->began;
        give(node, &given);
        *follow = (struct spate_node_follow){.left = node->options.sample_every};
    }
}

void spate_node_sample_committed(struct spate_node *node, spate_index commit)
{
    struct spate_node_sample *sample = &node->sample;

    if (sample->state < SPATE_SAMPLE_APPENDED || sample->state == SPATE_SAMPLE_COMMITTED ||
        commit < sample->index) {
        return;
    }
    if (sample->term != node->term || node->role != SPATE_ROLE_LEADER) {
        sample->state = SPATE_SAMPLE_NONE; /* Perhaps another entry stands in its place. */
        return;
    }
    /* Stages that were passed over (a cluster of one sends nothing) took no time. */
    for (uint32_t s = (uint32_t)sample->state + 1; s <= SPATE_SAMPLE_SENT; s++) {
        sample->at[s] = sample->at[s - 1];
    }
    sample->at[5] = node->now > sample->at[4] ? node->now : sample->at[4];
    sample->at[6] = now(node);
    sample->state = SPATE_SAMPLE_COMMITTED;
    atomic_store_explicit(&node->sample_to_apply, sample->index, memory_order_release);
}

/* Thread: the apply stage's. */
void spate_node_sample_applied(struct spate_node *node)
{
    const spate_index index = atomic_load_explicit(&node->sample_to_apply, memory_order_acquire);

    if (index != 0 && node->apply.applied >= index) {
        atomic_store_explicit(&node->sample_applied_at, now(node), memory_order_relaxed);
        atomic_store_explicit(&node->sample_to_apply, 0, memory_order_release);
    }
}

void spate_node_sample_finish(struct spate_node *node)
{
    struct spate_node_sample *sample = &node->sample;

    if (sample->state != SPATE_SAMPLE_COMMITTED ||
        atomic_load_explicit(&node->sample_to_apply, memory_order_acquire) != 0) {
        return;
    }
    sample->at[7] = atomic_load_explicit(&node->sample_applied_at, memory_order_relaxed);
    struct spate_sample given = {.index = sample->index};
    for (uint32_t s = 0; s < SPATE_STAGE_FOLLOW; s++) {
        spate_assert(sample->at[s + 1] >= sample->at[s]);
        given.ns[s] = sample->at[s + 1] - sample->at[s];
    }
    give(node, &given);
    sample->state = SPATE_SAMPLE_NONE;
}

void spate_node_sample_follow(struct spate_node *node, const struct spate_message *message)
{
    struct spate_node_follow *follow = &node->follow;

    spate_assert(message->kind == SPATE_MESSAGE_APPEND);
    if (message->append.count == 0 || node->options.sample_every == SPATE_SAMPLE_NEVER) {
        return;
    }
    if (follow->index != 0) {
        const spate_time_ns waited = node->now - follow->began;
        if (node->now < follow->began || waited < GIVE_UP_NS) {
            return;
        }
    }
    follow->left -= follow->left < message->append.count ? follow->left : message->append.count;
    if (follow->left == 0) {
        *follow = (struct spate_node_follow){
            .index = message->append.prev.index + message->append.count,
            .began = now(node),
            .left = node->options.sample_every,
        };
    }
}

bool spate_node_next_sample(struct spate_node *node, struct spate_sample *ret_sample)
{
    uint32_t bytes;

    spate_assert(node != NULL);
    spate_assert(ret_sample != NULL);
    const struct spate_sample *sample = spate_ring_take(node->samples, &bytes);
    if (sample == NULL) {
        return false;
    }
    spate_assert(bytes >= sizeof *sample);
    *ret_sample = *sample;
    spate_ring_release(node->samples);
    return true;
}
