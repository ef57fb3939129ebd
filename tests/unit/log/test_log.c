/* The contract of log.h, line by line. Letters are guarantees of lib/log/README.md. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "log/log.h"
#include "support/test.h"

#define SEGMENT  (2u * SPATE_ENTRY_BYTES_MAX)
#define SEGMENTS 4u
#define HELD_MAX 64u
/* Two of these fill a segment. */
#define HALF (SPATE_ENTRY_BYTES_MAX - SPATE_ENTRY_HEADER_BYTES)

/* Reclaims nothing until told. */
struct holder {
    struct spate_reclaim reclaim;
    struct spate_retired *held[HELD_MAX];
    uint32_t count;
    bool is_immediate;
};

static uint8_t large[SPATE_ENTRY_BYTES_MAX];

static void hold(struct spate_reclaim *reclaim, struct spate_retired *item)
{
    struct holder *holder = (struct holder *)reclaim;

    if (holder->is_immediate) {
        atomic_store_explicit(&item->is_reclaimed, true, memory_order_release);
        return;
    }
    assert_true(holder->count < HELD_MAX);
    holder->held[holder->count++] = item;
}

static void let_go(struct holder *holder)
{
    for (uint32_t i = 0; i < holder->count; i++) {
        atomic_store_explicit(&holder->held[i]->is_reclaimed, true, memory_order_release);
    }
    holder->count = 0;
}

static struct spate_log *create_at(struct holder *holder, spate_term term, spate_index index)
{
    const struct spate_log_options options = {.budget_bytes = (uint64_t)SEGMENTS * SEGMENT,
                                              .segment_bytes = SEGMENT,
                                              .reclaim = &holder->reclaim,
                                              .base = {.term = term, .index = index}};
    struct spate_log *log = NULL;

    *holder = (struct holder){.reclaim.retire = hold};
    assert_int_equal(spate_log_create(&options, &log), SPATE_OK);
    return log;
}

static void append(struct spate_log *log, spate_term term, uint32_t size, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(spate_log_stage(log, term, SPATE_ENTRY_COMMAND, large, size), SPATE_OK);
    }
    spate_log_publish(log);
    assert_true(spate_log_valid(log));
}

static spate_term term_of(const struct spate_log *log, spate_index index)
{
    spate_term term = 0;
    assert_int_equal(spate_log_term_at(log, index, &term), SPATE_OK);
    return term;
}

static struct spate_log_view view_of(const struct spate_log *log)
{
    struct spate_log_view view;
    spate_log_view(log, &view);
    return view;
}

static struct spate_log_span span_of(const struct spate_log *log, spate_index first)
{
    const struct spate_log_view view = view_of(log);
    struct spate_log_span span;
    spate_log_view_span(&view, first, UINT32_MAX, UINT32_MAX, &span);
    return span;
}

static void options_out_of_range_are_invalid(void **state)
{
    (void)state;
    struct holder holder = {.reclaim.retire = hold};
    const struct spate_log_options good = {.budget_bytes = SEGMENTS * (uint64_t)SEGMENT,
                                           .segment_bytes = SEGMENT,
                                           .reclaim = &holder.reclaim};
    struct spate_log_options bad[] = {good, good, good, good};
    struct spate_log *log = NULL;

    bad[0].budget_bytes--;
    bad[1].segment_bytes = SEGMENT - 8;
    bad[2].segment_bytes = SEGMENT + 4;
    bad[3].reclaim = NULL;
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(spate_log_create(&bad[i], &log), SPATE_ERR_INVALID);
        assert_null(log);
    }
    struct spate_log_options by_default = good;
    by_default.segment_bytes = 0;
    by_default.budget_bytes = 16u << 20;
    assert_int_equal(spate_log_create(&by_default, &log), SPATE_OK);
    assert_int_equal(spate_log_budget_bytes(log), 16u << 20);
    spate_log_destroy(log);
    spate_log_destroy(NULL);
}

