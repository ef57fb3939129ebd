#include "format.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"

#define GROUP_MAGIC   0x47575053u /* "SPWG" */
#define SEGMENT_MAGIC 0x53575053u /* "SPWS" */
#define CHECKED_FROM  8u          /* Behind magic and checksum. */
#define STATE_MUTE    1u          /* A flag of the hard state. */

static void put_state(uint8_t *to, const struct wal_state *state)
{
    spate_put_u64(to, state->hard_state.term);
    spate_put_u64(to + 8, state->hard_state.commit);
    spate_put_u32(to + 16, state->hard_state.vote);
    spate_put_u32(to + 20, state->hard_state.is_mute ? STATE_MUTE : 0);
    spate_put_u64(to + 24, state->base.term);
    spate_put_u64(to + 32, state->base.index);
    spate_put_u64(to + 40, state->last.term);
    spate_put_u64(to + 48, state->last.index);
}

static struct wal_state get_state(const uint8_t *from)
{
    return (struct wal_state){
        .hard_state = {.term = spate_get_u64(from),
                       .commit = spate_get_u64(from + 8),
                       .vote = spate_get_u32(from + 16),
                       .is_mute = (spate_get_u32(from + 20) & STATE_MUTE) != 0},
        .base = {.term = spate_get_u64(from + 24), .index = spate_get_u64(from + 32)},
        .last = {.term = spate_get_u64(from + 40), .index = spate_get_u64(from + 48)},
    };
}

/* The salt takes part, so that nobody who does not know it can write entries that look like this.
 */
static uint32_t checksum(const uint8_t *bytes, uint32_t salt)
{
    return spate_crc32c(salt, bytes + CHECKED_FROM, SPATE_WAL_HEADER_BYTES - CHECKED_FROM);
}

static void seal(uint8_t *bytes, uint32_t magic, uint32_t salt)
{
    spate_put_u32(bytes, magic);
    spate_put_u32(bytes + 4, checksum(bytes, salt));
}

static bool is_sealed(const uint8_t *bytes, uint32_t magic, uint32_t salt)
{
    return spate_get_u32(bytes) == magic && spate_get_u32(bytes + 4) == checksum(bytes, salt);
}

void spate_wal_group_encode(uint8_t to[SPATE_WAL_HEADER_BYTES], const struct wal_group *group,
                            uint32_t salt)
{
    spate_assert(group->number >= 1);
    spate_assert(group->bytes % 8 == 0);

    spate_put_u64(to + 8, group->segment);
    spate_put_u64(to + 16, group->number);
    spate_put_u64(to + 24, group->chain_prev);
    spate_put_u64(to + 32, group->chain);
    spate_put_u32(to + 40, group->bytes);
    spate_put_u32(to + 44, group->record_count);
    spate_put_u32(to + 48, group->zero_sectors);
    spate_put_u32(to + 52, group->flags);
    spate_put_u64(to + 56, group->truncate_after);
    put_state(to + 64, &group->state);
    spate_put_u64(to + 120, 0);
    seal(to, GROUP_MAGIC, salt);
}

bool spate_wal_group_decode(const uint8_t from[SPATE_WAL_HEADER_BYTES], uint32_t salt,
                            struct wal_group *ret_group)
{
    if (!is_sealed(from, GROUP_MAGIC, salt)) {
        return false;
    }
    *ret_group = (struct wal_group){
        .segment = spate_get_u64(from + 8),
        .number = spate_get_u64(from + 16),
        .chain_prev = spate_get_u64(from + 24),
        .chain = spate_get_u64(from + 32),
        .bytes = spate_get_u32(from + 40),
        .record_count = spate_get_u32(from + 44),
        .zero_sectors = spate_get_u32(from + 48),
        .flags = spate_get_u32(from + 52),
        .truncate_after = spate_get_u64(from + 56),
        .state = get_state(from + 64),
    };
    return true;
}

void spate_wal_segment_encode(uint8_t to[SPATE_WAL_HEADER_BYTES], const struct wal_segment *segment,
                              uint32_t salt)
{
    spate_assert(segment->group_next >= 1);
    spate_assert(segment->bytes % SPATE_WAL_BLOCK_BYTES == 0);

    memset(to, 0, SPATE_WAL_HEADER_BYTES);
    spate_put_u32(to + 8, SPATE_WAL_FORMAT_VERSION);
    spate_put_u32(to + 12, segment->bytes);
    spate_put_u64(to + 16, segment->segment);
    spate_put_u64(to + 24, segment->group_next);
    spate_put_u64(to + 32, segment->chain);
    put_state(to + 64, &segment->state);
    seal(to, SEGMENT_MAGIC, salt);
}

bool spate_wal_segment_decode(const uint8_t from[SPATE_WAL_HEADER_BYTES], uint32_t salt,
                              struct wal_segment *ret_segment)
{
    if (!is_sealed(from, SEGMENT_MAGIC, salt) ||
        spate_get_u32(from + 8) != SPATE_WAL_FORMAT_VERSION) {
        return false;
    }
    *ret_segment = (struct wal_segment){
        .segment = spate_get_u64(from + 16),
        .bytes = spate_get_u32(from + 12),
        .group_next = spate_get_u64(from + 24),
        .chain = spate_get_u64(from + 32),
        .state = get_state(from + 64),
    };
    return true;
}

static bool is_zero(const uint8_t *from, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i += 8) {
        if (spate_get_u64(from + i) != 0) {
            return false;
        }
    }
    return true;
}

