/*
 * What the scan of a segment says about bytes that a crash or a failing disk left: everything that
 * was acknowledged, or that it is damaged. Never less, never anything else.
 */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "store/wal/format.h"

#define SALT    0x5a17u
#define BLOCKS  12u
#define SIZE    (BLOCKS * SPATE_WAL_BLOCK_BYTES)
#define GROUPS  5u
#define LAST    (GROUPS - 1)
#define SECTORS (SPATE_WAL_BLOCK_BYTES / SPATE_WAL_SECTOR_BYTES)

/* A segment with groups of one record each; the last of two blocks, with zeros among its entries.
 */
struct segment {
    uint8_t image[SIZE];
    uint32_t at[GROUPS];
    uint32_t end;
    struct wal_place begin;         /* Before the first group. */
    struct wal_place place[GROUPS]; /* Behind each. */
};

static void add_group(struct segment *segment, unsigned number, uint32_t payload, uint32_t flags)
{
    static uint8_t entries[2 * SPATE_WAL_BLOCK_BYTES];
    static uint8_t data[2 * SPATE_WAL_BLOCK_BYTES];
    const struct wal_place *before = number == 0 ? &segment->begin : &segment->place[number - 1];
    const uint32_t at = number == 0 ? SPATE_WAL_BLOCK_BYTES : segment->end;
    struct wal_place place = *before;

    memset(data, 0, sizeof data);
    memset(data, 7, payload < 40 ? payload : 40);
    memset(data + payload - 8, 9, 8);
    struct spate_log_span span = {.data = entries, .count = 1, .term = number + 1};
    span.bytes = spate_entry_encode(entries, SPATE_ENTRY_COMMAND, data, payload);
    if ((flags & WAL_GROUP_TRUNCATES) != 0) {
        place.state.last.index--;
    }
    span.first = place.state.last.index + 1;
    const uint32_t size = (uint32_t)spate_wal_group_size(SPATE_RECORD_HEADER_BYTES + span.bytes);
    uint8_t *to = segment->image + at;
    struct wal_group group = {
        .segment = place.segment,
        .number = place.group_next,
        .chain_prev = place.chain,
        .bytes = SPATE_RECORD_HEADER_BYTES + span.bytes,
        .record_count = 1,
        .flags = flags,
        .truncate_after = (flags & WAL_GROUP_TRUNCATES) != 0 ? place.state.last.index : 0,
        .state = {.hard_state = {.term = number + 1, .vote = 2, .commit = number},
                  .last = {number + 1, span.first}},
    };
    group.chain = spate_record_encode(to + SPATE_WAL_HEADER_BYTES, &span, place.chain);
    group.zero_sectors =
        spate_wal_zero_sectors(to + SPATE_WAL_SECTOR_BYTES, size - SPATE_WAL_SECTOR_BYTES);
    spate_wal_group_encode(to, &group, SALT);
    segment->at[number] = at;
    segment->end = at + size;
    segment->place[number] = (struct wal_place){.segment = place.segment,
                                                .group_next = group.number + 1,
                                                .chain = group.chain,
                                                .state = group.state};
}

static void make(struct segment *segment)
{
    memset(segment, 0, sizeof *segment);
    segment->begin = (struct wal_place){.segment = 3, .group_next = 17, .chain = 99};
    for (unsigned g = 0; g < GROUPS; g++) {
        add_group(segment, g, g == LAST ? 5000 : 64, g == 2 ? WAL_GROUP_TRUNCATES : 0);
    }
}

struct seen {
    const struct segment *segment;
    unsigned groups;
};

/* Every group that is visited is one that was written, in its place. */
static void visit(void *context, const struct wal_group *group, uint32_t at)
{
    struct seen *seen = context;

    assert_true(seen->groups < GROUPS);
    assert_int_equal(at, seen->segment->at[seen->groups]);
    assert_int_equal(group->number, 17 + seen->groups);
    const struct wal_state *expected = &seen->segment->place[seen->groups].state;
    assert_int_equal(group->state.hard_state.term, expected->hard_state.term);
    assert_int_equal(group->state.hard_state.vote, expected->hard_state.vote);
    assert_int_equal(group->state.hard_state.commit, expected->hard_state.commit);
    assert_int_equal(group->state.last.index, expected->last.index);
    assert_int_equal(group->state.last.term, expected->last.term);
    assert_int_equal(group->chain, seen->segment->place[seen->groups].chain);
    seen->groups++;
}

/* Scans, and returns how many groups are whole; GROUPS + 1: it says that there is damage. */
static unsigned scan(const struct segment *segment)
{
    struct seen seen = {.segment = segment};
    struct wal_place place = segment->begin;
    const struct wal_scan scan = spate_wal_scan(segment->image, SIZE, SALT, &place, visit, &seen);

    if (scan.result == WAL_SCAN_DAMAGED) {
        return GROUPS + 1;
    }
    assert_int_equal(scan.result, WAL_SCAN_END);
    assert_int_equal(place.group_next, 17 + seen.groups);
    assert_int_equal(scan.at, seen.groups < GROUPS ? segment->at[seen.groups] : segment->end);
    return seen.groups;
}

static void what_was_written_is_found(void **state)
{
    static struct segment segment;
    (void)state;
    make(&segment);
    assert_int_equal(scan(&segment), GROUPS);
}