static void an_empty_log_stands_behind_its_base(void **state)
{
    (void)state;
    struct holder holder;
    struct spate_log *log = create_at(&holder, 7, 100);
    const struct spate_log_view view = view_of(log);
    spate_term term = 0;

    assert_int_equal(spate_log_first(log), 101);
    assert_int_equal(spate_log_last(log), 100);
    assert_int_equal(spate_log_last_term(log), 7);
    assert_int_equal(term_of(log, 100), 7);
    assert_int_equal(spate_log_term_at(log, 99, &term), SPATE_ERR_COMPACTED);
    assert_int_equal(term, 0);
    assert_int_equal(view.first, 101);
    assert_int_equal(view.last, 100);
    assert_int_equal(spate_log_view_term(&view, 100, &term), SPATE_OK);
    assert_int_equal(term, 7);
    assert_int_equal(spate_log_view_term(&view, 99, &term), SPATE_ERR_COMPACTED);
    assert_int_equal(spate_log_used_bytes(log), 0);
    assert_true(spate_log_valid(log));
    spate_log_destroy(log);
}

/* A. */
static void staged_entries_are_seen_only_when_published(void **state)
{
    (void)state;
    struct holder holder;
    struct spate_log *log = create_at(&holder, 0, 0);
    const struct spate_log_view before = view_of(log);

    for (uint32_t i = 0; i < 5; i++) { /* Over three segments. */
        assert_int_equal(spate_log_stage(log, 3, SPATE_ENTRY_NOOP, large, HALF), SPATE_OK);
        assert_int_equal(spate_log_last(log), 0);
        assert_int_equal(spate_log_last_term(log), 0);
        assert_int_equal(view_of(log).last, 0);
    }
    spate_log_publish(log);
    spate_log_publish(log);
    assert_int_equal(spate_log_last(log), 5);
    assert_int_equal(spate_log_last_term(log), 3);
    assert_int_equal(view_of(log).last, 5);
    assert_int_equal(before.last, 0);
    assert_int_equal(spate_log_used_bytes(log), 3 * SEGMENT);
    spate_log_destroy(log);
}

/* A, H. */
static void entries_of_every_size_read_back(void **state)
{
    (void)state;
    struct holder holder;
    struct spate_log *log = create_at(&holder, 0, 0);
    const uint32_t sizes[] = {
        0, 1, 7, 8, 9, 15, 16, 17, SPATE_ENTRY_BYTES_MAX - 1, SPATE_ENTRY_BYTES_MAX};
    spate_index index = 0;

    for (uint32_t i = 0; i < SPATE_ENTRY_BYTES_MAX; i++) {
        large[i] = (uint8_t)(i * 7 + i / 251);
    }
    for (uint32_t s = 0; s < SPATE_ARRAY_COUNT(sizes); s++) {
        append(log, 1, sizes[s], 1);
    }
    for (uint32_t s = 0; s < SPATE_ARRAY_COUNT(sizes); s++) {
        const struct spate_log_view view = view_of(log);
        struct spate_log_span span;
        struct spate_entry entry;
        spate_log_view_span(&view, ++index, 1, 0, &span);
        assert_int_equal(span.count, 1);
        assert_int_equal(span.bytes, spate_entry_stride(sizes[s]));
        assert_int_equal(spate_entry_decode(span.data, span.bytes, &entry), span.bytes);
        assert_int_equal(entry.size, sizes[s]);
        assert_memory_equal(entry.data, large, sizes[s]);
        for (uint32_t p = SPATE_ENTRY_HEADER_BYTES + sizes[s]; p < span.bytes; p++) {
            assert_int_equal(span.data[p], 0);
        }
    }
    spate_log_destroy(log);
}

/* H. */
static void spans_end_at_limits_runs_and_segments(void **state)
{
    (void)state;
    struct holder holder;
    struct spate_log *log = create_at(&holder, 0, 0);
    struct spate_log_span span;

    append(log, 1, 8, 10);   /* 1 to 10 */
    append(log, 2, 8, 5);    /* 11 to 15 */
    append(log, 2, HALF, 2); /* 16, and 17 in the next segment */
    append(log, 2, 8, 3);    /* 18 to 20 */
    const struct spate_log_view view = view_of(log);
    assert_int_equal(span_of(log, 1).count, 10);
    assert_int_equal(span_of(log, 11).count, 6);
    assert_int_equal(span_of(log, 11).term, 2);
    assert_int_equal(span_of(log, 17).count, 4);
    spate_log_view_span(&view, 2, 3, UINT32_MAX, &span);
    assert_int_equal(span.count, 3);
    assert_int_equal(span.first, 2);
    for (uint32_t bytes = 0; bytes <= 10 * 16; bytes++) {
        const uint32_t fitting = bytes / 16;
        spate_log_view_span(&view, 1, UINT32_MAX, bytes, &span);
        assert_int_equal(span.count, fitting < 1 ? 1 : fitting);
    }
    spate_log_destroy(log);
}

