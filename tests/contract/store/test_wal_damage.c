/*
 * Damage to the files of a segment log, in many places and of many kinds: what is opened says all
 * that was acknowledged, or is refused with a line that names the place. Never anything else.
 * Whoever accepts damage gets what stood before it, and a log that goes on from there, mute.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/prng.h"
#include "store/wal/wal.h"
#include "support/spans.h"
#include "support/test.h"

#define SEGMENT_BYTES (8u << 20)
#define BATCHES       24u
#define COUNT         900u /* Entries of 1 KiB in a batch: three segments. */
#define LAST          (BATCHES * COUNT)

static char directory[64];

/* Opens with what is there. Returns whether all of it is; otherwise it was refused. */
static bool has_all(char message[512])
{
    const struct spate_store_wal_options options = {.directory = directory,
                                                    .segment_bytes = SEGMENT_BYTES,
                                                    .staging_bytes = 16u << 20,
                                                    .identity = {.node_id = 1}};
    struct spate_store_loaded loaded;
    struct spate_store *store = NULL;
    const spate_err err = spate_store_wal_create(&options, &store, message, 512);

    if (err != SPATE_OK) {
        assert_true(err == SPATE_ERR_CORRUPT || err == SPATE_ERR_MISMATCH);
        assert_non_null(strstr(message, directory));
        return false;
    }
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    assert_int_equal(loaded.last, LAST);
    assert_int_equal(loaded.hard_state.commit, LAST);
    assert_int_equal(loaded.base.index, 0);
    for (spate_index i = 1; i <= LAST; i += 1801) {
        assert_entries(store, i, i, 1);
    }
    assert_entries(store, LAST, LAST, 1);
    store->ops->close(store);
    return true;
}

static int set_up(void **state)
{
    static uint8_t bytes[2 << 20];
    struct stat status;
    struct spate_store *store = NULL;
    char message[512];

    (void)state;
    (void)snprintf(directory, sizeof directory, "%s/spate-damage-XXXXXX",
                   stat("/dev/shm", &status) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(directory));
    const struct spate_store_wal_options options = {.directory = directory,
                                                    .segment_bytes = SEGMENT_BYTES,
                                                    .staging_bytes = 16u << 20,
                                                    .identity = {.node_id = 1}};
    assert_int_equal(spate_store_wal_create(&options, &store, message, sizeof message), SPATE_OK);
    for (uint32_t b = 0; b < BATCHES; b++) {
        const spate_index first = (spate_index)b * COUNT + 1;
        const struct spate_log_span span = make_span(bytes, first, COUNT, 1, 1000);
        const struct spate_store_batch batch = {
            .has_hard_state = true,
            .hard_state = {.term = 1, .commit = first + COUNT - 1},
            .spans = &span,
            .span_count = 1};
        spate_ticket ticket = 0;
        spate_ticket completed = 0;
        while (store->ops->submit(store, &batch, &ticket) == SPATE_ERR_BUSY) {
            (void)usleep(100);
        }
        while (completed < ticket) { /* A group of its own, so that the segments are full. */
            assert_int_equal(store->ops->poll(store, &completed), SPATE_OK);
            (void)usleep(100);
        }
    }
    store->ops->close(store);
    return has_all(message) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return remove_tree(directory);
}

/* The log ends in the third segment; a fourth is made ahead. */
static const char *const names[] = {"wal-identity", "wal-0000000000000001", "wal-0000000000000002",
                                    "wal-0000000000000003"};

static int open_file(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void a_bit_that_changes_is_found_or_does_not_matter(void **state)
{
    struct spate_prng prng;
    char message[512];
    unsigned refused = 0;

    (void)state;
    spate_prng_seed(&prng, 21, 1);
    for (unsigned round = 0; round < 160; round++) {
        const int fd = open_file(names[round % 4]);
        const off_t size = lseek(fd, 0, SEEK_END);
        /* Every other time near the beginning, where the headers are. */
        const uint64_t below = round % 8 < 4 && size > 8192 ? 4096 + 200 : (uint64_t)size;
        const off_t at = (off_t)spate_prng_below(&prng, below);
        uint8_t byte = 0;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        const uint8_t flipped = byte ^ (uint8_t)(1u << spate_prng_below(&prng, 8));
        assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
        refused += !has_all(message);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        (void)close(fd);
    }
    assert_true(refused > 60);
    assert_true(has_all(message));
}

static void sectors_that_are_lost_are_found(void **state)
{
    static const uint8_t zeros[512];
    struct spate_prng prng;
    uint8_t kept[512];
    char message[512];

    (void)state;
    spate_prng_seed(&prng, 22, 1);
    for (unsigned round = 0; round < 60; round++) {
        const char *name = names[1 + round % 2]; /* All but the very end of these is used. */
        const int fd = open_file(name);
        const off_t at = (off_t)spate_prng_below(&prng, (7u << 20) / 512) * 512;
        assert_int_equal(pread(fd, kept, 512, at), 512);
        assert_int_equal(pwrite(fd, zeros, 512, at), 512);
        const bool was_zero = memcmp(kept, zeros, 512) == 0;
        assert_int_equal(has_all(message), was_zero);
        if (!was_zero) {
            assert_non_null(strstr(message, name));
        }
        assert_int_equal(pwrite(fd, kept, 512, at), 512);
        (void)close(fd);
    }
    assert_true(has_all(message));
}

static void files_that_are_shorter_or_gone_are_found(void **state)
{
    char message[512];
    char path[128];
    char aside[128];

    (void)state;
    (void)snprintf(aside, sizeof aside, "%s/aside", directory);
    for (unsigned n = 0; n < 4; n++) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, names[n]);
        assert_int_equal(rename(path, aside), 0);
        assert_false(has_all(message));
        assert_int_equal(rename(aside, path), 0);
        const int fd = open_file(names[n]);
        const off_t size = lseek(fd, 0, SEEK_END);
        static uint8_t kept[SEGMENT_BYTES];
        assert_int_equal(pread(fd, kept, (size_t)size, 0), size);
        for (off_t shorter = size - 1; shorter > 0; shorter = shorter * 2 / 3) {
            assert_int_equal(ftruncate(fd, shorter), 0);
            assert_false(has_all(message));
        }
        assert_int_equal(pwrite(fd, kept, (size_t)size, 0), size);
        (void)close(fd);
        assert_true(has_all(message));
    }
}