/* The last group was acknowledged, and nothing is behind it yet: a bit of it is no torn write. */
static void a_bit_that_changes_is_found_or_does_not_matter(void **state)
{
    static struct segment segment;
    unsigned found = 0;
    (void)state;
    make(&segment);
    for (uint32_t at = SPATE_WAL_BLOCK_BYTES; at < segment.end + SPATE_WAL_BLOCK_BYTES; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            segment.image[at] ^= (uint8_t)(1u << bit);
            const unsigned groups = scan(&segment);
            assert_true(groups == GROUPS || groups == GROUPS + 1);
            found += groups == GROUPS + 1;
            segment.image[at] ^= (uint8_t)(1u << bit);
        }
    }
    /* All of headers, records and entries. */
    assert_true(found > 8 * (GROUPS * (SPATE_WAL_HEADER_BYTES + SPATE_RECORD_HEADER_BYTES) + 5000));
}

/* Of the last group, any of its sectors may have arrived: it is there as a whole or not at all. */
static void a_torn_group_is_cut(void **state)
{
    static struct segment segment;
    static struct segment torn;
    (void)state;
    make(&segment);
    const uint32_t at = segment.at[LAST];
    assert_int_equal(segment.end - at, 2 * SPATE_WAL_BLOCK_BYTES);
    for (uint32_t arrived = 0; arrived < 1u << (2 * SECTORS); arrived += 1 + arrived % 3) {
        bool is_whole = true;
        torn = segment;
        for (uint32_t s = 0; s < 2 * SECTORS; s++) {
            uint8_t *sector = torn.image + at + s * SPATE_WAL_SECTOR_BYTES;
            if ((arrived >> s & 1) == 0) {
                is_whole = is_whole && spate_wal_zero_sectors(sector, SPATE_WAL_SECTOR_BYTES) == 1;
                memset(sector, 0, SPATE_WAL_SECTOR_BYTES);
            }
        }
        assert_int_equal(scan(&torn), is_whole ? GROUPS : LAST);
    }
}

/* The same of any earlier group: a later one says that it was synced. */
static void a_hole_before_a_whole_group_is_damage(void **state)
{
    static struct segment segment;
    (void)state;
    for (unsigned g = 0; g < LAST; g++) {
        make(&segment);
        memset(segment.image + segment.at[g], 0, segment.at[g + 1] - segment.at[g]);
        assert_int_equal(scan(&segment), GROUPS + 1);
        make(&segment);
        memset(segment.image + segment.at[g], 0, segment.end - segment.at[g]);
        assert_int_equal(scan(&segment), g); /* Nothing is behind it. */
    }
}

/* Whole blocks in other places: a disk that mixes up addresses. */
static void blocks_that_change_places_are_damage(void **state)
{
    static struct segment segment;
    static uint8_t block[SPATE_WAL_BLOCK_BYTES];
    (void)state;
    for (unsigned a = 0; a < LAST; a++) {
        for (unsigned b = a + 1; b < GROUPS; b++) {
            make(&segment);
            memcpy(block, segment.image + segment.at[a], sizeof block);
            memcpy(segment.image + segment.at[a], segment.image + segment.at[b], sizeof block);
            memcpy(segment.image + segment.at[b], block, sizeof block);
            assert_int_equal(scan(&segment), GROUPS + 1);
        }
    }
}

/* What an earlier life of the file left must not count, whatever it is. */
static void groups_of_another_segment_or_store_do_not_count(void **state)
{
    static struct segment segment;
    struct seen seen = {.segment = &segment};
    struct wal_place place;
    (void)state;
    make(&segment);
    place = segment.begin;
    place.segment++;
    assert_int_equal(spate_wal_scan(segment.image, SIZE, SALT, &place, visit, &seen).result,
                     WAL_SCAN_DAMAGED);
    place = segment.begin;
    assert_int_equal(spate_wal_scan(segment.image, SIZE, SALT + 1, &place, visit, &seen).result,
                     WAL_SCAN_DAMAGED);
    assert_int_equal(seen.groups, 0);
    assert_false(spate_wal_is_unused(segment.image + SPATE_WAL_BLOCK_BYTES,
                                     SIZE - SPATE_WAL_BLOCK_BYTES, SALT, &place));
}

/* Noise over a part of it. */
static void noise_never_shows_other_entries(void **state)
{
    static struct segment segment;
    struct spate_prng prng;
    (void)state;
    spate_prng_seed(&prng, 13, 1);
    for (unsigned round = 0; round < 20000; round++) {
        make(&segment);
        const uint32_t bytes = (uint32_t)spate_prng_between(&prng, 1, 600);
        const uint32_t at =
            (uint32_t)spate_prng_between(&prng, SPATE_WAL_BLOCK_BYTES, SIZE - bytes - 1);
        for (uint32_t i = 0; i < bytes; i++) {
            segment.image[at + i] = (uint8_t)spate_prng_below(&prng, 256);
        }
        const unsigned groups = scan(&segment);
        /* A sector that noise made all zero would pass for torn; that is not what noise does. */
        assert_true(groups >= GROUPS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_found),
        cmocka_unit_test(a_bit_that_changes_is_found_or_does_not_matter),
        cmocka_unit_test(a_torn_group_is_cut),
        cmocka_unit_test(a_hole_before_a_whole_group_is_damage),
        cmocka_unit_test(blocks_that_change_places_are_damage),
        cmocka_unit_test(groups_of_another_segment_or_store_do_not_count),
        cmocka_unit_test(noise_never_shows_other_entries),
    };
    return cmocka_run_group_tests_name("drivers/wal format", tests, NULL, NULL);
}
