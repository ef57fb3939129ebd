/*
 * A file that is written round and round: the least that durability can cost. Its blocks are
 * written once before the measurement, so that a sync has data to flush and no metadata.
 */
#ifndef SPATE_BENCH_LIMITS_JOURNAL_INTERNAL_H
#define SPATE_BENCH_LIMITS_JOURNAL_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/* Bytes of one append, at most. */
#define BENCH_JOURNAL_APPEND_MAX (16u << 20)

struct bench_journal {
    int fd;
    uint64_t at;
};

/* The file has no name, so nothing is left behind. False: says why on stderr. */
bool bench_journal_open(const char *directory, struct bench_journal *ret_journal);
void bench_journal_close(struct bench_journal *journal);

/* Writes the parts one after the other, then syncs. A failure ends the process. */
void bench_journal_append(struct bench_journal *journal, const struct iovec parts[],
                          uint32_t count);

#endif
