/* What the owner reads: the state that was loaded, and spans for members that are far behind. */
#include <fcntl.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wal_internal.h"

void spate_wal_take_notes(struct wal_store *wal)
{
    const struct wal_note *note = NULL;
    uint32_t ignored = 0;
    bool has_taken = false;

    while ((note = spate_ring_take(wal->notes, &ignored)) != NULL) {
        spate_wal_index_apply(&wal->index, note);
        has_taken = true;
        if (note->has_cut) {
            wal->cursor.is_valid = false;
        }
    }
    if (!has_taken) {
        return;
    }
    spate_ring_release(wal->notes);
    /* Nothing is read from segments before the first point any more. */
    const uint64_t needed = wal->index.count > 0 ? wal->index.points[0].segment : 0;
    if (needed <= wal->released) {
        return;
    }
    struct request *request = spate_ring_reserve(wal->requests, sizeof *request);
    if (request != NULL) {
        *request = (struct request){.kind = REQUEST_RELEASE, .segment = needed};
        spate_ring_publish(wal->requests); /* Not urgent: goes with whatever comes next. */
        wal->released = needed;
        wal->cursor.is_valid = wal->cursor.is_valid && wal->cursor.segment >= needed;
    }
}

spate_err spate_wal_load(struct spate_store *store, struct spate_store_loaded *ret_loaded)
{
    struct wal_store *wal = (struct wal_store *)store;

    spate_assert(wal->submitted == 0); /* Before the first submit: the store thread is idle. */
    *ret_loaded = (struct spate_store_loaded){
        .is_new = wal->loaded_hard_state.term == 0 && wal->index.last == 0 && !wal->is_damaged &&
                  !wal->loaded_hard_state.is_mute,
        .is_damaged = wal->is_damaged,
        .hard_state = wal->loaded_hard_state,
        .base = wal->index.base,
        .last = wal->index.last,
    };
    return SPATE_OK;
}

/* Reads from a segment, whose file stays open for the next time. */
static spate_err read_at(struct wal_store *wal, uint64_t segment, uint64_t at, uint8_t *to,
                         uint32_t size)
{
    if (wal->read_fd < 0 || wal->read_segment != segment) {
        char name[WAL_NAME_BYTES];
        if (wal->read_fd >= 0) {
            (void)close(wal->read_fd);
        }
        spate_wal_name(name, segment);
        wal->read_fd = openat(wal->directory_fd, name, O_RDONLY | O_CLOEXEC);
        wal->read_segment = segment;
        if (wal->read_fd < 0) {
            return SPATE_ERR_IO;
        }
    }
    return spate_wal_read_all(wal->read_fd, to, size, at) ? SPATE_OK : SPATE_ERR_IO;
}

static spate_err read_group(struct wal_store *wal, uint64_t segment, uint32_t at,
                            struct wal_group *ret_group)
{
    uint8_t header[SPATE_WAL_HEADER_BYTES];

    if (at > wal->segment_bytes - SPATE_WAL_BLOCK_BYTES) {
        return SPATE_ERR_CORRUPT;
    }
    const spate_err err = read_at(wal, segment, at, header, sizeof header);
    if (err != SPATE_OK) {
        return err;
    }
    return spate_wal_group_decode(header, wal->salt, ret_group) && ret_group->segment == segment &&
                   spate_wal_group_size(ret_group->bytes) <= wal->segment_bytes - at
               ? SPATE_OK
               : SPATE_ERR_CORRUPT;
}

/* The cursor goes to the next group, in the next segment if this one ends here. */
static spate_err next_group(struct wal_store *wal, struct wal_cursor *cursor)
{
    struct wal_group group;

    cursor->group_at += (uint32_t)spate_wal_group_size(cursor->group_bytes);
    spate_err err = read_group(wal, cursor->segment, cursor->group_at, &group);
    if (err == SPATE_OK && (group.flags & WAL_GROUP_ENDS) != 0) {
        cursor->segment++;
        cursor->group_at = SPATE_WAL_BLOCK_BYTES;
        err = read_group(wal, cursor->segment, cursor->group_at, &group);
    }
    cursor->group_bytes = group.bytes;
    cursor->record_at = 0;
    return err;
}

