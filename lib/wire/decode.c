/*
 * Bytes to messages. Nothing here is trusted: what passes is a message that a correct member
 * could have sent. (That the bytes of entries are entries is checked by lib/log, which walks them
 * once, when it stages them.)
 */
#include "layout_internal.h"

#include "base/assert.h"
#include "base/bytes.h"

/* An id is of an entry (both parts set) or of "before the first" (neither). */
static bool is_entry_id(struct spate_entry_id id)
{
    return (id.term == 0) == (id.index == 0);
}

/* Each of these writes its part of the message last, and only if all of it is right. */
static bool decode_vote(const uint8_t *from, uint32_t bytes, struct spate_message *message)
{
    const spate_term term = spate_get_u64(from + AT_TERM);
    struct spate_message_vote vote;

    if (bytes != VOTE_BYTES || (from[AT_FLAGS] & ~(unsigned)FLAGS_VOTE) != 0) {
        return false;
    }
    vote.is_transfer = (from[AT_FLAGS] & FLAG_TRANSFER) != 0;
    vote.is_pre_vote = (from[AT_FLAGS] & FLAG_PRE_VOTE) != 0;
    vote.last.term = spate_get_u64(from + VOTE_AT_LAST_TERM);
    vote.last.index = spate_get_u64(from + VOTE_AT_LAST_INDEX);
    if (term < 1 || !is_entry_id(vote.last) || vote.last.term > term) {
        return false;
    }
    message->vote = vote;
    return true;
}

static bool decode_vote_result(const uint8_t *from, uint32_t bytes, struct spate_message *message)
{
    struct spate_message_vote_result result;

    if (bytes != VOTE_RESULT_BYTES || (from[AT_FLAGS] & ~(unsigned)FLAGS_VOTE_RESULT) != 0) {
        return false;
    }
    result.is_pre_vote = (from[AT_FLAGS] & FLAG_PRE_VOTE) != 0;
    result.is_granted = (from[AT_FLAGS] & FLAG_GRANTED) != 0;
    result.asked_term = spate_get_u64(from + VOTE_RESULT_AT_ASKED_TERM);
    if (result.asked_term < 1) {
        return false;
    }
    message->vote_result = result;
    return true;
}

/* Whether `count` entries can take up `bytes`, and both are within bounds. */
static bool is_plausible_range(const struct spate_message_append *append)
{
    if (append->count == 0) {
        return append->bytes == 0 && append->entries_term == 0;
    }
    return append->bytes % 8 == 0 && append->bytes <= APPEND_ENTRIES_BYTES_MAX &&
           append->bytes / SPATE_ENTRY_HEADER_BYTES >= append->count && append->entries_term >= 1 &&
           append->entries_term >= append->prev.term &&
           append->prev.index <= UINT64_MAX - append->count;
}

static bool decode_append(const uint8_t *from, uint32_t bytes, struct spate_message *message)
{
    const spate_term term = spate_get_u64(from + AT_TERM);
    struct spate_message_append append;

    if (bytes < SPATE_WIRE_APPEND_BYTES || from[AT_FLAGS] != 0) {
        return false;
    }
    append.prev.term = spate_get_u64(from + APPEND_AT_PREV_TERM);
    append.prev.index = spate_get_u64(from + APPEND_AT_PREV_INDEX);
    append.commit = spate_get_u64(from + APPEND_AT_COMMIT);
    append.round = spate_get_u64(from + APPEND_AT_ROUND);
    append.entries_term = spate_get_u64(from + APPEND_AT_ENTRIES_TERM);
    append.count = spate_get_u32(from + APPEND_AT_COUNT);
    append.bytes = spate_get_u32(from + APPEND_AT_ENTRIES_BYTES);
    append.entries = append.count > 0 ? from + APPEND_AT_ENTRIES : NULL;
    if (append.bytes != bytes - SPATE_WIRE_APPEND_BYTES || term < 1 || !is_entry_id(append.prev) ||
        append.prev.term > term || append.entries_term > term || !is_plausible_range(&append)) {
        return false;
    }
    message->append = append;
    return true;
}

static bool decode_append_result(const uint8_t *from, uint32_t bytes, struct spate_message *message)
{
    struct spate_message_append_result result;

    if (bytes != APPEND_RESULT_BYTES || (from[AT_FLAGS] & ~(unsigned)FLAGS_APPEND_RESULT) != 0) {
        return false;
    }
    result.is_accepted = (from[AT_FLAGS] & FLAG_ACCEPTED) != 0;
    result.is_mute = (from[AT_FLAGS] & FLAG_MUTE) != 0;
    result.round = spate_get_u64(from + APPEND_RESULT_AT_ROUND);
    result.prev = spate_get_u64(from + APPEND_RESULT_AT_PREV);
    result.match = spate_get_u64(from + APPEND_RESULT_AT_MATCH);
    result.last = spate_get_u64(from + APPEND_RESULT_AT_LAST);
    result.hint_term = spate_get_u64(from + APPEND_RESULT_AT_HINT_TERM);
    message->append_result = result;
    return true;
}

