/*
 * A segment of the log as a disk may hand it back. With an odd first byte the checksums of its
 * headers and records are put right first, so that what is behind them is reached.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "store/wal/format.h"
#include "target.h"

#define SALT       0x5a17u
#define BLOCKS_MAX 16u

struct seen {
    uint64_t number;
    uint32_t at;
};

static void visit(void *context, const struct wal_group *group, uint32_t at)
{
    struct seen *seen = context;

    spate_assert(group->number == seen->number + 1);
    spate_assert(at >= seen->at + SPATE_WAL_BLOCK_BYTES || seen->at == 0);
    spate_assert(group->state.base.index <= group->state.last.index);
    *seen = (struct seen){group->number, at};
}

static void mend_records(uint8_t *at, uint8_t *end, uint32_t bytes)
{
    uint8_t *stop = bytes < (size_t)(end - at) ? at + bytes : end;

    while (stop - at >= (ptrdiff_t)SPATE_RECORD_HEADER_BYTES) {
        const uint32_t size = spate_get_u32(at + 24);
        if (size > (size_t)(stop - at) - SPATE_RECORD_HEADER_BYTES) {
            return;
        }
        spate_put_u32(at, spate_crc32c(0, at + 4, SPATE_RECORD_HEADER_BYTES - 4) ^
                              spate_crc32c(0, at + SPATE_RECORD_HEADER_BYTES, size));
        at += SPATE_RECORD_HEADER_BYTES + size;
    }
}

static void mend(uint8_t *image, uint32_t size)
{
    for (uint32_t at = 0; at < size; at += SPATE_WAL_BLOCK_BYTES) {
        uint8_t *header = image + at;
        if (memcmp(header, "SPW", 3) == 0) {
            spate_put_u32(header + 4, spate_crc32c(SALT, header + 8, SPATE_WAL_HEADER_BYTES - 8));
            mend_records(header + SPATE_WAL_HEADER_BYTES, image + size, spate_get_u32(header + 40));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint32_t blocks = (uint32_t)(size / SPATE_WAL_BLOCK_BYTES) + 2;
    const uint32_t bytes = blocks * SPATE_WAL_BLOCK_BYTES;
    struct wal_place place = {.segment = 3, .group_next = 17, .chain = 99};
    struct seen seen = {.number = 16};
    struct wal_segment segment;

    if (size < 1 || blocks > BLOCKS_MAX) {
        return 0;
    }
    uint8_t *image = calloc(1, bytes);
    if (image == NULL) {
        abort();
    }
    memcpy(image + SPATE_WAL_BLOCK_BYTES, data + 1, size - 1);
    if (data[0] % 2 == 1) {
        mend(image, bytes);
    }
    const struct wal_scan scan = spate_wal_scan(image, bytes, SALT, &place, visit, &seen);
    spate_assert(scan.at >= SPATE_WAL_BLOCK_BYTES);
    spate_assert(scan.at <= bytes);
    spate_assert(place.group_next == seen.number + 1);
    (void)spate_wal_is_unused(image, bytes, SALT, &place);
    (void)spate_wal_segment_decode(image + SPATE_WAL_BLOCK_BYTES, SALT, &segment);
    free(image);
    return 0;
}
