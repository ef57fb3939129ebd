/* The owner's side: what is there at the start, requests to the thread, readers. */
#include "files_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

#define NAME_PREFIX    "snapshot-"
#define RING_BYTES     (4u << 20)
#define READ_BYTES_MAX (256u << 10)

void spate_files_name(const struct spate_snapshot_manifest *manifest, char name[FILE_NAME_BYTES])
{
    /* Sixteen digits each: the order of names is that of indexes. */
    (void)snprintf(name, FILE_NAME_BYTES, NAME_PREFIX "%016llx-%016llx",
                   (unsigned long long)manifest->last.index,
                   (unsigned long long)manifest->last.term);
}

static bool is_ours(const char *name)
{
    return strncmp(name, NAME_PREFIX, strlen(NAME_PREFIX)) == 0 || strcmp(name, PARTIAL_NAME) == 0;
}

spate_err spate_files_clean(const struct files *files, const char *kept)
{
    DIR *folder = opendir(files->directory);
    spate_err err = SPATE_OK;

    if (folder == NULL) {
        return SPATE_ERR_IO;
    }
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (is_ours(entry->d_name) && strcmp(entry->d_name, kept) != 0 &&
            unlinkat(files->directory_fd, entry->d_name, 0) != 0) {
            err = SPATE_ERR_IO;
        }
    }
    (void)closedir(folder);
    return err;
}

static spate_err check_fd(int fd, struct spate_snapshot_manifest *ret_manifest)
{
    struct spate_snapshot_check check = {.bytes = 0};
    uint8_t *buffer = malloc(READ_BYTES_MAX);
    ssize_t size = 1;

    if (buffer == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    while (size > 0 || (size < 0 && errno == EINTR)) {
        size = read(fd, buffer, READ_BYTES_MAX);
        if (size > 0) {
            spate_snapshot_check_add(&check, buffer, (size_t)size);
        }
    }
    free(buffer);
    return size < 0 ? SPATE_ERR_IO : spate_snapshot_check_end(&check, ret_manifest);
}

spate_err spate_snapshot_file_check(const char *path, struct spate_snapshot_manifest *ret_manifest)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return errno == ENOENT   ? SPATE_ERR_NOT_FOUND
               : errno == EACCES ? SPATE_ERR_PERMISSION
                                 : SPATE_ERR_IO;
    }
    const spate_err err = check_fd(fd, ret_manifest);
    (void)close(fd);
    return err;
}

static spate_err files_newest(struct spate_snapshots *snapshots,
                              struct spate_snapshot_manifest *ret_manifest)
{
    const struct files *files = (const struct files *)snapshots;

    if (!files->has_newest) {
        return SPATE_ERR_NOT_FOUND;
    }
    *ret_manifest = files->newest;
    return SPATE_OK;
}

static void wake_thread(struct files *files)
{
    const uint64_t one = 1;

    (void)!write(files->work_fd, &one, sizeof one);
}

/* Both sides exchange is_asleep: whichever comes second sees what the other did before. */
static spate_err ask(struct files *files, enum request_kind kind, const void *bytes, uint32_t size)
{
    struct request *request = spate_ring_reserve(files->requests, (uint32_t)sizeof *request + size);

    if (request == NULL) {
        return SPATE_ERR_BUSY;
    }
    *request = (struct request){.kind = kind, .size = size, .sequence = files->sequence};
    if (size > 0) {
        memcpy(request->bytes, bytes, size);
    }
    spate_ring_publish(files->requests);
    if (atomic_exchange(&files->is_asleep, false)) {
        wake_thread(files);
    }
    return SPATE_OK;
}

static spate_err files_begin(struct spate_snapshots *snapshots,
                             const struct spate_snapshot_manifest *manifest)
{
    struct files *files = (struct files *)snapshots;

    spate_assert(!files->is_writing);
    files->sequence++;
    const spate_err err =
        ask(files, REQUEST_BEGIN, manifest, manifest != NULL ? (uint32_t)sizeof *manifest : 0);
    files->is_writing = err == SPATE_OK;
    return err;
}

static spate_err files_write(struct spate_snapshots *snapshots, const uint8_t *bytes, uint32_t size)
{
    struct files *files = (struct files *)snapshots;

    spate_assert(files->is_writing);
    spate_assert(size >= 1 && size <= SPATE_SNAPSHOT_WRITE_BYTES_MAX);
    return ask(files, REQUEST_WRITE, bytes, size);
}

