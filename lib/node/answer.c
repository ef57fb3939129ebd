/*
 * What a leader was passed by the others. A member's forwards carry cookies that count up, never
 * more than SPATE_FORWARDS_MAX apart, so a table of twice that many tells repetitions from new ones
 * for certain: while the first is pending a repetition is ignored, later it is answered again.
 *
 * A node that is not the leader of the forward's term stays silent: it may have been, in an earlier
 * life, and cannot vouch that the proposal never became an entry.
 */
#include "node_internal.h"

#include <string.h>

#include "base/assert.h"

static struct spate_remembered *remembered_of(struct spate_node_peer *peer, uint64_t cookie)
{
    return &peer->remembered[cookie % SPATE_REMEMBERED_MAX];
}

/* A restarted member counts its cookies from the beginning. */
static void meet_session(struct spate_node_peer *peer, uint64_t session)
{
    if (peer->session == session) {
        return;
    }
    peer->session = session;
    peer->epoch++;
    memset(peer->remembered, 0, SPATE_REMEMBERED_MAX * sizeof peer->remembered[0]);
}

static void send_answer(struct spate_node *node, const struct spate_node_peer *peer,
                        const struct spate_result *result)
{
    const struct spate_message message = {
        .kind = SPATE_MESSAGE_FORWARD_RESULT,
        .from = node->options.self,
        .to = peer->id,
        .term = node->term,
        .session = node->options.session,
        .peer_session = peer->session,
        .forward_result = {.cookie = result->cookie,
                           .status = result->status,
                           .index = result->index,
                           .value = result->value},
    };

    /* When there is no room the follower asks again, and is answered from the table. */
    (void)spate_node_send(node, &message);
}

void spate_node_take_forward(struct spate_node *node, const struct spate_message *message)
{
    struct spate_batch *batch = &node->forwarded_batch;
    const struct spate_message_forward *forward = &message->forward;
    struct spate_node_peer *peer = spate_node_peer_find(node, message->from);

    if (peer == NULL || forward->cookie == 0 || forward->size > SPATE_ENTRY_BYTES_MAX) {
        return;
    }
    meet_session(peer, message->session);
    struct spate_remembered *remembered = remembered_of(peer, forward->cookie);
    if (remembered->state != SPATE_REMEMBERED_NOTHING &&
        remembered->result.cookie >= forward->cookie) {
        if (remembered->state == SPATE_REMEMBERED_ANSWERED &&
            remembered->result.cookie == forward->cookie) {
            send_answer(node, peer, &remembered->result);
        }
        return;
    }
    if (node->role != SPATE_ROLE_LEADER || message->term != node->term ||
        node->answers_owed >= SPATE_ANSWERS_MAX) {
        return;
    }
    node->forwarding_peer = peer;
    batch->cookies[batch->count] = forward->cookie;
    batch->items[batch->count] = (struct spate_proposal){
        .data = forward->data, .size = forward->size, .kind = SPATE_ENTRY_COMMAND};
    batch->count++;
    node->answers_owed++;
    remembered->state = SPATE_REMEMBERED_PENDING;
    remembered->result = (struct spate_result){.cookie = forward->cookie};
    if (batch->count == SPATE_PROPOSALS_MAX) {
        spate_node_propose_forwarded(node);
    }
}

/* Answers all of what one frame brought with a refusal. */
static void refuse_forwarded(struct spate_node *node, struct spate_node_peer *peer)
{
    struct spate_batch *batch = &node->forwarded_batch;

    for (; batch->next < batch->count; batch->next++) {
        struct spate_remembered *remembered = remembered_of(peer, batch->cookies[batch->next]);
        spate_assert(remembered->state == SPATE_REMEMBERED_PENDING);
        spate_assert(node->answers_owed > 0);
        remembered->state = SPATE_REMEMBERED_ANSWERED;
        remembered->result.status = SPATE_ERR_NO_SPACE;
        node->answers_owed--;
        node->proposals_refused++;
        send_answer(node, peer, &remembered->result);
    }
}

/* Proposes what one frame brought. What finds no room is forgotten: its member repeats it. */
void spate_node_propose_forwarded(struct spate_node *node)
{
    struct spate_batch *batch = &node->forwarded_batch;
    struct spate_node_peer *peer = node->forwarding_peer;

    if (batch->count == 0) {
        return;
    }
    spate_assert(peer != NULL);
    spate_assert(batch->next == 0);
    const struct spate_origin origin = {.place = (uint32_t)(peer - node->peers),
                                        .epoch = peer->epoch};
    if (node->role == SPATE_ROLE_LEADER && spate_store_is_low(node->store)) {
        refuse_forwarded(node, peer);
    } else if (node->role == SPATE_ROLE_LEADER) {
        (void)spate_node_propose(node, batch, origin);
    }
    for (; batch->next < batch->count; batch->next++) {
        remembered_of(peer, batch->cookies[batch->next])->state = SPATE_REMEMBERED_NOTHING;
        node->answers_owed--;
    }
    batch->count = 0;
    batch->next = 0;
}

uint32_t spate_node_take_answers(struct spate_node *node)
{
    const struct spate_answer *answer;
    uint32_t taken = 0;
    uint32_t bytes;

    while ((answer = spate_ring_take(node->answers, &bytes)) != NULL) {
        spate_assert(answer->origin.place < node->peer_count);
        struct spate_node_peer *peer = &node->peers[answer->origin.place];

        taken++;
        spate_assert(node->answers_owed > 0);
        node->answers_owed--;
        if (peer->epoch != answer->origin.epoch) {
            continue;
        }
        struct spate_remembered *remembered = remembered_of(peer, answer->result.cookie);
        if (remembered->result.cookie == answer->result.cookie) {
            remembered->state = SPATE_REMEMBERED_ANSWERED;
            remembered->result = answer->result;
        }
        send_answer(node, peer, &answer->result);
    }
    if (taken > 0) {
        spate_ring_release(node->answers);
    }
    return taken;
}
