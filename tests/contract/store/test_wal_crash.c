/*
 * A power cut at every step of the segment log: the steps of a run are remembered, and for each the
 * files are made that a crash in the middle of it may leave. What is opened from them has whole
 * batches, at least all that were acknowledged before, and goes on. Opening it is such a run as
 * well, and so is giving up what is damaged: a crash in the middle of either changes nothing.
 *
 * usage: contract_wal_crash SEED [IMAGES [IMAGES-OF-RECOVERY]]
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "life.h"
#include "support/spans.h"
#include "support/test.h"

#define RECOVERIES 8u

static uint64_t seed = 1;
static uint32_t images_max = 250;
static uint32_t recovery_images_max = 160;

static struct spate_store *open_or_fail(const char *directory, bool accepts_damage, uint32_t step,
                                        struct spate_store_loaded *ret_loaded)
{
    struct spate_store *store = NULL;
    char message[512] = "";

    if (life_open(directory, accepts_damage, &store, message) != SPATE_OK) {
        fail_msg("seed %llu step %u: %s", (unsigned long long)seed, step, message);
    }
    assert_int_equal(store->ops->load(store, ret_loaded), SPATE_OK);
    return store;
}

/* Opens what a crash left. Returns the batch that is the last there. */
static uint64_t check_image(const char *directory, uint32_t step)
{
    struct spate_store_loaded loaded;
    const uint64_t acknowledged = disk_marked(step);
    struct spate_store *store = open_or_fail(directory, false, step, &loaded);
    const uint64_t found = life_find(store, &loaded, acknowledged);

    if (found > LIFE_BATCHES) {
        fail_msg("seed %llu step %u: %llu batches were acknowledged; last %llu is of none of them",
                 (unsigned long long)seed, step, (unsigned long long)acknowledged,
                 (unsigned long long)loaded.last);
    }
    life_assert_entries(store, &loaded, found, loaded.last);
    life_go_on(store, &loaded);
    store->ops->close(store);

    /* What the crash left behind the end is no part of the log that went on. */
    struct spate_store_loaded again;

    store = open_or_fail(directory, false, step, &again);
    assert_int_equal(again.last, loaded.last + LIFE_MORE);
    assert_int_equal(again.hard_state.term, loaded.hard_state.term + 1);
    store->ops->close(store);
    return found;
}

static uint32_t worth_of_steps(void)
{
    uint32_t worth = 0;

    for (uint32_t s = 0; s < disk_steps(); s++) {
        worth += disk_is_worth(s);
    }
    return worth;
}

static void a_crash_at_any_step_leaves_what_was_acknowledged(void **state)
{
    char directory[64];
    char image[64];
    struct spate_prng prng;
    uint64_t found_last = 0;

    (void)state;
    disk_record(life_make_directory(directory));
    life_live(directory, seed);
    disk_stop();
    spate_prng_seed(&prng, seed, 2);
    const uint32_t worth = worth_of_steps();
    const uint32_t rounds = images_max > worth ? images_max / worth : 1;
    for (uint32_t s = 0; s < disk_steps(); s++) {
        const bool is_drawn = spate_prng_below(&prng, worth) < images_max;
        for (uint32_t r = 0; r < rounds && disk_is_worth(s) && is_drawn; r++) {
            disk_crash_image(s, &prng, life_make_directory(image));
            found_last = check_image(image, s);
            assert_int_equal(remove_tree(image), 0);
        }
    }
    assert_true(found_last > LIFE_BATCHES / 2);
    assert_int_equal(check_image(directory, disk_steps()), LIFE_BATCHES);
    assert_int_equal(remove_tree(directory), 0);
}

/* What a run went through, as far as a crash must remember it. */
enum seen { SEEN_NOTHING, SEEN_OPENED, SEEN_WENT_ON };

