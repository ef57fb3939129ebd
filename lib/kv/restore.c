/*
 * Bytes to state. Nothing of them is trusted: they come from a file or from a leader. The present
 * state stays until all of the other has been built and found to be what its header promised; then
 * the two change places, and readers see one or the other.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "snapshot_internal.h"

static spate_err fail(struct restore *restore, spate_err err)
{
    spate_assert(err != SPATE_OK);
    restore->phase = RESTORE_FAILED;
    restore->failure = err;
    return err;
}

spate_err spate_kv_restore_begin(struct spate_fsm *fsm, spate_index index)
{
    struct spate_kv *kv = spate_kv_of(fsm);
    struct contents *contents = spate_kv_contents_create(kv);

    spate_assert(kv->restore.phase == RESTORE_CLOSED);
    spate_assert(kv->save.phase == SAVE_CLOSED);
    if (contents == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    kv->restore = (struct restore){.phase = RESTORE_HEADER, .index = index, .contents = contents};
    return SPATE_OK;
}

static void begin_next(struct restore *restore)
{
    restore->filled = 0;
    if (restore->items_left > 0) {
        restore->phase = RESTORE_ITEM;
    } else {
        restore->phase = restore->sessions_left > 0 ? RESTORE_SESSION : RESTORE_ALL;
    }
}

static spate_err take_header(struct spate_kv *kv)
{
    struct restore *restore = &kv->restore;
    const uint8_t *part = restore->part;

    if (spate_get_u32(part + HEADER_AT_CRC) !=
        spate_crc32c(0, part + HEADER_AT_VERSION, SNAPSHOT_HEADER_BYTES - HEADER_AT_VERSION)) {
        return fail(restore, SPATE_ERR_MALFORMED);
    }
    if (spate_get_u32(part + HEADER_AT_VERSION) != SNAPSHOT_VERSION) {
        return fail(restore, SPATE_ERR_MISMATCH);
    }
    for (uint32_t at = HEADER_AT_ZERO; at < SNAPSHOT_HEADER_BYTES; at++) {
        if (part[at] != 0) {
            return fail(restore, SPATE_ERR_MALFORMED);
        }
    }
    restore->applied = spate_get_u64(part + HEADER_AT_APPLIED);
    restore->items_left = spate_get_u64(part + HEADER_AT_KEYS);
    restore->bytes = spate_get_u64(part + HEADER_AT_BYTES);
    restore->digest = spate_get_u64(part + HEADER_AT_DIGEST);
    restore->sessions = spate_get_u32(part + HEADER_AT_SESSIONS);
    restore->sessions_left = restore->sessions;
    if (restore->applied > restore->index || restore->items_left > restore->applied ||
        restore->sessions > restore->applied) {
        return fail(restore, SPATE_ERR_MALFORMED); /* Each command leaves one of them at most. */
    }
    /* Both are the same on all members: with others the replicas would drift apart. */
    if (restore->bytes > kv->quota_bytes ||
        spate_get_u32(part + HEADER_AT_CAPACITY) != kv->session_capacity) {
        return fail(restore, SPATE_ERR_MISMATCH);
    }
    begin_next(restore);
    return SPATE_OK;
}

static spate_err take_item_sizes(struct spate_kv *kv)
{
    struct restore *restore = &kv->restore;
    const struct item *newest = restore->contents->newest;
    const spate_index revision = spate_get_u64(restore->part + ITEM_AT_REVISION);
    const uint32_t key_size = spate_get_u32(restore->part + ITEM_AT_KEY_SIZE);
    const uint32_t value_size = spate_get_u32(restore->part + ITEM_AT_VALUE_SIZE);

    if (revision < 1 || revision > restore->applied ||
        (newest != NULL && revision <= newest->revision) || key_size < 1 ||
        key_size > SPATE_KV_KEY_BYTES_MAX || value_size > SPATE_KV_VALUE_BYTES_MAX ||
        (uint64_t)key_size + value_size > restore->bytes - restore->contents->bytes) {
        return fail(restore, SPATE_ERR_MALFORMED);
    }
    restore->item = spate_kv_item_create(revision, key_size, value_size);
    if (restore->item == NULL) {
        return fail(restore, SPATE_ERR_NO_MEMORY);
    }
    restore->phase = RESTORE_ITEM_BYTES;
    restore->filled = 0;
    return SPATE_OK;
}

static spate_err take_item(struct spate_kv *kv)
{
    struct restore *restore = &kv->restore;
    struct item *item = restore->item;

    spate_assert(item != NULL);
    if (spate_kv_contents_find(kv, restore->contents, (struct key){item->bytes, item->key_size})) {
        return fail(restore, SPATE_ERR_MALFORMED); /* The same key twice. */
    }
    (void)spate_kv_contents_put(kv, restore->contents, item);
    restore->item = NULL;
    restore->items_left--;
    begin_next(restore);
    return SPATE_OK;
}

