/* Data directories that no core runs on: the steps of which a restore and a recovery are made. */
#include "data_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "store/place/place.h"

/* Drivers wake us when poll has news, but not when there is room again. */
#define LOOK_MS 1

spate_err spate_data_resolve(const char *directory, const struct spate_message_line *line,
                             char path[SPATE_DATA_PATH_BYTES])
{
    spate_assert(directory != NULL);
    char *resolved = realpath(directory, NULL);
    const int error = errno;

    /* Room for the names that are made of it. */
    if (resolved == NULL || strlen(resolved) + 64 > SPATE_DATA_PATH_BYTES) {
        free(resolved);
        return spate_explain(line,
                             resolved != NULL || error == ENAMETOOLONG ? SPATE_ERR_INVALID
                             : error == EACCES                         ? SPATE_ERR_PERMISSION
                                                                       : SPATE_ERR_NOT_FOUND,
                             "%s: %s; give the data directory of a core", directory,
                             resolved != NULL ? "too long a path" : strerror(error));
    }
    (void)snprintf(path, SPATE_DATA_PATH_BYTES, "%s", resolved);
    free(resolved);
    return SPATE_OK;
}

spate_err spate_data_check_place(const char *path, const struct spate_message_line *line)
{
    char parent[SPATE_DATA_PATH_BYTES + 16];
    struct stat above;
    struct stat own;

    spate_assert(path != NULL);
    (void)snprintf(parent, sizeof parent, "%s/..", path);
    if (stat(path, &own) != 0 || stat(parent, &above) != 0) {
        return spate_explain(line, SPATE_ERR_IO, "%s: %s", path, strerror(errno));
    }
    if (own.st_dev != above.st_dev) {
        return spate_explain(
            line, SPATE_ERR_INVALID,
            "%s is a mount point, and has no place beside it: give a directory in it "
            "(move there what is in it)",
            path);
    }
    return SPATE_OK;
}

spate_err spate_data_is_empty(const char *directory, const struct spate_message_line *line,
                              bool *ret_is_empty)
{
    DIR *folder = opendir(directory);

    spate_assert(ret_is_empty != NULL);
    if (folder == NULL) {
        return spate_explain(line, errno == EACCES ? SPATE_ERR_PERMISSION : SPATE_ERR_INVALID,
                             "cannot list %s: %s", directory, strerror(errno));
    }
    *ret_is_empty = true;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        *ret_is_empty =
            *ret_is_empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    }
    (void)closedir(folder);
    return SPATE_OK;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

spate_err spate_data_remove(const char *directory, const struct spate_message_line *line)
{
    spate_assert(directory != NULL && directory[0] == '/');
    if (nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
        return spate_explain(line, SPATE_ERR_IO, "cannot remove %s: %s", directory,
                             strerror(errno));
    }
    return SPATE_OK;
}

static bool give(const char *path, const struct stat *like)
{
    return lchown(path, like->st_uid, like->st_gid) == 0;
}

