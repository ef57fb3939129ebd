/* Where each field of each message stands, counted from its header; docs/protocol.md in C. */
#ifndef SPATE_WIRE_LAYOUT_INTERNAL_H
#define SPATE_WIRE_LAYOUT_INTERNAL_H

#include "wire/wire.h"

/* The message header. */
enum {
    AT_KIND = 0,
    AT_FLAGS = 1,
    AT_ZERO = 2,
    AT_LENGTH = 4, /* Of what follows the header: a multiple of 8. */
};

/* What all messages have behind the header. */
enum {
    AT_TERM = 8,
    AT_SESSION = 16,
    AT_PEER_SESSION = 24,
    COMMON_BYTES = 32,
};

enum {
    VOTE_AT_LAST_TERM = COMMON_BYTES,
    VOTE_AT_LAST_INDEX = COMMON_BYTES + 8,
    VOTE_BYTES = COMMON_BYTES + 16,
};

enum {
    VOTE_RESULT_AT_ASKED_TERM = COMMON_BYTES,
    VOTE_RESULT_BYTES = COMMON_BYTES + 8,
};

enum {
    APPEND_AT_PREV_TERM = COMMON_BYTES,
    APPEND_AT_PREV_INDEX = COMMON_BYTES + 8,
    APPEND_AT_COMMIT = COMMON_BYTES + 16,
    APPEND_AT_ROUND = COMMON_BYTES + 24,
    APPEND_AT_ENTRIES_TERM = COMMON_BYTES + 32,
    APPEND_AT_COUNT = COMMON_BYTES + 40,
    APPEND_AT_ENTRIES_BYTES = COMMON_BYTES + 44,
    APPEND_AT_ENTRIES = COMMON_BYTES + 48,
};

enum {
    APPEND_RESULT_AT_ROUND = COMMON_BYTES,
    APPEND_RESULT_AT_PREV = COMMON_BYTES + 8,
    APPEND_RESULT_AT_MATCH = COMMON_BYTES + 16,
    APPEND_RESULT_AT_LAST = COMMON_BYTES + 24,
    APPEND_RESULT_AT_HINT_TERM = COMMON_BYTES + 32,
    APPEND_RESULT_BYTES = COMMON_BYTES + 40,
};

enum {
    FORWARD_AT_COOKIE = COMMON_BYTES,
    FORWARD_AT_SIZE = COMMON_BYTES + 8,
    FORWARD_AT_ZERO = COMMON_BYTES + 12,
    FORWARD_AT_DATA = COMMON_BYTES + 16,
};

enum {
    FORWARD_RESULT_AT_COOKIE = COMMON_BYTES,
    FORWARD_RESULT_AT_INDEX = COMMON_BYTES + 8,
    FORWARD_RESULT_AT_VALUE = COMMON_BYTES + 16,
    FORWARD_RESULT_AT_STATUS = COMMON_BYTES + 24,
    FORWARD_RESULT_AT_ZERO = COMMON_BYTES + 28,
    FORWARD_RESULT_BYTES = COMMON_BYTES + 32,
};

enum {
    READ_AT_ID = COMMON_BYTES,
    READ_BYTES = COMMON_BYTES + 8,
};

enum {
    READ_RESULT_AT_ID = COMMON_BYTES,
    READ_RESULT_AT_INDEX = COMMON_BYTES + 8,
    READ_RESULT_BYTES = COMMON_BYTES + 16,
};

/* Of AT_FLAGS; bits that a kind does not name are zero. */
enum {
    FLAG_PRE_VOTE = 1, /* VOTE, VOTE_RESULT */
    FLAG_GRANTED = 2,  /* VOTE_RESULT */
    FLAG_ACCEPTED = 1, /* APPEND_RESULT */
    FLAGS_VOTE = FLAG_PRE_VOTE,
    FLAGS_VOTE_RESULT = FLAG_PRE_VOTE | FLAG_GRANTED,
    FLAGS_APPEND_RESULT = FLAG_ACCEPTED,
};

/* The most bytes that the entries of one APPEND may take up: one largest entry. */
#define APPEND_ENTRIES_BYTES_MAX (SPATE_ENTRY_HEADER_BYTES + SPATE_ENTRY_BYTES_MAX)

_Static_assert(APPEND_AT_ENTRIES == SPATE_WIRE_APPEND_BYTES, "wire.h names this size");
_Static_assert(APPEND_AT_ENTRIES % 8 == 0, "entries are aligned in the payload");
_Static_assert(FORWARD_AT_DATA % 8 == 0, "commands are aligned in the payload");
_Static_assert(FORWARD_AT_DATA + SPATE_ENTRY_BYTES_MAX <= SPATE_WIRE_MESSAGE_BYTES_MAX,
               "a largest forward fits");

#endif
