/* Opening, closing, and the owner's side of the ring. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdio.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wal_internal.h"

#define SEGMENT_BYTES_DEFAULT (32u << 20)
#define SEGMENT_BYTES_MIN     (8u << 20)
#define SEGMENT_BYTES_MAX     (1u << 30)
#define STAGING_BYTES_DEFAULT (32u << 20)
#define LOW_BYTES_DEFAULT     (256ull << 20)
#define NOTES_BYTES           (64u << 10)

/*
 * After publishing to the ring. Both sides exchange is_asleep: whichever exchange comes second
 * sees what the other side wrote before its own, so either we find the writer asleep, or it finds
 * the request when it looks once more before it sleeps.
 */
static void wake_writer(struct wal_store *wal)
{
    const uint64_t one = 1;
    (void)!write(wal->work_fd, &one, sizeof one);
}

static void wake_if_asleep(struct wal_store *wal)
{
    if (atomic_exchange(&wal->is_asleep, false)) {
        wake_writer(wal);
    }
}

/* Bytes that a span may take up as records: two of them hold more than one full record's. */
static uint64_t record_bytes(const struct spate_log_span *span)
{
    const uint64_t records = 1 + 2 * (uint64_t)span->bytes / SPATE_RECORD_ENTRIES_BYTES;
    return span->bytes + records * SPATE_RECORD_HEADER_BYTES;
}

/* Whether entries may be taken: what is on its way fits into what has been made ahead. */
static bool has_room_for(const struct wal_store *wal, uint64_t bytes)
{
    const uint64_t segment = atomic_load_explicit(&wal->segment_written, memory_order_relaxed);
    const uint64_t waiting =
        wal->bytes_submitted - atomic_load_explicit(&wal->bytes_written, memory_order_relaxed);

    return spate_wal_index_has_room(&wal->index) &&
           (atomic_load_explicit(&wal->ahead.ready, memory_order_relaxed) > segment ||
            waiting + bytes + RESERVE_BYTES <=
                atomic_load_explicit(&wal->bytes_left, memory_order_relaxed));
}

static spate_err wal_submit(struct spate_store *store, const struct spate_store_batch *batch,
                            spate_ticket *ret_ticket)
{
    struct wal_store *wal = (struct wal_store *)store;
    size_t bytes = sizeof(struct request) + batch->span_count * sizeof(struct spate_log_span);
    uint64_t group_bytes = 0;

    spate_wal_take_notes(wal);
    for (uint32_t s = 0; s < batch->span_count; s++) {
        bytes += spate_round_up_8(batch->spans[s].bytes);
        group_bytes += record_bytes(&batch->spans[s]);
    }
    spate_assert(bytes <= spate_ring_record_bytes_max(wal->requests));
    spate_assert(group_bytes + SPATE_WAL_HEADER_BYTES <= wal->group_bytes_max);
    if (batch->span_count > 0 && !has_room_for(wal, group_bytes)) {
        return SPATE_ERR_BUSY;
    }
    struct request *request = spate_ring_reserve(wal->requests, (uint32_t)bytes);
    if (request == NULL) {
        return SPATE_ERR_BUSY;
    }
    *request = (struct request){.kind = REQUEST_BATCH,
                                .has_hard_state = batch->has_hard_state,
                                .has_reset = batch->has_reset,
                                .base = batch->reset_base,
                                .has_truncate = batch->has_truncate,
                                .hard_state = batch->hard_state,
                                .truncate_after = batch->truncate_after,
                                .bytes = group_bytes,
                                .span_count = batch->span_count};
    uint8_t *to = (uint8_t *)(request->spans + batch->span_count);
    for (uint32_t s = 0; s < batch->span_count; s++) {
        request->spans[s] = batch->spans[s];
        memcpy(to, batch->spans[s].data, batch->spans[s].bytes);
        to += spate_round_up_8(batch->spans[s].bytes);
    }
    spate_ring_publish(wal->requests);
    wal->bytes_submitted += group_bytes;
    *ret_ticket = ++wal->submitted;
    wake_if_asleep(wal);
    return SPATE_OK;
}