/* Reads the header of the cursor's record. */
static spate_err read_record_header(struct wal_store *wal, const struct wal_cursor *cursor,
                                    uint32_t *ret_count, uint32_t *ret_bytes,
                                    spate_index *ret_first)
{
    uint8_t header[SPATE_RECORD_HEADER_BYTES];
    const uint64_t at = (uint64_t)cursor->group_at + SPATE_WAL_HEADER_BYTES + cursor->record_at;

    if (cursor->group_bytes - cursor->record_at < sizeof header) {
        return SPATE_ERR_CORRUPT;
    }
    const spate_err err = read_at(wal, cursor->segment, at, header, sizeof header);
    if (err != SPATE_OK) {
        return err;
    }
    *ret_count = spate_get_u32(header + 4);
    *ret_first = spate_get_u64(header + 8);
    *ret_bytes = spate_get_u32(header + 24);
    return *ret_bytes <= cursor->group_bytes - cursor->record_at - sizeof header &&
                   *ret_bytes <= RECORD_BYTES_MAX
               ? SPATE_OK
               : SPATE_ERR_CORRUPT;
}

/* Walks to the record that holds `wanted`. */
static spate_err walk(struct wal_store *wal, struct wal_cursor *cursor, spate_index wanted,
                      uint32_t *ret_bytes)
{
    for (;;) {
        spate_err err = SPATE_OK;
        uint32_t count = 0;
        while (err == SPATE_OK && cursor->record_at == cursor->group_bytes) {
            err = next_group(wal, cursor);
        }
        if (err == SPATE_OK) {
            err = read_record_header(wal, cursor, &count, ret_bytes, &cursor->first);
        }
        if (err != SPATE_OK || (cursor->first <= wanted && wanted - cursor->first < count)) {
            return err;
        }
        if (cursor->first > wanted) {
            return SPATE_ERR_CORRUPT; /* It must be here: the index says so. */
        }
        cursor->record_at += SPATE_RECORD_HEADER_BYTES + *ret_bytes;
    }
}

/* Where to begin: where the last read was, if that is on the way, else at the point. */
static spate_err begin_walk(struct wal_store *wal, const struct wal_point *point,
                            spate_index wanted, struct wal_cursor *ret_cursor)
{
    struct wal_group group;

    if (wal->cursor.is_valid && wal->cursor.first >= point->first && wal->cursor.first <= wanted) {
        *ret_cursor = wal->cursor;
        return SPATE_OK;
    }
    const spate_err err = read_group(wal, point->segment, point->at, &group);
    *ret_cursor = (struct wal_cursor){
        .segment = point->segment, .group_at = point->at, .group_bytes = group.bytes};
    return err;
}

spate_err spate_wal_read(struct spate_store *store, spate_index first, uint32_t bytes_max,
                         struct spate_log_span *ret_span)
{
    struct wal_store *wal = (struct wal_store *)store;
    struct wal_cursor cursor;
    struct spate_record record;
    spate_index last = 0;
    uint32_t bytes = 0;

    spate_wal_take_notes(wal);
    const struct wal_point *point = spate_wal_index_find(&wal->index, first, &last);
    if (point == NULL) {
        return SPATE_ERR_NOT_FOUND;
    }
    spate_err err = begin_walk(wal, point, first, &cursor);
    if (err == SPATE_OK) {
        err = walk(wal, &cursor, first, &bytes);
    }
    if (err != SPATE_OK) {
        return err;
    }
    const uint64_t at = (uint64_t)cursor.group_at + SPATE_WAL_HEADER_BYTES + cursor.record_at;
    err = read_at(wal, cursor.segment, at, wal->read_buffer, SPATE_RECORD_HEADER_BYTES + bytes);
    if (err == SPATE_OK) {
        err = spate_record_decode(wal->read_buffer, SPATE_RECORD_HEADER_BYTES + bytes, &record);
    }
    if (err != SPATE_OK) {
        return err;
    }
    if (record.first != cursor.first || first - record.first >= record.count) {
        return SPATE_ERR_CORRUPT;
    }
    cursor.is_valid = true;
    wal->cursor = cursor;
    const uint64_t count_max = last - first + 1;
    return spate_record_span(&record, first,
                             count_max < UINT32_MAX ? (uint32_t)count_max : UINT32_MAX, bytes_max,
                             ret_span);
}
