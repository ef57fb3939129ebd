/*
 * A large message on its way out: cut into pieces of one size, as many on their way as the window
 * allows. The receiver's reports move the window and name the holes; repeats fill nothing else.
 * When reports stop coming, the first hole and the last piece are repeated: the one is certainly
 * needed, the other shows the receiver all holes before it.
 */
#include "link_internal.h"

static spate_time_ns retry_after(const struct peer *peer)
{
    spate_time_ns wait = peer->rtt_ns == 0 ? 10 * MS : peer->rtt_ns * 4;
    const uint32_t doublings = peer->sending.retries < 8 ? peer->sending.retries : 8;

    wait = wait < 2 * MS ? 2 * MS : wait;
    wait <<= doublings;
    return wait < HELLO_NS_MAX ? wait : HELLO_NS_MAX;
}

static uint32_t piece_bytes(const struct sending *sending, uint32_t offset)
{
    const uint32_t rest = sending->total - offset;

    spate_assert(offset < sending->total);
    return rest < sending->step ? rest : sending->step;
}

static bool send_piece(struct spate_link *link, struct peer *peer, uint32_t offset)
{
    const struct sending *sending = &peer->sending;
    const uint32_t bytes = piece_bytes(sending, offset);
    struct spate_frame frame;

    spate_assert(offset % sending->step == 0);
    if (!spate_link_frame_begin(link, peer, PIECE_AT_DATA + bytes, &frame)) {
        return false;
    }
    uint8_t *payload = frame.data + SPATE_LINK_HEADER_BYTES;

    spate_put_u64(payload + PIECE_AT_MESSAGE, sending->message);
    spate_put_u32(payload + PIECE_AT_TOTAL, sending->total);
    spate_put_u32(payload + PIECE_AT_OFFSET, offset);
    spate_put_u32(payload + PIECE_AT_STEP, sending->step);
    spate_put_u32(payload + PIECE_AT_ZERO, 0);
    memcpy(payload + PIECE_AT_DATA, sending->buffer + offset, bytes);
    spate_link_frame_finish(link, peer, &frame, FRAME_PIECE, PIECE_AT_DATA + bytes);
    return true;
}

static uint32_t window_bytes(const struct sending *sending)
{
    const uint32_t bytes = sending->window * sending->step;
    const uint32_t bytes_max =
        WINDOW_BYTES > WINDOW_MIN * sending->step ? WINDOW_BYTES : WINDOW_MIN * sending->step;

    return bytes < bytes_max ? bytes : bytes_max;
}

/* Whether more could leave than has left. */
static bool has_room(const struct sending *sending)
{
    return sending->next < sending->total &&
           sending->next - sending->received < window_bytes(sending);
}

/* Sends what the window allows. */
void spate_link_pieces_pump(struct spate_link *link, struct peer *peer, spate_time_ns now)
{
    struct sending *sending = &peer->sending;

    spate_assert(sending->is_busy);
    spate_assert(sending->received <= sending->next);
    if (sending->step + PIECE_AT_DATA > payload_bytes_max(peer)) {
        sending->is_busy = false; /* Cut for a larger frame than now passes: given up. */
        return;
    }
    sending->retry_at = now + retry_after(peer);
    while (has_room(sending)) {
        if (!send_piece(link, peer, sending->next)) {
            sending->retry_at = now + NO_FRAME_NS;
            break;
        }
        sending->next += piece_bytes(sending, sending->next);
    }
    tick_by(link, sending->retry_at);
}

/* Fewer on their way after a loss, but only once for what one round trip lost. */
static void cut_window(struct peer *peer, uint32_t keep_percent, spate_time_ns now)
{
    struct sending *sending = &peer->sending;

    if (now - sending->cut_at >= peer->rtt_ns) {
        sending->window = sending->window * keep_percent / 100;
        sending->cut_at = now;
    }
    if (sending->window < WINDOW_MIN) {
        sending->window = WINDOW_MIN;
    }
}

/* A report must be possible: about bytes that were sent, its ranges ascending and on pieces. */
static bool is_report_valid(const struct sending *sending, const uint8_t *payload, uint32_t size)
{
    const uint32_t received = spate_get_u32(payload + PIECES_AT_RECEIVED);
    const uint32_t leading = spate_get_u32(payload + PIECES_AT_LEADING);
    const uint32_t count = spate_get_u32(payload + PIECES_AT_COUNT);
    uint32_t previous = 0;

    if (count > PIECES_RANGES_MAX || size != PIECES_AT_RANGES + count * PIECES_RANGE_BYTES ||
        spate_get_u32(payload + PIECES_AT_ZERO) != 0 || received > sending->next ||
        leading > received || (leading % sending->step != 0 && leading != sending->total)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *range = payload + PIECES_AT_RANGES + (size_t)i * PIECES_RANGE_BYTES;
        const uint32_t offset = spate_get_u32(range);
        const uint32_t bytes = spate_get_u32(range + 4);

        if (offset % sending->step != 0 || offset < previous || bytes == 0 ||
            offset >= sending->next || bytes > sending->next - offset) {
            return false;
        }
        previous = offset + bytes;
    }
    return true;
}