static spate_err files_commit(struct spate_snapshots *snapshots)
{
    struct files *files = (struct files *)snapshots;

    spate_assert(files->is_writing);
    return ask(files, REQUEST_COMMIT, NULL, 0);
}

static void files_abort(struct spate_snapshots *snapshots)
{
    struct files *files = (struct files *)snapshots;

    spate_assert(files->is_writing);
    atomic_store_explicit(&files->aborted, files->sequence, memory_order_relaxed);
    files->is_writing = false;
}

static spate_err files_poll(struct spate_snapshots *snapshots, enum spate_snapshot_event *ret_event)
{
    struct files *files = (struct files *)snapshots;
    const int failure = atomic_load_explicit(&files->failure, memory_order_relaxed);

    *ret_event = SPATE_SNAPSHOT_NOTHING;
    if (failure != SPATE_OK) {
        return (spate_err)failure;
    }
    if (!files->is_writing ||
        atomic_load_explicit(&files->done, memory_order_acquire) != files->sequence) {
        return SPATE_OK;
    }
    files->is_writing = false;
    if (atomic_load_explicit(&files->is_refused, memory_order_relaxed)) {
        *ret_event = SPATE_SNAPSHOT_REFUSED;
        return SPATE_OK;
    }
    files->newest = files->committed;
    files->has_newest = true;
    *ret_event = SPATE_SNAPSHOT_COMMITTED;
    return SPATE_OK;
}

static spate_err files_open(struct spate_snapshots *snapshots,
                            struct spate_snapshot_manifest *ret_manifest,
                            struct spate_snapshot_reader **ret_reader)
{
    struct files *files = (struct files *)snapshots;
    char name[FILE_NAME_BYTES];

    if (!files->has_newest) {
        return SPATE_ERR_NOT_FOUND;
    }
    for (uint32_t r = 0; r < SPATE_SNAPSHOT_READERS_MAX; r++) {
        struct spate_snapshot_reader *reader = &files->readers[r];
        if (reader->is_open) {
            continue;
        }
        spate_files_name(&files->newest, name);
        reader->fd = openat(files->directory_fd, name, O_RDONLY | O_CLOEXEC);
        if (reader->fd < 0) {
            /* A newer one has taken its place already: poll will say so. */
            return errno == ENOENT && files->is_writing ? SPATE_ERR_BUSY : SPATE_ERR_IO;
        }
        reader->is_open = true;
        *ret_manifest = files->newest;
        *ret_reader = reader;
        return SPATE_OK;
    }
    return SPATE_ERR_BUSY;
}

static spate_err files_read(struct spate_snapshots *snapshots, struct spate_snapshot_reader *reader,
                            uint64_t offset, uint8_t *to, uint32_t size)
{
    (void)snapshots;
    spate_assert(reader->is_open);
    while (size > 0) {
        const ssize_t bytes = pread(reader->fd, to, size, (off_t)offset);

        if (bytes < 0 && errno == EINTR) {
            continue;
        }
        if (bytes <= 0) {
            return SPATE_ERR_IO;
        }
        to += bytes;
        offset += (uint64_t)bytes;
        size -= (uint32_t)bytes;
    }
    return SPATE_OK;
}

static void files_close_reader(struct spate_snapshots *snapshots,
                               struct spate_snapshot_reader *reader)
{
    (void)snapshots;
    spate_assert(reader->is_open);
    (void)close(reader->fd);
    reader->is_open = false;
}

static void files_close(struct spate_snapshots *snapshots)
{
    struct files *files = (struct files *)snapshots;

    if (files == NULL) {
        return;
    }
    if (files->is_started) {
        atomic_store(&files->is_closing, true);
        wake_thread(files);
        (void)pthread_join(files->thread, NULL);
    }
    for (uint32_t r = 0; r < SPATE_SNAPSHOT_READERS_MAX; r++) {
        spate_assert(!files->readers[r].is_open);
    }
    if (files->work_fd >= 0) {
        (void)close(files->work_fd);
    }
    if (files->directory_fd >= 0) {
        (void)close(files->directory_fd);
    }
    spate_ring_destroy(files->requests);
    free(files);
}

static const struct spate_snapshots_ops files_ops = {
    .name = "files",
    .newest = files_newest,
    .begin = files_begin,
    .write = files_write,
    .commit = files_commit,
    .abort = files_abort,
    .poll = files_poll,
    .open = files_open,
    .read = files_read,
    .close_reader = files_close_reader,
    .close = files_close,
};

