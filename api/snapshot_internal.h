/* A snapshot file that was read and checked as a whole. */
#ifndef SPATE_API_SNAPSHOT_INTERNAL_H
#define SPATE_API_SNAPSHOT_INTERNAL_H

#include "data_internal.h"

struct spate_snapshot_file {
    const char *path; /* The caller's. */
    int fd;
    struct spate_snapshot_manifest manifest;
    struct spate_membership membership;
};

/* Errors: as of spate_snapshot_inspect(), each with its line. */
spate_err spate_snapshot_file_open(const char *path, const struct spate_message_line *line,
                                   struct spate_snapshot_file *ret_file);
bool spate_snapshot_file_read(const struct spate_snapshot_file *file, uint64_t offset, uint8_t *to,
                              uint32_t size);
void spate_snapshot_file_close(struct spate_snapshot_file *file);

#endif
