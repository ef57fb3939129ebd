/* The applier's side and the readers' side. contents.c has the structure; save.c and restore.c its
 * snapshots. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "kv_internal.h"

static void free_reclaimed(struct spate_kv *kv)
{
    while (kv->retired_head != NULL && spate_retired_is_reclaimed(&kv->retired_head->retired)) {
        struct item *item = kv->retired_head;
        kv->retired_head = item->retired_next;
        if (kv->retired_head == NULL) {
            kv->retired_tail = &kv->retired_head;
        }
        free(item);
    }
    for (struct contents **link = &kv->retired_contents; *link != NULL;) {
        struct contents *contents = *link;
        if (spate_retired_is_reclaimed(&contents->retired)) {
            *link = contents->retired_next;
            spate_kv_contents_destroy(contents);
        } else {
            link = &contents->retired_next;
        }
    }
}

void spate_kv_retire(struct spate_kv *kv, struct item *item)
{
    item->retired_next = NULL;
    *kv->retired_tail = item;
    kv->retired_tail = &item->retired_next;
    kv->reclaim->retire(kv->reclaim, &item->retired);
}

void spate_kv_displace(struct spate_kv *kv, struct item *item)
{
    if (spate_kv_save_needs(kv, item)) {
        item->is_displaced = true;
        return;
    }
    spate_kv_contents_unlist(kv->contents, item);
    spate_kv_retire(kv, item);
}

void spate_kv_show(struct spate_kv *kv, spate_index applied)
{
    const struct contents *contents = kv->contents;

    atomic_store_explicit(&kv->keys, contents->keys, memory_order_relaxed);
    atomic_store_explicit(&kv->bytes, contents->bytes, memory_order_relaxed);
    atomic_store_explicit(&kv->digest, contents->digest, memory_order_relaxed);
    atomic_store_explicit(&kv->session_count, spate_sessions_count(contents->sessions),
                          memory_order_relaxed);
    atomic_store_explicit(&kv->applied, applied, memory_order_release);
}

static enum spate_kv_outcome put(struct spate_kv *kv, const struct spate_kv_command *command,
                                 spate_index revision)
{
    const struct item *there =
        spate_kv_contents_find(kv, kv->contents, (struct key){command->key, command->key_size});
    const uint64_t bytes = kv->contents->bytes - (there == NULL ? 0 : spate_kv_item_bytes(there));

    /* Decided by live bytes alone, which are the same on all replicas; what waits for its grace
     * period, or for a save, is not, and does not count. */
    if ((uint64_t)command->key_size + command->value_size > kv->quota_bytes - bytes) {
        return SPATE_KV_FULL;
    }
    struct item *item = spate_kv_item_create(revision, command->key_size, command->value_size);
    spate_assert(item != NULL);
    memcpy(item->bytes, command->key, command->key_size);
    if (command->value_size > 0) {
        memcpy(item->bytes + command->key_size, command->value, command->value_size);
    }
    struct item *old = spate_kv_contents_put(kv, kv->contents, item);
    spate_assert(old == there);
    if (old != NULL) {
        spate_kv_displace(kv, old);
    }
    return SPATE_KV_OK;
}

static enum spate_kv_outcome erase(struct spate_kv *kv, const struct spate_kv_command *command)
{
    struct item *old =
        spate_kv_contents_find(kv, kv->contents, (struct key){command->key, command->key_size});
    if (old == NULL) {
        return SPATE_KV_NOT_FOUND;
    }
    spate_kv_contents_delete(kv->contents, old);
    spate_kv_displace(kv, old);
    return SPATE_KV_OK;
}

static uint64_t apply_one(struct spate_kv *kv, const struct spate_command *entry)
{
    struct spate_kv_command command;
    uint64_t answer = 0;

    /* Every replica sees the same bytes, so a malformed command is refused by all alike. */
    if (spate_kv_command_decode(entry->data, entry->size, &command) != SPATE_OK) {
        return SPATE_KV_ANSWER(SPATE_KV_MALFORMED, entry->index);
    }
    if (command.session != 0) {
        switch (spate_sessions_check(kv->contents->sessions, command.session, command.sequence,
                                     &answer)) {
        case SPATE_SESSION_DUPLICATE:
            return answer;
        case SPATE_SESSION_STALE:
            return SPATE_KV_ANSWER(SPATE_KV_STALE, entry->index);
        case SPATE_SESSION_FRESH:
            break;
        }
    }
    enum spate_kv_outcome outcome = SPATE_KV_OK;
    switch (command.op) {
    case SPATE_KV_PUT:
        outcome = put(kv, &command, entry->index);
        break;
    case SPATE_KV_DELETE:
        outcome = erase(kv, &command);
        break;
    }
    answer = SPATE_KV_ANSWER(outcome, entry->index);
    if (command.session != 0) {
        spate_sessions_record(kv->contents->sessions, command.session, command.sequence, answer);
    }
    return answer;
}

