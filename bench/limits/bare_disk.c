#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bench/limits/bare_loop.h"

#define LOG_BYTES (64u << 20)

bool bare_log_create(struct bare_log *log, const struct bench_bare_options *options)
{
    const uint32_t room = (options->frame_bytes - (uint32_t)sizeof(struct bare_header)) & ~7u;
    const uint32_t pieces = (options->payload_bytes + room - 1) / room;
    const uint32_t slot_bytes = ((options->payload_bytes + pieces - 1) / pieces + 7) & ~7u;
    uint64_t slots = 1;

    while (slots < 2ull * options->in_flight * pieces || slots * slot_bytes < LOG_BYTES) {
        slots *= 2;
    }
    *log = (struct bare_log){.bytes = malloc(slots * slot_bytes),
                             .mask = slots - 1,
                             .slot_bytes = slot_bytes,
                             .entry_slots = pieces};
    if (log->bytes == NULL) {
        return false;
    }
    memset(log->bytes, 1, slots * slot_bytes);
    return true;
}

void bare_log_destroy(struct bare_log *log)
{
    free(log->bytes);
}

uint32_t bare_log_parts(const struct bare_log *log, uint64_t first, uint64_t count,
                        struct iovec parts[2])
{
    const uint64_t to_end = log->mask + 1 - (first & log->mask);
    const uint64_t in_first = count < to_end ? count : to_end;

    parts[0].iov_base = log->bytes + (first & log->mask) * log->slot_bytes;
    parts[0].iov_len = in_first * log->slot_bytes;
    if (in_first == count) {
        return 1;
    }
    parts[1].iov_base = log->bytes;
    parts[1].iov_len = (count - in_first) * log->slot_bytes;
    return 2;
}

static void notify(int fd)
{
    const uint64_t one = 1;
    if (write(fd, &one, sizeof one) != sizeof one) {
        perror("eventfd");
        exit(1);
    }
}

/* Group commit: what was staged during one sync goes into the next. */
static void *write_and_sync(void *argument)
{
    struct bare_disk *disk = argument;
    uint64_t written = 0;

    while (!atomic_load_explicit(&disk->is_over, memory_order_relaxed)) {
        const uint64_t staged = atomic_load(&disk->staged);
        if (staged == written) {
            uint64_t drained = 0;
            (void)!read(disk->work_fd, &drained, sizeof drained);
            continue;
        }
        struct iovec parts[2];
        const uint64_t most = BENCH_JOURNAL_APPEND_MAX / disk->log->slot_bytes;
        const uint64_t count = staged - written < most ? staged - written : most;
        bench_journal_append(&disk->journal, parts,
                             bare_log_parts(disk->log, written + 1, count, parts));
        written += count;
        atomic_store(&disk->durable, written);
        atomic_fetch_add_explicit(&disk->syncs, 1, memory_order_relaxed);
        notify(disk->done_fd);
    }
    return NULL;
}

bool bare_disk_start(struct bare_disk *disk, const char *directory, const struct bare_log *log)
{
    *disk = (struct bare_disk){.log = log};
    if (!bench_journal_open(directory, &disk->journal)) {
        return false;
    }
    disk->work_fd = eventfd(0, EFD_CLOEXEC);
    disk->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return disk->work_fd >= 0 && disk->done_fd >= 0 &&
           pthread_create(&disk->thread, NULL, write_and_sync, disk) == 0;
}

void bare_disk_stop(struct bare_disk *disk)
{
    atomic_store(&disk->is_over, true);
    notify(disk->work_fd);
    (void)pthread_join(disk->thread, NULL);
    bench_journal_close(&disk->journal);
    (void)close(disk->work_fd);
    (void)close(disk->done_fd);
}

void bare_disk_stage(struct bare_disk *disk, uint64_t last)
{
    const uint64_t before = atomic_load_explicit(&disk->staged, memory_order_relaxed);
    if (last == before) {
        return;
    }
    /* The thread looks again after every sync; it only needs a call when it had run dry. Each side
     * writes its own word and then reads the other's: sequentially consistent, so one of them
     * sees the other. */
    atomic_store(&disk->staged, last);
    if (atomic_load(&disk->durable) == before) {
        notify(disk->work_fd);
    }
}

uint64_t bare_disk_durable(struct bare_disk *disk)
{
    const uint64_t durable = atomic_load_explicit(&disk->durable, memory_order_acquire);

    if (durable != disk->seen) {
        uint64_t drained = 0;
        (void)!read(disk->done_fd, &drained, sizeof drained);
        disk->seen = durable;
    }
    return durable;
}