static bool decode_forward(const uint8_t *from, uint32_t bytes, struct spate_message *message)
{
    struct spate_message_forward forward;

    if (bytes < FORWARD_AT_DATA || from[AT_FLAGS] != 0 ||
        spate_get_u32(from + FORWARD_AT_ZERO) != 0) {
        return false;
    }
    forward.cookie = spate_get_u64(from + FORWARD_AT_COOKIE);
    forward.size = spate_get_u32(from + FORWARD_AT_SIZE);
    forward.data = from + FORWARD_AT_DATA;
    if (forward.size > SPATE_ENTRY_BYTES_MAX ||
        spate_round_up_8(forward.size) != bytes - FORWARD_AT_DATA) {
        return false;
    }
    for (uint32_t at = FORWARD_AT_DATA + forward.size; at < bytes; at++) {
        if (from[at] != 0) {
            return false;
        }
    }
    message->forward = forward;
    return true;
}

static bool decode_forward_result(const uint8_t *from, uint32_t bytes,
                                  struct spate_message *message)
{
    struct spate_message_forward_result result;

    if (bytes != FORWARD_RESULT_BYTES || from[AT_FLAGS] != 0 ||
        spate_get_u32(from + FORWARD_RESULT_AT_ZERO) != 0) {
        return false;
    }
    result.cookie = spate_get_u64(from + FORWARD_RESULT_AT_COOKIE);
    result.index = spate_get_u64(from + FORWARD_RESULT_AT_INDEX);
    result.value = spate_get_u64(from + FORWARD_RESULT_AT_VALUE);
    result.status = spate_get_u32(from + FORWARD_RESULT_AT_STATUS);
    if (result.status >= SPATE_ERR_COUNT) {
        return false;
    }
    message->forward_result = result;
    return true;
}

static bool decode_read(const uint8_t *from, uint32_t bytes, struct spate_message *message)
{
    struct spate_message_read read;

    spate_assert(bytes >= COMMON_BYTES);
    if (bytes != READ_BYTES || from[AT_FLAGS] != 0) {
        return false;
    }
    read.id = spate_get_u64(from + READ_AT_ID);
    if (read.id < 1) {
        return false;
    }
    message->read = read;
    return true;
}

static bool decode_read_result(const uint8_t *from, uint32_t bytes, struct spate_message *message)
{
    struct spate_message_read_result result;

    spate_assert(bytes >= COMMON_BYTES);
    if (bytes != READ_RESULT_BYTES || from[AT_FLAGS] != 0) {
        return false;
    }
    result.id = spate_get_u64(from + READ_RESULT_AT_ID);
    result.index = spate_get_u64(from + READ_RESULT_AT_INDEX);
    if (result.id < 1) {
        return false;
    }
    message->read_result = result;
    return true;
}

static bool decode_forgotten(const uint8_t *from, uint32_t bytes, struct spate_message *message)
{
    struct spate_message_forgotten forgotten;

    spate_assert(bytes >= COMMON_BYTES);
    if (bytes != FORGOTTEN_BYTES || from[AT_FLAGS] != 0) {
        return false;
    }
    forgotten.index = spate_get_u64(from + FORGOTTEN_AT_INDEX);
    if (forgotten.index < 1) {
        return false;
    }
    message->forgotten = forgotten;
    return true;
}

static bool is_zero(const uint8_t *from, const uint8_t *end)
{
    while (from < end && *from == 0) {
        from++;
    }
    return from == end;
}

static bool decode_snapshot(const uint8_t *from, uint32_t bytes, struct spate_message *message)
{
    const spate_term term = spate_get_u64(from + AT_TERM);
    struct spate_message_snapshot snapshot;

    if (bytes < SPATE_WIRE_SNAPSHOT_BYTES || from[AT_FLAGS] != 0 ||
        spate_get_u32(from + SNAPSHOT_AT_ZERO) != 0) {
        return false;
    }
    snapshot.last.term = spate_get_u64(from + SNAPSHOT_AT_LAST_TERM);
    snapshot.last.index = spate_get_u64(from + SNAPSHOT_AT_LAST_INDEX);
    snapshot.image_bytes = spate_get_u64(from + SNAPSHOT_AT_IMAGE_BYTES);
    snapshot.hash = spate_get_u64(from + SNAPSHOT_AT_HASH);
    snapshot.offset = spate_get_u64(from + SNAPSHOT_AT_OFFSET);
    snapshot.size = spate_get_u32(from + SNAPSHOT_AT_SIZE);
    snapshot.bytes = from + SNAPSHOT_AT_DATA;
    if (snapshot.size < 1 || snapshot.size > SPATE_WIRE_SNAPSHOT_CHUNK_MAX ||
        spate_round_up_8(snapshot.size) != bytes - SPATE_WIRE_SNAPSHOT_BYTES ||
        snapshot.last.term < 1 || snapshot.last.index < 1 || snapshot.last.term > term ||
        snapshot.image_bytes < snapshot.size ||
        snapshot.offset > snapshot.image_bytes - snapshot.size) {
        return false;
    }
    if (!is_zero(snapshot.bytes + snapshot.size, from + bytes)) {
        return false;
    }
    message->snapshot = snapshot;
    return true;
}

