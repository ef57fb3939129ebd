/*
 * HTTP/2 as far as a unary gRPC call over one clear-text connection needs it (RFC 9113; HPACK is
 * RFC 7541): the first request puts its header fields into the peer's table, later ones have one
 * byte for each. Headers that come back are not read: an answer with a message is a success, one
 * without is an error (gRPC sends "trailers only" then).
 */
#include <string.h>

#include "bench/rivals/rivals_internal.h"

enum frame_type {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS = 4,
    FRAME_PING = 6,
    FRAME_GOAWAY = 7,
    FRAME_WINDOW_UPDATE = 8,
};

#define FLAG_ACK         0x1u
#define FLAG_END_STREAM  0x1u
#define FLAG_END_HEADERS 0x4u

#define FRAME_HEAD_BYTES   9u
#define MESSAGE_HEAD_BYTES 5u /* Of gRPC: not compressed, length. */
#define WINDOW_BYTES       65535
#define WINDOW_MAX         0x7fffffffu
#define KEY_BYTES          8u
#define KEYS               1000u

static void put32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint8_t *put_frame(uint8_t *at, uint32_t bytes, enum frame_type type, uint32_t flags,
                          uint32_t stream)
{
    put32(at, bytes << 8 | (uint32_t)type);
    at[4] = (uint8_t)flags;
    put32(at + 5, stream);
    return at + FRAME_HEAD_BYTES;
}

static uint8_t *put_text(uint8_t *at, const char *text)
{
    const size_t bytes = strlen(text);

    *at++ = (uint8_t)bytes;
    memcpy(at, text, bytes);
    return at + bytes;
}

/* A number of protobuf. */
static uint8_t *put_varint(uint8_t *at, uint32_t value)
{
    for (; value >= 0x80; value >>= 7) {
        *at++ = (uint8_t)(value | 0x80);
    }
    *at++ = (uint8_t)value;
    return at;
}

/* The preface, what we set, and a window for answers that does not get in the way. */
static void greet(struct connection *connection)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const uint32_t preface_bytes = sizeof preface - 1;
    uint8_t *at = requests_room(connection, preface_bytes + 2 * FRAME_HEAD_BYTES + 4);

    memcpy(at, preface, preface_bytes);
    at = put_frame(at + preface_bytes, 0, FRAME_SETTINGS, 0, 0);
    put32(put_frame(at, 4, FRAME_WINDOW_UPDATE, 0, 0), WINDOW_MAX - WINDOW_BYTES);
    connection->send_window = WINDOW_BYTES;
}

/* The header block of the first request; its fields get the indices 65 to 62. */
static uint32_t put_first_headers(uint8_t block[256], const char *path)
{
    uint8_t *at = block;

    *at++ = 0x83; /* :method POST */
    *at++ = 0x86; /* :scheme http */
    *at++ = 0x44; /* :path, kept */
    at = put_text(at, path);
    *at++ = 0x41; /* :authority, kept */
    at = put_text(at, "127.0.0.1");
    *at++ = 0x5f; /* content-type, kept */
    at = put_text(at, "application/grpc");
    *at++ = 0x40; /* te, kept */
    at = put_text(at, "te");
    at = put_text(at, "trailers");
    return (uint32_t)(at - block);
}

static uint32_t put_headers(uint8_t block[256], const struct connection *connection,
                            const char *path)
{
    static const uint8_t known[] = {0x83, 0x86, 0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62};

    if (connection->asked == 0) {
        return put_first_headers(block, path);
    }
    memcpy(block, known, sizeof known);
    return sizeof known;
}

/* A call on a stream of its own. Returns where its message goes; NULL: no room, or no window. */
static uint8_t *put_call(struct connection *connection, const char *path, uint32_t message_bytes)
{
    const uint32_t data_bytes = MESSAGE_HEAD_BYTES + message_bytes;
    const uint32_t stream = 2 * (uint32_t)connection->asked + 1;
    uint8_t block[256];
    const uint32_t block_bytes = put_headers(block, connection, path);

    if (connection->send_window < data_bytes) {
        return NULL;
    }
    uint8_t *at = requests_room(connection, 2 * FRAME_HEAD_BYTES + block_bytes + data_bytes);
    if (at == NULL) {
        return NULL;
    }
    connection->send_window -= data_bytes;
    at = put_frame(at, block_bytes, FRAME_HEADERS, FLAG_END_HEADERS, stream);
    memcpy(at, block, block_bytes);
    at = put_frame(at + block_bytes, data_bytes, FRAME_DATA, FLAG_END_STREAM, stream);
    *at++ = 0;
    put32(at, message_bytes);
    return at + 4;
}

