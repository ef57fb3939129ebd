/*
 * The log against a naive array: millions of random operations, and views that are kept across
 * them, must agree in every answer. Covers guarantees A, B, D, E, G and H of lib/log/README.md.
 *
 * usage: test_differential [OPERATIONS [SEED]]
 */
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "log/log.h"
#include "support/log_poison.h"
#include "support/test.h"

#define MODEL_MAX  200000u
#define VIEWS      8u
#define BLOCK_MAX  64u
#define BLOCK_SIZE (1u << 20)

struct model_entry {
    spate_term term;
    uint32_t size;
    uint32_t stamp; /* All payload bytes follow from it. */
};

struct kept_view {
    bool is_held;
    struct spate_log_view view;
    uint64_t retired_before;  /* Items retired before the view was taken do not matter to it. */
    struct model_entry *copy; /* entries[first..last] as they were. */
};

/* Reclaims an item once no view that was taken before its retirement is held. */
struct delayed_reclaim {
    struct spate_reclaim reclaim;
    struct spate_retired *items[4096];
    uint64_t retired_count;
    uint64_t reclaimed_count;
};

struct world {
    struct spate_log *log;
    struct delayed_reclaim delayed;
    struct model_entry *entries; /* entries[i] is the index base + 1 + i. */
    spate_index first;           /* The model keeps everything since `first`. */
    spate_index last;
    spate_term first_term; /* Of first - 1 */
    spate_term term;
    uint64_t generation;
    uint32_t stamp;
    struct kept_view views[VIEWS];
    struct spate_prng prng;
    uint8_t *block;
    uint64_t operations;
};

static uint64_t operations_wanted = 1000000;
static uint64_t seed = 1;

static void retire_delayed(struct spate_reclaim *reclaim, struct spate_retired *item)
{
    struct delayed_reclaim *delayed = (struct delayed_reclaim *)reclaim;
    assert_true(delayed->retired_count - delayed->reclaimed_count < 4096);
    delayed->items[delayed->retired_count++ % 4096] = item;
}

static void reclaim_unseen(struct world *world)
{
    uint64_t limit = world->delayed.retired_count;
    for (unsigned v = 0; v < VIEWS; v++) {
        if (world->views[v].is_held && world->views[v].retired_before < limit) {
            limit = world->views[v].retired_before;
        }
    }
    while (world->delayed.reclaimed_count < limit) {
        struct spate_retired *item = world->delayed.items[world->delayed.reclaimed_count++ % 4096];
        log_poison(item); /* G: a view that is held must not lead there. */
        atomic_store_explicit(&item->is_reclaimed, true, memory_order_release);
    }
}

static struct model_entry *entry_of(struct world *world, spate_index index)
{
    return &world->entries[index % MODEL_MAX];
}

static void fill(uint8_t *to, uint32_t stamp, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        to[i] = (uint8_t)(stamp * 31 + i * 7);
    }
}

static uint32_t draw_size(struct world *world)
{
    const uint64_t kind = spate_prng_below(&world->prng, 1000);
    if (kind < 900) {
        return (uint32_t)spate_prng_below(&world->prng, 100);
    }
    return kind < 999 ? (uint32_t)spate_prng_below(&world->prng, 5000)
                      : (uint32_t)spate_prng_between(&world->prng, SPATE_ENTRY_BYTES_MAX / 8,
                                                     SPATE_ENTRY_BYTES_MAX / 2);
}

static spate_term draw_term(struct world *world)
{
    if (spate_prng_below(&world->prng, 20) == 0) {
        world->term += spate_prng_between(&world->prng, 1, 3);
    }
    return world->term;
}

static void note_appended(struct world *world, spate_term term, uint32_t size, uint32_t stamp)
{
    world->last++;
    *entry_of(world, world->last) = (struct model_entry){term, size, stamp};
}

static void append_one_by_one(struct world *world)
{
    const uint64_t count = spate_prng_between(&world->prng, 1, 20);
    const spate_term term = draw_term(world);

    for (uint64_t i = 0; i < count; i++) {
        const uint32_t size = draw_size(world);
        fill(world->block, ++world->stamp, size);
        const spate_err err =
            spate_log_stage(world->log, term, SPATE_ENTRY_COMMAND, world->block, size);
        if (err != SPATE_OK) {
            assert_int_equal(err, SPATE_ERR_BUSY);
            break;
        }
        note_appended(world, term, size, world->stamp);
    }
    spate_log_publish(world->log);
    world->term = spate_log_last_term(world->log) > world->term ? spate_log_last_term(world->log)
                                                                : world->term;
}

