/* The header and the hash of snapshots. Bytes from outside are validated, never asserted. */
#include "store/snapshots.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mix.h"

#define HASH_BLOCK_BYTES (64u << 10)

enum {
    AT_CRC = 0,
    AT_VERSION = 4,
    AT_MAGIC = 8,
    AT_CLUSTER = 16,
    AT_TERM = 32,
    AT_INDEX = 40,
    AT_STATE_BYTES = 48,
    AT_STATE_HASH = 56,
    AT_MEMBERSHIP_INDEX = 64,
    AT_MEMBERSHIP_BYTES = 72,
    AT_ZERO = 76,
    AT_MEMBERSHIP = 80,
};

static const uint8_t magic[8] = {'S', 'P', 'A', 'T', 'E', 'S', 'N', 'P'};

_Static_assert(AT_MEMBERSHIP + SPATE_SNAPSHOT_MEMBERSHIP_BYTES_MAX <= SPATE_SNAPSHOT_HEADER_BYTES,
               "the largest membership fits");

void spate_snapshot_header_encode(uint8_t to[SPATE_SNAPSHOT_HEADER_BYTES],
                                  const struct spate_snapshot_manifest *manifest)
{
    spate_assert(manifest->membership_bytes <= SPATE_SNAPSHOT_MEMBERSHIP_BYTES_MAX);
    spate_assert(manifest->last.index >= 1);
    memset(to, 0, SPATE_SNAPSHOT_HEADER_BYTES);
    spate_put_u32(to + AT_VERSION, SPATE_SNAPSHOT_VERSION);
    memcpy(to + AT_MAGIC, magic, sizeof magic);
    memcpy(to + AT_CLUSTER, manifest->cluster_id, sizeof manifest->cluster_id);
    spate_put_u64(to + AT_TERM, manifest->last.term);
    spate_put_u64(to + AT_INDEX, manifest->last.index);
    spate_put_u64(to + AT_STATE_BYTES, manifest->state_bytes);
    spate_put_u64(to + AT_STATE_HASH, manifest->state_hash);
    spate_put_u64(to + AT_MEMBERSHIP_INDEX, manifest->membership_index);
    spate_put_u32(to + AT_MEMBERSHIP_BYTES, manifest->membership_bytes);
    memcpy(to + AT_MEMBERSHIP, manifest->membership, manifest->membership_bytes);
    spate_put_u32(to + AT_CRC,
                  spate_crc32c(0, to + AT_VERSION, SPATE_SNAPSHOT_HEADER_BYTES - AT_VERSION));
}

bool spate_snapshot_header_is_ours(const uint8_t from[SPATE_SNAPSHOT_HEADER_BYTES])
{
    spate_assert(from != NULL);
    return memcmp(from + AT_MAGIC, magic, sizeof magic) == 0;
}

spate_err spate_snapshot_header_decode(const uint8_t from[SPATE_SNAPSHOT_HEADER_BYTES],
                                       struct spate_snapshot_manifest *ret_manifest)
{
    struct spate_snapshot_manifest manifest = {
        .last = {.term = spate_get_u64(from + AT_TERM), .index = spate_get_u64(from + AT_INDEX)},
        .membership_index = spate_get_u64(from + AT_MEMBERSHIP_INDEX),
        .membership_bytes = spate_get_u32(from + AT_MEMBERSHIP_BYTES),
        .state_bytes = spate_get_u64(from + AT_STATE_BYTES),
        .state_hash = spate_get_u64(from + AT_STATE_HASH),
    };

    spate_assert(ret_manifest != NULL);
    if (memcmp(from + AT_MAGIC, magic, sizeof magic) != 0 ||
        spate_get_u32(from + AT_CRC) !=
            spate_crc32c(0, from + AT_VERSION, SPATE_SNAPSHOT_HEADER_BYTES - AT_VERSION)) {
        return SPATE_ERR_CORRUPT;
    }
    if (spate_get_u32(from + AT_VERSION) != SPATE_SNAPSHOT_VERSION) {
        return SPATE_ERR_MISMATCH;
    }
    if (manifest.last.term < 1 || manifest.last.index < 1 || manifest.last.index > UINT64_MAX / 2 ||
        manifest.last.term > UINT64_MAX / 2 || manifest.membership_index > manifest.last.index ||
        manifest.membership_bytes > SPATE_SNAPSHOT_MEMBERSHIP_BYTES_MAX ||
        manifest.state_bytes > UINT64_MAX / 2 || spate_get_u32(from + AT_ZERO) != 0) {
        return SPATE_ERR_CORRUPT;
    }
    for (uint32_t at = AT_MEMBERSHIP + manifest.membership_bytes; at < SPATE_SNAPSHOT_HEADER_BYTES;
         at++) {
        if (from[at] != 0) {
            return SPATE_ERR_CORRUPT;
        }
    }
    memcpy(manifest.cluster_id, from + AT_CLUSTER, sizeof manifest.cluster_id);
    memcpy(manifest.membership, from + AT_MEMBERSHIP, manifest.membership_bytes);
    *ret_manifest = manifest;
    return SPATE_OK;
}

void spate_snapshot_hash_add(struct spate_snapshot_hash *hash, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        const size_t room = HASH_BLOCK_BYTES - hash->bytes % HASH_BLOCK_BYTES;
        const size_t piece = size < room ? size : room;

        hash->crc = spate_crc32c(hash->crc, bytes, piece);
        hash->bytes += piece;
        bytes += piece;
        size -= piece;
        if (hash->bytes % HASH_BLOCK_BYTES == 0) {
            hash->chain = spate_mix64(hash->chain ^ hash->crc ^ hash->bytes << 32);
            hash->crc = 0;
        }
    }
}

uint64_t spate_snapshot_hash_value(const struct spate_snapshot_hash *hash)
{
    return spate_mix64(spate_mix64(hash->chain ^ hash->crc) ^ hash->bytes);
}

void spate_snapshot_check_add(struct spate_snapshot_check *check, const uint8_t *bytes, size_t size)
{
    if (size > 0 && check->bytes < SPATE_SNAPSHOT_HEADER_BYTES) {
        const size_t room = SPATE_SNAPSHOT_HEADER_BYTES - check->bytes;
        const size_t piece = size < room ? size : room;

        memcpy(check->header + check->bytes, bytes, piece);
        check->bytes += piece;
        bytes += piece;
        size -= piece;
    }
    if (size > 0) {
        spate_snapshot_hash_add(&check->hash, bytes, size);
        check->bytes += size;
    }
}

spate_err spate_snapshot_check_end(const struct spate_snapshot_check *check,
                                   struct spate_snapshot_manifest *ret_manifest)
{
    struct spate_snapshot_manifest manifest;

    if (check->bytes < SPATE_SNAPSHOT_HEADER_BYTES) {
        return SPATE_ERR_CORRUPT;
    }
    const spate_err err = spate_snapshot_header_decode(check->header, &manifest);
    if (err != SPATE_OK) {
        return err;
    }
    if (manifest.state_bytes != check->hash.bytes ||
        manifest.state_hash != spate_snapshot_hash_value(&check->hash)) {
        return SPATE_ERR_CORRUPT;
    }
    spate_assert(spate_snapshot_image_bytes(&manifest) == check->bytes);
    *ret_manifest = manifest;
    return SPATE_OK;
}
