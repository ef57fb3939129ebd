/*
 * The disk refuses: the n-th call by which LMDB writes or syncs fails, for n = 1, 2, ... until all
 * succeed. After each: poll reports an I/O error for ever, nothing unacknowledged is reported as
 * done, what was acknowledged before is there when the store is opened again.
 *
 * The functions below stand before the C library's in the search order, so liblmdb calls them.
 */
#include "support/test.h"

#include <errno.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "log/log.h"
#include "store/lmdb/lmdb.h"

#define INTERPOSED __attribute__((visibility("default")))

static _Atomic int countdown; /* Fails when it gets from 1 to 0, and ever after; 0: never. */
static _Atomic bool is_failing;
static _Atomic int with;

/* By its name in the library: the headers rename pwrite where files may be large. */
INTERPOSED ssize_t failing_pwrite(int fd, const void *data, size_t size,
                                  off_t offset) __asm__("pwrite");
INTERPOSED ssize_t writev(int fd, const struct iovec *vectors, int count);
INTERPOSED int fdatasync(int fd);
INTERPOSED int msync(void *address, size_t size, int flags);

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

INTERPOSED ssize_t failing_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return fails() ? -1 : syscall(SYS_pwrite64, fd, data, size, offset);
}

INTERPOSED ssize_t writev(int fd, const struct iovec *vectors, int count)
{
    return fails() ? -1 : syscall(SYS_writev, fd, vectors, count);
}

INTERPOSED int fdatasync(int fd)
{
    return fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

INTERPOSED int msync(void *address, size_t size, int flags)
{
    return fails() ? -1 : (int)syscall(SYS_msync, address, size, flags);
}

static void arm(int calls, int number)
{
    atomic_store(&with, number);
    atomic_store(&is_failing, false);
    atomic_store(&countdown, calls);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static struct spate_store *open_store(const char *directory, struct spate_store_loaded *ret_loaded)
{
    struct spate_store *store = NULL;
    char message[512] = "";
    const struct spate_store_lmdb_options options = {
        .directory = directory, .map_bytes = 1u << 30, .identity.node_id = 1};

    if (spate_store_lmdb_create(&options, &store, message, sizeof message) != SPATE_OK) {
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

    arm(n, number);
    submit(store, 3, 2);
    const spate_err err = wait_for(store, 2);
    const bool was_reached = atomic_load(&is_failing);
    if (was_reached) {
        assert_int_equal(err, SPATE_ERR_IO);
        assert_failed_for_good(store);
        /* The disk is well again: the store stays as it is. */
        arm(0, 0);
        assert_failed_for_good(store);
    } else {
        assert_int_equal(err, SPATE_OK);
    }
    arm(0, 0);
    store->ops->close(store);

    store = open_store(directory, &loaded);
    assert_false(loaded.is_new);
    /* All or nothing of the second batch, all of it when it was acknowledged. */
    assert_true(loaded.last == 4 || (was_reached && loaded.last == 2));
    assert_int_equal(loaded.hard_state.commit, loaded.last - 2);
    submit(store, loaded.last + 1, 1);
    assert_int_equal(wait_for(store, 1), SPATE_OK);
    store->ops->close(store);
    assert_int_equal(nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    return was_reached;
}

static void sweep(int number)
{
    int n = 1;

    while (fail_the_nth_call(n, number)) {
        n++;
    }
    /* Pages, a sync and the meta page at the least: otherwise we stand in nobody's way. */
    assert_true(n > 3);
}

static void an_io_error_is_final_wherever_it_strikes(void **state)
{
    (void)state;
    sweep(EIO);
}

static void a_full_disk_is_final_wherever_it_strikes(void **state)
{
    (void)state;
    sweep(ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_io_error_is_final_wherever_it_strikes),
        cmocka_unit_test(a_full_disk_is_final_wherever_it_strikes),
    };
    return cmocka_run_group_tests_name("drivers/lmdb faults", tests, NULL, NULL);
}