static bool decode_snapshot_result(const uint8_t *from, uint32_t bytes,
                                   struct spate_message *message)
{
    struct spate_message_snapshot_result result;

    if (bytes != SNAPSHOT_RESULT_BYTES || from[AT_FLAGS] != 0 ||
        spate_get_u32(from + SNAPSHOT_RESULT_AT_ZERO) != 0 ||
        spate_get_u32(from + SNAPSHOT_RESULT_AT_STATUS) > SPATE_SNAPSHOT_BAD) {
        return false;
    }
    result.last.term = spate_get_u64(from + SNAPSHOT_RESULT_AT_LAST_TERM);
    result.last.index = spate_get_u64(from + SNAPSHOT_RESULT_AT_LAST_INDEX);
    result.hash = spate_get_u64(from + SNAPSHOT_RESULT_AT_HASH);
    result.next = spate_get_u64(from + SNAPSHOT_RESULT_AT_NEXT);
    result.status = (enum spate_snapshot_status)spate_get_u32(from + SNAPSHOT_RESULT_AT_STATUS);
    if (!is_entry_id(result.last)) {
        return false;
    }
    message->snapshot_result = result;
    return true;
}

static bool decode_body(const uint8_t *from, uint32_t bytes, struct spate_message *message)
{
    switch (from[AT_KIND]) {
    case SPATE_MESSAGE_VOTE:
        return decode_vote(from, bytes, message);
    case SPATE_MESSAGE_VOTE_RESULT:
        return decode_vote_result(from, bytes, message);
    case SPATE_MESSAGE_APPEND:
        return decode_append(from, bytes, message);
    case SPATE_MESSAGE_APPEND_RESULT:
        return decode_append_result(from, bytes, message);
    case SPATE_MESSAGE_FORWARD:
        return decode_forward(from, bytes, message);
    case SPATE_MESSAGE_FORWARD_RESULT:
        return decode_forward_result(from, bytes, message);
    case SPATE_MESSAGE_SNAPSHOT:
        return decode_snapshot(from, bytes, message);
    case SPATE_MESSAGE_SNAPSHOT_RESULT:
        return decode_snapshot_result(from, bytes, message);
    case SPATE_MESSAGE_FORGOTTEN:
        return decode_forgotten(from, bytes, message);
    case SPATE_MESSAGE_TIMEOUT_NOW:
    case SPATE_MESSAGE_REINSTATE:
        return bytes == COMMON_BYTES && from[AT_FLAGS] == 0;
    case SPATE_MESSAGE_READ:
        return decode_read(from, bytes, message);
    case SPATE_MESSAGE_READ_RESULT:
        return decode_read_result(from, bytes, message);
    default: /* Not an enumeration: a byte from outside. */
        return false;
    }
}

spate_err spate_wire_decode(const uint8_t *from, uint32_t available,
                            struct spate_message *ret_message, uint32_t *ret_bytes)
{
    spate_assert(from != NULL || available == 0);
    spate_assert(ret_message != NULL && ret_bytes != NULL);

    if (available < COMMON_BYTES || spate_get_u16(from + AT_ZERO) != 0) {
        return SPATE_ERR_MALFORMED;
    }
    const uint32_t length = spate_get_u32(from + AT_LENGTH);

    if (length % 8 != 0 || length < COMMON_BYTES - SPATE_WIRE_HEADER_BYTES ||
        length > available - SPATE_WIRE_HEADER_BYTES) {
        return SPATE_ERR_MALFORMED;
    }
    const uint64_t session = spate_get_u64(from + AT_SESSION);

    if (session == 0 || !decode_body(from, SPATE_WIRE_HEADER_BYTES + length, ret_message)) {
        return SPATE_ERR_MALFORMED;
    }
    ret_message->kind = (enum spate_message_kind)from[AT_KIND];
    ret_message->from = 0;
    ret_message->to = 0;
    ret_message->term = spate_get_u64(from + AT_TERM);
    ret_message->session = session;
    ret_message->peer_session = spate_get_u64(from + AT_PEER_SESSION);
    *ret_bytes = SPATE_WIRE_HEADER_BYTES + length;
    return SPATE_OK;
}