/* Repeats what the report names, at most a window of it. */
static void repair(struct spate_link *link, struct peer *peer, const uint8_t *payload)
{
    const uint32_t count = spate_get_u32(payload + PIECES_AT_COUNT);
    uint32_t left = peer->sending.window;
    uint32_t repaired = 0;

    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *range = payload + PIECES_AT_RANGES + (size_t)i * PIECES_RANGE_BYTES;
        uint32_t offset = spate_get_u32(range);
        const uint32_t after = offset + spate_get_u32(range + 4);

        while (offset < after && left > 0 && send_piece(link, peer, offset)) {
            offset += peer->sending.step;
            left--;
            repaired++;
        }
    }
    grow(&peer->published.pieces_repaired, repaired);
}

void spate_link_pieces_reported(struct spate_link *link, struct peer *peer, const uint8_t *payload,
                                uint32_t size, spate_time_ns now)
{
    struct sending *sending = &peer->sending;

    if (size < PIECES_AT_RANGES) {
        drop(link, SPATE_LINK_DROP_MALFORMED);
        return;
    }
    if (!sending->is_busy || spate_get_u64(payload + PIECES_AT_MESSAGE) != sending->message) {
        return; /* A late report of a message that is done. */
    }
    if (!is_report_valid(sending, payload, size)) {
        drop(link, SPATE_LINK_DROP_PIECES);
        return;
    }
    const uint32_t received = spate_get_u32(payload + PIECES_AT_RECEIVED);

    if (received < sending->received) {
        return; /* Overtaken by a newer one. */
    }
    if (received == sending->total) {
        sending->is_busy = false;
        grow(&peer->published.large_sent, 1);
        return;
    }
    if (received > sending->received) {
        const uint32_t window = sending->window + (received - sending->received) / sending->step;

        sending->window = window < WINDOW_MAX ? window : WINDOW_MAX;
        sending->retries = 0;
    }
    sending->received = received;
    sending->leading = spate_get_u32(payload + PIECES_AT_LEADING);
    if (spate_get_u32(payload + PIECES_AT_COUNT) > 0) {
        cut_window(peer, 75, now);
        repair(link, peer, payload);
    }
    spate_link_pieces_pump(link, peer, now);
}

/* No report came: everything on its way may be lost. */
static void retry(struct spate_link *link, struct peer *peer, spate_time_ns now)
{
    struct sending *sending = &peer->sending;
    const uint32_t last = (sending->next - 1) / sending->step * sending->step;

    spate_assert(sending->next > 0);
    sending->retries++;
    cut_window(peer, 50, now);
    if (sending->leading < sending->next && send_piece(link, peer, sending->leading)) {
        grow(&peer->published.pieces_repaired, 1);
    }
    if (last != sending->leading && send_piece(link, peer, last)) {
        grow(&peer->published.pieces_repaired, 1);
    }
}

void spate_link_pieces_send_tick(struct spate_link *link, struct peer *peer, spate_time_ns now)
{
    struct sending *sending = &peer->sending;

    if (!sending->is_busy || !peer->is_established) {
        return;
    }
    if (now < sending->retry_at) {
        tick_by(link, sending->retry_at);
        return;
    }
    if (!has_room(sending)) {
        retry(link, peer, now);
    }
    spate_link_pieces_pump(link, peer, now);
}

uint8_t *spate_link_large_reserve(struct spate_link *link, spate_node_id id, uint32_t bytes)
{
    struct peer *peer = peer_find(link, id);

    if (peer == NULL || !peer->is_established || peer->sending.is_busy ||
        bytes > SPATE_LINK_LARGE_BYTES_MAX) {
        return NULL;
    }
    return peer->sending.buffer;
}

void spate_link_large_wrote(struct spate_link *link, spate_node_id id, uint32_t bytes,
                            spate_time_ns now)
{
    struct peer *peer = peer_find(link, id);

    spate_assert(peer != NULL && peer->is_established);
    spate_assert(!peer->sending.is_busy);
    spate_assert(bytes >= 1 && bytes <= SPATE_LINK_LARGE_BYTES_MAX);
    struct sending *sending = &peer->sending;

    sending->is_busy = true;
    sending->message++;
    sending->total = bytes;
    sending->step = (payload_bytes_max(peer) - PIECE_AT_DATA) & ~7u;
    sending->next = 0;
    sending->received = 0;
    sending->leading = 0;
    sending->retries = 0;
    spate_link_pieces_pump(link, peer, now);
}
