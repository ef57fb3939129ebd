/* Where each field of each frame stands; docs/protocol.md in C. */
#ifndef SPATE_LINK_FRAME_INTERNAL_H
#define SPATE_LINK_FRAME_INTERNAL_H

#include "link/link.h"

#define FRAME_MAGIC 0x54415053u /* "SPAT" */

/* The header: the associated data once frames are sealed. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_TYPE = 5,
    AT_LENGTH = 6, /* Of the payload. */
    AT_CLUSTER = 8,
    AT_GROUP = 16,
    AT_SOURCE = 20,
    AT_DESTINATION = 24,
    AT_ZERO = 28,
    AT_SESSION = 32,
    AT_COUNTER = 40,
};

enum frame_type {
    FRAME_HELLO = 1,     /* Who I am; the answer proves that the path works both ways. */
    FRAME_HELLO_ACK = 2, /* The answer, of the size of the question. */
    FRAME_REFUSE = 3,    /* Why a frame was not taken. */
    FRAME_PING = 4,
    FRAME_PONG = 5,
    FRAME_DATA = 6,   /* Messages of lib/wire. */
    FRAME_PIECE = 7,  /* A part of a message that is larger than a frame. */
    FRAME_PIECES = 8, /* Which pieces have arrived and which are missing. */
};

/* HELLO and HELLO_ACK, counted from the payload; padded with zeros to the size that is probed. */
enum {
    HELLO_AT_CLUSTER_ID = 0,
    HELLO_AT_VERSION_MIN = 16,
    HELLO_AT_VERSION_MAX = 18,
    HELLO_AT_FRAME_BYTES = 20,  /* The largest frame that the sender can take. */
    HELLO_AT_PEER_SESSION = 24, /* ACK: the session of the HELLO; else 0. */
    HELLO_AT_ECHO = 32,         /* ACK: the counter of the HELLO; else 0. */
    HELLO_AT_ADDRESS = 40,      /* The sender's: family, zero, port, zeros, 16 bytes. */
    HELLO_BYTES = 64,
};

enum {
    REFUSE_AT_REASON = 0, /* enum refuse_reason */
    REFUSE_AT_ZERO = 4,
    REFUSE_AT_PEER_SESSION = 8, /* Of the refused frame: proof that it was seen. */
    REFUSE_BYTES = 16,
};

/* Values are part of the protocol. */
enum refuse_reason {
    REFUSE_VERSION = 1,
    REFUSE_CLUSTER = 2,
    REFUSE_GROUP = 3,
    REFUSE_STRANGER = 4,
    REFUSE_MISDIRECTED = 5,
};

/* PING and PONG: the pinger's clock, echoed. */
enum {
    PING_AT_TIME = 0,
    PING_BYTES = 8,
};

enum {
    PIECE_AT_MESSAGE = 0, /* Counts up from 1 in the sender's session. */
    PIECE_AT_TOTAL = 8,   /* Bytes of the whole message. */
    PIECE_AT_OFFSET = 12, /* A multiple of PIECE_AT_STEP. */
    PIECE_AT_STEP = 16,   /* Bytes of every piece but the last. */
    PIECE_AT_ZERO = 20,
    PIECE_AT_DATA = 24,
};

enum {
    PIECES_AT_MESSAGE = 0,
    PIECES_AT_RECEIVED = 8, /* Bytes that have arrived. */
    PIECES_AT_LEADING = 12, /* Of those: before the first hole. */
    PIECES_AT_COUNT = 16,   /* Of ranges to be repeated. */
    PIECES_AT_ZERO = 20,
    PIECES_AT_RANGES = 24, /* { offset u32, bytes u32 }, ascending, disjoint */
    PIECES_RANGE_BYTES = 8,
};

/* More holes than these are named in a later report. */
#define PIECES_RANGES_MAX 64u

/* No sender cuts finer than this, so a bit for each piece of the largest message is bounded. */
#define PIECE_STEP_MIN 1024u
#define PIECES_MAX     ((SPATE_LINK_LARGE_BYTES_MAX + PIECE_STEP_MIN - 1) / PIECE_STEP_MIN)

_Static_assert(AT_COUNTER + 8 == SPATE_LINK_HEADER_BYTES, "the header is filled exactly");
_Static_assert(SPATE_FRAME_BYTES_MIN - SPATE_LINK_OVERHEAD_BYTES - PIECE_AT_DATA >= PIECE_STEP_MIN,
               "the smallest frame carries a piece");
_Static_assert(PIECES_AT_RANGES + PIECES_RANGES_MAX * PIECES_RANGE_BYTES <=
                   SPATE_FRAME_BYTES_MIN - SPATE_LINK_OVERHEAD_BYTES,
               "a report fits the smallest frame");
_Static_assert(SPATE_FRAME_BYTES_MAX <= UINT16_MAX, "lengths are 16 bits");

#endif
