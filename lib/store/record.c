#include "store/record.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mix.h"

#define FORMAT_VERSION 1u

/* Flags of a hard state; the other bits are zero. */
#define HARD_STATE_MUTE 1u

/* The entries' checksum takes part, so that the chain covers the contents. */
static uint64_t chain_of(uint64_t prev, const struct spate_log_span *span, uint32_t entries_crc)
{
    return spate_mix64(spate_mix64(spate_mix64(prev ^ span->first) + span->term) ^
                       ((uint64_t)span->count << 32)) +
           entries_crc;
}

uint64_t spate_record_encode(uint8_t *to, const struct spate_log_span *span, uint64_t chain_prev)
{
    spate_assert(span->count >= 1);
    spate_assert(span->bytes >= span->count * SPATE_ENTRY_HEADER_BYTES);

    const uint32_t entries_crc = spate_crc32c(0, span->data, span->bytes);
    const uint64_t chain = chain_of(chain_prev, span, entries_crc);

    spate_put_u32(to + 4, span->count);
    spate_put_u64(to + 8, span->first);
    spate_put_u64(to + 16, span->term);
    spate_put_u32(to + 24, span->bytes);
    spate_put_u32(to + 28, 0);
    spate_put_u64(to + 32, chain_prev);
    spate_put_u64(to + 40, chain);
    memcpy(to + SPATE_RECORD_HEADER_BYTES, span->data, span->bytes);
    const uint32_t header_crc = spate_crc32c(0, to + 4, SPATE_RECORD_HEADER_BYTES - 4);
    spate_put_u32(to, header_crc ^ entries_crc);
    return chain;
}

spate_err spate_record_decode(const uint8_t *from, size_t size, struct spate_record *ret_record)
{
    if (size < SPATE_RECORD_HEADER_BYTES) {
        return SPATE_ERR_CORRUPT;
    }
    const struct spate_record record = {
        .count = spate_get_u32(from + 4),
        .first = spate_get_u64(from + 8),
        .term = spate_get_u64(from + 16),
        .bytes = spate_get_u32(from + 24),
        .chain_prev = spate_get_u64(from + 32),
        .chain = spate_get_u64(from + 40),
        .entries = from + SPATE_RECORD_HEADER_BYTES,
    };
    if (record.bytes != size - SPATE_RECORD_HEADER_BYTES || record.count == 0 ||
        record.count > record.bytes / SPATE_ENTRY_HEADER_BYTES || record.first == 0 ||
        record.first > UINT64_MAX - record.count || spate_get_u32(from + 28) != 0) {
        return SPATE_ERR_CORRUPT;
    }
    const uint32_t entries_crc = spate_crc32c(0, record.entries, record.bytes);
    const uint32_t header_crc = spate_crc32c(0, from + 4, SPATE_RECORD_HEADER_BYTES - 4);
    const struct spate_log_span span = {
        .first = record.first, .term = record.term, .count = record.count};
    if ((header_crc ^ entries_crc) != spate_get_u32(from) ||
        chain_of(record.chain_prev, &span, entries_crc) != record.chain) {
        return SPATE_ERR_CORRUPT;
    }
    *ret_record = record;
    return SPATE_OK;
}

spate_err spate_record_span(const struct spate_record *record, spate_index first,
                            uint32_t count_max, uint32_t bytes_max, struct spate_log_span *ret_span)
{
    spate_assert(record->first <= first);
    spate_assert(first - record->first < record->count);
    spate_assert(count_max >= 1);

    const uint32_t skipped = (uint32_t)(first - record->first);
    uint32_t begin = 0;
    uint32_t at = 0;
    uint32_t i = 0;
    for (; i < record->count; i++) {
        struct spate_entry entry;
        const uint32_t stride =
            spate_entry_decode(record->entries + at, record->bytes - at, &entry);
        if (stride == 0) {
            return SPATE_ERR_CORRUPT;
        }
        if (i > skipped && (i - skipped == count_max || at + stride - begin > bytes_max)) {
            break;
        }
        at += stride;
        begin = i < skipped ? at : begin;
    }
    *ret_span = (struct spate_log_span){.data = record->entries + begin,
                                        .bytes = at - begin,
                                        .count = i - skipped,
                                        .first = first,
                                        .term = record->term};
    return SPATE_OK;
}

/* Puts the checksum of what is behind it at the beginning. */
static void seal(uint8_t *bytes, size_t size)
{
    spate_put_u32(bytes, spate_crc32c(0, bytes + 4, size - 4));
}

static bool is_sealed(const uint8_t *bytes, size_t size, size_t wanted)
{
    return size == wanted && spate_get_u32(bytes) == spate_crc32c(0, bytes + 4, size - 4);
}

void spate_hard_state_encode(uint8_t to[SPATE_HARD_STATE_BYTES],
                             const struct spate_hard_state *hard_state)
{
    spate_put_u32(to + 4, hard_state->vote);
    spate_put_u64(to + 8, hard_state->term);
    spate_put_u64(to + 16, hard_state->commit);
    spate_put_u64(to + 24, hard_state->is_mute ? HARD_STATE_MUTE : 0);
    seal(to, SPATE_HARD_STATE_BYTES);
}

spate_err spate_hard_state_decode(const uint8_t *from, size_t size,
                                  struct spate_hard_state *ret_hard_state)
{
    if (!is_sealed(from, size, SPATE_HARD_STATE_BYTES) ||
        (spate_get_u64(from + 24) & ~(uint64_t)HARD_STATE_MUTE) != 0) {
        return SPATE_ERR_CORRUPT;
    }
    *ret_hard_state =
        (struct spate_hard_state){.vote = spate_get_u32(from + 4),
                                  .term = spate_get_u64(from + 8),
                                  .commit = spate_get_u64(from + 16),
                                  .is_mute = (spate_get_u64(from + 24) & HARD_STATE_MUTE) != 0};
    return SPATE_OK;
}

void spate_identity_encode(uint8_t to[SPATE_IDENTITY_BYTES],
                           const struct spate_store_identity *identity)
{
    spate_put_u32(to + 4, FORMAT_VERSION);
    memcpy(to + 8, identity->cluster_id, 16);
    spate_put_u32(to + 24, identity->node_id);
    spate_put_u32(to + 28, 0);
    spate_put_u64(to + 32, identity->incarnation);
    spate_put_u64(to + 40, 0);
    seal(to, SPATE_IDENTITY_BYTES);
}

spate_err spate_identity_decode(const uint8_t *from, size_t size,
                                struct spate_store_identity *ret_identity)
{
    if (!is_sealed(from, size, SPATE_IDENTITY_BYTES)) {
        return SPATE_ERR_CORRUPT;
    }
    if (spate_get_u32(from + 4) != FORMAT_VERSION) {
        return SPATE_ERR_MISMATCH;
    }
    memcpy(ret_identity->cluster_id, from + 8, 16);
    ret_identity->node_id = spate_get_u32(from + 24);
    ret_identity->incarnation = spate_get_u64(from + 32);
    return SPATE_OK;
}
