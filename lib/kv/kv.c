#include "kv/kv.h"

#include <stdatomic.h>
#include <stdlib.h>

#define _LGPL_SOURCE /* BSD-3-Clause is compatible: liburcu's inlined readers (docs/adr/0009). */
#include <urcu/urcu-qsbr.h>

#include <urcu/rculfhash.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mix.h"
#include "kv/session.h"

/* A key with its value: written once, before readers can find it; replaced as a whole. */
struct item {
    struct cds_lfht_node node;
    struct spate_retired retired;
    struct item *retired_next;
    spate_index revision;
    uint32_t key_size;
    uint32_t value_size;
    uint8_t bytes[]; /* Key, then value. */
};

struct spate_kv {
    struct spate_fsm fsm;
    struct spate_reclaim *reclaim;
    struct spate_sessions *sessions;
    struct cds_lfht *table;
    uint64_t seed;
    uint64_t quota_bytes;

    /* Retired items in the order of their retirement; the applier frees from the head. */
    struct item *retired_head;
    struct item **retired_tail;

    _Atomic uint64_t keys;
    _Atomic uint64_t bytes;
    _Atomic uint64_t digest;
    _Atomic uint64_t applied;
    _Atomic uint32_t session_count;
};

struct key {
    const uint8_t *data;
    uint32_t size;
};

static unsigned long hash_of(const struct spate_kv *kv, struct key key)
{
    uint64_t hash = kv->seed ^ key.size;
    uint32_t i = 0;
    for (; i + 8 <= key.size; i += 8) {
        hash = spate_mix64(hash ^ spate_get_u64(key.data + i));
    }
    uint64_t rest = 0;
    for (; i < key.size; i++) {
        rest = (rest << 8) | key.data[i];
    }
    return (unsigned long)spate_mix64(hash ^ rest);
}

/* What an item adds to the digest of the contents; a sum, so that order does not matter. */
static uint64_t digest_of(const struct item *item)
{
    const uint32_t crc = spate_crc32c(0, item->bytes, item->key_size);
    const uint32_t both = spate_crc32c(crc, item->bytes + item->key_size, item->value_size);
    return spate_mix64(((uint64_t)crc << 32 | both) ^ spate_mix64(item->revision));
}

static uint64_t bytes_of(const struct item *item)
{
    return (uint64_t)item->key_size + item->value_size;
}

static int has_key(struct cds_lfht_node *node, const void *wanted)
{
    const struct item *item = caa_container_of(node, struct item, node);
    const struct key *key = wanted;
    spate_rcu_observe(item);
    return item->key_size == key->size && memcmp(item->bytes, key->data, key->size) == 0;
}

static struct item *find(const struct spate_kv *kv, struct key key)
{
    struct cds_lfht_iter iter;
    cds_lfht_lookup(kv->table, hash_of(kv, key), has_key, &key, &iter);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
    if (node == NULL) {
        return NULL;
    }
    struct item *item = caa_container_of(node, struct item, node);
    spate_rcu_observe(item);
    return item;
}

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
}

static void retire(struct spate_kv *kv, struct item *item)
{
    item->retired_next = NULL;
    *kv->retired_tail = item;
    kv->retired_tail = &item->retired_next;
    kv->reclaim->retire(kv->reclaim, &item->retired);
}

static void count(struct spate_kv *kv, const struct item *gone, const struct item *come)
{
    uint64_t keys = atomic_load_explicit(&kv->keys, memory_order_relaxed);
    uint64_t bytes = atomic_load_explicit(&kv->bytes, memory_order_relaxed);
    uint64_t digest = atomic_load_explicit(&kv->digest, memory_order_relaxed);
    if (gone != NULL) {
        spate_assert(keys >= 1);
        spate_assert(bytes >= bytes_of(gone));
        keys--;
        bytes -= bytes_of(gone);
        digest -= digest_of(gone);
    }
    if (come != NULL) {
        keys++;
        bytes += bytes_of(come);
        digest += digest_of(come);
    }
    atomic_store_explicit(&kv->keys, keys, memory_order_relaxed);
    atomic_store_explicit(&kv->bytes, bytes, memory_order_relaxed);
    atomic_store_explicit(&kv->digest, digest, memory_order_relaxed);
}