/* Crashes at the steps of the run that was recorded last, and has `check` open what is left. */
static void crash_again(struct spate_prng *prng, void (*check)(const char *, uint32_t, void *),
                        void *context)
{
    const uint32_t images = recovery_images_max / RECOVERIES;
    const uint32_t worth = worth_of_steps();
    const uint32_t rounds = images > worth ? images / worth : 1;
    char image[64];

    for (uint32_t s = 0; s < disk_steps(); s++) {
        const bool is_drawn = spate_prng_below(prng, worth) < images;
        for (uint32_t r = 0; r < rounds && disk_is_worth(s) && is_drawn; r++) {
            disk_crash_image(s, prng, life_make_directory(image));
            check(image, s, context);
            assert_int_equal(remove_tree(image), 0);
        }
    }
}

struct recovery {
    uint64_t acknowledged; /* Batches, before the first crash. */
    uint64_t found;        /* The last one that was there when it was opened. */
    struct spate_store_loaded loaded;
};

/* Who opened the store has seen what is there: that must not change any more, either way. */
static void check_recovery(const char *directory, uint32_t step, void *context)
{
    const struct recovery *before = context;
    const uint64_t seen = disk_marked(step);
    struct spate_store_loaded loaded;
    struct spate_store *store = open_or_fail(directory, false, step, &loaded);
    const bool has_more = loaded.last == before->loaded.last + LIFE_MORE &&
                          loaded.hard_state.term == before->loaded.hard_state.term + 1;

    if (has_more) {
        assert_int_not_equal(seen, SEEN_NOTHING);
        life_assert_entries(store, &loaded, before->found, before->loaded.last);
        assert_entries(store, before->loaded.last + 1, loaded.last, loaded.hard_state.term);
    } else {
        assert_int_not_equal(seen, SEEN_WENT_ON);
        const uint64_t found = life_find(store, &loaded, before->acknowledged);
        assert_in_range(found, 0, LIFE_BATCHES);
        assert_true(seen == SEEN_NOTHING || life_is_behind(&loaded, before->found));
        life_assert_entries(store, &loaded, found, loaded.last);
    }
    life_go_on(store, &loaded);
    store->ops->close(store);
}

static void a_crash_while_recovering_changes_nothing(void **state)
{
    char directory[64];
    char images[RECOVERIES][64];
    struct recovery recoveries[RECOVERIES];
    struct spate_prng prng;
    uint32_t count = 0;

    (void)state;
    disk_record(life_make_directory(directory));
    life_live(directory, seed);
    disk_stop();
    spate_prng_seed(&prng, seed, 3);
    for (uint32_t s = 0; s < disk_steps() && count < RECOVERIES; s++) {
        if (disk_is_worth(s) && spate_prng_below(&prng, disk_steps()) < 2 * RECOVERIES) {
            disk_crash_image(s, &prng, life_make_directory(images[count]));
            recoveries[count++].acknowledged = disk_marked(s);
        }
    }
    assert_int_equal(remove_tree(directory), 0);
    assert_true(count >= RECOVERIES / 2);
    for (uint32_t i = 0; i < count; i++) {
        struct recovery *recovery = &recoveries[i];

        disk_record(images[i]);
        struct spate_store *store = open_or_fail(images[i], false, 0, &recovery->loaded);
        recovery->found = life_find(store, &recovery->loaded, recovery->acknowledged);
        assert_in_range(recovery->found, 0, LIFE_BATCHES);
        disk_mark(SEEN_OPENED);
        life_go_on(store, &recovery->loaded);
        disk_mark(SEEN_WENT_ON);
        store->ops->close(store);
        disk_stop();
        crash_again(&prng, check_recovery, recovery);
        assert_int_equal(remove_tree(images[i]), 0);
    }
}

