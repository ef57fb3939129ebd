#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

spate_err spate_complain(const struct spate_complaint *complaint, spate_err err, const char *format,
                         ...)
{
    va_list arguments;
    if (complaint->message != NULL) {
        va_start(arguments, format);
        (void)vsnprintf(complaint->message, complaint->message_bytes, format, arguments);
        va_end(arguments);
    }
    return err;
}

spate_err spate_place_sync(const char *directory)
{
    const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return SPATE_ERR_IO;
    }
    const int result = fsync(fd);
    (void)close(fd);
    return result == 0 ? SPATE_OK : SPATE_ERR_IO;
}

spate_err spate_place_take(const char *directory, int *ret_fd,
                           const struct spate_complaint *complaint)
{
    char parent[4096];

    spate_assert(directory != NULL);
    if (mkdir(directory, 0700) == 0) {
        (void)snprintf(parent, sizeof parent, "%s/..", directory);
        if (spate_place_sync(parent) != SPATE_OK) {
            return spate_complain(complaint, SPATE_ERR_IO, "cannot sync the directory above %s",
                                  directory);
        }
    } else if (errno != EEXIST) {
        const int error = errno;
        return spate_complain(
            complaint, error == EACCES ? SPATE_ERR_PERMISSION : SPATE_ERR_INVALID,
            "cannot make the directory %s: %s; make its parent, or choose another", directory,
            strerror(error));
    }
    const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        const int error = errno;
        return spate_complain(complaint, error == EACCES ? SPATE_ERR_PERMISSION : SPATE_ERR_INVALID,
                              "cannot open the directory %s: %s", directory, strerror(error));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)close(fd);
        return spate_complain(complaint, SPATE_ERR_IN_USE,
                              "the directory %s belongs to a core that is running; stop that core, "
                              "or choose another directory",
                              directory);
    }
    *ret_fd = fd;
    return SPATE_OK;
}

int spate_place_write(int directory_fd, const char *temporary, const char *name,
                      const uint8_t *bytes, uint32_t size)
{
    const int fd = openat(directory_fd, temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    spate_assert(size > 0);
    if (fd < 0) {
        return errno;
    }
    errno = ENOSPC; /* What a short write means. */
    const bool is_written = pwrite(fd, bytes, size, 0) == (ssize_t)size && fsync(fd) == 0;
    const int error = errno;
    (void)close(fd);
    if (!is_written) {
        return error;
    }
    return renameat(directory_fd, temporary, directory_fd, name) == 0 && fsync(directory_fd) == 0
               ? 0
               : errno;
}

spate_err spate_place_compare(const struct spate_store_identity *stored,
                              const struct spate_store_identity *wanted, const char *directory,
                              const struct spate_complaint *complaint)
{
    if (memcmp(stored->cluster_id, wanted->cluster_id, sizeof stored->cluster_id) != 0) {
        return spate_complain(complaint, SPATE_ERR_MISMATCH,
                              "the data in %s belongs to another cluster; correct cluster.id, or "
                              "choose another directory",
                              directory);
    }
    if (stored->node_id != wanted->node_id) {
        return spate_complain(complaint, SPATE_ERR_MISMATCH,
                              "the data in %s belongs to core %u, not to core %u; correct the id, "
                              "or choose another directory",
                              directory, stored->node_id, wanted->node_id);
    }
    return SPATE_OK;
}