static void files_in_each_others_place_are_found(void **state)
{
    char message[512];
    char a[128];
    char b[128];
    char aside[128];

    (void)state;
    (void)snprintf(aside, sizeof aside, "%s/aside", directory);
    for (unsigned n = 1; n < 3; n++) {
        (void)snprintf(a, sizeof a, "%s/%s", directory, names[n]);
        (void)snprintf(b, sizeof b, "%s/%s", directory, names[n + 1]);
        for (unsigned turn = 0; turn < 2; turn++) {
            assert_int_equal(rename(a, aside), 0);
            assert_int_equal(rename(b, a), 0);
            assert_int_equal(rename(aside, b), 0);
            assert_int_equal(has_all(message), turn == 1);
        }
    }
}

/* What a read finds damaged later on is not served either. */
static void a_read_checks_what_it_serves(void **state)
{
    const struct spate_store_wal_options options = {
        .directory = directory, .staging_bytes = 16u << 20, .identity = {.node_id = 1}};
    struct spate_store *store = NULL;
    struct spate_log_span span;
    char message[512];
    uint8_t byte = 0;

    (void)state;
    assert_int_equal(spate_store_wal_create(&options, &store, message, sizeof message), SPATE_OK);
    const int fd = open_file(names[1]);
    assert_int_equal(pread(fd, &byte, 1, 100000), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, 100000), 1);
    unsigned damaged = 0;
    for (spate_index i = 1; i <= 2000;) {
        const spate_err err = store->ops->read(store, i, 4000, &span);
        assert_true(err == SPATE_OK || err == SPATE_ERR_CORRUPT);
        if (err == SPATE_OK) {
            assert_entries(store, i, i, 1);
        }
        damaged += err == SPATE_ERR_CORRUPT;
        i += err == SPATE_OK ? span.count : 1;
    }
    assert_true(damaged > 0);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, 100000), 1);
    (void)close(fd);
    store->ops->close(store);
}

static void copy_tree(const char *from, const char *to)
{
    char command[256];
    (void)snprintf(command, sizeof command, "rm -rf %s && cp -r %s %s", to, from, to);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): names of our own.
}

/* Opens a copy of the directory, as who accepts damage. */
static spate_err open_copy(const char *copy, bool accepts_damage, struct spate_store **ret_store)
{
    const struct spate_store_wal_options options = {.directory = copy,
                                                    .staging_bytes = 16u << 20,
                                                    .accepts_damage = accepts_damage,
                                                    .identity = {.node_id = 1}};
    char message[512];
    const spate_err err = spate_store_wal_create(&options, ret_store, message, sizeof message);
    if (err != SPATE_OK) {
        fail_msg("%s", message);
    }
    return err;
}

static void append(struct spate_store *store, spate_index first, spate_term term)
{
    static uint8_t bytes[1 << 16];
    const struct spate_log_span span = make_span(bytes, first, 10, term, 1000);
    const struct spate_store_batch batch = {.has_hard_state = true,
                                            .hard_state = {.term = term, .is_mute = true},
                                            .spans = &span,
                                            .span_count = 1};
    spate_ticket ticket = 0;
    while (store->ops->submit(store, &batch, &ticket) == SPATE_ERR_BUSY) {
        (void)usleep(100);
    }
}