static void apply(struct spate_fsm *fsm, const struct spate_command commands[], uint32_t count,
                  uint64_t results[])
{
    struct spate_kv *kv = spate_kv_of(fsm);

    for (uint32_t i = 0; i < count; i++) {
        const spate_index before = atomic_load_explicit(&kv->applied, memory_order_relaxed);
        spate_assert(commands[i].index > before);
        results[i] = apply_one(kv, &commands[i]);
        spate_kv_show(kv, commands[i].index);
    }
    free_reclaimed(kv);
}

static spate_index applied(struct spate_fsm *fsm)
{
    (void)fsm;
    return 0; /* Lives in memory: rebuilt from the log. */
}

spate_err spate_kv_create(const struct spate_kv_options *options, struct spate_kv **ret_kv)
{
    const uint32_t buckets = options->bucket_count != 0 ? options->bucket_count : 65536;
    const uint32_t sessions = options->session_count != 0 ? options->session_count : 65536;

    if ((buckets & (buckets - 1)) != 0 || options->reclaim == NULL) {
        return SPATE_ERR_INVALID;
    }
    struct spate_kv *kv = calloc(1, sizeof *kv);
    if (kv == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    kv->fsm = (struct spate_fsm){
        .apply = apply,
        .applied = applied,
        .save_begin = spate_kv_save_begin,
        .save_read = spate_kv_save_read,
        .save_end = spate_kv_save_end,
        .restore_begin = spate_kv_restore_begin,
        .restore_write = spate_kv_restore_write,
        .restore_end = spate_kv_restore_end,
    };
    kv->reclaim = options->reclaim;
    kv->seed = options->seed;
    kv->quota_bytes = options->quota_bytes != 0 ? options->quota_bytes : (uint64_t)1 << 30;
    kv->bucket_count = buckets;
    kv->session_capacity = sessions;
    kv->retired_tail = &kv->retired_head;
    kv->contents = spate_kv_contents_create(kv);
    if (kv->contents == NULL) {
        spate_kv_destroy(kv);
        return SPATE_ERR_NO_MEMORY;
    }
    atomic_init(&kv->shown, kv->contents);
    *ret_kv = kv;
    return SPATE_OK;
}

void spate_kv_destroy(struct spate_kv *kv)
{
    if (kv == NULL) {
        return;
    }
    if (kv->restore.phase != RESTORE_CLOSED) {
        (void)spate_kv_restore_end(&kv->fsm, false);
    }
    /* No reader is left, but the reclaimer still holds the notes it took. */
    spate_rcu_barrier();
    free_reclaimed(kv);
    spate_assert(kv->retired_head == NULL);
    spate_assert(kv->retired_contents == NULL);
    spate_kv_contents_destroy(kv->contents);
    free(kv);
}

struct spate_fsm *spate_kv_fsm(struct spate_kv *kv)
{
    return &kv->fsm;
}

spate_err spate_kv_get(const struct spate_kv *kv, const uint8_t *key, uint32_t key_size,
                       uint8_t *value, uint32_t capacity, uint32_t *ret_size,
                       spate_index *ret_revision)
{
    const struct contents *contents = atomic_load_explicit(&kv->shown, memory_order_acquire);
    spate_rcu_observe(contents);
    const struct item *item = spate_kv_contents_find(kv, contents, (struct key){key, key_size});
    if (item == NULL) {
        return SPATE_ERR_NOT_FOUND;
    }
    const uint32_t copied = item->value_size < capacity ? item->value_size : capacity;
    if (copied > 0) {
        memcpy(value, item->bytes + item->key_size, copied);
    }
    *ret_size = item->value_size;
    *ret_revision = item->revision;
    return SPATE_OK;
}

void spate_kv_status(const struct spate_kv *kv, struct spate_kv_status *ret_status)
{
    *ret_status = (struct spate_kv_status){
        .applied = atomic_load_explicit(&kv->applied, memory_order_acquire),
        .keys = atomic_load_explicit(&kv->keys, memory_order_relaxed),
        .bytes = atomic_load_explicit(&kv->bytes, memory_order_relaxed),
        .quota_bytes = kv->quota_bytes,
        .digest = atomic_load_explicit(&kv->digest, memory_order_relaxed),
        .sessions = atomic_load_explicit(&kv->session_count, memory_order_relaxed),
    };
}
