/*
 * The disk refuses: the n-th call by which the segment log writes or syncs fails, for n = 1, 2, ...
 * until all succeed. After each: poll reports an I/O error for ever, nothing unacknowledged is
 * reported as done, what was acknowledged before is there when the store is opened again. A disk
 * that is full where the next segment should be made is no such error, but says so, and recovers.
 *
 * The functions below stand before the C library's in the search order.
 */
#include "support/test.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "log/log.h"
#include "store/wal/wal.h"
#include "support/spans.h"

#define INTERPOSED __attribute__((visibility("default")))

static _Atomic int countdown; /* Fails when it gets from 1 to 0, and ever after; 0: never. */
static _Atomic bool is_failing;
static _Atomic bool is_full; /* No space for what is made ahead. */
static _Atomic int with;

INTERPOSED ssize_t failing_pwrite(int fd, const void *data, size_t size,
                                  off_t offset) __asm__("pwrite64");
INTERPOSED int failing_fallocate(int fd, off_t offset, off_t size) __asm__("posix_fallocate64");
INTERPOSED int fdatasync(int fd);
INTERPOSED int fsync(int fd);

static bool fails(void)
{
    if (atomic_load(&countdown) > 0 && atomic_fetch_sub(&countdown, 1) == 1) {
        atomic_store(&is_failing, true);
    }
    if (atomic_load(&is_failing)) {
        errno = atomic_load(&with);
        return true;
    }
    return false;
}

ssize_t failing_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return fails() ? -1 : syscall(SYS_pwrite64, fd, data, size, offset);
}

int failing_fallocate(int fd, off_t offset, off_t size)
{
    if (atomic_load(&is_full)) {
        return ENOSPC;
    }
    return syscall(SYS_fallocate, fd, 0, offset, size) == 0 ? 0 : errno;
}

int fdatasync(int fd)
{
    return fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return fails() ? -1 : (int)syscall(SYS_fsync, fd);
}

static void arm(int calls, int number)
{
    atomic_store(&with, number);
    atomic_store(&is_failing, false);
    atomic_store(&countdown, calls);
}

static struct spate_store *open_store(const char *directory, struct spate_store_loaded *ret_loaded)
{
    struct spate_store *store = NULL;
    char message[512] = "";
    const struct spate_store_wal_options options = {.directory = directory,
                                                    .segment_bytes = 8u << 20,
                                                    .staging_bytes = 16u << 20,
                                                    .low_bytes = 1,
                                                    .identity.node_id = 1};

    if (spate_store_wal_create(&options, &store, message, sizeof message) != SPATE_OK) {
        fail_msg("%s", message);
    }
    assert_int_equal(store->ops->load(store, ret_loaded), SPATE_OK);
    return store;
}

/* Two entries of 3 KiB from `first` on, and a hard state whose term tells the batch. */
static void submit(struct spate_store *store, spate_index first, spate_ticket expected)
{
    static uint8_t bytes[16384];
    static const uint8_t payload[3072] = {7};
    spate_ticket ticket = 0;
    struct spate_log_span span = {.data = bytes, .count = 2, .first = first, .term = 1};

    span.bytes = spate_entry_encode(bytes, SPATE_ENTRY_COMMAND, payload, sizeof payload);
    span.bytes +=
        spate_entry_encode(bytes + span.bytes, SPATE_ENTRY_COMMAND, payload, sizeof payload);
    const struct spate_store_batch batch = {.has_hard_state = true,
                                            .hard_state = {.term = 1, .commit = first - 1},
                                            .spans = &span,
                                            .span_count = 1};
    assert_int_equal(store->ops->submit(store, &batch, &ticket), SPATE_OK);
    assert_int_equal(ticket, expected);
}

/* Until `ticket` is completed or the store has failed. */
static spate_err wait_for(struct spate_store *store, spate_ticket ticket)
{
    spate_ticket completed = 0;
    spate_err err = SPATE_OK;

    while (err == SPATE_OK && completed < ticket) {
        err = store->ops->poll(store, &completed);
        assert_true(completed <= ticket);
        (void)usleep(50);
    }
    return err;
}

static void assert_failed_for_good(struct spate_store *store)
{
    for (uint32_t i = 0; i < 10; i++) {
        spate_ticket completed = 99;
        assert_int_equal(store->ops->poll(store, &completed), SPATE_ERR_IO);
        assert_int_equal(completed, 99);
    }
}

/* Until what is made ahead is made, so that every call that fails is of the commit. */
static void wait_ahead(const char *directory)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/wal-0000000000000002", directory);
    while (access(path, F_OK) != 0) {
        (void)usleep(1000);
    }
}