static spate_err wal_poll(struct spate_store *store, spate_ticket *ret_completed)
{
    struct wal_store *wal = (struct wal_store *)store;
    const int failure = atomic_load_explicit(&wal->failure, memory_order_relaxed);

    if (failure != SPATE_OK) {
        return (spate_err)failure;
    }
    if (atomic_load_explicit(&wal->ahead.has_failed, memory_order_relaxed)) {
        return SPATE_ERR_IO; /* Not needed yet, but a disk that fails is no disk. */
    }
    *ret_completed = atomic_load_explicit(&wal->completed, memory_order_acquire);
    spate_wal_take_notes(wal);
    return SPATE_OK;
}

static spate_err wal_compact(struct spate_store *store, spate_index first_kept)
{
    struct wal_store *wal = (struct wal_store *)store;

    spate_wal_take_notes(wal);
    const struct spate_entry_id base = spate_wal_index_base_below(&wal->index, first_kept);
    if (base.index == wal->index.base.index) {
        return SPATE_OK; /* Nothing that could go has a point of its own yet. */
    }
    struct request *request = spate_ring_reserve(wal->requests, sizeof *request);
    if (request == NULL) {
        return SPATE_ERR_BUSY;
    }
    *request = (struct request){.kind = REQUEST_COMPACT, .base = base};
    spate_ring_publish(wal->requests);
    wake_if_asleep(wal);
    return SPATE_OK;
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

static void wal_close(struct spate_store *store)
{
    struct wal_store *wal = (struct wal_store *)store;

    if (wal == NULL) {
        return;
    }
    if (wal->is_started) {
        atomic_store(&wal->is_closing, true);
        wake_writer(wal);
        (void)pthread_join(wal->thread, NULL);
    }
    spate_wal_ahead_stop(&wal->ahead);
    close_fd(wal->fd);
    close_fd(wal->read_fd);
    close_fd(wal->work_fd);
    close_fd(wal->directory_fd);
    spate_ring_destroy(wal->requests);
    spate_ring_destroy(wal->notes);
    spate_wal_index_destroy(&wal->index);
    free(wal->buffer);
    free(wal->read_buffer);
    free(wal);
}

static const struct spate_store_ops wal_ops = {
    .name = "wal",
    .load = spate_wal_load,
    .repair = spate_wal_repair,
    .read = spate_wal_read,
    .submit = wal_submit,
    .poll = wal_poll,
    .compact = wal_compact,
    .close = wal_close,
};

static spate_err reserve_memory(struct wal_store *wal, uint32_t staging_bytes)
{
    const size_t group_at = (size_t)SPATE_WAL_BLOCK_BYTES * 2;
    const uint32_t batch_bytes =
        staging_bytes / 4 < wal->segment_bytes / 2 ? staging_bytes / 4 : wal->segment_bytes / 2;

    wal->store.batch_bytes_max = batch_bytes;
    wal->group_bytes_max =
        (uint32_t)spate_wal_group_size(batch_bytes + batch_bytes / 8 + (128u << 10));
    spate_assert(wal->group_bytes_max + 2 * SPATE_WAL_BLOCK_BYTES <= wal->segment_bytes);
    wal->buffer = aligned_alloc(SPATE_WAL_BLOCK_BYTES, group_at + wal->group_bytes_max);
    wal->read_buffer = malloc(SPATE_RECORD_HEADER_BYTES + RECORD_BYTES_MAX);
    if (wal->buffer == NULL || wal->read_buffer == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    wal->empty = wal->buffer;
    wal->group = wal->buffer + group_at;
    const spate_err err = spate_ring_create(staging_bytes, &wal->requests);
    return err == SPATE_OK ? spate_ring_create(NOTES_BYTES, &wal->notes) : err;
}

/* Opens the segment that the log goes on in. */
static spate_err open_end(struct wal_store *wal)
{
    if (wal->is_fresh) {
        return spate_wal_begin_segment(wal) ? SPATE_OK : SPATE_ERR_IO;
    }
    wal->fd = spate_wal_open_for_writing(wal->directory_fd, wal->place.segment);
    atomic_store(&wal->segment_written, wal->place.segment);
    atomic_store(&wal->bytes_left, wal->segment_bytes - wal->at);
    spate_wal_ahead_want(&wal->ahead, wal->place.segment + 1);
    return wal->fd >= 0 ? SPATE_OK : SPATE_ERR_IO;
}

spate_err spate_wal_start(struct wal_store *wal)
{
    spate_assert(!wal->is_started);
    spate_err err = wal->is_damaged ? spate_wal_cut(wal) : SPATE_OK;
    if (err == SPATE_OK) {
        err = open_end(wal);
    }
    if (err == SPATE_OK) {
        err = spate_wal_ahead_start(&wal->ahead);
    }
    if (err == SPATE_OK && wal->is_mending) {
        err = spate_wal_end_repair(wal);
    }
    if (err == SPATE_OK) {
        wal->is_started = pthread_create(&wal->thread, NULL, spate_wal_write_forever, wal) == 0;
        err = wal->is_started ? SPATE_OK : SPATE_ERR_NO_MEMORY;
    }
    return err;
}

static spate_err open_all(struct wal_store *wal, const struct spate_store_wal_options *options,
                          const struct spate_complaint *complaint)
{
    const uint32_t staging =
        options->staging_bytes != 0 ? options->staging_bytes : STAGING_BYTES_DEFAULT;

    if (wal->segment_bytes < SEGMENT_BYTES_MIN || wal->segment_bytes > SEGMENT_BYTES_MAX ||
        wal->segment_bytes % SPATE_WAL_BLOCK_BYTES != 0) {
        return spate_complain(complaint, SPATE_ERR_INVALID,
                              "segments of %u bytes: choose 8 MiB to 1 GiB, in blocks of 4 KiB",
                              wal->segment_bytes);
    }
    spate_err err = spate_place_take(options->directory, &wal->directory_fd, complaint);
    wal->ahead.directory_fd = wal->directory_fd;
    if (err == SPATE_OK) {
        err = spate_wal_ahead_create(&wal->ahead);
    }
    if (err == SPATE_OK) {
        err = spate_wal_index_create(&wal->index);
    }
    wal->work_fd = eventfd(0, EFD_CLOEXEC);
    if (err == SPATE_OK && wal->work_fd < 0) {
        err = SPATE_ERR_NO_MEMORY;
    }
    if (err == SPATE_OK) {
        err = spate_wal_recover(wal, options, complaint);
    }
    if (err == SPATE_OK) {
        wal->ahead.segment_bytes = wal->segment_bytes;
        err = reserve_memory(wal, staging);
    }
    return err == SPATE_OK && (!wal->is_damaged || wal->is_mending) ? spate_wal_start(wal) : err;
}

spate_err spate_store_wal_create(const struct spate_store_wal_options *options,
                                 struct spate_store **ret_store, char *message,
                                 size_t message_bytes)
{
    const struct spate_complaint complaint = {message, message_bytes};
    struct wal_store *wal = calloc(1, sizeof *wal);

    if (wal == NULL) {
        return spate_complain(&complaint, SPATE_ERR_NO_MEMORY, "out of memory");
    }
    wal->store.ops = &wal_ops;
    wal->store.durability = SPATE_DURABILITY_DISK;
    wal->store.is_low = &wal->ahead.is_low;
    wal->directory = options->directory;
    wal->segment_bytes =
        options->segment_bytes != 0 ? options->segment_bytes : SEGMENT_BYTES_DEFAULT;
    wal->ahead.low_bytes = options->low_bytes != 0 ? options->low_bytes : LOW_BYTES_DEFAULT;
    wal->waker = options->waker;
    wal->directory_fd = wal->fd = wal->read_fd = wal->work_fd = -1;
    wal->ahead.wake_fd = wal->ahead.ready_fd = -1;
    (void)spate_complain(&complaint, SPATE_OK, "%s", "");
    const spate_err err = open_all(wal, options, &complaint);
    wal->directory = NULL; /* The caller's. */
    if (err != SPATE_OK) {
        if (message != NULL && message[0] == '\0') {
            (void)spate_complain(&complaint, err, "the store in %s: %s", options->directory,
                                 spate_err_text(err));
        }
        wal_close(&wal->store);
        return err;
    }
    *ret_store = &wal->store;
    return SPATE_OK;
}

bool spate_store_wal_is_in(const char *directory)
{
    char path[4096];
    struct stat status;

    (void)snprintf(path, sizeof path, "%s/%s", directory, WAL_IDENTITY_NAME);
    return stat(path, &status) == 0;
}
