/*
 * The state as bytes, little-endian:
 *
 *   header    0     4         8         16     24      32     40       48         52
 *             | crc | version | applied | keys | bytes | digest | sessions count | capacity | 0 …
 *   items     { revision u64, key size u32, value size u32, key …, value … } by revision
 *   sessions  { id u64, sequence u64, answer u64 } from the one used longest ago on
 *
 * crc: CRC-32C of the header behind it. digest: of the keys and values, as in struct
 * spate_kv_status, so a restored state is compared with the saved one before it is believed.
 */
#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "kv_internal.h"
#include "snapshot_internal.h"

spate_err spate_kv_save_begin(struct spate_fsm *fsm)
{
    struct spate_kv *kv = spate_kv_of(fsm);
    const struct contents *contents = kv->contents;
    struct save *save = &kv->save;

    spate_assert(save->phase == SAVE_CLOSED);
    spate_assert(kv->restore.phase == RESTORE_CLOSED);
    *save = (struct save){
        .phase = SAVE_HEADER,
        .frozen = atomic_load_explicit(&kv->applied, memory_order_relaxed),
        .next = contents->oldest,
        .size = SNAPSHOT_HEADER_BYTES,
    };
    spate_put_u32(save->part + HEADER_AT_VERSION, SNAPSHOT_VERSION);
    spate_put_u64(save->part + HEADER_AT_APPLIED, save->frozen);
    spate_put_u64(save->part + HEADER_AT_KEYS, contents->keys);
    spate_put_u64(save->part + HEADER_AT_BYTES, contents->bytes);
    spate_put_u64(save->part + HEADER_AT_DIGEST, contents->digest);
    spate_put_u32(save->part + HEADER_AT_SESSIONS, spate_sessions_count(contents->sessions));
    spate_put_u32(save->part + HEADER_AT_CAPACITY, kv->session_capacity);
    spate_put_u32(
        save->part + HEADER_AT_CRC,
        spate_crc32c(0, save->part + HEADER_AT_VERSION, SNAPSHOT_HEADER_BYTES - HEADER_AT_VERSION));
    spate_sessions_freeze(contents->sessions);
    return SPATE_OK;
}

bool spate_kv_save_needs(const struct spate_kv *kv, const struct item *item)
{
    const struct save *save = &kv->save;

    return save->phase != SAVE_CLOSED && save->next != NULL && item->revision <= save->frozen &&
           item->revision >= save->next->revision;
}

/* Prepares the part that comes next. False: there is none. */
static bool begin_part(struct spate_kv *kv)
{
    struct save *save = &kv->save;
    struct spate_session_record session;

    save->done = 0;
    if (save->next != NULL && save->next->revision <= save->frozen) {
        save->phase = SAVE_ITEMS;
        save->size = SNAPSHOT_ITEM_BYTES;
        spate_put_u64(save->part + ITEM_AT_REVISION, save->next->revision);
        spate_put_u32(save->part + ITEM_AT_KEY_SIZE, save->next->key_size);
        spate_put_u32(save->part + ITEM_AT_VALUE_SIZE, save->next->value_size);
        return true;
    }
    save->next = NULL;
    save->size = 0;
    if (!spate_sessions_next_frozen(kv->contents->sessions, &session)) {
        save->phase = SAVE_ALL;
        return false;
    }
    save->phase = SAVE_SESSIONS;
    save->size = SNAPSHOT_SESSION_BYTES;
    spate_put_u64(save->part + SESSION_AT_ID, session.id);
    spate_put_u64(save->part + SESSION_AT_SEQUENCE, session.sequence);
    spate_put_u64(save->part + SESSION_AT_ANSWER, session.answer);
    return true;
}

/* The item was handed out as a whole. */
static void leave_item(struct spate_kv *kv)
{
    struct item *item = kv->save.next;

    kv->save.next = item->newer;
    if (item->is_displaced) {
        spate_kv_contents_unlist(kv->contents, item);
        spate_kv_retire(kv, item);
    }
}

static uint32_t lower(uint64_t a, uint64_t b)
{
    return (uint32_t)(a < b ? a : b);
}

/* Copies what fits of the present part. Whether the part is done. */
static bool copy_part(struct save *save, uint8_t *to, uint32_t capacity, uint32_t *ret_bytes)
{
    const struct item *item = save->phase == SAVE_ITEMS ? save->next : NULL;
    const uint64_t whole = save->size + (item != NULL ? spate_kv_item_bytes(item) : 0);
    uint32_t bytes = 0;

    if (save->done < save->size) {
        bytes = lower(save->size - save->done, capacity);
        memcpy(to, save->part + save->done, bytes);
        save->done += bytes;
    }
    if (item != NULL && save->done >= save->size && bytes < capacity) {
        const uint32_t more = lower(whole - save->done, capacity - bytes);
        memcpy(to + bytes, item->bytes + (save->done - save->size), more);
        save->done += more;
        bytes += more;
    }
    spate_assert(save->done <= whole);
    *ret_bytes = bytes;
    return save->done == whole;
}

uint32_t spate_kv_save_read(struct spate_fsm *fsm, uint8_t *to, uint32_t capacity)
{
    struct spate_kv *kv = spate_kv_of(fsm);
    struct save *save = &kv->save;
    uint32_t bytes = 0;

    spate_assert(save->phase != SAVE_CLOSED);
    while (bytes < capacity && save->phase != SAVE_ALL) {
        uint32_t more;
        const bool is_done = copy_part(save, to + bytes, capacity - bytes, &more);

        bytes += more;
        if (!is_done) {
            break;
        }
        if (save->phase == SAVE_ITEMS) {
            leave_item(kv);
        }
        (void)begin_part(kv);
    }
    spate_assert(bytes <= capacity);
    return bytes;
}

void spate_kv_save_end(struct spate_fsm *fsm)
{
    struct spate_kv *kv = spate_kv_of(fsm);

    spate_assert(kv->save.phase != SAVE_CLOSED);
    while (kv->save.next != NULL && kv->save.next->revision <= kv->save.frozen) {
        leave_item(kv);
    }
    kv->save = (struct save){.phase = SAVE_CLOSED};
}

bool spate_kv_describe(const uint8_t *saved, uint32_t bytes, uint32_t *ret_version,
                       struct spate_kv_status *ret_status)
{
    spate_assert(saved != NULL && ret_version != NULL && ret_status != NULL);
    if (bytes < SNAPSHOT_HEADER_BYTES ||
        spate_get_u32(saved + HEADER_AT_CRC) !=
            spate_crc32c(0, saved + HEADER_AT_VERSION, SNAPSHOT_HEADER_BYTES - HEADER_AT_VERSION)) {
        return false;
    }
    *ret_version = spate_get_u32(saved + HEADER_AT_VERSION);
    *ret_status = (struct spate_kv_status){
        .keys = spate_get_u64(saved + HEADER_AT_KEYS),
        .bytes = spate_get_u64(saved + HEADER_AT_BYTES),
        .digest = spate_get_u64(saved + HEADER_AT_DIGEST),
        .sessions = spate_get_u32(saved + HEADER_AT_SESSIONS),
        .applied = spate_get_u64(saved + HEADER_AT_APPLIED),
    };
    return true;
}
