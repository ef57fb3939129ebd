/*
 * A large message arriving: pieces go to their place in the member's buffer, one bit each says
 * what is there. Holes are named once they are older than frames usually overtake each other by.
 */
#include "link_internal.h"

static spate_time_ns repair_after(const struct peer *peer)
{
    const spate_time_ns wait = peer->rtt_ns == 0 ? 5 * MS : peer->rtt_ns + peer->rtt_ns / 4;

    if (wait < MS * 3 / 10) {
        return MS * 3 / 10;
    }
    return wait < 50 * MS ? wait : 50 * MS;
}

static bool has_piece(const struct receiving *receiving, uint32_t piece)
{
    spate_assert(piece < PIECES_MAX);
    return (receiving->has[piece / 64] >> (piece % 64) & 1) != 0;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Both messages are forgotten: this one's other half, and the one that was going there. */
void spate_link_pieces_forget(struct peer *peer)
{
    struct receiving *receiving = &peer->receiving;

    spate_assert(peer->id != 0);
    peer->sending.is_busy = false;
    peer->sending.window = WINDOW_START;
    receiving->message = 0;
    receiving->is_complete = false;
    receiving->is_report_wanted = false;
    receiving->repair_at = SPATE_TIME_NEVER;
}

static void begin(struct receiving *receiving, uint64_t message, uint32_t total, uint32_t step)
{
    spate_assert(!receiving->is_lent);
    spate_assert(total <= SPATE_LINK_LARGE_BYTES_MAX);
    receiving->message = message;
    receiving->is_complete = false;
    receiving->total = total;
    receiving->step = step;
    receiving->received = 0;
    receiving->leading = 0;
    receiving->highest = 0;
    receiving->repair_at = SPATE_TIME_NEVER;
    memset(receiving->has, 0, sizeof receiving->has);
}

static void keep(struct receiving *receiving, uint32_t piece, const uint8_t *data, uint32_t bytes)
{
    spate_assert(!has_piece(receiving, piece));
    memcpy(receiving->buffer + (size_t)piece * receiving->step, data, bytes);
    receiving->has[piece / 64] |= UINT64_C(1) << (piece % 64);
    receiving->received += bytes;
    if (piece >= receiving->highest) {
        receiving->highest = piece + 1;
    }
    while (receiving->leading < receiving->highest && has_piece(receiving, receiving->leading)) {
        receiving->leading++;
    }
    spate_assert(receiving->received <= receiving->total);
}

/* Whether the fields of a piece can be true; the data is behind them. */
static bool is_piece(const uint8_t *payload, uint32_t size)
{
    if (size <= PIECE_AT_DATA) {
        return false;
    }
    const uint32_t total = spate_get_u32(payload + PIECE_AT_TOTAL);
    const uint32_t offset = spate_get_u32(payload + PIECE_AT_OFFSET);
    const uint32_t step = spate_get_u32(payload + PIECE_AT_STEP);

    return spate_get_u64(payload + PIECE_AT_MESSAGE) != 0 &&
           spate_get_u32(payload + PIECE_AT_ZERO) == 0 && total <= SPATE_LINK_LARGE_BYTES_MAX &&
           step >= PIECE_STEP_MIN && step <= SPATE_FRAME_BYTES_MAX && step % 8 == 0 &&
           offset < total && offset % step == 0 &&
           size - PIECE_AT_DATA == min_u32(step, total - offset);
}

/* True: the message is complete, and the host has the buffer until spate_link_release(). */
bool spate_link_pieces_take(struct spate_link *link, struct peer *peer, const uint8_t *payload,
                            uint32_t size, spate_time_ns now)
{
    struct receiving *receiving = &peer->receiving;

    if (!is_piece(payload, size)) {
        drop(link, SPATE_LINK_DROP_MALFORMED);
        return false;
    }
    const uint64_t message = spate_get_u64(payload + PIECE_AT_MESSAGE);
    const uint32_t total = spate_get_u32(payload + PIECE_AT_TOTAL);
    const uint32_t step = spate_get_u32(payload + PIECE_AT_STEP);
    const uint32_t piece = spate_get_u32(payload + PIECE_AT_OFFSET) / step;

    if (message > receiving->message && !receiving->is_lent) {
        begin(receiving, message, total, step);
    }
    if (message != receiving->message || total != receiving->total || step != receiving->step) {
        drop(link, SPATE_LINK_DROP_PIECES);
        return false;
    }
    receiving->is_report_wanted = true;
    link->are_reports_wanted = true;
    if (receiving->is_complete || has_piece(receiving, piece)) {
        return false;
    }
    keep(receiving, piece, payload + PIECE_AT_DATA, size - PIECE_AT_DATA);
    if (receiving->leading == receiving->highest) {
        receiving->repair_at = SPATE_TIME_NEVER;
    } else if (receiving->repair_at == SPATE_TIME_NEVER) {
        receiving->repair_limit = receiving->highest;
        receiving->repair_at = now + repair_after(peer);
        tick_by(link, receiving->repair_at);
    }
    receiving->is_complete = receiving->received == receiving->total;
    if (receiving->is_complete) {
        receiving->is_lent = true;
        grow(&peer->published.large_received, 1);
    }
    return receiving->is_complete;
}

/* Writes the holes below the limit as ranges. Returns how many. */
static uint32_t write_ranges(const struct receiving *receiving, uint8_t *to)
{
    uint32_t count = 0;
    uint32_t piece = receiving->leading;

    spate_assert(receiving->repair_limit <= receiving->highest);
    while (piece < receiving->repair_limit && count < PIECES_RANGES_MAX) {
        if (has_piece(receiving, piece)) {
            piece++;
            continue;
        }
        const uint32_t first = piece;

        while (piece < receiving->repair_limit && !has_piece(receiving, piece)) {
            piece++;
        }
        /* A hole ends before a piece that is there, so it never holds the shorter last piece. */
        uint8_t *range = to + (size_t)count * PIECES_RANGE_BYTES;

        spate_put_u32(range, first * receiving->step);
        spate_put_u32(range + 4, (piece - first) * receiving->step);
        count++;
    }
    return count;
}

void spate_link_pieces_report(struct spate_link *link, struct peer *peer, bool is_repair_due)
{
    const struct receiving *receiving = &peer->receiving;
    const uint32_t bytes_max = PIECES_AT_RANGES + PIECES_RANGES_MAX * PIECES_RANGE_BYTES;
    struct spate_frame frame;

    if (!spate_link_frame_begin(link, peer, bytes_max, &frame)) {
        return;
    }
    uint8_t *payload = frame.data + SPATE_LINK_HEADER_BYTES;
    const uint32_t count = is_repair_due ? write_ranges(receiving, payload + PIECES_AT_RANGES) : 0;

    spate_put_u64(payload + PIECES_AT_MESSAGE, receiving->message);
    spate_put_u32(payload + PIECES_AT_RECEIVED, receiving->received);
    spate_put_u32(payload + PIECES_AT_LEADING,
                  min_u32(receiving->leading * receiving->step, receiving->total));
    spate_put_u32(payload + PIECES_AT_COUNT, count);
    spate_put_u32(payload + PIECES_AT_ZERO, 0);
    spate_link_frame_finish(link, peer, &frame, FRAME_PIECES,
                            PIECES_AT_RANGES + count * PIECES_RANGE_BYTES);
}

void spate_link_pieces_take_tick(struct spate_link *link, struct peer *peer, spate_time_ns now)
{
    struct receiving *receiving = &peer->receiving;

    if (!peer->is_established || receiving->repair_at == SPATE_TIME_NEVER) {
        return;
    }
    if (now >= receiving->repair_at) {
        spate_link_pieces_report(link, peer, true);
        receiving->repair_limit = receiving->highest;
        receiving->repair_at = now + repair_after(peer);
    }
    tick_by(link, receiving->repair_at);
}
