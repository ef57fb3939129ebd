/*
 * The way out when the quorum is gone for good. The steps, and what a crash leaves behind each:
 *
 *   build DIR.recovering from DIR, with a mark in it, and read it back    DIR is the old data
 *   exchange the two names, in one step of the file system                DIR is the new data
 *   DIR.recovering, now the old data, becomes DIR.before-…: the backup
 *
 * The mark tells which of the two DIR.recovering is: a DIR with a mark is new, so the other is old.
 */
#include "recover_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "store/place/place.h"

#define NAME_BYTES (SPATE_DATA_PATH_BYTES + 64u)

static const char mark_text[] = "This data was recovered from the survivor of another cluster. "
                                "The core listens on loopback addresses only,\n"
                                "until you have looked at the contents and say: "
                                "spate recover --data DIRECTORY --finish\n";

static void name_building(const char *path, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "%s.recovering", path);
}

/* The new cluster's id is in the name: each recovery has a backup of its own. */
static void name_backup(const char *path, const uint8_t cluster_id[16], char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "%s.before-%02x%02x%02x%02x", path, cluster_id[0],
                   cluster_id[1], cluster_id[2], cluster_id[3]);
}

static bool exists(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

bool spate_recover_is_unfinished(const char *directory)
{
    char name[NAME_BYTES + 32];

    if (directory == NULL || directory[0] == '\0') {
        return false;
    }
    (void)snprintf(name, sizeof name, "%s/" SPATE_DATA_UNFINISHED, directory);
    return exists(name);
}

static spate_err put_mark(const char *path, const struct spate_message_line *line)
{
    char name[NAME_BYTES + 32];

    (void)snprintf(name, sizeof name, "%s/" SPATE_DATA_UNFINISHED, path);
    const int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const bool is_written =
        fd >= 0 && write(fd, mark_text, sizeof mark_text - 1) == (ssize_t)(sizeof mark_text - 1) &&
        fsync(fd) == 0;
    const int error = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_written ? spate_data_sync(path, line)
                      : spate_explain(line, SPATE_ERR_IO, "cannot write %s: %s; look at the disk",
                                      name, strerror(error));
}

/* What is left of a recovery whose exchange was done: DIR.recovering is the old data. */
static spate_err settle_backup(const char *path, const uint8_t cluster_id[16],
                               const struct spate_message_line *line)
{
    char building[NAME_BYTES];
    char backup[NAME_BYTES];

    spate_assert(spate_recover_is_unfinished(path));
    name_building(path, building);
    name_backup(path, cluster_id, backup);
    if (!exists(building)) {
        return SPATE_OK;
    }
    if (rename(building, backup) != 0) {
        return spate_explain(line, SPATE_ERR_IO,
                             "%s is recovered, but the old data cannot be renamed from %s to %s: "
                             "%s; do that by hand",
                             path, building, backup, strerror(errno));
    }
    return spate_data_sync_parent(path, line);
}

static spate_err exchange(const char *path, const char *building,
                          const struct spate_message_line *line)
{
    if (renameat2(AT_FDCWD, building, AT_FDCWD, path, RENAME_EXCHANGE) != 0) {
        const int error = errno;
        return error == EINVAL || error == ENOSYS
                   ? spate_explain(
                         line, SPATE_ERR_UNSUPPORTED,
                         "the file system of %s cannot exchange two directories; copy the "
                         "data to one that can (ext4, xfs, btrfs) and recover it there",
                         path)
                   : spate_explain(line, SPATE_ERR_IO, "cannot exchange %s and %s: %s", building,
                                   path, strerror(error));
    }
    return spate_data_sync_parent(path, line);
}

static spate_err replace(struct spate_survivor *survivor, const uint8_t cluster_id[16],
                         const struct spate_member *heir, const struct spate_message_line *line)
{
    const struct spate_message_line quiet = {.text = NULL};
    char building[NAME_BYTES];
    char backup[NAME_BYTES];

    name_building(survivor->path, building);
    name_backup(survivor->path, cluster_id, backup);
    if (exists(backup)) {
        return spate_explain(line, SPATE_ERR_IN_USE,
                             "%s is there already: the backup would lie there; move it away, or "
                             "give another cluster id",
                             backup);
    }
    spate_err err = spate_data_check_place(survivor->path, line);
    if (err != SPATE_OK) {
        return err;
    }
    err = spate_survivor_build(survivor, building, cluster_id, heir, line);
    if (err == SPATE_OK) {
        err = put_mark(building, line);
    }
    if (err == SPATE_OK) {
        err = spate_data_give_owner(building, survivor->path, line);
    }
    if (err == SPATE_OK) {
        err = exchange(survivor->path, building, line);
    }
    if (err != SPATE_OK && !spate_recover_is_unfinished(survivor->path)) {
        (void)spate_data_remove(building, &quiet);
    }
    return err == SPATE_OK ? settle_backup(survivor->path, cluster_id, line) : err;
}

static void describe(const struct spate_survivor *survivor, const struct spate_member *heir,
                     struct spate_recovery *to)
{
    const struct spate_configs *configs = &survivor->configs;

    *to = (struct spate_recovery){
        .id = survivor->identity.node_id,
        .incarnation = heir->incarnation,
        .disk = survivor->disk,
        .term = survivor->term,
        .first = survivor->base.index + 1,
        .last = survivor->last,
        .commit = survivor->commit,
        .snapshot_index = survivor->data.has_snapshot ? survivor->data.snapshot.last.index : 0,
        .membership_index = configs->index,
        .is_mute = survivor->data.loaded.hard_state.is_mute,
        .before = {.index = configs->index,
                   .count = configs->now.count,
                   .is_joint = spate_membership_is_joint(&configs->now),
                   .is_overridden = configs->now.is_overridden},
    };
    memcpy(to->cluster_id, survivor->identity.cluster_id, sizeof to->cluster_id);
    for (uint32_t i = 0; i < configs->now.count; i++) {
        spate_core_show_member(&configs->now.members[i], &to->before.members[i]);
    }
    spate_core_show_member(heir, &to->after);
}

/* The directory has its mark: all but the backup's name was done by an earlier call. */
static spate_err complete(const char *path, const struct spate_recover_options *options,
                          const struct spate_message_line *line, struct spate_recovery *recovery)
{
    struct spate_store_identity identity;
    enum spate_disk disk;
    char backup[NAME_BYTES];

    const spate_err err = spate_core_whose(path, line, &identity, &disk);
    if (err != SPATE_OK) {
        return err;
    }
    if (memcmp(identity.cluster_id, options->cluster_id, sizeof identity.cluster_id) != 0) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "%s was recovered already, for another cluster id; look at it and "
                             "finish that first (--finish)",
                             path);
    }
    *recovery = (struct spate_recovery){
        .id = identity.node_id, .incarnation = identity.incarnation, .disk = disk, .is_done = true};
    name_backup(path, identity.cluster_id, backup);
    (void)snprintf(recovery->backup, sizeof recovery->backup, "%s", backup);
    return options->is_dry_run ? SPATE_OK : settle_backup(path, identity.cluster_id, line);
}

