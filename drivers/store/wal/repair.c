/*
 * Giving up what is damaged (docs/adr/0014). The mark comes first: from then on this core is mute,
 * whatever else a crash leaves, and every opening cuts again until the log itself says that it is.
 */
#include <string.h>

#include "base/assert.h"
#include "wal_internal.h"

/*
 * What goes next. From the end, so that what is left has no gap; when nothing is kept from the
 * beginning, so that what is left never looks like the beginning of a log.
 */
static bool find_gone(const struct wal_store *wal, const struct wal_segments *found,
                      uint64_t *ret_segment)
{
    const bool keeps_nothing = wal->is_fresh && wal->place.segment == 1;

    *ret_segment = keeps_nothing ? found->lowest : found->highest;
    return found->count > 0 && (keeps_nothing || found->highest > wal->place.segment);
}

/* Zeros behind the end, or a segment full of them, as recovery leaves it for the next write. */
static bool clear_rest(struct wal_store *wal)
{
    const struct wal_new_segment order = {.directory_fd = wal->directory_fd,
                                          .segment = wal->place.segment,
                                          .bytes = wal->segment_bytes,
                                          .zeros = wal->ahead.zeros,
                                          .zeros_bytes = WAL_ZEROS_BYTES};

    return wal->is_fresh ? spate_wal_make_segment(&order) == WAL_DONE
                         : spate_wal_clear_segment(&order, wal->at) == WAL_DONE;
}

spate_err spate_wal_cut(struct wal_store *wal)
{
    struct wal_segments found;
    uint64_t gone = 0;

    spate_assert(wal->is_damaged && wal->is_mending);
    spate_assert(!wal->is_started);
    for (;;) {
        if (spate_wal_find_segments(wal->directory_fd, &found) != WAL_DONE) {
            return SPATE_ERR_IO;
        }
        if (!find_gone(wal, &found, &gone)) {
            break;
        }
        if (spate_wal_remove_segment(wal->directory_fd, gone) != WAL_DONE) {
            return SPATE_ERR_IO;
        }
    }
    if (!clear_rest(wal)) {
        return SPATE_ERR_IO;
    }
    wal->is_damaged = false;
    return SPATE_OK;
}

spate_err spate_wal_end_repair(struct wal_store *wal)
{
    spate_assert(!wal->is_damaged && wal->is_mending);
    spate_assert(wal->loaded_hard_state.is_mute);
    if (!spate_wal_write_state(wal, &wal->loaded_hard_state) ||
        spate_wal_remove_file(wal->directory_fd, WAL_MENDING_NAME) != WAL_DONE) {
        return SPATE_ERR_IO;
    }
    wal->is_mending = false;
    return SPATE_OK;
}

spate_err spate_wal_repair(struct spate_store *store)
{
    struct wal_store *wal = (struct wal_store *)store;

    spate_assert(wal->is_damaged && !wal->is_mending);
    spate_assert(wal->submitted == 0);
    /* The text is for people; that the file is there is what counts. */
    if (spate_wal_write_file(wal->directory_fd, WAL_MENDING_NAME, (const uint8_t *)wal->damage,
                             (uint32_t)strlen(wal->damage)) != WAL_DONE) {
        return SPATE_ERR_IO;
    }
    wal->is_mending = true;
    wal->loaded_hard_state.is_mute = true;
    return spate_wal_start(wal);
}