static void terms_are_found_over_runs_and_segments(void **state)
{
    (void)state;
    struct holder holder;
    struct spate_log *log = create_at(&holder, 0, 0);

    /* More runs than a segment holds: 1500 terms of two entries each. */
    for (spate_term term = 1; term <= 1500; term++) {
        append(log, term * 10, 8, 2);
    }
    append(log, 15000, HALF, 4); /* The last run goes on over three segments. */
    for (spate_index index = 1; index <= 3000; index++) {
        const spate_term term = (index + 1) / 2;
        assert_int_equal(term_of(log, index), term * 10);
        assert_int_equal(spate_log_term_first(log, index), term * 2 - 1);
    }
    assert_int_equal(spate_log_term_first(log, 3004), 2999);
    assert_int_equal(spate_log_used_bytes(log), 4 * SEGMENT);
    spate_log_destroy(log);
}

/* B, D. */
static void a_view_outlives_the_truncation_of_what_it_shows(void **state)
{
    (void)state;
    struct holder holder;
    struct spate_log *log = create_at(&holder, 0, 0);

    append(log, 1, 8, 10);
    const struct spate_log_view before = view_of(log);
    assert_int_equal(spate_log_truncate(log, 10), SPATE_OK); /* Nothing to cut. */
    assert_int_equal(spate_log_generation(log), 0);
    assert_int_equal(holder.count, 0);
    assert_int_equal(spate_log_truncate(log, 4), SPATE_OK);
    assert_int_equal(spate_log_generation(log), 1);
    assert_int_equal(spate_log_last(log), 4);
    assert_int_equal(view_of(log).last, 4);
    append(log, 9, 16, 10);
    struct spate_log_span span;
    spate_log_view_span(&before, 1, UINT32_MAX, UINT32_MAX, &span);
    assert_int_equal(before.last, 10);
    assert_int_equal(before.generation, 0);
    assert_int_equal(span.count, 10);
    assert_int_equal(span.term, 1);
    assert_int_equal(span.bytes, 10 * 16);
    assert_int_equal(term_of(log, 5), 9);
    assert_int_equal(span_of(log, 5).bytes, 10 * 24);
    spate_log_destroy(log);
}

/* D: at a segment's border nothing is copied, and the segment goes on behind what views show. */
static void truncation_at_a_border_keeps_the_segment(void **state)
{
    (void)state;
    struct holder holder;
    struct spate_log *log = create_at(&holder, 0, 0);

    append(log, 1, 8, 1);
    append(log, 1, HALF, 2); /* 2, and 3 in the next segment */
    const struct spate_log_view before = view_of(log);
    const uint8_t *first = span_of(log, 1).data;
    assert_int_equal(spate_log_truncate(log, 2), SPATE_OK);
    assert_ptr_equal(span_of(log, 1).data, first);
    append(log, 2, 8, 1);
    assert_int_equal(span_of(log, 3).term, 2);
    struct spate_log_span span;
    spate_log_view_span(&before, 3, 1, UINT32_MAX, &span);
    assert_int_equal(span.term, 1);
    assert_int_equal(span.bytes, spate_entry_stride(HALF));
    assert_int_equal(spate_log_truncate(log, 0), SPATE_OK);
    assert_int_equal(spate_log_first(log), 1);
    assert_int_equal(spate_log_last(log), 0);
    assert_int_equal(spate_log_last_term(log), 0);
    assert_true(spate_log_valid(log));
    spate_log_destroy(log);
}

/* D. */
static void compaction_goes_by_whole_segments(void **state)
{
    (void)state;
    struct holder holder;
    struct spate_log *log = create_at(&holder, 0, 0);
    spate_term term = 0;

    append(log, 1, HALF, 2); /* 1, 2 */
    append(log, 2, HALF, 3); /* 3, 4; 5 */
    spate_log_compact(log, 2);
    assert_int_equal(spate_log_first(log), 1);
    assert_int_equal(holder.count, 0);
    spate_log_compact(log, 4);
    assert_int_equal(spate_log_first(log), 3);
    assert_int_equal(term_of(log, 2), 1);
    assert_int_equal(spate_log_term_at(log, 1, &term), SPATE_ERR_COMPACTED);
    assert_int_equal(spate_log_generation(log), 0);
    assert_int_equal(spate_log_retired_bytes(log), SEGMENT);
    assert_int_equal(spate_log_used_bytes(log), 3 * SEGMENT);
    spate_log_compact(log, 6); /* last + 1: all of it. */
    assert_int_equal(spate_log_first(log), 6);
    assert_int_equal(spate_log_last(log), 5);
    assert_int_equal(spate_log_last_term(log), 2);
    let_go(&holder);
    append(log, 2, 8, 1);
    assert_int_equal(spate_log_last(log), 6);
    assert_int_equal(spate_log_retired_bytes(log), 0);
    assert_int_equal(spate_log_used_bytes(log), SEGMENT);
    spate_log_destroy(log);
}

