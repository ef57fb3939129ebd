/* The thread that writes snapshots: nobody waits for it but who wants the snapshot. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "files_internal.h"

/* A sync of much at once would delay the log's, on the same disk. */
#define SYNC_BYTES (8u << 20)

static bool write_all(int fd, const uint8_t *bytes, size_t size, uint64_t offset)
{
    while (size > 0) {
        const ssize_t written = pwrite(fd, bytes, size, (off_t)offset);

        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        bytes += written;
        size -= (size_t)written;
        offset += (uint64_t)written;
    }
    return true;
}

static void drop_partial(struct files *files)
{
    if (files->partial_fd >= 0) {
        (void)close(files->partial_fd);
        (void)unlinkat(files->directory_fd, PARTIAL_NAME, 0);
        files->partial_fd = -1;
    }
}

static bool begin(struct files *files, const struct request *request)
{
    static const uint8_t empty[SPATE_SNAPSHOT_HEADER_BYTES];

    drop_partial(files);
    files->partial_fd =
        openat(files->directory_fd, PARTIAL_NAME, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (files->partial_fd < 0) {
        return false;
    }
    files->is_image = request->size == 0;
    files->offset = 0;
    files->synced = 0;
    files->check = (struct spate_snapshot_check){.bytes = 0};
    if (files->is_image) {
        return true;
    }
    spate_assert(request->size == sizeof files->manifest);
    memcpy(&files->manifest, request->bytes, sizeof files->manifest);
    /* The header's place; what it says is known at the end. */
    spate_snapshot_check_add(&files->check, empty, sizeof empty);
    files->offset = sizeof empty;
    return write_all(files->partial_fd, empty, sizeof empty, 0);
}

static bool write_more(struct files *files, const struct request *request)
{
    spate_assert(files->partial_fd >= 0);
    spate_snapshot_check_add(&files->check, request->bytes, request->size);
    if (!write_all(files->partial_fd, request->bytes, request->size, files->offset)) {
        return false;
    }
    files->offset += request->size;
    if (files->offset - files->synced >= SYNC_BYTES) {
        files->synced = files->offset;
        return fdatasync(files->partial_fd) == 0;
    }
    return true;
}

/* Puts the header before a state, or checks the image. *ret_is_good: it may take its place. */
static bool complete(struct files *files, bool *ret_is_good)
{
    uint8_t header[SPATE_SNAPSHOT_HEADER_BYTES];
    struct spate_snapshot_manifest *manifest = &files->manifest;

    *ret_is_good = true;
    if (files->is_image) {
        *ret_is_good =
            spate_snapshot_check_end(&files->check, manifest) == SPATE_OK &&
            memcmp(manifest->cluster_id, files->cluster_id, sizeof files->cluster_id) == 0;
        return true;
    }
    memcpy(manifest->cluster_id, files->cluster_id, sizeof files->cluster_id);
    manifest->state_bytes = files->check.hash.bytes;
    manifest->state_hash = spate_snapshot_hash_value(&files->check.hash);
    spate_snapshot_header_encode(header, manifest);
    return write_all(files->partial_fd, header, sizeof header, 0);
}

/* File first, then its name, then the directory; the older one goes after that. */
static bool take_place(struct files *files)
{
    char name[FILE_NAME_BYTES];

    spate_files_name(&files->manifest, name);
    if (fsync(files->partial_fd) != 0 ||
        renameat(files->directory_fd, PARTIAL_NAME, files->directory_fd, name) != 0 ||
        fsync(files->directory_fd) != 0) {
        return false;
    }
    (void)close(files->partial_fd);
    files->partial_fd = -1;
    return spate_files_clean(files, name) == SPATE_OK;
}

static bool commit(struct files *files, uint64_t sequence)
{
    bool is_good;

    spate_assert(files->partial_fd >= 0);
    if (!complete(files, &is_good) || (is_good && !take_place(files))) {
        return false;
    }
    if (is_good) {
        files->committed = files->manifest;
    } else {
        drop_partial(files);
    }
    atomic_store_explicit(&files->is_refused, !is_good, memory_order_relaxed);
    atomic_store_explicit(&files->done, sequence, memory_order_release);
    return true;
}

static bool carry_out(struct files *files, const struct request *request)
{
    if (request->sequence <= atomic_load_explicit(&files->aborted, memory_order_relaxed)) {
        drop_partial(files);
        return true;
    }
    switch (request->kind) {
    case REQUEST_BEGIN:
        return begin(files, request);
    case REQUEST_WRITE:
        return write_more(files, request);
    case REQUEST_COMMIT:
        return commit(files, request->sequence);
    }
    return false;
}

static void sleep_until_asked(struct files *files)
{
    uint64_t ignored = 0;

    /* Announce first, look again, then sleep: whoever asks after the look sees the announcement. */
    atomic_store(&files->is_asleep, true);
    if (spate_ring_is_empty(files->requests) && !atomic_load(&files->is_closing)) {
        while (read(files->work_fd, &ignored, sizeof ignored) < 0 && errno == EINTR) {
        }
    }
    (void)atomic_exchange(&files->is_asleep, false);
}

void *spate_files_write_forever(void *context)
{
    struct files *files = context;

    while (!atomic_load(&files->is_closing)) {
        uint32_t bytes;
        const struct request *request = spate_ring_take(files->requests, &bytes);

        if (request == NULL) {
            sleep_until_asked(files);
            continue;
        }
        const bool is_done = carry_out(files, request);
        const bool is_news = request->kind == REQUEST_COMMIT || !is_done;
        spate_ring_release(files->requests);
        if (!is_done) {
            atomic_store(&files->failure, (int)SPATE_ERR_IO);
        }
        if (is_news && files->waker != NULL) {
            files->waker->wake(files->waker);
        }
        if (!is_done) {
            break;
        }
    }
    drop_partial(files);
    return NULL;
}