/* Returns whether the store was damaged: then it was repaired, went on, and was opened again. */
static bool repair_and_go_on(const char *copy, uint64_t *kept)
{
    struct spate_store_loaded loaded;
    struct spate_store_loaded after;
    struct spate_store *store = NULL;

    assert_int_equal(open_copy(copy, true, &store), SPATE_OK);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    if (!loaded.is_damaged) {
        assert_int_equal(loaded.last, LAST);
        store->ops->close(store);
        return false;
    }
    assert_non_null(strstr(store->damage, copy));
    assert_false(loaded.is_new);
    assert_true(loaded.hard_state.commit <= loaded.last);
    for (spate_index i = 1; i <= loaded.last; i += 701) {
        assert_entries(store, i, i, 1);
    }
    assert_int_equal(store->ops->repair(store), SPATE_OK);
    assert_int_equal(store->ops->load(store, &after), SPATE_OK);
    assert_false(after.is_damaged);
    assert_false(after.is_new);
    assert_true(after.hard_state.is_mute);
    assert_int_equal(after.last, loaded.last);
    append(store, after.last + 1, 2);
    store->ops->close(store);
    assert_int_equal(open_copy(copy, false, &store), SPATE_OK);
    assert_int_equal(store->ops->load(store, &after), SPATE_OK);
    assert_true(after.hard_state.is_mute);
    assert_int_equal(after.last, loaded.last + 10);
    for (spate_index i = 1; i <= loaded.last; i += 701) {
        assert_entries(store, i, i, 1);
    }
    assert_entries(store, loaded.last + 1, after.last, 2);
    store->ops->close(store);
    *kept += loaded.last;
    return true;
}

static void damage(const char *copy, struct spate_prng *prng, unsigned kind)
{
    static const uint8_t zeros[512];
    const char *name = names[1 + spate_prng_below(prng, 3)];
    char path[192];
    uint8_t byte = 0;

    (void)snprintf(path, sizeof path, "%s/%s", copy, name);
    if (kind == 0) {
        assert_int_equal(unlink(path), 0);
        return;
    }
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    const off_t at = (off_t)spate_prng_below(prng, kind < 3 ? 2 : SEGMENT_BYTES / 512) * 512;
    if (kind == 1) {
        assert_int_equal(ftruncate(fd, at), 0);
    } else if (kind % 2 == 0) {
        assert_int_equal(pwrite(fd, zeros, 512, at), 512);
    } else {
        assert_int_equal(pread(fd, &byte, 1, at + 50), 1);
        byte ^= 16;
        assert_int_equal(pwrite(fd, &byte, 1, at + 50), 1);
    }
    (void)close(fd);
}

static void what_is_damaged_is_given_up_by_who_may(void **state)
{
    struct spate_prng prng;
    char copy[80];
    unsigned repaired = 0;
    uint64_t kept = 0;

    (void)state;
    (void)snprintf(copy, sizeof copy, "%s-copy", directory);
    spate_prng_seed(&prng, 23, 1);
    for (unsigned round = 0; round < 60; round++) {
        copy_tree(directory, copy);
        damage(copy, &prng, round % 10);
        repaired += repair_and_go_on(copy, &kept);
    }
    assert_true(repaired > 40);
    assert_true(kept > 40 * COUNT);
    assert_int_equal(remove_tree(copy), 0);
}

/* Entries that a snapshot has made superfluous are gone when the damage is found. */
static void damage_behind_a_compaction_is_given_up(void **state)
{
    struct spate_store *store = NULL;
    struct spate_store_loaded loaded;
    char copy[80];
    char lost[192];

    (void)state;
    (void)snprintf(copy, sizeof copy, "%s-copy", directory);
    copy_tree(directory, copy);
    assert_int_equal(open_copy(copy, false, &store), SPATE_OK);
    assert_int_equal(store->ops->compact(store, LAST - 2 * COUNT), SPATE_OK);
    append(store, LAST + 1, 1);
    store->ops->close(store);
    /* The first segment is what was let go, if the store has not removed it itself by now; the
     * group that says so is what is damaged. */
    (void)snprintf(lost, sizeof lost, "%s/%s", copy, names[1]);
    assert_true(unlink(lost) == 0 || errno == ENOENT);
    (void)snprintf(lost, sizeof lost, "%s/%s", copy, names[2]);
    const int fd = open(lost, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "rot", 3, 6 << 20), 3);
    (void)close(fd);
    assert_int_equal(open_copy(copy, true, &store), SPATE_OK);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    assert_true(loaded.is_damaged);
    assert_true(loaded.base.index > 0 && loaded.base.term == 1);
    assert_true(loaded.last > loaded.base.index);
    assert_entries(store, loaded.base.index + 1, loaded.last, 1);
    assert_int_equal(store->ops->repair(store), SPATE_OK);
    store->ops->close(store);
    assert_int_equal(open_copy(copy, false, &store), SPATE_OK);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    assert_true(loaded.hard_state.is_mute);
    assert_entries(store, loaded.base.index + 1, loaded.last, 1);
    store->ops->close(store);
    assert_int_equal(remove_tree(copy), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bit_that_changes_is_found_or_does_not_matter),
        cmocka_unit_test(sectors_that_are_lost_are_found),
        cmocka_unit_test(files_that_are_shorter_or_gone_are_found),
        cmocka_unit_test(files_in_each_others_place_are_found),
        cmocka_unit_test(a_read_checks_what_it_serves),
        cmocka_unit_test(what_is_damaged_is_given_up_by_who_may),
        cmocka_unit_test(damage_behind_a_compaction_is_given_up),
    };
    return cmocka_run_group_tests_name("store/wal damage", tests, set_up, tear_down);
}