static void reset_moves_the_log_behind_another_base(void **state)
{
    (void)state;
    struct holder holder;
    struct spate_log *log = create_at(&holder, 0, 0);

    append(log, 5, HALF, 3);
    const struct spate_log_view before = view_of(log);
    assert_int_equal(spate_log_reset(log, (struct spate_entry_id){.term = 4, .index = 1000}),
                     SPATE_OK);
    assert_int_equal(spate_log_generation(log), 1);
    assert_int_equal(spate_log_first(log), 1001);
    assert_int_equal(spate_log_last(log), 1000);
    assert_int_equal(term_of(log, 1000), 4);
    assert_int_equal(before.last, 3);
    append(log, 4, 8, 1);
    assert_int_equal(span_of(log, 1001).count, 1);
    spate_log_destroy(log);
}

/* F: the budget counts what readers still hold, and comes back when they let go. */
static void a_spent_budget_is_busy_until_readers_let_go(void **state)
{
    (void)state;
    struct holder holder;
    struct spate_log *log = create_at(&holder, 0, 0);

    append(log, 1, HALF, 2 * SEGMENTS);
    assert_int_equal(spate_log_stage(log, 1, SPATE_ENTRY_COMMAND, large, 0), SPATE_ERR_BUSY);
    assert_int_equal(spate_log_last(log), 2 * SEGMENTS);
    spate_log_compact(log, 3);
    assert_int_equal(spate_log_retired_bytes(log), SEGMENT);
    assert_int_equal(spate_log_used_bytes(log), spate_log_budget_bytes(log));
    assert_int_equal(spate_log_stage(log, 1, SPATE_ENTRY_COMMAND, large, 0), SPATE_ERR_BUSY);
    let_go(&holder);
    append(log, 1, HALF, 2);
    assert_int_equal(spate_log_last(log), 2 * SEGMENTS + 2);
    spate_log_destroy(log);
}

/* F: what frees memory does not wait for memory; twice in a row it waits for readers. */
static void a_truncation_has_room_when_the_budget_is_spent(void **state)
{
    (void)state;
    struct holder holder;
    struct spate_log *log = create_at(&holder, 0, 0);

    append(log, 1, HALF, 2 * SEGMENTS);
    const struct spate_log_view before = view_of(log);
    assert_int_equal(spate_log_truncate(log, 2 * SEGMENTS - 1), SPATE_OK);
    assert_int_equal(spate_log_last(log), 2 * SEGMENTS - 1);
    assert_int_equal(spate_log_used_bytes(log), spate_log_budget_bytes(log) + SEGMENT);
    assert_int_equal(before.last, 2 * SEGMENTS);
    append(log, 2, HALF, 1);
    assert_int_equal(spate_log_stage(log, 2, SPATE_ENTRY_COMMAND, large, 0), SPATE_ERR_BUSY);
    assert_int_equal(spate_log_truncate(log, 2 * SEGMENTS - 1), SPATE_ERR_BUSY);
    assert_int_equal(spate_log_generation(log), 1);
    assert_int_equal(spate_log_last(log), 2 * SEGMENTS);
    let_go(&holder);
    assert_int_equal(spate_log_truncate(log, 1), SPATE_OK);
    let_go(&holder);
    append(log, 2, HALF, 2); /* Takes back what was let go. */
    assert_int_equal(spate_log_used_bytes(log), 2 * SEGMENT);
    assert_true(spate_log_valid(log));
    spate_log_destroy(log);
}

