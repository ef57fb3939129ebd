/* What stands in the directory when the store is opened: whose it is, and the whole groups. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "wal_internal.h"

/* The identity as every store has it, then: checksum, version, bytes of a segment, salt. */
#define PARAMETERS_BYTES 32u
#define FILE_BYTES       (SPATE_IDENTITY_BYTES + PARAMETERS_BYTES)

struct recovery {
    struct wal_store *wal;
    const struct spate_complaint *complaint;
    uint8_t *image; /* Of one segment. */
    struct wal_segments segments;
    uint64_t lowest; /* Number of the first segment. */
    struct wal_pointer pointer;
    struct wal_state before; /* The group that is visited. */
    bool has_leftover;       /* Something lies behind the end. */
    bool lacks_beginning;    /* Nothing that is whole is of use. */
};

/* What is damaged, for the line that says so. */
__attribute__((format(printf, 2, 3))) static spate_err found_damage(const struct recovery *recovery,
                                                                    const char *format, ...)
{
    struct wal_store *wal = recovery->wal;
    char what[128];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    (void)snprintf(wal->damage, sizeof wal->damage, "the data in %.256s is damaged (%s)",
                   wal->directory, what);
    return SPATE_ERR_CORRUPT;
}

/* The log is whole up to there: at 0 the segment is not what it must be from its beginning. */
static spate_err damaged(struct recovery *recovery, uint64_t segment, uint32_t at)
{
    struct wal_store *wal = recovery->wal;
    char name[WAL_NAME_BYTES];

    wal->place.segment = segment;
    wal->is_fresh = at == 0;
    wal->at = at == 0 ? SPATE_WAL_BLOCK_BYTES : at;
    recovery->lacks_beginning = at == 0 && segment == recovery->lowest;
    spate_wal_name(name, segment);
    return found_damage(recovery, "%s, byte %u: the record behind index %llu", name, at,
                        (unsigned long long)wal->place.state.last.index);
}

static spate_err missing(struct recovery *recovery, const char *what)
{
    recovery->lacks_beginning = true;
    return found_damage(recovery, "%s is missing", what);
}

static spate_err failed(const struct recovery *recovery, const char *what)
{
    const int error = errno;
    return spate_complain(recovery->complaint,
                          error == EACCES || error == EPERM ? SPATE_ERR_PERMISSION : SPATE_ERR_IO,
                          "%s: %s: %s", recovery->wal->directory, what, strerror(error));
}

/* Reads a segment into the image. CORRUPT: there is none of the right size; no line is written. */
static spate_err read_segment(struct recovery *recovery, uint64_t segment)
{
    const struct wal_store *wal = recovery->wal;
    struct stat status = {0};
    char name[WAL_NAME_BYTES];

    spate_wal_name(name, segment);
    const int fd = openat(wal->directory_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? SPATE_ERR_CORRUPT : failed(recovery, name);
    }
    spate_err err = SPATE_OK;
    if (fstat(fd, &status) != 0 || status.st_size != (off_t)wal->segment_bytes) {
        err = SPATE_ERR_CORRUPT;
    } else if (!spate_wal_read_all(fd, recovery->image, wal->segment_bytes, 0)) {
        err = failed(recovery, name);
    }
    (void)close(fd);
    return err;
}

static void visit(void *context, const struct wal_group *group, uint32_t at)
{
    struct recovery *recovery = context;
    const struct wal_note note = spate_wal_note(&recovery->pointer, &recovery->before, group, at);

    spate_wal_index_apply(&recovery->wal->index, &note);
    recovery->before = group->state;
}

static bool is_same_place(const struct wal_segment *segment, const struct wal_place *place)
{
    const struct wal_state *a = &segment->state;
    const struct wal_state *b = &place->state;

    return segment->group_next == place->group_next && segment->chain == place->chain &&
           a->hard_state.term == b->hard_state.term && a->hard_state.vote == b->hard_state.vote &&
           a->hard_state.is_mute == b->hard_state.is_mute && a->last.index == b->last.index &&
           a->base.index == b->base.index;
}

/* Whether the image begins where the log before ended; the lowest says itself where that is. */
static bool begin_segment(struct recovery *recovery, uint64_t number)
{
    struct wal_store *wal = recovery->wal;
    struct wal_segment segment;

    if (!spate_wal_segment_decode(recovery->image, wal->salt, &segment) ||
        segment.segment != number || segment.bytes != wal->segment_bytes ||
        segment.group_next == 0) {
        return false;
    }
    if (number == recovery->lowest) {
        wal->place = (struct wal_place){.segment = number,
                                        .group_next = segment.group_next,
                                        .chain = segment.chain,
                                        .state = segment.state};
        wal->index.base = segment.state.base;
        wal->index.last = segment.state.last.index;
        recovery->before = segment.state;
    }
    return is_same_place(&segment, &wal->place);
}