static enum spate_kv_outcome put(struct spate_kv *kv, const struct spate_kv_command *command,
                                 spate_index revision)
{
    const struct key key = {command->key, command->key_size};
    struct item *old = find(kv, key);
    const uint64_t bytes =
        atomic_load_explicit(&kv->bytes, memory_order_relaxed) - (old == NULL ? 0 : bytes_of(old));

    /* Decided by live bytes alone, which are the same on all replicas; what waits for its grace
     * period is not, and does not count. */
    if ((uint64_t)command->key_size + command->value_size > kv->quota_bytes - bytes) {
        return SPATE_KV_FULL;
    }
    struct item *item = malloc(sizeof *item + command->key_size + command->value_size);
    spate_assert(item != NULL);
    *item = (struct item){
        .revision = revision, .key_size = command->key_size, .value_size = command->value_size};
    cds_lfht_node_init(&item->node);
    memcpy(item->bytes, command->key, command->key_size);
    if (command->value_size > 0) {
        memcpy(item->bytes + command->key_size, command->value, command->value_size);
    }
    spate_rcu_publish(item);
    struct cds_lfht_node *replaced =
        cds_lfht_add_replace(kv->table, hash_of(kv, key), has_key, &key, &item->node);
    spate_assert((replaced == NULL) == (old == NULL));
    count(kv, old, item);
    if (old != NULL) {
        retire(kv, old);
    }
    return SPATE_KV_OK;
}

static enum spate_kv_outcome delete (struct spate_kv *kv, const struct spate_kv_command *command) {
    struct item *old = find(kv, (struct key){command->key, command->key_size});
    if (old == NULL){return SPATE_KV_NOT_FOUND;}
const int err = cds_lfht_del(kv->table, &old->node);
spate_assert(err == 0);
count(kv, old, NULL);
retire(kv, old);
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
        switch (spate_sessions_check(kv->sessions, command.session, command.sequence, &answer)) {
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
        outcome = delete (kv, &command);
        break;
    case SPATE_KV_BARRIER:
        break;
    }
    answer = SPATE_KV_ANSWER(outcome, entry->index);
    if (command.session != 0) {
        spate_sessions_record(kv->sessions, command.session, command.sequence, answer);
    }
    return answer;
}

static void apply(struct spate_fsm *fsm, const struct spate_command commands[], uint32_t count_,
                  uint64_t results[])
{
    struct spate_kv *kv = caa_container_of(fsm, struct spate_kv, fsm);

    for (uint32_t i = 0; i < count_; i++) {
        const spate_index before = atomic_load_explicit(&kv->applied, memory_order_relaxed);
        spate_assert(commands[i].index > before);
        results[i] = apply_one(kv, &commands[i]);
        atomic_store_explicit(&kv->applied, commands[i].index, memory_order_release);
    }
    atomic_store_explicit(&kv->session_count, spate_sessions_count(kv->sessions),
                          memory_order_relaxed);
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
    kv->fsm = (struct spate_fsm){.apply = apply, .applied = applied};
    kv->reclaim = options->reclaim;
    kv->seed = options->seed;
    kv->quota_bytes = options->quota_bytes != 0 ? options->quota_bytes : (uint64_t)1 << 30;
    kv->retired_tail = &kv->retired_head;
    /* A fixed number of buckets: resizing would start a thread of liburcu's. */
    kv->table = cds_lfht_new_flavor(buckets, buckets, buckets, 0, &urcu_qsbr_flavor, NULL);
    if (kv->table == NULL || spate_sessions_create(sessions, &kv->sessions) != SPATE_OK) {
        spate_kv_destroy(kv);
        return SPATE_ERR_NO_MEMORY;
    }
    *ret_kv = kv;
    return SPATE_OK;
}

static void free_all(struct spate_kv *kv)
{
    struct cds_lfht_iter iter;
    struct cds_lfht_node *node;

    cds_lfht_for_each(kv->table, &iter, node)
    {
        struct item *item = caa_container_of(node, struct item, node);
        (void)cds_lfht_del(kv->table, node);
        retire(kv, item);
    }
}

void spate_kv_destroy(struct spate_kv *kv)
{
    if (kv == NULL) {
        return;
    }
    if (kv->table != NULL) {
        free_all(kv);
        /* No reader is left, but the reclaimer still holds the notes it took. */
        spate_rcu_barrier();
        free_reclaimed(kv);
        spate_assert(kv->retired_head == NULL);
        (void)cds_lfht_destroy(kv->table, NULL);
    }
    spate_sessions_destroy(kv->sessions);
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
    const struct item *item = find(kv, (struct key){key, key_size});
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