static spate_err take_session(struct spate_kv *kv)
{
    struct restore *restore = &kv->restore;
    struct spate_sessions *sessions = restore->contents->sessions;
    const uint64_t id = spate_get_u64(restore->part + SESSION_AT_ID);
    const uint64_t sequence = spate_get_u64(restore->part + SESSION_AT_SEQUENCE);
    uint64_t answer = 0;

    if (id == 0 || spate_sessions_check(sessions, id, sequence, &answer) != SPATE_SESSION_FRESH) {
        return fail(restore, SPATE_ERR_MALFORMED);
    }
    spate_sessions_record(sessions, id, sequence, spate_get_u64(restore->part + SESSION_AT_ANSWER));
    restore->sessions_left--;
    begin_next(restore);
    return SPATE_OK;
}

/* Where the next bytes go, and how many are missing there. */
static uint8_t *place_of(struct restore *restore, uint32_t *ret_missing)
{
    uint8_t *place = restore->part;
    uint32_t size = 0;

    switch (restore->phase) {
    case RESTORE_HEADER:
        size = SNAPSHOT_HEADER_BYTES;
        break;
    case RESTORE_ITEM:
        size = SNAPSHOT_ITEM_BYTES;
        break;
    case RESTORE_ITEM_BYTES:
        place = restore->item->bytes;
        size = restore->item->key_size + restore->item->value_size;
        break;
    case RESTORE_SESSION:
        size = SNAPSHOT_SESSION_BYTES;
        break;
    case RESTORE_CLOSED:
    case RESTORE_ALL:
    case RESTORE_FAILED:
        break;
    }
    spate_assert(restore->filled <= size);
    *ret_missing = size - restore->filled;
    return place + restore->filled;
}

static spate_err take_part(struct spate_kv *kv)
{
    switch (kv->restore.phase) {
    case RESTORE_HEADER:
        return take_header(kv);
    case RESTORE_ITEM:
        return take_item_sizes(kv);
    case RESTORE_ITEM_BYTES:
        return take_item(kv);
    case RESTORE_SESSION:
        return take_session(kv);
    case RESTORE_CLOSED:
    case RESTORE_ALL:
    case RESTORE_FAILED:
        break;
    }
    return fail(&kv->restore, SPATE_ERR_MALFORMED); /* Bytes behind the end. */
}

spate_err spate_kv_restore_write(struct spate_fsm *fsm, const uint8_t *bytes, uint32_t size)
{
    struct spate_kv *kv = spate_kv_of(fsm);
    struct restore *restore = &kv->restore;

    spate_assert(restore->phase != RESTORE_CLOSED);
    while (size > 0) {
        uint32_t missing;
        uint8_t *place = place_of(restore, &missing);

        if (restore->phase == RESTORE_FAILED) {
            return restore->failure;
        }
        const uint32_t taken = missing < size ? missing : size;
        memcpy(place, bytes, taken);
        restore->filled += taken;
        bytes += taken;
        size -= taken;
        if (taken == missing) {
            const spate_err err = take_part(kv);
            if (err != SPATE_OK) {
                return err;
            }
        }
    }
    return SPATE_OK;
}

static bool is_as_promised(const struct restore *restore)
{
    const struct contents *contents = restore->contents;

    return restore->phase == RESTORE_ALL && contents->bytes == restore->bytes &&
           contents->digest == restore->digest &&
           spate_sessions_count(contents->sessions) == restore->sessions;
}

spate_err spate_kv_restore_end(struct spate_fsm *fsm, bool is_complete)
{
    struct spate_kv *kv = spate_kv_of(fsm);
    struct restore *restore = &kv->restore;
    spate_err err = restore->failure;

    spate_assert(restore->phase != RESTORE_CLOSED);
    if (err == SPATE_OK && !(is_complete && is_as_promised(restore))) {
        err = SPATE_ERR_MALFORMED;
    }
    if (err != SPATE_OK) {
        free(restore->item);
        spate_kv_contents_destroy(restore->contents);
        *restore = (struct restore){.phase = RESTORE_CLOSED};
        return err;
    }
    struct contents *old = kv->contents;
    kv->contents = restore->contents;
    spate_rcu_publish(kv->contents);
    atomic_store_explicit(&kv->shown, kv->contents, memory_order_release);
    spate_kv_show(kv, restore->applied);
    *restore = (struct restore){.phase = RESTORE_CLOSED};

    /* Readers may be in the middle of the old ones: they go as a whole when the last has left. */
    old->retired_next = kv->retired_contents;
    kv->retired_contents = old;
    kv->reclaim->retire(kv->reclaim, &old->retired);
    return SPATE_OK;
}