static spate_err recover(struct spate_survivor *survivor,
                         const struct spate_recover_options *options,
                         const struct spate_message_line *line, struct spate_recovery *recovery)
{
    struct spate_member heir;
    char backup[NAME_BYTES];

    if (memcmp(options->cluster_id, survivor->identity.cluster_id, 16) == 0) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "the cluster id is that of the data; give a new one, as uuidgen "
                             "prints it, so that the lost members never mix in");
    }
    spate_err err = spate_survivor_heir(survivor, options->address, line, &heir);
    if (err != SPATE_OK) {
        return err;
    }
    describe(survivor, &heir, recovery);
    name_backup(survivor->path, options->cluster_id, backup);
    (void)snprintf(recovery->backup, sizeof recovery->backup, "%s", backup);
    if (!options->is_dry_run) {
        err = replace(survivor, options->cluster_id, &heir, line);
        recovery->is_done = err == SPATE_OK;
    }
    return err;
}

spate_err spate_recover(const struct spate_recover_options *options,
                        struct spate_recovery *ret_recovery, char *message, size_t message_bytes)
{
    const struct spate_message_line line = {.text = message, .bytes = message_bytes};
    struct spate_survivor survivor = {.path = ""};

    (void)spate_explain(&line, SPATE_OK, "%s", "");
    if (options == NULL || options->directory == NULL || ret_recovery == NULL) {
        return spate_explain(&line, SPATE_ERR_INVALID, "no directory was given");
    }
    spate_err err = spate_data_resolve(options->directory, &line, survivor.path);
    if (err != SPATE_OK) {
        return err;
    }
    if (spate_recover_is_unfinished(survivor.path)) {
        return complete(survivor.path, options, &line, ret_recovery);
    }
    err = spate_survivor_open(&survivor, &line);
    if (err != SPATE_OK) {
        return err;
    }
    err = recover(&survivor, options, &line, ret_recovery);
    spate_core_close_data(&survivor.data);
    return err;
}

/* Under the directory's lock, so that no core runs on it. */
static spate_err finish(const char *path, const struct spate_message_line *line)
{
    struct spate_store_identity identity;
    enum spate_disk disk;
    char name[NAME_BYTES + 32];

    spate_err err = spate_core_whose(path, line, &identity, &disk);
    if (err == SPATE_OK) {
        err = settle_backup(path, identity.cluster_id, line);
    }
    if (err != SPATE_OK) {
        return err;
    }
    (void)snprintf(name, sizeof name, "%s/" SPATE_DATA_UNFINISHED, path);
    if (unlink(name) != 0) {
        return spate_explain(line, SPATE_ERR_IO, "cannot remove %s: %s", name, strerror(errno));
    }
    return spate_data_sync(path, line);
}

spate_err spate_recover_finish(const char *directory, char *message, size_t message_bytes)
{
    const struct spate_message_line line = {.text = message, .bytes = message_bytes};
    const struct spate_complaint complaint = {message, message_bytes};
    char path[SPATE_DATA_PATH_BYTES];
    int lock_fd = -1;

    if (directory == NULL) {
        return spate_explain(&line, SPATE_ERR_INVALID, "no directory was given");
    }
    spate_err err = spate_data_resolve(directory, &line, path);
    if (err != SPATE_OK) {
        return err;
    }
    if (!spate_recover_is_unfinished(path)) {
        return spate_explain(&line, SPATE_ERR_NOT_FOUND,
                             "%s has no recovery to finish: it was finished, or never recovered",
                             path);
    }
    err = spate_place_take(path, &lock_fd, &complaint);
    if (err != SPATE_OK) {
        return err;
    }
    err = finish(path, &line);
    (void)close(lock_fd);
    return err;
}
