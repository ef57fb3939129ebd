/* Messages to frames: encoded straight from the log into what the driver lent. */
#include "node_internal.h"

#include "base/assert.h"
#include "wire/wire.h"

static bool send_in_frame(struct spate_node *node, const struct spate_message *message,
                          uint32_t bytes)
{
    uint8_t *to = spate_link_reserve(node->link, message->to, bytes);
    uint32_t written;

    if (to == NULL || spate_wire_encode(message, &node->view, to, bytes, &written)) {
        return false;
    }
    spate_assert(written <= bytes);
    spate_link_wrote(node->link, message->to, written);
    return true;
}

static bool send_in_pieces(struct spate_node *node, const struct spate_message *message,
                           uint32_t bytes)
{
    uint8_t *to = spate_link_large_reserve(node->link, message->to, bytes);
    uint32_t written;

    if (to == NULL || spate_wire_encode(message, &node->view, to, bytes, &written)) {
        return false;
    }
    spate_assert(written <= bytes);
    spate_link_large_wrote(node->link, message->to, written, node->now);
    return true;
}

bool spate_node_send(struct spate_node *node, const struct spate_message *message)
{
    spate_assert(message->to != node->options.self);
    const uint32_t bytes = spate_wire_message_bytes(message);
    const uint32_t frame_bytes = spate_link_payload_bytes_max(node->link, message->to);

    if (frame_bytes == 0) {
        return false;
    }
    return bytes <= frame_bytes ? send_in_frame(node, message, bytes)
                                : send_in_pieces(node, message, bytes);
}

void spate_node_give_messages(struct spate_node *node)
{
    struct spate_effects *effects = &node->effects;

    spate_assert(effects->message_count <= SPATE_EFFECTS_MESSAGES_MAX);
    if (effects->message_count == 0) {
        return;
    }
    spate_log_view(node->log, &node->view);
    for (uint32_t i = 0; i < effects->message_count; i++) {
        const struct spate_message *message = &effects->messages[i];
        if (!spate_node_send(node, message) && message->kind == SPATE_MESSAGE_APPEND) {
            spate_raft_message_dropped(node->raft, message);
        }
    }
    if (node->sample.state == SPATE_SAMPLE_APPENDED || node->follow.index != 0) {
        spate_node_sample_encoded(node);
    }
}
