/* Messages to bytes. */
#include "layout_internal.h"

#include "base/assert.h"
#include "base/bytes.h"

uint32_t spate_wire_message_bytes(const struct spate_message *message)
{
    spate_assert(message->kind >= SPATE_MESSAGE_VOTE);
    spate_assert(message->kind <= SPATE_MESSAGE_FORGOTTEN);

    switch (message->kind) {
    case SPATE_MESSAGE_VOTE:
        return VOTE_BYTES;
    case SPATE_MESSAGE_VOTE_RESULT:
        return VOTE_RESULT_BYTES;
    case SPATE_MESSAGE_APPEND:
        return SPATE_WIRE_APPEND_BYTES + message->append.bytes;
    case SPATE_MESSAGE_APPEND_RESULT:
        return APPEND_RESULT_BYTES;
    case SPATE_MESSAGE_FORWARD:
        return FORWARD_AT_DATA + spate_round_up_8(message->forward.size);
    case SPATE_MESSAGE_FORWARD_RESULT:
        return FORWARD_RESULT_BYTES;
    case SPATE_MESSAGE_SNAPSHOT:
        return SPATE_WIRE_SNAPSHOT_BYTES + spate_round_up_8(message->snapshot.size);
    case SPATE_MESSAGE_SNAPSHOT_RESULT:
        return SNAPSHOT_RESULT_BYTES;
    case SPATE_MESSAGE_TIMEOUT_NOW:
    case SPATE_MESSAGE_REINSTATE:
        return COMMON_BYTES;
    case SPATE_MESSAGE_FORGOTTEN:
        return FORGOTTEN_BYTES;
    case SPATE_MESSAGE_READ:
        return READ_BYTES;
    case SPATE_MESSAGE_READ_RESULT:
        return READ_RESULT_BYTES;
    }
    return 0;
}

/*
 * Copies the range of `append` out of the view, span by span: usually one, more when a truncation
 * laid the entries out anew.
 */
static spate_err copy_from_view(const struct spate_message_append *append,
                                const struct spate_log_view *view, uint8_t *to)
{
    const spate_index last = append->prev.index + append->count;
    spate_term prev_term;

    spate_assert(view != NULL);
    spate_assert(append->count >= 1);
    if (append->prev.index + 1 < view->first || last > view->last ||
        spate_log_view_term(view, append->prev.index, &prev_term) != SPATE_OK ||
        prev_term != append->prev.term) {
        return SPATE_ERR_COMPACTED;
    }

    uint32_t count = 0;
    uint32_t bytes = 0;

    while (count < append->count) {
        struct spate_log_span span;

        spate_log_view_span(view, append->prev.index + 1 + count, append->count - count,
                            append->bytes - bytes, &span);
        spate_assert(span.count >= 1);
        if (span.term != append->entries_term || span.bytes > append->bytes - bytes) {
            return SPATE_ERR_COMPACTED;
        }
        memcpy(to + bytes, span.data, span.bytes);
        count += span.count;
        bytes += span.bytes;
    }
    /* Other entries of that term and number would be of another size: still the log moved on. */
    return bytes == append->bytes ? SPATE_OK : SPATE_ERR_COMPACTED;
}

static spate_err encode_append(const struct spate_message_append *append,
                               const struct spate_log_view *view, uint8_t *to)
{
    spate_assert((append->count == 0) == (append->bytes == 0));
    spate_assert(append->bytes % 8 == 0);
    spate_assert(append->bytes <= APPEND_ENTRIES_BYTES_MAX);

    if (append->count > 0 && append->entries != NULL) {
        memcpy(to + APPEND_AT_ENTRIES, append->entries, append->bytes);
    } else if (append->count > 0) {
        const spate_err err = copy_from_view(append, view, to + APPEND_AT_ENTRIES);
        if (err != SPATE_OK) {
            return err;
        }
    }
    spate_put_u64(to + APPEND_AT_PREV_TERM, append->prev.term);
    spate_put_u64(to + APPEND_AT_PREV_INDEX, append->prev.index);
    spate_put_u64(to + APPEND_AT_COMMIT, append->commit);
    spate_put_u64(to + APPEND_AT_ROUND, append->round);
    spate_put_u64(to + APPEND_AT_ENTRIES_TERM, append->count > 0 ? append->entries_term : 0);
    spate_put_u32(to + APPEND_AT_COUNT, append->count);
    spate_put_u32(to + APPEND_AT_ENTRIES_BYTES, append->bytes);
    return SPATE_OK;
}

