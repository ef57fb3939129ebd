/*
 * Messages to bytes and back. The payload of a link frame is one or more messages, each behind an
 * eight-byte header { kind u8, flags u8, zero u16, length u32 }; docs/protocol.md has the tables.
 *
 * Encoding reads entries straight from the log into the frame that the driver lent: one copy.
 * Decoding never copies and never trusts: every length, kind, flag and reserved byte is checked.
 */
#ifndef SPATE_WIRE_WIRE_H
#define SPATE_WIRE_WIRE_H

#include "base/error.h"
#include "base/types.h"
#include "log/log.h"
#include "raft/message.h"

#define SPATE_WIRE_VERSION 1u

/* Of the message header that stands before each message. */
#define SPATE_WIRE_HEADER_BYTES 8u

/* What an AppendEntries takes up besides its encoded entries, header included. */
#define SPATE_WIRE_APPEND_BYTES 80u

/* What a chunk of a snapshot takes up besides its bytes, header included. */
#define SPATE_WIRE_SNAPSHOT_BYTES 80u

/* The largest chunk. */
#define SPATE_WIRE_SNAPSHOT_CHUNK_MAX (64u << 10)

/* The largest encoding of any message: an AppendEntries or a forward with one largest entry. */
#define SPATE_WIRE_MESSAGE_BYTES_MAX \
    (SPATE_WIRE_APPEND_BYTES + SPATE_ENTRY_HEADER_BYTES + SPATE_ENTRY_BYTES_MAX)

/* Bytes that the message will take up when encoded. */
uint32_t spate_wire_message_bytes(const struct spate_message *message);

/*
 * Encodes one message at `to`. For an APPEND without `entries` the entries are read from `view`,
 * after checking that the view still has that range, of that term, behind that prev; a message
 * that the log has moved away from is not sent.
 *
 * Requires: capacity >= spate_wire_message_bytes(message). `to` is aligned to 8 in the payload.
 * Errors:   SPATE_ERR_COMPACTED   the log moved on; *ret_bytes is untouched and the bytes at `to`
 *                                 mean nothing.
 */
spate_err spate_wire_encode(const struct spate_message *message, const struct spate_log_view *view,
                            uint8_t *to, uint32_t capacity, uint32_t *ret_bytes) SPATE_MUST_CHECK;

/*
 * Decodes the message at `from`. `from` and `to` (node ids) come from the link, not from the
 * message: they are 0. Returns the bytes it took up through ret_bytes; call again for what follows.
 *
 * Ensures: what a correct member cannot have sent is refused, but whether the bytes of entries are
 *          entries is left to spate_log_stage_encoded(), which walks them anyway.
 * Memory: pointers in the message point into `from`.
 * Errors: SPATE_ERR_MALFORMED
 */
spate_err spate_wire_decode(const uint8_t *from, uint32_t available,
                            struct spate_message *ret_message,
                            uint32_t *ret_bytes) SPATE_MUST_CHECK;

#endif