/* Changes a byte of what is written in the first segment there. */
static void damage(const char *directory, struct spate_prng *prng)
{
    char path[128];
    uint8_t byte = 0;
    int fd = -1;

    for (uint32_t segment = 1; fd < 0; segment++) {
        assert_in_range(segment, 1, 1000);
        (void)snprintf(path, sizeof path, "%s/wal-%016x", directory, segment);
        fd = open(path, O_RDWR | O_CLOEXEC);
    }
    const off_t size = lseek(fd, 0, SEEK_END);
    while (byte == 0) {
        const off_t at = (off_t)spate_prng_below(prng, (uint64_t)size);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        if (byte != 0) {
            const uint8_t changed = byte ^ 0x10;
            assert_int_equal(pwrite(fd, &changed, 1, at), 1);
        }
    }
    (void)close(fd);
}

struct repair {
    spate_index last; /* Kept. */
    spate_index first;
    spate_term terms[4096];
};

static void note_kept(struct spate_store *store, const struct spate_store_loaded *loaded,
                      struct repair *repair)
{
    repair->first = loaded->base.index + 1;
    repair->last = loaded->last;
    for (spate_index i = repair->first; i <= loaded->last; i++) {
        struct spate_log_span span;
        assert_int_equal(store->ops->read(store, i, 1, &span), SPATE_OK);
        repair->terms[i % 4096] = span.term;
    }
}

/* Mute before anything is gone, and whatever is gone does not come back. */
static void check_repair(const char *directory, uint32_t step, void *context)
{
    const struct repair *repair = context;
    const uint64_t seen = disk_marked(step);
    struct spate_store_loaded loaded;
    struct spate_store *store = open_or_fail(directory, true, step, &loaded);

    if (loaded.is_damaged) {
        assert_int_equal(seen, SEEN_NOTHING);
        assert_int_equal(loaded.last, repair->last);
        assert_int_equal(store->ops->repair(store), SPATE_OK);
        assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    }
    assert_false(loaded.is_damaged);
    assert_true(loaded.hard_state.is_mute);
    const bool has_more = loaded.last == repair->last + LIFE_MORE;
    assert_true(has_more ? seen != SEEN_NOTHING : seen != SEEN_WENT_ON);
    assert_true(has_more || loaded.last == repair->last);
    for (spate_index i = repair->first; i <= repair->last; i++) {
        assert_entries(store, i, i, repair->terms[i % 4096]);
    }
    life_go_on(store, &loaded);
    store->ops->close(store);
}

static void a_crash_while_repairing_leaves_a_mute_log(void **state)
{
    char directory[64];
    struct spate_prng prng;
    uint32_t repaired = 0;

    (void)state;
    spate_prng_seed(&prng, seed, 4);
    for (uint32_t round = 0; round < RECOVERIES; round++) {
        struct repair repair;
        struct spate_store_loaded loaded;

        life_live(life_make_directory(directory), seed);
        damage(directory, &prng);
        disk_record(directory);
        struct spate_store *store = open_or_fail(directory, true, 0, &loaded);
        const bool is_damaged = loaded.is_damaged;
        if (is_damaged) {
            assert_int_equal(store->ops->repair(store), SPATE_OK);
            assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
            assert_true(loaded.hard_state.is_mute);
            note_kept(store, &loaded, &repair);
            disk_mark(SEEN_OPENED);
            life_go_on(store, &loaded);
            disk_mark(SEEN_WENT_ON);
            repaired++;
        }
        store->ops->close(store);
        disk_stop();
        if (is_damaged) {
            crash_again(&prng, check_repair, &repair);
        }
        assert_int_equal(remove_tree(directory), 0);
    }
    assert_true(repaired >= RECOVERIES / 2);
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_at_any_step_leaves_what_was_acknowledged),
        cmocka_unit_test(a_crash_while_recovering_changes_nothing),
        cmocka_unit_test(a_crash_while_repairing_leaves_a_mute_log)};

    seed = argument_count > 1 ? strtoull(arguments[1], NULL, 10) : seed;
    images_max = argument_count > 2 ? (uint32_t)strtoul(arguments[2], NULL, 10) : images_max;
    recovery_images_max =
        argument_count > 3 ? (uint32_t)strtoul(arguments[3], NULL, 10) : recovery_images_max;
    return cmocka_run_group_tests_name("store/wal crash", tests, NULL, NULL);
}