/* Returns whether the n-th call was reached: whether anything failed. */
static bool fail_the_nth_call(int n, int number)
{
    char directory[] = "/tmp/spate-faults-XXXXXX";
    struct spate_store_loaded loaded;

    assert_non_null(mkdtemp(directory));
    struct spate_store *store = open_store(directory, &loaded);
    assert_true(loaded.is_new);
    submit(store, 1, 1);
    assert_int_equal(wait_for(store, 1), SPATE_OK);
    wait_ahead(directory);

    arm(n, number);
    submit(store, 3, 2);
    const spate_err err = wait_for(store, 2);
    (void)usleep(30000); /* The group without records that follows fails too. */
    const bool was_reached = atomic_load(&is_failing);
    if (was_reached) {
        assert_failed_for_good(store);
        arm(0, 0); /* The disk is well again: the store stays as it is. */
        assert_failed_for_good(store);
    } else {
        assert_int_equal(err, SPATE_OK);
    }
    arm(0, 0);
    store->ops->close(store);

    store = open_store(directory, &loaded);
    assert_false(loaded.is_new);
    /* All or nothing of the second batch, all of it when it was acknowledged. */
    assert_true(loaded.last == 4 || (err != SPATE_OK && loaded.last == 2));
    assert_int_equal(loaded.hard_state.commit, loaded.last - 2);
    submit(store, loaded.last + 1, 1);
    assert_int_equal(wait_for(store, 1), SPATE_OK);
    store->ops->close(store);
    assert_int_equal(remove_tree(directory), 0);
    return was_reached;
}

static void an_io_error_is_final_wherever_it_strikes(void **state)
{
    int n = 1;
    (void)state;
    while (fail_the_nth_call(n, EIO)) {
        n++;
    }
    assert_true(n > 1); /* Otherwise we stand in nobody's way. */
}

static void a_full_disk_is_final_for_a_commit(void **state)
{
    (void)state;
    assert_true(fail_the_nth_call(1, ENOSPC));
}

/* Fills the log until there is no room, with a commit of hard state every now and then. */
static void without_a_next_segment_there_is_room_for_hard_state(void **state)
{
    char directory[] = "/tmp/spate-faults-XXXXXX";
    static uint8_t bytes[1 << 20];
    struct spate_store_loaded loaded;
    spate_ticket ticket = 0;
    spate_ticket expected = 0;
    spate_index next = 1;

    (void)state;
    assert_non_null(mkdtemp(directory));
    struct spate_store *store = open_store(directory, &loaded);
    wait_ahead(directory);
    atomic_store(&is_full, true); /* From the third segment on. */
    unsigned busy = 0;
    while (busy < 50) {
        const struct spate_log_span span = make_span(bytes, next, 500, 1, 1000);
        const struct spate_store_batch batch = {.spans = &span, .span_count = 1};
        if (store->ops->submit(store, &batch, &ticket) == SPATE_OK) {
            next += 500;
            expected++;
            busy = 0;
            assert_int_equal(wait_for(store, expected), SPATE_OK);
        } else {
            busy++;
            (void)usleep(1000);
        }
    }
    assert_true(next > 8000); /* Of 1 KiB: more than one segment, less than two. */
    assert_true(spate_store_is_low(store));
    for (unsigned vote = 1; vote <= 100; vote++) {
        const struct spate_store_batch batch = {
            .has_hard_state = true, .hard_state = {.term = vote, .vote = 1, .commit = next - 1}};
        assert_int_equal(store->ops->submit(store, &batch, &ticket), SPATE_OK);
        expected++;
        assert_int_equal(wait_for(store, expected), SPATE_OK);
    }
    atomic_store(&is_full, false);
    const struct spate_log_span span = make_span(bytes, next, 500, 200, 1000);
    const struct spate_store_batch batch = {.has_hard_state = true,
                                            .hard_state = {.term = 200, .commit = next - 1},
                                            .spans = &span,
                                            .span_count = 1};
    while (store->ops->submit(store, &batch, &ticket) == SPATE_ERR_BUSY) {
        (void)usleep(1000);
    }
    assert_int_equal(wait_for(store, expected + 1), SPATE_OK);
    while (spate_store_is_low(store)) {
        (void)usleep(1000);
    }
    store->ops->close(store);
    store = open_store(directory, &loaded);
    assert_int_equal(loaded.last, next + 499);
    assert_int_equal(loaded.hard_state.term, 200);
    assert_entries(store, 1, next - 1, 1);
    store->ops->close(store);
    assert_int_equal(remove_tree(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_io_error_is_final_wherever_it_strikes),
        cmocka_unit_test(a_full_disk_is_final_for_a_commit),
        cmocka_unit_test(without_a_next_segment_there_is_room_for_hard_state),
    };
    return cmocka_run_group_tests_name("drivers/wal faults", tests, NULL, NULL);
}