static void append_encoded(struct world *world)
{
    const uint64_t count = spate_prng_between(&world->prng, 1, BLOCK_MAX);
    const spate_term term = draw_term(world);
    struct model_entry entries[BLOCK_MAX];
    uint32_t made = 0;
    uint32_t bytes = 0;

    for (; made < count; made++) {
        const uint32_t size = draw_size(world);
        if (bytes + spate_entry_stride(size) > BLOCK_SIZE) {
            break;
        }
        fill(world->block + bytes + SPATE_ENTRY_HEADER_BYTES, ++world->stamp, size);
        entries[made] = (struct model_entry){term, size, world->stamp};
        uint8_t *copy = malloc(size + 1);
        assert_non_null(copy);
        memcpy(copy, world->block + bytes + SPATE_ENTRY_HEADER_BYTES, size);
        bytes += spate_entry_encode(world->block + bytes, SPATE_ENTRY_COMMAND, copy, size);
        free(copy);
    }
    if (made == 0) {
        return;
    }
    if (spate_prng_below(&world->prng, 50) == 0) { /* Something is wrong with the bytes. */
        assert_int_equal(spate_log_stage_encoded(world->log, term, world->block, bytes - 8, made),
                         SPATE_ERR_MALFORMED);
        assert_int_equal(spate_log_stage_encoded(world->log, term, world->block, bytes, made + 1),
                         SPATE_ERR_MALFORMED);
    }
    const spate_err err = spate_log_stage_encoded(world->log, term, world->block, bytes, made);
    if (err == SPATE_OK) {
        for (uint32_t i = 0; i < made; i++) {
            note_appended(world, entries[i].term, entries[i].size, entries[i].stamp);
        }
    } else {
        assert_int_equal(err, SPATE_ERR_BUSY);
    }
    spate_log_publish(world->log);
}

static spate_term term_at(struct world *world, spate_index index)
{
    return index + 1 == world->first ? world->first_term : entry_of(world, index)->term;
}

static void truncate_somewhere(struct world *world)
{
    const spate_index first = spate_log_first(world->log);
    const uint64_t length = world->last - first + 1;
    const uint64_t cut = spate_prng_below(&world->prng, (length < 300 ? length : 300) + 1);

    if (spate_log_truncate(world->log, world->last - cut) == SPATE_OK) {
        world->generation += cut > 0;
        world->last -= cut;
        world->term = cut > 0 ? term_at(world, world->last) + 1 : world->term;
    }
}

static void compact_somewhere(struct world *world)
{
    const spate_index first = spate_log_first(world->log);
    const uint64_t keep = spate_prng_below(&world->prng, world->last - first + 2);
    const spate_index first_kept = world->last + 1 - keep;

    spate_log_compact(world->log, first_kept);
    assert_true(spate_log_first(world->log) <= first_kept);
    assert_true(spate_log_first(world->log) >= first);
}

static void reset_somewhere(struct world *world)
{
    const struct spate_entry_id base = {
        .term = world->term + 1, .index = world->last + spate_prng_below(&world->prng, 1000)};
    if (spate_log_reset(world->log, base) == SPATE_OK) {
        world->generation++;
        world->first = base.index + 1;
        world->last = base.index;
        world->first_term = base.term;
        world->term = base.term;
    }
}

static void drop_view(struct kept_view *kept)
{
    free(kept->copy);
    *kept = (struct kept_view){0};
}

/* Whether an entry as read is the one that the model remembers. */
static void check_entry(const struct spate_entry *entry, const struct model_entry *model)
{
    static uint8_t expected[SPATE_ENTRY_BYTES_MAX];
    assert_int_equal(entry->size, model->size);
    assert_int_equal(entry->kind, SPATE_ENTRY_COMMAND);
    fill(expected, model->stamp, model->size);
    assert_memory_equal(entry->data, expected, model->size);
}

/* Reads a random span of a kept view: it must still be what it was when the view was taken. */
static void read_view(struct world *world, const struct kept_view *kept)
{
    const struct spate_log_view *view = &kept->view;
    if (view->first > view->last) {
        return;
    }
    const spate_index first = spate_prng_between(&world->prng, view->first, view->last);
    const uint32_t bytes_max = (uint32_t)spate_prng_between(&world->prng, 1, 4000);
    struct spate_log_span span;
    spate_term term = 0;

    spate_log_view_span(view, first, 1 + (uint32_t)spate_prng_below(&world->prng, 100), bytes_max,
                        &span);
    assert_int_equal(span.first, first);
    assert_true(span.count >= 1);
    assert_true(span.count == 1 || span.bytes <= bytes_max);
    uint32_t at = 0;
    for (uint32_t i = 0; i < span.count; i++) {
        struct spate_entry entry;
        const struct model_entry *model = &kept->copy[first + i - view->first];
        const uint32_t stride = spate_entry_decode(span.data + at, span.bytes - at, &entry);
        assert_true(stride > 0);
        at += stride;
        check_entry(&entry, model);
        assert_int_equal(span.term, model->term);
        assert_int_equal(spate_log_view_term(view, first + i, &term), SPATE_OK);
        assert_int_equal(term, model->term);
    }
    assert_int_equal(at, span.bytes);
}