/* Whether something lies in the image behind the end: what a torn write left. */
static void look_behind_end(struct recovery *recovery)
{
    const struct wal_store *wal = recovery->wal;
    const uint32_t at = wal->is_fresh ? 0 : wal->at;
    const uint32_t size = wal->segment_bytes - at;

    recovery->has_leftover =
        spate_wal_zero_sectors(recovery->image + at, size) != size / SPATE_WAL_SECTOR_BYTES;
}

/* Behind the end nothing may be, for the next torn write to be told from damage. */
static spate_err clear_behind_end(struct recovery *recovery)
{
    const struct wal_store *wal = recovery->wal;
    const struct wal_new_segment order = {.directory_fd = wal->directory_fd,
                                          .segment = wal->place.segment,
                                          .bytes = wal->segment_bytes,
                                          .zeros = wal->ahead.zeros,
                                          .zeros_bytes = WAL_ZEROS_BYTES};

    if (!recovery->has_leftover ||
        spate_wal_clear_segment(&order, wal->is_fresh ? 0 : wal->at) == WAL_DONE) {
        return SPATE_OK;
    }
    return failed(recovery, "cannot clear the end of the log");
}

/* The one made ahead holds nothing; one that is not all zero is made again. */
static spate_err check_ahead(struct recovery *recovery)
{
    struct wal_store *wal = recovery->wal;
    const uint64_t next = wal->place.segment + 1;
    const struct wal_place nowhere = {.segment = next};

    atomic_store(&wal->ahead.ready, wal->place.segment);
    if (recovery->segments.highest < next) {
        return SPATE_OK;
    }
    const spate_err err = read_segment(recovery, next);
    if (err != SPATE_OK && err != SPATE_ERR_CORRUPT) {
        return err;
    }
    if (recovery->segments.highest > next ||
        (err == SPATE_OK &&
         !spate_wal_is_unused(recovery->image, wal->segment_bytes, wal->salt, &nowhere))) {
        return damaged(recovery, wal->place.segment, wal->is_fresh ? 0 : wal->at);
    }
    if (err == SPATE_OK && spate_wal_zero_sectors(recovery->image, wal->segment_bytes) ==
                               wal->segment_bytes / SPATE_WAL_SECTOR_BYTES) {
        atomic_store(&wal->ahead.ready, next);
    }
    return SPATE_OK;
}

/* Scans one segment. *ret_goes_on: the log does, in the next. */
static spate_err scan_segment(struct recovery *recovery, uint64_t number, bool *ret_goes_on)
{
    struct wal_store *wal = recovery->wal;
    const spate_err err = read_segment(recovery, number);

    *ret_goes_on = false;
    if (err != SPATE_OK) {
        return err == SPATE_ERR_CORRUPT ? damaged(recovery, number, 0) : err;
    }
    if ((number > recovery->lowest || number == 1) &&
        spate_wal_is_unused(recovery->image, wal->segment_bytes, wal->salt, &wal->place)) {
        wal->is_fresh = true;
        wal->at = SPATE_WAL_BLOCK_BYTES;
        look_behind_end(recovery);
        return SPATE_OK;
    }
    if (!begin_segment(recovery, number)) {
        return damaged(recovery, number, 0);
    }
    const struct wal_scan scan = spate_wal_scan(recovery->image, wal->segment_bytes, wal->salt,
                                                &wal->place, visit, recovery);
    wal->at = scan.at;
    if (scan.result == WAL_SCAN_DAMAGED) {
        return damaged(recovery, number, scan.at);
    }
    *ret_goes_on = scan.result == WAL_SCAN_GOES_ON;
    if (!*ret_goes_on) {
        look_behind_end(recovery);
    }
    return SPATE_OK;
}

/* Whether entries behind the base are not here. */
static bool lacks_first(const struct wal_index *index)
{
    return index->last > index->base.index &&
           (index->count == 0 || index->points[0].first > index->base.index + 1);
}

static spate_err scan_all(struct recovery *recovery)
{
    struct wal_store *wal = recovery->wal;
    bool goes_on = true;

    wal->place = (struct wal_place){.segment = recovery->lowest, .group_next = 1};
    for (uint64_t s = recovery->lowest; goes_on; s++) {
        const spate_err err = scan_segment(recovery, s, &goes_on);
        if (err != SPATE_OK) {
            return err;
        }
    }
    if (lacks_first(&wal->index)) {
        return missing(recovery, "the first segment");
    }
    /* Nothing is changed before all is known to be whole. */
    const spate_err err = check_ahead(recovery);
    return err == SPATE_OK ? clear_behind_end(recovery) : err;
}