uint32_t spate_wal_zero_sectors(const uint8_t *from, uint64_t bytes)
{
    uint32_t count = 0;

    spate_assert(bytes % SPATE_WAL_SECTOR_BYTES == 0);
    for (uint64_t at = 0; at < bytes; at += SPATE_WAL_SECTOR_BYTES) {
        count += is_zero(from + at, SPATE_WAL_SECTOR_BYTES);
    }
    return count;
}

/* Whether a later group than the next lies in blocks from `at` on: then the next was synced. */
static bool has_later_group(const uint8_t *image, uint32_t size, uint32_t at, uint32_t salt,
                            const struct wal_place *place)
{
    for (; at < size; at += SPATE_WAL_BLOCK_BYTES) {
        struct wal_group group;
        if (spate_wal_group_decode(image + at, salt, &group) && group.segment == place->segment &&
            group.number > place->group_next) {
            return true;
        }
    }
    return false;
}

/* What holds before the group's records, if its header fits behind `place`. */
static bool begin_group(const struct wal_group *group, const struct wal_place *place,
                        struct wal_state *ret_state)
{
    const bool truncates = (group->flags & WAL_GROUP_TRUNCATES) != 0;
    const bool resets = (group->flags & WAL_GROUP_RESETS) != 0;
    struct wal_state state = place->state;

    if (group->segment != place->segment || group->number != place->group_next ||
        group->chain_prev != place->chain || (truncates && resets)) {
        return false;
    }
    if (truncates) {
        if (group->truncate_after < state.base.index || group->truncate_after >= state.last.index) {
            return false;
        }
        state.last = (struct spate_entry_id){0, group->truncate_after};
        if (state.last.index == state.base.index) {
            state.last.term = state.base.term;
        }
    }
    if (resets) {
        state.base = group->state.base;
        state.last = state.base;
    }
    *ret_state = state;
    return true;
}

/* Whether the group's records are whole and lead to the state that its header says. */
static bool records_are_whole(const uint8_t *records, const struct wal_group *group,
                              const struct wal_place *place)
{
    struct wal_state state;
    uint64_t chain = place->chain;
    uint32_t at = 0;

    if (!begin_group(group, place, &state)) {
        return false;
    }
    for (uint32_t r = 0; r < group->record_count; r++) {
        struct spate_record record;
        if (group->bytes - at < SPATE_RECORD_HEADER_BYTES) {
            return false;
        }
        const uint32_t entry_bytes = spate_get_u32(records + at + 24);
        if (entry_bytes > group->bytes - at - SPATE_RECORD_HEADER_BYTES ||
            spate_record_decode(records + at, SPATE_RECORD_HEADER_BYTES + entry_bytes, &record) !=
                SPATE_OK ||
            record.chain_prev != chain || record.first != state.last.index + 1 ||
            record.term < state.last.term) {
            return false;
        }
        at += SPATE_RECORD_HEADER_BYTES + entry_bytes;
        chain = record.chain;
        state.last = (struct spate_entry_id){record.term, record.first + record.count - 1};
    }
    return at == group->bytes && chain == group->chain &&
           group->state.last.index == state.last.index &&
           group->state.last.term == state.last.term &&
           group->state.base.index >= state.base.index &&
           group->state.base.index <= state.last.index &&
           group->state.hard_state.term >= place->state.hard_state.term;
}

/*
 * Whether a crash while the group was written explains what its sectors hold. They were zero
 * before: a sector that is missing is zero, and there are more of those than the group has. When
 * all have arrived and it is still not whole, it was changed afterwards.
 */
static bool is_torn(const uint8_t *image, const struct wal_group *group, uint32_t at)
{
    const uint64_t size = spate_wal_group_size(group->bytes);

    return spate_wal_zero_sectors(image + at + SPATE_WAL_SECTOR_BYTES,
                                  size - SPATE_WAL_SECTOR_BYTES) > group->zero_sectors;
}

struct wal_scan spate_wal_scan(const uint8_t *image, uint32_t size, uint32_t salt,
                               struct wal_place *place, wal_scan_visit *visit, void *context)
{
    uint32_t at = SPATE_WAL_BLOCK_BYTES;

    spate_assert(size % SPATE_WAL_BLOCK_BYTES == 0);
    while (at < size && !is_zero(image + at, SPATE_WAL_SECTOR_BYTES)) {
        struct wal_group group;
        struct wal_state begun;
        if (!spate_wal_group_decode(image + at, salt, &group) ||
            !begin_group(&group, place, &begun) || spate_wal_group_size(group.bytes) > size - at) {
            return (struct wal_scan){WAL_SCAN_DAMAGED, at};
        }
        if (!records_are_whole(image + at + SPATE_WAL_HEADER_BYTES, &group, place)) {
            if (!is_torn(image, &group, at)) {
                return (struct wal_scan){WAL_SCAN_DAMAGED, at};
            }
            break;
        }
        visit(context, &group, at);
        place->group_next = group.number + 1;
        place->chain = group.chain;
        place->state = group.state;
        at += (uint32_t)spate_wal_group_size(group.bytes);
        if ((group.flags & WAL_GROUP_ENDS) != 0) {
            place->segment++;
            return (struct wal_scan){WAL_SCAN_GOES_ON, at};
        }
    }
    const bool is_damaged = has_later_group(image, size, at, salt, place);
    return (struct wal_scan){is_damaged ? WAL_SCAN_DAMAGED : WAL_SCAN_END, at};
}

bool spate_wal_is_unused(const uint8_t *image, uint32_t size, uint32_t salt,
                         const struct wal_place *place)
{
    spate_assert(size >= SPATE_WAL_BLOCK_BYTES);
    return is_zero(image, SPATE_WAL_SECTOR_BYTES) &&
           !has_later_group(image, size, SPATE_WAL_BLOCK_BYTES, salt, place);
}