static void take_view(struct world *world)
{
    struct kept_view *kept = &world->views[spate_prng_below(&world->prng, VIEWS)];
    drop_view(kept);
    kept->is_held = true;
    kept->retired_before = world->delayed.retired_count;
    spate_log_view(world->log, &kept->view);
    assert_int_equal(kept->view.last, world->last);
    assert_int_equal(kept->view.generation, world->generation);
    const uint64_t count = kept->view.last - kept->view.first + 1;
    kept->copy = malloc((count + 1) * sizeof *kept->copy);
    assert_non_null(kept->copy);
    for (uint64_t i = 0; i < count; i++) {
        kept->copy[i] = *entry_of(world, kept->view.first + i);
    }
}

static void check_queries(struct world *world)
{
    const spate_index first = spate_log_first(world->log);
    spate_term term = 0;

    assert_int_equal(spate_log_last(world->log), world->last);
    assert_int_equal(spate_log_generation(world->log), world->generation);
    assert_true(first >= world->first);
    if (first > world->last) {
        return;
    }
    const spate_index index = spate_prng_between(&world->prng, first, world->last);
    assert_int_equal(spate_log_term_at(world->log, index, &term), SPATE_OK);
    assert_int_equal(term, term_at(world, index));
    assert_int_equal(spate_log_last_term(world->log), term_at(world, world->last));
    spate_index run = index;
    while (run > first && term_at(world, run - 1) == term) {
        run--;
    }
    assert_int_equal(spate_log_term_first(world->log, index), run);
    if (first >= 2 && first - 1 > world->first) {
        assert_int_equal(spate_log_term_at(world->log, first - 2, &term), SPATE_ERR_COMPACTED);
        assert_int_equal(spate_log_term_at(world->log, first - 1, &term), SPATE_OK);
        assert_int_equal(term, term_at(world, first - 1));
    }
}

static void operate(struct world *world)
{
    const uint64_t draw = spate_prng_below(&world->prng, 10000);

    reclaim_unseen(world);
    if (draw < 3000) {
        append_one_by_one(world);
    } else if (draw < 4000) {
        append_encoded(world);
    } else if (draw < 4500) {
        truncate_somewhere(world);
    } else if (draw < 4600) {
        compact_somewhere(world);
    } else if (draw < 4602) {
        reset_somewhere(world);
    } else if (draw < 4700) {
        take_view(world);
    } else if (draw < 4800) {
        drop_view(&world->views[spate_prng_below(&world->prng, VIEWS)]);
    } else {
        check_queries(world);
        const struct kept_view *kept = &world->views[spate_prng_below(&world->prng, VIEWS)];
        if (kept->is_held) {
            read_view(world, kept);
        }
    }
    if (world->last + 1 - spate_log_first(world->log) > MODEL_MAX / 2) {
        spate_log_compact(world->log, world->last - MODEL_MAX / 8);
        for (unsigned v = 0; v < VIEWS; v++) {
            drop_view(&world->views[v]); /* The model forgets what they show. */
        }
    }
    world->operations++;
}

static void run_from(struct spate_entry_id base)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->entries = calloc(MODEL_MAX, sizeof *world->entries);
    world->block = malloc(BLOCK_SIZE + SPATE_ENTRY_BYTES_MAX);
    assert_non_null(world->block);
    world->delayed.reclaim.retire = retire_delayed;
    world->first = base.index + 1;
    world->last = base.index;
    world->first_term = base.term;
    world->term = base.term + 1;
    spate_prng_seed(&world->prng, seed, base.index);
    const struct spate_log_options options = {.budget_bytes = 12u << 21,
                                              .segment_bytes = 2u << 20,
                                              .reclaim = &world->delayed.reclaim,
                                              .base = base};
    assert_int_equal(spate_log_create(&options, &world->log), SPATE_OK);

    while (world->operations < operations_wanted) {
        operate(world);
        if (world->operations % 1000 == 0) {
            assert_true(spate_log_valid(world->log));
        }
    }
    for (unsigned v = 0; v < VIEWS; v++) {
        drop_view(&world->views[v]);
    }
    spate_log_destroy(world->log);
    free(world->entries);
    free(world->block);
    free(world);
}

static void the_log_agrees_with_a_naive_array(void **state)
{
    (void)state;
    run_from((struct spate_entry_id){0, 0});
}

/* Indexes beyond 32 bits and near the end of 64. */
static void so_it_does_at_the_ends_of_the_integers(void **state)
{
    (void)state;
    const uint64_t wanted = operations_wanted;
    operations_wanted = wanted / 10;
    run_from((struct spate_entry_id){.term = (1ull << 32) - 8, .index = (1ull << 32) - 8});
    run_from((struct spate_entry_id){.term = (1ull << 62), .index = (1ull << 63) - 8});
    operations_wanted = wanted;
}

int main(int argument_count, char **arguments)
{
    if (argument_count > 1) {
        operations_wanted = strtoull(arguments[1], NULL, 10);
    }
    if (argument_count > 2) {
        seed = strtoull(arguments[2], NULL, 10);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_log_agrees_with_a_naive_array),
        cmocka_unit_test(so_it_does_at_the_ends_of_the_integers),
    };
    return cmocka_run_group_tests_name("log/differential", tests, NULL, NULL);
}