/* The name of the newest snapshot: the greatest of all. Empty: there is none. */
static spate_err find_newest(const struct files *files, char name[FILE_NAME_BYTES])
{
    DIR *folder = opendir(files->directory);

    name[0] = '\0';
    if (folder == NULL) {
        return SPATE_ERR_IO;
    }
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (strncmp(entry->d_name, NAME_PREFIX, strlen(NAME_PREFIX)) == 0 &&
            strcmp(entry->d_name, name) > 0) {
            (void)snprintf(name, FILE_NAME_BYTES, "%.*s", (int)FILE_NAME_BYTES - 1, entry->d_name);
        }
    }
    (void)closedir(folder);
    return SPATE_OK;
}

static spate_err take_newest(struct files *files, char *message, size_t message_bytes)
{
    char name[FILE_NAME_BYTES];
    char expected[FILE_NAME_BYTES];
    char path[PATH_BYTES + FILE_NAME_BYTES];
    spate_err err = find_newest(files, name);

    if (err != SPATE_OK || name[0] == '\0') {
        return err != SPATE_OK ? err : spate_files_clean(files, "");
    }
    (void)snprintf(path, sizeof path, "%s/%s", files->directory, name);
    err = spate_snapshot_file_check(path, &files->newest);
    if (err == SPATE_OK) {
        spate_files_name(&files->newest, expected);
        err = strcmp(name, expected) == 0 ? SPATE_OK : SPATE_ERR_CORRUPT;
    }
    if (err == SPATE_OK &&
        memcmp(files->newest.cluster_id, files->cluster_id, sizeof files->cluster_id) != 0) {
        (void)snprintf(message, message_bytes,
                       "the snapshot %s belongs to another cluster; correct cluster.id, or choose "
                       "another directory",
                       path);
        return SPATE_ERR_MISMATCH;
    }
    if (err == SPATE_ERR_MISMATCH) {
        (void)snprintf(message, message_bytes,
                       "the snapshot %s was written in another format; run the version of spate "
                       "that wrote it",
                       path);
    } else if (err != SPATE_OK) {
        (void)snprintf(message, message_bytes,
                       "the snapshot %s is damaged; keep a copy for examination, and bring this "
                       "core back as a new member from the others",
                       path);
    }
    if (err != SPATE_OK) {
        return err;
    }
    files->has_newest = true;
    return spate_files_clean(files, name);
}

static spate_err open_directory(struct files *files, char *message, size_t message_bytes)
{
    if (mkdir(files->directory, 0700) != 0 && errno != EEXIST) {
        (void)snprintf(message, message_bytes, "cannot make the directory %s: %s", files->directory,
                       strerror(errno));
        return errno == EACCES ? SPATE_ERR_PERMISSION : SPATE_ERR_INVALID;
    }
    files->directory_fd = open(files->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (files->directory_fd < 0) {
        (void)snprintf(message, message_bytes, "cannot open the directory %s: %s", files->directory,
                       strerror(errno));
        return errno == EACCES ? SPATE_ERR_PERMISSION : SPATE_ERR_INVALID;
    }
    return SPATE_OK;
}

spate_err spate_snapshots_files_create(const struct spate_snapshots_files_options *options,
                                       struct spate_snapshots **ret_snapshots, char *message,
                                       size_t message_bytes)
{
    struct files *files = calloc(1, sizeof *files);
    char unused[1];

    spate_assert(options->directory != NULL);
    message = message != NULL ? message : unused;
    message_bytes = message != unused ? message_bytes : sizeof unused;
    if (files == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    files->snapshots.ops = &files_ops;
    files->waker = options->waker;
    files->partial_fd = -1;
    files->directory_fd = -1;
    memcpy(files->cluster_id, options->cluster_id, sizeof files->cluster_id);
    (void)snprintf(files->directory, sizeof files->directory, "%s", options->directory);
    files->work_fd = eventfd(0, EFD_CLOEXEC);
    spate_err err =
        files->work_fd < 0 ? SPATE_ERR_NO_MEMORY : open_directory(files, message, message_bytes);
    if (err == SPATE_OK) {
        err = take_newest(files, message, message_bytes);
    }
    if (err == SPATE_OK) {
        err = spate_ring_create(RING_BYTES, &files->requests);
    }
    if (err == SPATE_OK) {
        files->is_started =
            pthread_create(&files->thread, NULL, spate_files_write_forever, files) == 0;
        err = files->is_started ? SPATE_OK : SPATE_ERR_NO_MEMORY;
    }
    if (err != SPATE_OK) {
        files_close(&files->snapshots);
        return err;
    }
    *ret_snapshots = &files->snapshots;
    return SPATE_OK;
}