/*
 * What stands before the damage is what the log is from now on, hard state and commit as they were
 * then: later ones may speak of entries that are lost. Segments that a later base let go may be
 * gone already; then the base is where the first one that is left begins.
 */
static void keep_what_is_whole(struct recovery *recovery)
{
    struct wal_store *wal = recovery->wal;
    struct wal_index *index = &wal->index;

    if (lacks_first(index) && index->count > 0 && index->points[0].term_before != 0) {
        index->base.term = index->points[0].term_before;
        index->base.index = index->points[0].first - 1;
        wal->place.state.base = index->base;
    }
    if (recovery->lacks_beginning || lacks_first(index)) {
        const struct spate_hard_state hard_state = {.term = wal->place.state.hard_state.term,
                                                    .vote = wal->place.state.hard_state.vote};
        wal->place =
            (struct wal_place){.segment = 1, .group_next = 1, .state = {.hard_state = hard_state}};
        wal->is_fresh = true;
        wal->at = SPATE_WAL_BLOCK_BYTES;
        index->base = (struct spate_entry_id){0};
        index->last = 0;
        index->count = 0;
        recovery->pointer = (struct wal_pointer){0};
        recovery->lowest = 1;
    }
    atomic_store(&wal->ahead.ready, wal->place.segment);
}

/* Whoever accepts damage opens what is left of the log; a repair that has begun goes on. */
static spate_err settle_damage(struct recovery *recovery, bool is_accepted)
{
    struct wal_store *wal = recovery->wal;

    if (!is_accepted && !wal->is_mending) {
        return spate_complain(recovery->complaint, SPATE_ERR_CORRUPT, "%s; %s", wal->damage,
                              WAL_REMEDY);
    }
    keep_what_is_whole(recovery);
    wal->is_damaged = true;
    wal->store.damage = wal->damage;
    return SPATE_OK;
}

static void encode_file(const struct wal_store *wal, const struct spate_store_identity *identity,
                        uint8_t to[FILE_BYTES])
{
    uint8_t *parameters = to + SPATE_IDENTITY_BYTES;

    memset(to, 0, FILE_BYTES);
    spate_identity_encode(to, identity);
    spate_put_u32(parameters + 4, SPATE_WAL_FORMAT_VERSION);
    spate_put_u32(parameters + 8, wal->segment_bytes);
    spate_put_u32(parameters + 12, wal->salt);
    spate_put_u32(parameters, spate_crc32c(0, parameters + 4, PARAMETERS_BYTES - 4));
}

static spate_err decode_file(struct recovery *recovery, const uint8_t bytes[FILE_BYTES],
                             const struct spate_store_identity *wanted)
{
    struct wal_store *wal = recovery->wal;
    const uint8_t *parameters = bytes + SPATE_IDENTITY_BYTES;
    struct spate_store_identity stored = {0};

    spate_err err = spate_identity_decode(bytes, SPATE_IDENTITY_BYTES, &stored);
    if (err == SPATE_OK &&
        spate_get_u32(parameters) != spate_crc32c(0, parameters + 4, PARAMETERS_BYTES - 4)) {
        err = SPATE_ERR_CORRUPT;
    }
    if (err == SPATE_OK && spate_get_u32(parameters + 4) != SPATE_WAL_FORMAT_VERSION) {
        err = SPATE_ERR_MISMATCH;
    }
    if (err == SPATE_ERR_MISMATCH) {
        return spate_complain(recovery->complaint, err,
                              "the data in %s was written in another format; run the version of "
                              "spate that wrote it",
                              wal->directory);
    }
    wal->segment_bytes = spate_get_u32(parameters + 8);
    wal->salt = spate_get_u32(parameters + 12);
    if (err != SPATE_OK || wal->segment_bytes % SPATE_WAL_BLOCK_BYTES != 0 ||
        wal->segment_bytes < 2 * RESERVE_BYTES) {
        return spate_complain(recovery->complaint, SPATE_ERR_CORRUPT,
                              "the identity of the data in %s is damaged; %s", wal->directory,
                              WAL_REMEDY);
    }
    return spate_place_compare(&stored, wanted, wal->directory, recovery->complaint);
}

/* What was left of founding that was cut short: a first segment that is all zero. */
static spate_err check_unfounded(struct recovery *recovery)
{
    struct wal_store *wal = recovery->wal;

    if (recovery->segments.count == 0) {
        return SPATE_OK;
    }
    spate_err err = recovery->segments.highest == 1 ? read_segment(recovery, 1) : SPATE_ERR_CORRUPT;
    if (err == SPATE_OK && spate_wal_zero_sectors(recovery->image, wal->segment_bytes) !=
                               wal->segment_bytes / SPATE_WAL_SECTOR_BYTES) {
        err = SPATE_ERR_CORRUPT;
    }
    return err == SPATE_ERR_CORRUPT
               ? spate_complain(recovery->complaint, err,
                                "the data in %s is damaged (%s is missing); %s", wal->directory,
                                WAL_IDENTITY_NAME, WAL_REMEDY)
               : err;
}

