/* Snapshots for people and programs outside: copies of a running core's state, and what a file is.
 */
#include "snapshot_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

#define READ_BYTES (256u << 10)

spate_err spate_copy_begin(struct spate *spate)
{
    return spate == NULL ? SPATE_ERR_INVALID : spate_node_copy_begin(spate->node);
}

spate_err spate_copy_read(struct spate *spate, void *to, uint32_t capacity, uint32_t *ret_bytes)
{
    if (spate == NULL || to == NULL || capacity == 0 || ret_bytes == NULL) {
        return SPATE_ERR_INVALID;
    }
    const spate_err err = spate_node_copy_read(spate->node, to, capacity, ret_bytes);
    const spate_err health = spate_health(spate);

    return err == SPATE_ERR_BUSY && health != SPATE_OK ? health : err;
}

void spate_copy_end(struct spate *spate)
{
    if (spate != NULL) {
        spate_node_copy_end(spate->node);
    }
}

static bool read_exactly(int fd, uint64_t offset, uint8_t *to, size_t size)
{
    while (size > 0) {
        const ssize_t bytes = pread(fd, to, size, (off_t)offset);

        if (bytes < 0 && errno == EINTR) {
            continue;
        }
        if (bytes <= 0) {
            return false;
        }
        to += bytes;
        offset += (uint64_t)bytes;
        size -= (size_t)bytes;
    }
    return true;
}

/* The header says what the file must be. */
static spate_err check_header(const struct spate_snapshot_file *file,
                              const struct spate_message_line *line,
                              struct spate_snapshot_manifest *manifest)
{
    uint8_t header[SPATE_SNAPSHOT_HEADER_BYTES];
    struct stat status;

    if (fstat(file->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "%s is no file; give what 'spate snapshot save' wrote", file->path);
    }
    const uint64_t size = (uint64_t)status.st_size;
    if (size < sizeof header || !read_exactly(file->fd, 0, header, sizeof header) ||
        !spate_snapshot_header_is_ours(header)) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "%s is no snapshot of spate; give what 'spate snapshot save' wrote",
                             file->path);
    }
    const spate_err err = spate_snapshot_header_decode(header, manifest);
    if (err == SPATE_ERR_MISMATCH) {
        return spate_explain(line, err,
                             "%s was written in another format; use the version of spate that "
                             "wrote it",
                             file->path);
    }
    if (err != SPATE_OK) {
        return spate_explain(line, err, "%s: its header is damaged; use another copy of it",
                             file->path);
    }
    const uint64_t right = spate_snapshot_image_bytes(manifest);
    if (size != right) {
        return spate_explain(line, SPATE_ERR_CORRUPT,
                             "%s is not whole: it has %llu bytes of %llu; copy it again, or use "
                             "another",
                             file->path, (unsigned long long)size, (unsigned long long)right);
    }
    return SPATE_OK;
}

static spate_err check_state(const struct spate_snapshot_file *file,
                             const struct spate_message_line *line)
{
    const uint64_t end = spate_snapshot_image_bytes(&file->manifest);
    struct spate_snapshot_hash hash = {.bytes = 0};
    uint8_t *buffer = malloc(READ_BYTES);
    bool is_read = true;

    if (buffer == NULL) {
        return spate_explain(line, SPATE_ERR_NO_MEMORY, "out of memory");
    }
    for (uint64_t at = SPATE_SNAPSHOT_HEADER_BYTES; is_read && at < end;) {
        const size_t size = end - at < READ_BYTES ? (size_t)(end - at) : READ_BYTES;

        is_read = read_exactly(file->fd, at, buffer, size);
        spate_snapshot_hash_add(&hash, buffer, is_read ? size : 0);
        at += size;
    }
    free(buffer);
    if (!is_read) {
        return spate_explain(line, SPATE_ERR_IO, "%s cannot be read: %s; look at the disk",
                             file->path, strerror(errno));
    }
    if (spate_snapshot_hash_value(&hash) != file->manifest.state_hash) {
        return spate_explain(line, SPATE_ERR_CORRUPT,
                             "%s is damaged: its contents do not have the hash that they were "
                             "saved with; use another copy of it",
                             file->path);
    }
    return SPATE_OK;
}

spate_err spate_snapshot_file_open(const char *path, const struct spate_message_line *line,
                                   struct spate_snapshot_file *ret_file)
{
    struct spate_snapshot_file file = {.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC)};

    spate_assert(ret_file != NULL);
    if (file.fd < 0) {
        const int error = errno;
        return spate_explain(line,
                             error == ENOENT   ? SPATE_ERR_NOT_FOUND
                             : error == EACCES ? SPATE_ERR_PERMISSION
                                               : SPATE_ERR_IO,
                             "%s: %s", path, strerror(error));
    }
    spate_err err = check_header(&file, line, &file.manifest);
    if (err == SPATE_OK) {
        err = check_state(&file, line);
    }
    if (err == SPATE_OK &&
        spate_membership_decode(file.manifest.membership, file.manifest.membership_bytes,
                                &file.membership) != SPATE_OK) {
        err = spate_explain(line, SPATE_ERR_CORRUPT,
                            "%s: its list of members cannot be read; use another copy of it", path);
    }
    if (err != SPATE_OK) {
        (void)close(file.fd);
        return err;
    }
    *ret_file = file;
    return SPATE_OK;
}

bool spate_snapshot_file_read(const struct spate_snapshot_file *file, uint64_t offset, uint8_t *to,
                              uint32_t size)
{
    spate_assert(file->fd >= 0);
    return read_exactly(file->fd, offset, to, size);
}

void spate_snapshot_file_close(struct spate_snapshot_file *file)
{
    (void)close(file->fd);
    file->fd = -1;
}

spate_err spate_snapshot_inspect(const char *file, struct spate_snapshot_info *ret_info,
                                 char *message, size_t message_bytes)
{
    const struct spate_message_line line = {.text = message, .bytes = message_bytes};
    struct spate_snapshot_file opened;

    if (file == NULL || ret_info == NULL) {
        return spate_explain(&line, SPATE_ERR_INVALID, "no file was given");
    }
    const spate_err err = spate_snapshot_file_open(file, &line, &opened);
    if (err != SPATE_OK) {
        return err;
    }
    const struct spate_snapshot_manifest *manifest = &opened.manifest;
    struct spate_snapshot_info info = {
        .format = SPATE_SNAPSHOT_VERSION,
        .last = manifest->last,
        .state_bytes = manifest->state_bytes,
        .state_hash = manifest->state_hash,
        .membership_index = manifest->membership_index,
        .member_count = opened.membership.count,
    };
    memcpy(info.cluster_id, manifest->cluster_id, sizeof info.cluster_id);
    info.state_head_bytes = manifest->state_bytes < sizeof info.state_head
                                ? (uint32_t)manifest->state_bytes
                                : (uint32_t)sizeof info.state_head;
    (void)!read_exactly(opened.fd, SPATE_SNAPSHOT_HEADER_BYTES, info.state_head,
                        info.state_head_bytes);
    for (uint32_t i = 0; i < opened.membership.count; i++) {
        spate_core_show_member(&opened.membership.members[i], &info.members[i]);
    }
    spate_snapshot_file_close(&opened);
    *ret_info = info;
    return SPATE_OK;
}
