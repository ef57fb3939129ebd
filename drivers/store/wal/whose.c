/* Whose data a directory holds, without opening it as a store. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/assert.h"
#include "files.h"
#include "store/record.h"
#include "wal.h"

spate_err spate_store_wal_whose(const char *directory, struct spate_store_identity *ret_identity)
{
    uint8_t bytes[SPATE_IDENTITY_BYTES];
    char path[4096];

    spate_assert(directory != NULL && ret_identity != NULL);
    (void)snprintf(path, sizeof path, "%s/%s", directory, WAL_IDENTITY_NAME);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT   ? SPATE_ERR_NOT_FOUND
               : errno == EACCES ? SPATE_ERR_PERMISSION
                                 : SPATE_ERR_IO;
    }
    const bool is_read = spate_wal_read_all(fd, bytes, sizeof bytes, 0);
    (void)close(fd);
    return is_read ? spate_identity_decode(bytes, sizeof bytes, ret_identity) : SPATE_ERR_CORRUPT;
}
