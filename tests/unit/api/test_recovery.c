/*
 * Recovery and restore, stopped at every step: the n-th call that changes or syncs names or files
 * ends the process, or fails, for n = 1, 2, … until all succeed. Whatever happened, the directory
 * is the old data or the new, whole; calling again completes it; and the old data stays.
 *
 * The functions below stand before the C library's in the search order.
 */
#include "support/test.h"

#include <errno.h>
#include <glob.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/data_internal.h"
#include "support/spans.h"

#define INTERPOSED __attribute__((visibility("default")))
#define CRASHED    77
#define HARMLESS                                                                    \
    78 /* The call failed, and nothing that counts needed it: a segment made ahead. \
        */

#define SNAPSHOT_INDEX 40u
#define LAST           200u
#define COMMIT         180u
#define TERM           3u
#define STATE_BYTES    100000u

static _Atomic int countdown; /* The call at which it gets from 1 to 0 is the last one. */
static bool ends_process;

INTERPOSED int fdatasync(int fd);
INTERPOSED int fsync(int fd);
INTERPOSED int rename(const char *from, const char *to);
INTERPOSED int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
INTERPOSED int mkdir(const char *path, mode_t mode);
INTERPOSED int unlink(const char *path);

static bool fails(void)
{
    if (atomic_load(&countdown) == 0 || atomic_fetch_sub(&countdown, 1) != 1) {
        return false;
    }
    if (ends_process) {
        _exit(CRASHED);
    }
    errno = EIO;
    return true;
}