static void encode_append_result(const struct spate_message_append_result *result, uint8_t *to)
{
    spate_put_u64(to + APPEND_RESULT_AT_ROUND, result->round);
    spate_put_u64(to + APPEND_RESULT_AT_PREV, result->prev);
    spate_put_u64(to + APPEND_RESULT_AT_MATCH, result->match);
    spate_put_u64(to + APPEND_RESULT_AT_LAST, result->last);
    spate_put_u64(to + APPEND_RESULT_AT_HINT_TERM, result->hint_term);
}

static void encode_forward(const struct spate_message_forward *forward, uint8_t *to)
{
    const uint32_t padded = spate_round_up_8(forward->size);

    spate_assert(forward->size <= SPATE_ENTRY_BYTES_MAX);
    spate_put_u64(to + FORWARD_AT_COOKIE, forward->cookie);
    spate_put_u32(to + FORWARD_AT_SIZE, forward->size);
    spate_put_u32(to + FORWARD_AT_ZERO, 0);
    if (forward->size > 0) {
        memcpy(to + FORWARD_AT_DATA, forward->data, forward->size);
    }
    memset(to + FORWARD_AT_DATA + forward->size, 0, padded - forward->size);
}

static void encode_forward_result(const struct spate_message_forward_result *result, uint8_t *to)
{
    spate_assert(result->status < SPATE_ERR_COUNT);
    spate_put_u64(to + FORWARD_RESULT_AT_COOKIE, result->cookie);
    spate_put_u64(to + FORWARD_RESULT_AT_INDEX, result->index);
    spate_put_u64(to + FORWARD_RESULT_AT_VALUE, result->value);
    spate_put_u32(to + FORWARD_RESULT_AT_STATUS, result->status);
    spate_put_u32(to + FORWARD_RESULT_AT_ZERO, 0);
}

static void encode_snapshot(const struct spate_message_snapshot *snapshot, uint8_t *to)
{
    spate_assert(snapshot->size >= 1 && snapshot->size <= SPATE_WIRE_SNAPSHOT_CHUNK_MAX);
    spate_assert(snapshot->offset + snapshot->size <= snapshot->image_bytes);
    spate_put_u64(to + SNAPSHOT_AT_LAST_TERM, snapshot->last.term);
    spate_put_u64(to + SNAPSHOT_AT_LAST_INDEX, snapshot->last.index);
    spate_put_u64(to + SNAPSHOT_AT_IMAGE_BYTES, snapshot->image_bytes);
    spate_put_u64(to + SNAPSHOT_AT_HASH, snapshot->hash);
    spate_put_u64(to + SNAPSHOT_AT_OFFSET, snapshot->offset);
    spate_put_u32(to + SNAPSHOT_AT_SIZE, snapshot->size);
    spate_put_u32(to + SNAPSHOT_AT_ZERO, 0);
    memcpy(to + SNAPSHOT_AT_DATA, snapshot->bytes, snapshot->size);
    memset(to + SNAPSHOT_AT_DATA + snapshot->size, 0,
           spate_round_up_8(snapshot->size) - snapshot->size);
}

static void encode_snapshot_result(const struct spate_message_snapshot_result *result, uint8_t *to)
{
    spate_assert(result->status <= SPATE_SNAPSHOT_BAD);
    spate_put_u64(to + SNAPSHOT_RESULT_AT_LAST_TERM, result->last.term);
    spate_put_u64(to + SNAPSHOT_RESULT_AT_LAST_INDEX, result->last.index);
    spate_put_u64(to + SNAPSHOT_RESULT_AT_HASH, result->hash);
    spate_put_u64(to + SNAPSHOT_RESULT_AT_NEXT, result->next);
    spate_put_u32(to + SNAPSHOT_RESULT_AT_STATUS, result->status);
    spate_put_u32(to + SNAPSHOT_RESULT_AT_ZERO, 0);
}

