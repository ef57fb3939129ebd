/* Frames to events: what the members sent in this turn. */
#include "node_internal.h"

#include "base/assert.h"
#include "wire/wire.h"

/* More wait for the next turn, so that a flood does not delay the deadlines. */
#define BURSTS_MAX 4u

static void take_message(struct spate_node *node, struct spate_message *message)
{
    if (message->kind == SPATE_MESSAGE_FORWARD) {
        spate_node_take_forward(node, message);
        return;
    }
    if (message->kind == SPATE_MESSAGE_FORWARD_RESULT) {
        spate_node_take_forward_result(node, message);
        return;
    }
    if (message->kind == SPATE_MESSAGE_APPEND) {
        spate_node_sample_follow(node, message);
    }
    if (message->kind == SPATE_MESSAGE_SNAPSHOT_RESULT) {
        spate_node_take_snapshot_result(node, message);
        return;
    }
    struct spate_event event = {.kind = SPATE_EVENT_MESSAGE, .message = message};
    spate_node_step(node, &event);
    if (message->kind == SPATE_MESSAGE_SNAPSHOT && node->effects.is_chunk_welcome) {
        spate_node_take_snapshot(node, message);
    }
}

/* A payload that cannot be decoded to its end is dropped from there on, and counted. */
static void take_payload(struct spate_node *node, const struct spate_link_payload *payload)
{
    uint32_t offset = 0;

    while (offset < payload->size) {
        struct spate_message message;
        uint32_t bytes;

        if (spate_wire_decode(payload->data + offset, payload->size - offset, &message, &bytes)) {
            node->frames_malformed++;
            break;
        }
        spate_assert(bytes > 0);
        spate_assert(bytes <= payload->size - offset);
        offset += bytes;
        if (message.session != payload->session) {
            node->frames_malformed++;
            break;
        }
        message.from = payload->from;
        message.to = node->options.self;
        take_message(node, &message);
    }
    spate_node_propose_forwarded(node);
}

uint32_t spate_node_take_frames(struct spate_node *node)
{
    struct spate_link_payload payloads[SPATE_BURST_MAX];
    uint32_t taken = 0;

    for (uint32_t burst = 0; burst < BURSTS_MAX; burst++) {
        const uint32_t count = spate_link_rx(node->link, node->now, payloads, SPATE_BURST_MAX);
        spate_assert(count <= SPATE_BURST_MAX);
        if (count > 0 && node->options.lease_enabled) {
            /* A leader counts on us from when it sent this: we heard it now, and not when a turn
             * began that has stalled since. */
            node->now = spate_clock_now(node->options.clock);
        }
        for (uint32_t i = 0; i < count; i++) {
            take_payload(node, &payloads[i]);
        }
        spate_link_release(node->link);
        taken += count;
        if (count < SPATE_BURST_MAX) {
            break;
        }
    }
    return taken;
}