int fdatasync(int fd)
{
    return fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return fails() ? -1 : (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    return fails() ? -1 : (int)syscall(SYS_rename, from, to);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    return fails() ? -1 : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int mkdir(const char *path, mode_t mode)
{
    return fails() ? -1 : (int)syscall(SYS_mkdir, path, mode);
}

int unlink(const char *path)
{
    return fails() ? -1 : (int)syscall(SYS_unlink, path);
}

static char folder[64];
static char data_path[128], new_path[128], file_path[128];
static char message[1024];
static const struct spate_message_line line = {.text = message, .bytes = sizeof message};
static const struct spate_store_identity old_identity = {
    .cluster_id = "the old cluster", .node_id = 3, .incarnation = 1};
static const uint8_t new_id[16] = "the new cluster";

static spate_err make_state(struct spate_image_source *source, uint64_t offset, uint8_t *to,
                            uint32_t size)
{
    (void)source;
    for (uint32_t i = 0; i < size; i++) {
        to[i] = (uint8_t)((offset + i) * 7);
    }
    return SPATE_OK;
}

static struct spate_snapshot_manifest make_manifest(void)
{
    static uint8_t state[STATE_BYTES];
    struct spate_image_source source = {.read = make_state};
    struct spate_snapshot_hash hash = {.bytes = 0};
    struct spate_membership members = {.count = 3};
    struct spate_snapshot_manifest manifest = {.last = {.term = TERM, .index = SNAPSHOT_INDEX},
                                               .state_bytes = STATE_BYTES};

    for (uint32_t i = 0; i < 3; i++) {
        members.members[i] = (struct spate_member){.id = i + 1, .is_voter = true, .incarnation = 1};
        (void)snprintf(members.members[i].address, sizeof members.members[i].address,
                       "10.0.0.%u:7209", i + 1);
    }
    assert_int_equal(make_state(&source, SPATE_SNAPSHOT_HEADER_BYTES, state, STATE_BYTES),
                     SPATE_OK);
    spate_snapshot_hash_add(&hash, state, STATE_BYTES);
    manifest.state_hash = spate_snapshot_hash_value(&hash);
    memcpy(manifest.cluster_id, old_identity.cluster_id, 16);
    manifest.membership_bytes = spate_membership_encode(&members, manifest.membership);
    return manifest;
}

/* A survivor's data: entries to LAST, committed to COMMIT as far as it knows, in its folder. */
static void make_survivor(enum spate_disk disk, bool has_snapshot)
{
    static uint8_t bytes[1u << 20];
    struct spate_image_source source = {.read = make_state};
    const struct spate_snapshot_manifest manifest = make_manifest();
    const uint32_t base = has_snapshot ? SNAPSHOT_INDEX / 2 : 0;
    const struct spate_log_span span = make_span(bytes, base + 1, LAST - base, TERM, 64);
    const struct spate_store_batch batch = {
        .has_hard_state = true,
        .hard_state = {.term = TERM + 1, .vote = 2, .commit = COMMIT},
        .has_reset = base > 0,
        .reset_base = {.term = TERM, .index = base},
        .spans = &span,
        .span_count = 1};
    struct spate_data data;

    (void)snprintf(folder, sizeof folder, "/dev/shm/spate-recovery-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(data_path, sizeof data_path, "%s/data", folder);
    (void)snprintf(new_path, sizeof new_path, "%s/new", folder);
    (void)snprintf(file_path, sizeof file_path, "%s/file", folder);
    assert_int_equal(spate_core_open_data(data_path, disk, &old_identity, &line, &data), SPATE_OK);
    if (has_snapshot) {
        assert_int_equal(spate_data_put_snapshot(&data, &manifest, &source, &line), SPATE_OK);
    }
    assert_int_equal(spate_data_submit(&data, &batch, &line), SPATE_OK);
    assert_int_equal(spate_data_settle(&data, &line), SPATE_OK);
    spate_core_close_data(&data);
}

/* Whole, and the old cluster's: nothing that it had is missing, nothing came to it. */
static void assert_old(const char *path, bool has_snapshot)
{
    struct spate_store_identity identity;
    enum spate_disk disk;
    struct spate_data data;

    assert_int_equal(spate_core_whose(path, &line, &identity, &disk), SPATE_OK);
    assert_memory_equal(identity.cluster_id, old_identity.cluster_id, 16);
    assert_false(spate_recover_is_unfinished(path));
    assert_int_equal(spate_core_open_data(path, disk, &identity, &line, &data), SPATE_OK);
    assert_int_equal(data.loaded.last, LAST);
    assert_int_equal(data.loaded.hard_state.term, TERM + 1);
    assert_int_equal(data.loaded.hard_state.commit, COMMIT);
    assert_entries(data.store, data.loaded.base.index + 1, LAST, TERM);
    assert_true(data.has_snapshot == has_snapshot);
    spate_core_close_data(&data);
}

/* Whole, and the new cluster's, with the same contents and one member. */
static void assert_new(const char *path, bool has_snapshot)
{
    struct spate_store_identity identity;
    enum spate_disk disk;
    struct spate_data data;
    struct spate_log_span span;
    struct spate_entry entry;
    struct spate_membership members;

    assert_int_equal(spate_core_whose(path, &line, &identity, &disk), SPATE_OK);
    assert_memory_equal(identity.cluster_id, new_id, 16);
    assert_int_equal(identity.node_id, 3);
    assert_true(spate_recover_is_unfinished(path));
    assert_int_equal(spate_core_open_data(path, disk, &identity, &line, &data), SPATE_OK);
    assert_int_equal(data.loaded.last, LAST + 1);
    assert_int_equal(data.loaded.hard_state.term, TERM + 2);
    assert_int_equal(data.loaded.hard_state.vote, 0);
    assert_int_equal(data.loaded.hard_state.commit, LAST + 1);
    assert_entries(data.store, data.loaded.base.index + 1, LAST, TERM);
    assert_int_equal(data.store->ops->read(data.store, LAST + 1, 4096, &span), SPATE_OK);
    assert_int_equal(span.term, TERM + 2);
    assert_int_not_equal(spate_entry_decode(span.data, span.bytes, &entry), 0);
    assert_int_equal(entry.kind, SPATE_ENTRY_MEMBERSHIP);
    assert_int_equal(spate_membership_decode(entry.data, entry.size, &members), SPATE_OK);
    assert_int_equal(members.count, 1);
    assert_int_equal(members.members[0].id, 3);
    assert_true(members.members[0].is_voter);
    assert_true(data.has_snapshot == has_snapshot);
    if (has_snapshot) {
        assert_memory_equal(data.snapshot.cluster_id, new_id, 16);
        assert_int_equal(data.snapshot.state_hash, make_manifest().state_hash);
    }
    spate_core_close_data(&data);
}

static spate_err recover(void)
{
    struct spate_recover_options options = {.directory = data_path, .address = "10.0.0.3:7209"};
    struct spate_recovery recovery;

    memcpy(options.cluster_id, new_id, sizeof options.cluster_id);
    return spate_recover(&options, &recovery, message, sizeof message);
}

static spate_err restore(void)
{
    const struct spate_member_options member = {.id = 9, .address = "10.0.0.9:7209"};
    struct spate_restore_options options = {
        .file = file_path, .directory = new_path, .id = 9, .members = &member, .member_count = 1};

    memcpy(options.cluster_id, new_id, sizeof options.cluster_id);
    return spate_restore(&options, message, sizeof message);
}

/* Stops the operation at its n-th call, in a process of its own. Returns how that ended. */
static int stop_at(int call, spate_err (*operation)(void), bool is_crash)
{
    int status = 0;
    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        ends_process = is_crash;
        atomic_store(&countdown, call);
        const spate_err err = operation();
        _exit(err == SPATE_OK && atomic_load(&countdown) == 0 ? HARMLESS : (int)err);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool exists(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0;
}

static void recover_stopped_everywhere(enum spate_disk disk, bool has_snapshot, bool is_crash)
{
    char backup[160];
    char building[160];
    int call = 0;
    int how = CRASHED;
    uint32_t were_new = 0;

    make_survivor(disk, has_snapshot);
    (void)snprintf(backup, sizeof backup, "%s.before-74686520", data_path);
    (void)snprintf(building, sizeof building, "%s.recovering", data_path);
    while (how != SPATE_OK) {
        how = stop_at(++call, recover, is_crash);
        assert_true(call < 1000);
        if (!spate_recover_is_unfinished(data_path)) {
            assert_int_not_equal(how, SPATE_OK);
            assert_old(data_path, has_snapshot);
            assert_true(is_crash || !exists(building));
            continue;
        }
        /* From the exchange on it is new, and what is missing is done by calling again. */
        were_new++;
        assert_new(data_path, has_snapshot);
        assert_int_equal(recover(), SPATE_OK);
        assert_false(exists(building));
        assert_old(backup, has_snapshot);
        assert_int_equal(spate_recover_finish(data_path, message, sizeof message), SPATE_OK);
        assert_int_equal(remove_tree(data_path), 0);
        assert_int_equal(rename(backup, data_path), 0);
    }
    assert_true(were_new >= 2);
    assert_true(call > 10);
    assert_int_equal(remove_tree(folder), 0);
}

static void a_recovery_of_a_segment_log_survives_a_crash_at_every_step(void **state)
{
    (void)state;
    recover_stopped_everywhere(SPATE_DISK_WAL, true, true);
}

static void a_recovery_with_lmdb_survives_a_crash_at_every_step(void **state)
{
    (void)state;
    recover_stopped_everywhere(SPATE_DISK_LMDB, true, true);
}

static void a_recovery_on_a_disk_that_fails_leaves_the_old_data_or_the_new(void **state)
{
    (void)state;
    recover_stopped_everywhere(SPATE_DISK_LMDB, false, false);
}

/* The newest snapshot of the survivor, as a file elsewhere. */
static void make_file(void)
{
    char command[400];

    (void)snprintf(command, sizeof command, "cp %s/snapshots/snapshot-* %s", data_path, file_path);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): fixed names of our own. */
}

static void assert_restored(void)
{
    struct spate_store_identity identity;
    enum spate_disk disk;
    struct spate_data data;
    struct spate_membership members;

    assert_int_equal(spate_core_whose(new_path, &line, &identity, &disk), SPATE_OK);
    assert_memory_equal(identity.cluster_id, new_id, 16);
    assert_int_equal(identity.node_id, 9);
    assert_int_equal(spate_core_open_data(new_path, disk, &identity, &line, &data), SPATE_OK);
    assert_true(data.has_snapshot);
    assert_int_equal(data.snapshot.last.index, SNAPSHOT_INDEX);
    assert_int_equal(data.snapshot.state_hash, make_manifest().state_hash);
    assert_int_equal(
        spate_membership_decode(data.snapshot.membership, data.snapshot.membership_bytes, &members),
        SPATE_OK);
    assert_int_equal(members.count, 1);
    assert_int_equal(members.members[0].id, 9);
    assert_int_equal(data.loaded.base.index, SNAPSHOT_INDEX);
    assert_int_equal(data.loaded.last, SNAPSHOT_INDEX);
    assert_int_equal(data.loaded.hard_state.commit, SNAPSHOT_INDEX);
    spate_core_close_data(&data);
}

static void a_restore_into_an_empty_directory_keeps_its_owner_and_mode(void **state)
{
    (void)state;
    const uid_t owner = geteuid() == 0 ? 12345 : geteuid();
    struct stat status;

    make_survivor(SPATE_DISK_LMDB, true);
    make_file();
    assert_int_equal(mkdir(new_path, 0700), 0);
    assert_int_equal(chown(new_path, owner, (gid_t)-1), 0);
    assert_int_equal(chmod(new_path, 0750), 0);
    assert_int_equal(restore(), SPATE_OK);
    assert_restored();
    assert_int_equal(stat(new_path, &status), 0);
    assert_int_equal(status.st_uid, owner);
    assert_int_equal(status.st_mode & 0777, 0750);
    assert_int_equal(remove_tree(folder), 0);
}

static void a_restore_stopped_at_any_step_is_never_taken_for_a_core(void **state)
{
    (void)state;
    char partial[160];
    int call = 0;
    int how = CRASHED;

    make_survivor(SPATE_DISK_LMDB, true);
    make_file();
    (void)snprintf(partial, sizeof partial, "%s.restoring", new_path);
    while (how != SPATE_OK) {
        const bool is_crash = call % 2 == 0;

        how = stop_at(++call / 2 + 1, restore, is_crash);
        assert_true(call < 1000);
        if (exists(new_path) && rmdir(new_path) != 0) {
            assert_restored();
            assert_int_equal(remove_tree(new_path), 0);
        } else {
            assert_int_not_equal(how, SPATE_OK);
            assert_true(is_crash || !exists(partial));
        }
    }
    assert_int_equal(restore(), SPATE_OK);
    assert_restored();
    assert_false(exists(partial));
    assert_int_equal(restore(), SPATE_ERR_IN_USE);
    assert_int_equal(remove_tree(folder), 0);
}

static void a_dry_run_says_where_the_survivor_stands_and_changes_nothing(void **state)
{
    (void)state;
    struct spate_recover_options options = {.is_dry_run = true};
    struct spate_recovery recovery;

    make_survivor(SPATE_DISK_WAL, true);
    options.directory = data_path;
    assert_int_equal(spate_recover(&options, &recovery, message, sizeof message), SPATE_OK);
    assert_false(recovery.is_done);
    assert_int_equal(recovery.id, 3);
    assert_int_equal(recovery.last.index, LAST);
    assert_int_equal(recovery.last.term, TERM);
    assert_int_equal(recovery.commit, COMMIT);
    assert_int_equal(recovery.term, TERM + 1);
    assert_int_equal(recovery.snapshot_index, SNAPSHOT_INDEX);
    assert_int_equal(recovery.before.count, 3);
    assert_string_equal(recovery.after.address, "10.0.0.3:7209");
    assert_old(data_path, true);
    assert_int_equal(remove_tree(folder), 0);
}

static void what_runs_or_is_no_survivor_is_refused(void **state)
{
    (void)state;
    struct spate_recover_options options = {.is_dry_run = true, .cluster_id = "x"};
    struct spate_recovery recovery;
    struct spate_data data;

    make_survivor(SPATE_DISK_WAL, false);
    options.directory = data_path;
    assert_int_equal(spate_recover(&options, &recovery, message, sizeof message),
                     SPATE_ERR_INVALID);
    assert_non_null(strstr(message, "--address"));
    assert_int_equal(spate_core_open_data(data_path, SPATE_DISK_WAL, &old_identity, &line, &data),
                     SPATE_OK);
    assert_int_equal(recover(), SPATE_ERR_IN_USE);
    assert_non_null(strstr(message, "running"));
    spate_core_close_data(&data);
    memcpy(options.cluster_id, old_identity.cluster_id, 16);
    assert_int_equal(spate_recover(&options, &recovery, message, sizeof message),
                     SPATE_ERR_INVALID);
    assert_non_null(strstr(message, "new one"));
    assert_int_equal(spate_recover_finish(data_path, message, sizeof message), SPATE_ERR_NOT_FOUND);
    options.directory = folder;
    assert_int_equal(spate_recover(&options, &recovery, message, sizeof message),
                     SPATE_ERR_NOT_FOUND);
    assert_int_equal(remove_tree(folder), 0);
}

/* Whoever runs the command. */
static void what_is_recovered_has_the_owner_that_the_data_had(void **state)
{
    (void)state;
    const uid_t owner = geteuid() == 0 ? 12345 : geteuid();
    static const char *const names[] = {"", "/data.mdb", "/snapshots", ("/" SPATE_DATA_UNFINISHED)};
    struct stat status;
    char path[200];

    make_survivor(SPATE_DISK_LMDB, true);
    assert_int_equal(chown(data_path, owner, (gid_t)-1), 0);
    assert_int_equal(chmod(data_path, 0750), 0);
    assert_int_equal(recover(), SPATE_OK);
    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(names); i++) {
        (void)snprintf(path, sizeof path, "%s%s", data_path, names[i]);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_uid, owner);
        assert_true(i > 0 || (status.st_mode & 0777) == 0750);
    }
    assert_int_equal(remove_tree(folder), 0);
}

/* Flips a byte of the file that a pattern names. */
static void damage(const char *pattern, long at)
{
    char full[256];
    glob_t found;

    (void)snprintf(full, sizeof full, "%s/%s", data_path, pattern);
    assert_int_equal(glob(full, 0, NULL, &found), 0);
    FILE *file = fopen(found.gl_pathv[0], "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    const int byte = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_not_equal(fputc(byte ^ 0x55, file), EOF);
    assert_int_equal(fclose(file), 0);
    globfree(&found);
}

static void damaged_data_is_not_recovered_and_nothing_is_changed(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        long at;
        enum spate_disk disk;
    } damages[] = {{"snapshots/snapshot-*", 5000, SPATE_DISK_WAL},
                   {"snapshots/snapshot-*", 50, SPATE_DISK_LMDB},
                   {"wal-0000000000000001", 4096 + 200, SPATE_DISK_WAL},
                   {"wal-identity", 20, SPATE_DISK_WAL}};
    char building[160];

    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(damages); i++) {
        make_survivor(damages[i].disk, true);
        (void)snprintf(building, sizeof building, "%s.recovering", data_path);
        damage(damages[i].pattern, damages[i].at);
        assert_int_equal(recover(), SPATE_ERR_CORRUPT);
        assert_non_null(strstr(message, "damaged"));
        assert_false(exists(building));
        assert_false(spate_recover_is_unfinished(data_path));
        assert_int_equal(remove_tree(folder), 0);
    }
}

