/* A saved state as it comes from a file or a leader, in pieces; with its checksum made right, so
 * that what stands behind the header is reached. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "kv/kv.h"
#include "target.h"

#define HEADER_BYTES 72u
#define INDEX        1000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct spate_kv_options options = {.reclaim = spate_reclaim_immediate(),
                                             .quota_bytes = 1u << 20,
                                             .bucket_count = 16,
                                             .session_count = 16};
    struct spate_kv *kv = NULL;
    uint8_t header[HEADER_BYTES];

    if (size < HEADER_BYTES) {
        return 0;
    }
    if (spate_kv_create(&options, &kv) != SPATE_OK) {
        abort();
    }
    memcpy(header, data, sizeof header);
    spate_put_u32(header, spate_crc32c(0, header + 4, sizeof header - 4));
    struct spate_fsm *fsm = spate_kv_fsm(kv);
    spate_err err = fsm->restore_begin(fsm, INDEX);

    if (err == SPATE_OK) {
        err = fsm->restore_write(fsm, header, sizeof header);
    }
    for (size_t at = HEADER_BYTES; err == SPATE_OK && at < size; at += 7) {
        const size_t left = size - at;
        err = fsm->restore_write(fsm, data + at, left < 7 ? (uint32_t)left : 7);
    }
    err = fsm->restore_end(fsm, err == SPATE_OK);
    spate_assert(err == SPATE_OK || err == SPATE_ERR_MALFORMED || err == SPATE_ERR_MISMATCH);
    struct spate_kv_status status;
    spate_kv_status(kv, &status);
    spate_assert(status.bytes <= options.quota_bytes);
    spate_assert(err == SPATE_OK || status.keys == 0);
    spate_kv_destroy(kv);
    return 0;
}
