/* Where each field of a saved state stands; save.c has the picture. */
#ifndef SPATE_KV_SNAPSHOT_INTERNAL_H
#define SPATE_KV_SNAPSHOT_INTERNAL_H

#include "kv_internal.h"

#define SNAPSHOT_VERSION 1u

enum {
    HEADER_AT_CRC = 0,
    HEADER_AT_VERSION = 4,
    HEADER_AT_APPLIED = 8,
    HEADER_AT_KEYS = 16,
    HEADER_AT_BYTES = 24,
    HEADER_AT_DIGEST = 32,
    HEADER_AT_SESSIONS = 40,
    HEADER_AT_CAPACITY = 44,
    HEADER_AT_ZERO = 48, /* To the end: for later versions. */
};

enum {
    ITEM_AT_REVISION = 0,
    ITEM_AT_KEY_SIZE = 8,
    ITEM_AT_VALUE_SIZE = 12,
};

enum {
    SESSION_AT_ID = 0,
    SESSION_AT_SEQUENCE = 8,
    SESSION_AT_ANSWER = 16,
};

_Static_assert(ITEM_AT_VALUE_SIZE + 4 == SNAPSHOT_ITEM_BYTES, "the last field of an item");
_Static_assert(SESSION_AT_ANSWER + 8 == SNAPSHOT_SESSION_BYTES, "the last field of a session");

#endif
