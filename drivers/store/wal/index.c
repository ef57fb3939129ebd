#include "index.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct wal_note spate_wal_note(struct wal_pointer *pointer, const struct wal_state *before,
                               const struct wal_group *group, uint32_t at)
{
    struct spate_entry_id last = before->last;
    struct wal_note note = {.base = group->state.base, .last = group->state.last.index};

    if ((group->flags & WAL_GROUP_TRUNCATES) != 0) {
        last = (struct spate_entry_id){0, group->truncate_after};
        note.has_cut = true;
    }
    if ((group->flags & WAL_GROUP_RESETS) != 0) {
        last = group->state.base;
        note.has_cut = true;
    }
    note.cut_after = (group->flags & WAL_GROUP_RESETS) != 0 ? 0 : last.index;
    pointer->is_due |= note.has_cut || at == SPATE_WAL_BLOCK_BYTES;
    if (group->record_count > 0 && (pointer->is_due || pointer->bytes_since >= WAL_POINT_BYTES)) {
        note.has_point = true;
        note.point = (struct wal_point){
            .first = last.index + 1, .segment = group->segment, .at = at, .term_before = last.term};
        *pointer = (struct wal_pointer){0};
    }
    pointer->bytes_since += spate_wal_group_size(group->bytes);
    return note;
}

spate_err spate_wal_index_create(struct wal_index *index)
{
    *index = (struct wal_index){.points = malloc(WAL_POINTS_MAX * sizeof *index->points)};
    return index->points != NULL ? SPATE_OK : SPATE_ERR_NO_MEMORY;
}

void spate_wal_index_destroy(struct wal_index *index)
{
    free(index->points);
    index->points = NULL;
}

bool spate_wal_index_has_room(const struct wal_index *index)
{
    /* What is on its way may need some too. */
    return index->count < WAL_POINTS_MAX - WAL_POINTS_MAX / 16;
}

/* The number of points whose first entry is at most `wanted`. */
static uint32_t points_up_to(const struct wal_index *index, spate_index wanted)
{
    uint32_t low = 0;
    uint32_t high = index->count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (index->points[middle].first <= wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Forgets the points that only lead to entries up to the base. */
static void drop_before(struct wal_index *index, spate_index base)
{
    const uint32_t kept_from = points_up_to(index, base + 1);

    if (kept_from > 1) {
        index->count -= kept_from - 1;
        memmove(index->points, index->points + kept_from - 1, index->count * sizeof *index->points);
    }
}

void spate_wal_index_apply(struct wal_index *index, const struct wal_note *note)
{
    if (note->has_cut) {
        index->count = points_up_to(index, note->cut_after);
    }
    if (note->has_point) {
        spate_assert(index->count < WAL_POINTS_MAX);
        spate_assert(index->count == 0 ||
                     index->points[index->count - 1].first < note->point.first);
        index->points[index->count++] = note->point;
    }
    index->last = note->last;
    index->base = note->base;
    drop_before(index, note->base.index);
    spate_assert(index->base.index <= index->last);
}

const struct wal_point *spate_wal_index_find(const struct wal_index *index, spate_index wanted,
                                             spate_index *ret_last)
{
    const uint32_t count = points_up_to(index, wanted);

    if (wanted <= index->base.index || wanted > index->last || count == 0) {
        return NULL;
    }
    *ret_last = count < index->count ? index->points[count].first - 1 : index->last;
    return &index->points[count - 1];
}

struct spate_entry_id spate_wal_index_base_below(const struct wal_index *index,
                                                 spate_index first_kept)
{
    for (uint32_t p = points_up_to(index, first_kept); p > 0; p--) {
        const struct wal_point *point = &index->points[p - 1];
        if (point->first <= index->base.index + 1) {
            break;
        }
        if (point->term_before != 0) {
            return (struct spate_entry_id){point->term_before, point->first - 1};
        }
    }
    return index->base;
}