static uint8_t flags_of(const struct spate_message *message)
{
    unsigned flags = 0;

    if (message->kind == SPATE_MESSAGE_VOTE) {
        flags = (message->vote.is_pre_vote ? FLAG_PRE_VOTE : 0u) |
                (message->vote.is_transfer ? FLAG_TRANSFER : 0u);
    } else if (message->kind == SPATE_MESSAGE_VOTE_RESULT) {
        flags = (message->vote_result.is_pre_vote ? FLAG_PRE_VOTE : 0u) |
                (message->vote_result.is_granted ? FLAG_GRANTED : 0u);
    } else if (message->kind == SPATE_MESSAGE_APPEND_RESULT) {
        flags = (message->append_result.is_accepted ? FLAG_ACCEPTED : 0u) |
                (message->append_result.is_mute ? FLAG_MUTE : 0u);
    }
    return (uint8_t)flags;
}

spate_err spate_wire_encode(const struct spate_message *message, const struct spate_log_view *view,
                            uint8_t *to, uint32_t capacity, uint32_t *ret_bytes)
{
    const uint32_t bytes = spate_wire_message_bytes(message);

    spate_assert(bytes <= capacity);
    spate_assert(bytes % 8 == 0);
    spate_assert(message->session != 0);

    switch (message->kind) {
    case SPATE_MESSAGE_VOTE:
        spate_put_u64(to + VOTE_AT_LAST_TERM, message->vote.last.term);
        spate_put_u64(to + VOTE_AT_LAST_INDEX, message->vote.last.index);
        break;
    case SPATE_MESSAGE_VOTE_RESULT:
        spate_put_u64(to + VOTE_RESULT_AT_ASKED_TERM, message->vote_result.asked_term);
        break;
    case SPATE_MESSAGE_APPEND: {
        const spate_err err = encode_append(&message->append, view, to);
        if (err != SPATE_OK) {
            return err;
        }
        break;
    }
    case SPATE_MESSAGE_APPEND_RESULT:
        encode_append_result(&message->append_result, to);
        break;
    case SPATE_MESSAGE_FORWARD:
        encode_forward(&message->forward, to);
        break;
    case SPATE_MESSAGE_FORWARD_RESULT:
        encode_forward_result(&message->forward_result, to);
        break;
    case SPATE_MESSAGE_SNAPSHOT:
        encode_snapshot(&message->snapshot, to);
        break;
    case SPATE_MESSAGE_SNAPSHOT_RESULT:
        encode_snapshot_result(&message->snapshot_result, to);
        break;
    case SPATE_MESSAGE_TIMEOUT_NOW:
    case SPATE_MESSAGE_REINSTATE:
        break;
    case SPATE_MESSAGE_FORGOTTEN:
        spate_put_u64(to + FORGOTTEN_AT_INDEX, message->forgotten.index);
        break;
    case SPATE_MESSAGE_READ:
        spate_put_u64(to + READ_AT_ID, message->read.id);
        break;
    case SPATE_MESSAGE_READ_RESULT:
        spate_put_u64(to + READ_RESULT_AT_ID, message->read_result.id);
        spate_put_u64(to + READ_RESULT_AT_INDEX, message->read_result.index);
        break;
    }
    to[AT_KIND] = (uint8_t)message->kind;
    to[AT_FLAGS] = flags_of(message);
    spate_put_u16(to + AT_ZERO, 0);
    spate_put_u32(to + AT_LENGTH, bytes - SPATE_WIRE_HEADER_BYTES);
    spate_put_u64(to + AT_TERM, message->term);
    spate_put_u64(to + AT_SESSION, message->session);
    spate_put_u64(to + AT_PEER_SESSION, message->peer_session);
    *ret_bytes = bytes;
    return SPATE_OK;
}