/* F: so it is with states, of which there is a fixed number. */
static void too_many_cuts_are_busy_until_readers_let_go(void **state)
{
    (void)state;
    struct holder holder;
    struct spate_log *log = create_at(&holder, 0, 0);
    uint32_t cuts = 0;

    while (spate_log_reset(log, (struct spate_entry_id){.term = 1, .index = cuts}) == SPATE_OK) {
        assert_true(++cuts < 1000);
    }
    assert_int_equal(cuts, 16);
    append(log, 1, HALF, 3);
    const spate_index last = spate_log_last(log);
    assert_int_equal(spate_log_truncate(log, last - 1), SPATE_ERR_BUSY);
    spate_log_compact(log, last);
    assert_int_equal(spate_log_first(log), last - 2);
    assert_int_equal(spate_log_last(log), last);
    assert_int_equal(spate_log_generation(log), cuts);
    assert_true(spate_log_valid(log));
    let_go(&holder);
    assert_int_equal(spate_log_truncate(log, last - 1), SPATE_OK);
    spate_log_destroy(log);
}

/* E, F: whatever of the budget is left when an operation comes, it happens whole or not at all. */
static void nothing_changes_when_the_budget_ends(void **state)
{
    (void)state;
    uint8_t *block = malloc(4 * (size_t)SPATE_ENTRY_BYTES_MAX);
    uint32_t bytes = 0;

    assert_non_null(block);
    for (uint32_t i = 0; i < 4; i++) {
        bytes += spate_entry_encode(block + bytes, SPATE_ENTRY_COMMAND, large, HALF);
    }
    for (uint32_t before = 0; before <= 2 * SEGMENTS; before++) {
        struct holder holder;
        struct spate_log *log = create_at(&holder, 0, 0);
        append(log, 1, HALF, before);
        const spate_err wanted = before + 4 <= 2 * SEGMENTS ? SPATE_OK : SPATE_ERR_BUSY;
        assert_int_equal(spate_log_stage_encoded(log, 1, block, bytes, 4), wanted);
        spate_log_publish(log);
        assert_int_equal(spate_log_last(log), before + (wanted == SPATE_OK ? 4 : 0));
        assert_true(spate_log_valid(log));
        /* Single entries stay staged up to the one that fails. */
        while (spate_log_stage(log, 1, SPATE_ENTRY_COMMAND, large, HALF) == SPATE_OK) {
        }
        spate_log_publish(log);
        assert_int_equal(spate_log_last(log), 2 * SEGMENTS);
        assert_true(spate_log_valid(log));
        spate_log_destroy(log);
    }
    free(block);
}

/* Where the integers end: indexes and terms around 2^32 and 2^63. */
static void indexes_and_terms_may_be_large(void **state)
{
    (void)state;
    const uint64_t ends[] = {(1ull << 32) - 8, (1ull << 63) - 8};

    for (uint32_t e = 0; e < 2; e++) {
        struct holder holder;
        struct spate_log *log = create_at(&holder, ends[e], ends[e]);
        holder.is_immediate = true;
        for (uint32_t i = 1; i <= 16; i++) {
            append(log, ends[e] + i, 8, 1);
        }
        for (uint32_t i = 1; i <= 16; i++) {
            assert_true(term_of(log, ends[e] + i) == ends[e] + i);
            assert_true(spate_log_term_first(log, ends[e] + i) == ends[e] + i);
            assert_int_equal(span_of(log, ends[e] + i).count, 1);
        }
        assert_int_equal(spate_log_truncate(log, ends[e] + 8), SPATE_OK);
        spate_log_compact(log, ends[e] + 9);
        assert_true(spate_log_first(log) == ends[e] + 9);
        assert_true(term_of(log, ends[e] + 8) == ends[e] + 8);
        spate_log_destroy(log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_out_of_range_are_invalid),
        cmocka_unit_test(an_empty_log_stands_behind_its_base),
        cmocka_unit_test(staged_entries_are_seen_only_when_published),
        cmocka_unit_test(entries_of_every_size_read_back),
        cmocka_unit_test(spans_end_at_limits_runs_and_segments),
        cmocka_unit_test(terms_are_found_over_runs_and_segments),
        cmocka_unit_test(a_view_outlives_the_truncation_of_what_it_shows),
        cmocka_unit_test(truncation_at_a_border_keeps_the_segment),
        cmocka_unit_test(compaction_goes_by_whole_segments),
        cmocka_unit_test(reset_moves_the_log_behind_another_base),
        cmocka_unit_test(a_spent_budget_is_busy_until_readers_let_go),
        cmocka_unit_test(a_truncation_has_room_when_the_budget_is_spent),
        cmocka_unit_test(too_many_cuts_are_busy_until_readers_let_go),
        cmocka_unit_test(nothing_changes_when_the_budget_ends),
        cmocka_unit_test(indexes_and_terms_may_be_large),
    };
    return cmocka_run_group_tests_name("log/log", tests, NULL, NULL);
}