/* etcdserverpb.PutRequest: field 1 is the key, field 2 the value. */
static bool ask_put(struct connection *connection, const struct rival_options *options)
{
    const uint32_t value_bytes = options->payload_bytes - KEY_BYTES;
    uint32_t key = (uint32_t)(connection->asked % KEYS);
    uint8_t head[2 + KEY_BYTES + 1 + 5] = {0x0a, KEY_BYTES, 'k', 'e', 'y'};

    for (uint32_t digit = 2 + KEY_BYTES; digit-- > 5; key /= 10) {
        head[digit] = (uint8_t)('0' + key % 10);
    }
    head[2 + KEY_BYTES] = 0x12;
    const uint32_t head_bytes =
        (uint32_t)(put_varint(head + 2 + KEY_BYTES + 1, value_bytes) - head);
    uint8_t *at = put_call(connection, "/etcdserverpb.KV/Put", head_bytes + value_bytes);
    if (at == NULL) {
        return false;
    }
    memcpy(at, head, head_bytes);
    memset(at + head_bytes, 'v', value_bytes);
    return true;
}

static bool acknowledge(struct connection *connection, enum frame_type type, const uint8_t *data,
                        uint32_t bytes)
{
    uint8_t *at = requests_room(connection, FRAME_HEAD_BYTES + bytes);
    if (at == NULL) {
        return false;
    }
    at = put_frame(at, bytes, type, FLAG_ACK, 0);
    if (bytes > 0) {
        memcpy(at, data, bytes);
    }
    return true;
}

/* Gives the peer its window back, long before it needs it. */
static bool note_received(struct connection *connection, uint32_t bytes)
{
    connection->received += bytes;
    if (connection->received < WINDOW_MAX / 2) {
        return true;
    }
    uint8_t *at = requests_room(connection, FRAME_HEAD_BYTES + 4);
    if (at == NULL) {
        return false;
    }
    put32(put_frame(at, 4, FRAME_WINDOW_UPDATE, 0, 0), (uint32_t)connection->received);
    connection->received = 0;
    return true;
}

/* One whole frame. False: an error. */
static bool take_frame(struct requests *requests, struct connection *connection,
                       const uint8_t *frame, uint32_t bytes)
{
    const uint32_t flags = frame[4];
    const uint32_t stream = get32(frame + 5) & WINDOW_MAX;
    const uint8_t *data = frame + FRAME_HEAD_BYTES;

    switch (frame[3]) {
    case FRAME_DATA:
        return stream % 2 == 1 && bytes > MESSAGE_HEAD_BYTES &&
               requests_answered(requests, connection, stream / 2) &&
               note_received(connection, bytes);
    case FRAME_HEADERS: /* The end of a call that was never answered is an error of it. */
        return (flags & FLAG_END_STREAM) == 0 || !requests_is_asked(connection, stream / 2);
    case FRAME_SETTINGS:
        return (flags & FLAG_ACK) != 0 || acknowledge(connection, FRAME_SETTINGS, NULL, 0);
    case FRAME_PING:
        return (flags & FLAG_ACK) != 0 || acknowledge(connection, FRAME_PING, data, bytes);
    case FRAME_WINDOW_UPDATE:
        if (stream == 0 && bytes == 4) {
            connection->send_window += get32(data) & WINDOW_MAX;
        }
        return true;
    case FRAME_RST_STREAM:
    case FRAME_GOAWAY:
        return false;
    default:
        return true;
    }
}

static int64_t hear(struct requests *requests, struct connection *connection)
{
    uint32_t at = 0;

    while (connection->in_bytes - at >= FRAME_HEAD_BYTES) {
        const uint8_t *frame = connection->in + at;
        const uint32_t bytes = get32(frame) >> 8;
        if (bytes > REQUESTS_IN_BYTES - FRAME_HEAD_BYTES) {
            return -1;
        }
        if (connection->in_bytes - at < FRAME_HEAD_BYTES + bytes) {
            break;
        }
        if (!take_frame(requests, connection, frame, bytes)) {
            return -1;
        }
        at += FRAME_HEAD_BYTES + bytes;
    }
    return at;
}

const struct protocol grpc_put = {.greet = greet, .ask = ask_put, .hear = hear};