/* The folders of a data directory are itself and its snapshots. */
static bool give_all(const char *directory, const struct stat *like)
{
    DIR *folder = opendir(directory);
    bool is_given = folder != NULL && give(directory, like);

    for (const struct dirent *entry = is_given ? readdir(folder) : NULL; entry != NULL && is_given;
         entry = readdir(folder)) {
        char path[SPATE_DATA_PATH_BYTES + 300];

        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            (void)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
            is_given = give(path, like);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return is_given;
}

spate_err spate_data_give_owner(const char *directory, const char *like,
                                const struct spate_message_line *line)
{
    char snapshots[SPATE_DATA_PATH_BYTES + 16];
    struct stat status;

    spate_assert(directory != NULL && like != NULL);
    (void)snprintf(snapshots, sizeof snapshots, "%s/snapshots", directory);
    if (stat(like, &status) != 0 || chmod(directory, status.st_mode & 0777) != 0 ||
        !give_all(directory, &status) || !give_all(snapshots, &status)) {
        return spate_explain(line, SPATE_ERR_PERMISSION,
                             "cannot give %s the owner of %s: %s; do this as root, or as that user",
                             directory, like, strerror(errno));
    }
    return SPATE_OK;
}

spate_err spate_data_sync(const char *directory, const struct spate_message_line *line)
{
    char snapshots[SPATE_DATA_PATH_BYTES + 16];

    spate_assert(directory != NULL);
    (void)snprintf(snapshots, sizeof snapshots, "%s/snapshots", directory);
    if (spate_place_sync(directory) != SPATE_OK || spate_place_sync(snapshots) != SPATE_OK) {
        return spate_explain(line, SPATE_ERR_IO, "cannot sync %s: %s", directory, strerror(errno));
    }
    return SPATE_OK;
}

spate_err spate_data_sync_parent(const char *directory, const struct spate_message_line *line)
{
    char parent[SPATE_DATA_PATH_BYTES + 16];

    spate_assert(directory != NULL);
    (void)snprintf(parent, sizeof parent, "%s/..", directory);
    return spate_place_sync(parent) == SPATE_OK
               ? SPATE_OK
               : spate_explain(line, SPATE_ERR_IO, "cannot sync the directory above %s: %s",
                               directory, strerror(errno));
}

static void wait_for_news(struct spate_data *data)
{
    struct pollfd fd = {.fd = data->waker.fd, .events = POLLIN};

    spate_assert(data->waker.fd >= 0);
    (void)poll(&fd, 1, LOOK_MS);
    spate_eventfd_waker_drain(&data->waker);
}

static spate_err failed(const struct spate_message_line *line, spate_err err)
{
    return spate_explain(line, err,
                         "the new data cannot be written: %s; make room, look at the disk, and try "
                         "again: nothing was changed",
                         spate_err_text(err));
}

spate_err spate_data_submit(struct spate_data *data, const struct spate_store_batch *batch,
                            const struct spate_message_line *line)
{
    spate_ticket ticket;
    spate_ticket completed;
    spate_err err = data->store->ops->submit(data->store, batch, &ticket);

    while (err == SPATE_ERR_BUSY) {
        wait_for_news(data);
        if (spate_store_is_low(data->store)) {
            return failed(line, SPATE_ERR_NO_SPACE);
        }
        err = data->store->ops->poll(data->store, &completed);
        if (err == SPATE_OK) {
            err = data->store->ops->submit(data->store, batch, &ticket);
        }
    }
    if (err != SPATE_OK) {
        return failed(line, err);
    }
    data->last_ticket = ticket;
    return SPATE_OK;
}

spate_err spate_data_settle(struct spate_data *data, const struct spate_message_line *line)
{
    spate_ticket completed = 0;
    spate_err err = data->store->ops->poll(data->store, &completed);

    while (err == SPATE_OK && completed < data->last_ticket) {
        wait_for_news(data);
        err = data->store->ops->poll(data->store, &completed);
    }
    return err == SPATE_OK ? SPATE_OK : failed(line, err);
}

/* Whatever the driver has no room for is offered again. */
static spate_err write_all(struct spate_data *data, const uint8_t *bytes, uint32_t size)
{
    struct spate_snapshots *snapshots = data->snapshots;
    spate_err err = snapshots->ops->write(snapshots, bytes, size);

    while (err == SPATE_ERR_BUSY) {
        enum spate_snapshot_event event;

        wait_for_news(data);
        err = snapshots->ops->poll(snapshots, &event);
        if (err == SPATE_OK) {
            err = snapshots->ops->write(snapshots, bytes, size);
        }
    }
    return err;
}

static spate_err commit(struct spate_data *data)
{
    struct spate_snapshots *snapshots = data->snapshots;
    enum spate_snapshot_event event = SPATE_SNAPSHOT_NOTHING;
    spate_err err = snapshots->ops->commit(snapshots);

    while (err == SPATE_ERR_BUSY || (err == SPATE_OK && event == SPATE_SNAPSHOT_NOTHING)) {
        const bool is_asked = err == SPATE_OK;

        wait_for_news(data);
        err = snapshots->ops->poll(snapshots, &event);
        if (err == SPATE_OK && !is_asked) {
            err = snapshots->ops->commit(snapshots);
        }
    }
    return err != SPATE_OK ? err : event == SPATE_SNAPSHOT_COMMITTED ? SPATE_OK : SPATE_ERR_CORRUPT;
}

static spate_err write_image(struct spate_data *data,
                             const struct spate_snapshot_manifest *manifest,
                             struct spate_image_source *source, uint8_t *buffer)
{
    const uint64_t end = spate_snapshot_image_bytes(manifest);
    struct spate_snapshots *snapshots = data->snapshots;

    spate_snapshot_header_encode(buffer, manifest);
    spate_err err = snapshots->ops->begin(snapshots, NULL);
    if (err == SPATE_OK) {
        err = write_all(data, buffer, SPATE_SNAPSHOT_HEADER_BYTES);
    }
    for (uint64_t at = SPATE_SNAPSHOT_HEADER_BYTES; err == SPATE_OK && at < end;) {
        const uint64_t left = end - at;
        const uint32_t size =
            left < SPATE_SNAPSHOT_WRITE_BYTES_MAX ? (uint32_t)left : SPATE_SNAPSHOT_WRITE_BYTES_MAX;

        err = source->read(source, at, buffer, size);
        if (err == SPATE_OK) {
            err = write_all(data, buffer, size);
        }
        at += size;
    }
    return err == SPATE_OK ? commit(data) : err;
}

spate_err spate_data_put_snapshot(struct spate_data *data,
                                  const struct spate_snapshot_manifest *manifest,
                                  struct spate_image_source *source,
                                  const struct spate_message_line *line)
{
    uint8_t *buffer = malloc(SPATE_SNAPSHOT_WRITE_BYTES_MAX);

    spate_assert(data->snapshots != NULL);
    if (buffer == NULL) {
        return failed(line, SPATE_ERR_NO_MEMORY);
    }
    const spate_err err = write_image(data, manifest, source, buffer);
    free(buffer);
    return err == SPATE_OK ? SPATE_OK : failed(line, err);
}