static spate_err found(struct recovery *recovery, const struct spate_store_identity *identity)
{
    struct wal_store *wal = recovery->wal;
    uint8_t bytes[FILE_BYTES];
    const struct wal_new_segment order = {.directory_fd = wal->directory_fd,
                                          .segment = 1,
                                          .bytes = wal->segment_bytes,
                                          .zeros = wal->ahead.zeros,
                                          .zeros_bytes = WAL_ZEROS_BYTES};

    const spate_err err = check_unfounded(recovery);
    if (err != SPATE_OK) {
        return err;
    }
    if (getrandom(&wal->salt, sizeof wal->salt, 0) != (ssize_t)sizeof wal->salt) {
        return failed(recovery, "no random number");
    }
    if (spate_wal_make_segment(&order) != WAL_DONE) {
        return failed(recovery, "cannot make the first segment");
    }
    encode_file(wal, identity, bytes);
    if (spate_wal_write_file(wal->directory_fd, WAL_IDENTITY_NAME, bytes, sizeof bytes) !=
        WAL_DONE) {
        return failed(recovery, "cannot write " WAL_IDENTITY_NAME);
    }
    wal->place = (struct wal_place){.segment = 1, .group_next = 1};
    wal->is_fresh = true;
    wal->at = SPATE_WAL_BLOCK_BYTES;
    recovery->lowest = 1;
    atomic_store(&wal->ahead.ready, 1);
    return SPATE_OK;
}

/* NOT_FOUND: there is none. */
static spate_err read_identity(struct recovery *recovery, const struct spate_store_identity *wanted)
{
    uint8_t bytes[FILE_BYTES] = {0};
    struct stat status = {0};
    const int fd = openat(recovery->wal->directory_fd, WAL_IDENTITY_NAME, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return errno == ENOENT ? SPATE_ERR_NOT_FOUND : failed(recovery, WAL_IDENTITY_NAME);
    }
    const bool is_read =
        fstat(fd, &status) == 0 &&
        (status.st_size != (off_t)sizeof bytes || spate_wal_read_all(fd, bytes, sizeof bytes, 0));
    (void)close(fd);
    return is_read ? decode_file(recovery, bytes, wanted) : failed(recovery, WAL_IDENTITY_NAME);
}

static spate_err recover_data(struct recovery *recovery,
                              const struct spate_store_wal_options *options)
{
    struct wal_store *wal = recovery->wal;
    spate_err err = spate_wal_find_segments(wal->directory_fd, &recovery->segments) == WAL_DONE
                        ? SPATE_OK
                        : failed(recovery, "cannot list the directory");
    recovery->lowest = recovery->segments.lowest;
    const spate_err identity =
        err == SPATE_OK ? read_identity(recovery, &options->identity) : SPATE_OK;

    if (err == SPATE_OK && identity != SPATE_ERR_NOT_FOUND) {
        err = identity;
    }
    if (err != SPATE_OK) {
        return err;
    }
    recovery->image = malloc(wal->segment_bytes);
    if (recovery->image == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    if (identity == SPATE_ERR_NOT_FOUND) {
        return found(recovery, &options->identity);
    }
    err = recovery->segments.count > 0 ? scan_all(recovery) : missing(recovery, "every segment");
    return err == SPATE_ERR_CORRUPT ? settle_damage(recovery, options->accepts_damage) : err;
}

spate_err spate_wal_recover(struct wal_store *wal, const struct spate_store_wal_options *options,
                            const struct spate_complaint *complaint)
{
    struct recovery recovery = {.wal = wal, .complaint = complaint};

    (void)unlinkat(wal->directory_fd, "wal-new", 0);
    wal->is_mending = faccessat(wal->directory_fd, WAL_MENDING_NAME, F_OK, 0) == 0;
    const spate_err err = recover_data(&recovery, options);
    free(recovery.image);
    if (err != SPATE_OK) {
        return err;
    }
    wal->pointer = recovery.pointer;
    wal->loaded_hard_state = wal->place.state.hard_state;
    wal->loaded_hard_state.is_mute |= wal->is_mending;
    wal->released = recovery.lowest;
    wal->ahead.oldest = recovery.lowest;
    atomic_store(&wal->ahead.retire_below, recovery.lowest);
    spate_assert(wal->index.last == wal->place.state.last.index);
    return SPATE_OK;
}