static void a_backup_of_that_name_is_not_written_over(void **state)
{
    (void)state;
    char backup[160];

    make_survivor(SPATE_DISK_LMDB, true);
    (void)snprintf(backup, sizeof backup, "%s.before-74686520", data_path);
    assert_int_equal(mkdir(backup, 0700), 0);
    assert_int_equal(recover(), SPATE_ERR_IN_USE);
    assert_old(data_path, true);
    assert_int_equal(remove_tree(folder), 0);
}

/* A crash between a snapshot's commit and the log's reset: the snapshot counts. */
static void a_log_that_ends_before_the_snapshot_gives_way_to_it(void **state)
{
    (void)state;
    struct spate_image_source source = {.read = make_state};
    struct spate_snapshot_manifest manifest = make_manifest();
    struct spate_recover_options options = {.is_dry_run = true};
    struct spate_recovery recovery;
    struct spate_data data;

    make_survivor(SPATE_DISK_LMDB, false);
    assert_int_equal(spate_core_open_data(data_path, SPATE_DISK_LMDB, &old_identity, &line, &data),
                     SPATE_OK);
    manifest.last = (struct spate_entry_id){.term = TERM + 4, .index = LAST + 10};
    assert_int_equal(spate_data_put_snapshot(&data, &manifest, &source, &line), SPATE_OK);
    spate_core_close_data(&data);
    options.directory = data_path;
    assert_int_equal(spate_recover(&options, &recovery, message, sizeof message), SPATE_OK);
    assert_int_equal(recovery.last.index, LAST + 10);
    assert_int_equal(recovery.commit, LAST + 10);
    assert_int_equal(recovery.term, TERM + 4);
    assert_int_equal(recover(), SPATE_OK);
    assert_int_equal(remove_tree(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recovery_of_a_segment_log_survives_a_crash_at_every_step),
        cmocka_unit_test(a_recovery_with_lmdb_survives_a_crash_at_every_step),
        cmocka_unit_test(a_recovery_on_a_disk_that_fails_leaves_the_old_data_or_the_new),
        cmocka_unit_test(a_restore_into_an_empty_directory_keeps_its_owner_and_mode),
        cmocka_unit_test(a_restore_stopped_at_any_step_is_never_taken_for_a_core),
        cmocka_unit_test(a_dry_run_says_where_the_survivor_stands_and_changes_nothing),
        cmocka_unit_test(what_runs_or_is_no_survivor_is_refused),
        cmocka_unit_test(what_is_recovered_has_the_owner_that_the_data_had),
        cmocka_unit_test(damaged_data_is_not_recovered_and_nothing_is_changed),
        cmocka_unit_test(a_backup_of_that_name_is_not_written_over),
        cmocka_unit_test(a_log_that_ends_before_the_snapshot_gives_way_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
