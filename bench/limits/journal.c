#include "bench/limits/journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES  (32u << 20)
#define PIECE_BYTES (1u << 20)

static bool fill(int fd)
{
    uint8_t *zeros = calloc(1, PIECE_BYTES);
    bool is_full = zeros != NULL;

    for (uint64_t at = 0; is_full && at < FILE_BYTES; at += PIECE_BYTES) {
        is_full = pwrite(fd, zeros, PIECE_BYTES, (off_t)at) == PIECE_BYTES;
    }
    free(zeros);
    return is_full && fsync(fd) == 0;
}

bool bench_journal_open(const char *directory, struct bench_journal *ret_journal)
{
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/spate-limit-XXXXXX", directory);
    const int fd = mkstemp(path);
    if (fd < 0) {
        (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    (void)unlink(path);
    if (!fill(fd)) {
        (void)fprintf(stderr, "%s: cannot write %u bytes: %s\n", directory, FILE_BYTES,
                      strerror(errno));
        (void)close(fd);
        return false;
    }
    *ret_journal = (struct bench_journal){.fd = fd};
    return true;
}

void bench_journal_close(struct bench_journal *journal)
{
    (void)close(journal->fd);
}

void bench_journal_append(struct bench_journal *journal, const struct iovec parts[], uint32_t count)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < count; i++) {
        bytes += parts[i].iov_len;
    }
    if (journal->at + bytes > FILE_BYTES) {
        journal->at = 0;
    }
    if (pwritev(journal->fd, parts, (int)count, (off_t)journal->at) != (ssize_t)bytes ||
        fdatasync(journal->fd) != 0) {
        (void)fprintf(stderr, "journal: %s\n", strerror(errno));
        exit(1);
    }
    journal->at += bytes;
}
