/* Keys and values: a hash table for readers, and a list by revision for saves. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mix.h"
#include "kv_internal.h"

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

static int has_key(struct cds_lfht_node *node, const void *wanted)
{
    const struct item *item = caa_container_of(node, struct item, node);
    const struct key *key = wanted;
    spate_rcu_observe(item);
    return item->key_size == key->size && memcmp(item->bytes, key->data, key->size) == 0;
}

struct contents *spate_kv_contents_create(const struct spate_kv *kv)
{
    struct contents *contents = calloc(1, sizeof *contents);

    spate_assert(kv->bucket_count >= 1);
    if (contents == NULL) {
        return NULL;
    }
    /* A fixed number of buckets: resizing would start a thread of liburcu's. */
    contents->table = cds_lfht_new_flavor(kv->bucket_count, kv->bucket_count, kv->bucket_count, 0,
                                          &urcu_qsbr_flavor, NULL);
    if (contents->table == NULL ||
        spate_sessions_create(kv->session_capacity, &contents->sessions) != SPATE_OK) {
        spate_kv_contents_destroy(contents);
        return NULL;
    }
    return contents;
}

void spate_kv_contents_destroy(struct contents *contents)
{
    if (contents == NULL) {
        return;
    }
    for (struct item *item = contents->oldest; item != NULL;) {
        struct item *newer = item->newer;
        if (!item->is_displaced) {
            (void)cds_lfht_del(contents->table, &item->node);
        }
        free(item);
        item = newer;
    }
    if (contents->table != NULL) {
        const int err = cds_lfht_destroy(contents->table, NULL);
        spate_assert(err == 0);
    }
    spate_sessions_destroy(contents->sessions);
    free(contents);
}

struct item *spate_kv_contents_find(const struct spate_kv *kv, const struct contents *contents,
                                    struct key key)
{
    struct cds_lfht_iter iter;

    spate_assert(key.data != NULL);
    cds_lfht_lookup(contents->table, hash_of(kv, key), has_key, &key, &iter);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
    if (node == NULL) {
        return NULL;
    }
    struct item *item = caa_container_of(node, struct item, node);
    spate_rcu_observe(item);
    return item;
}

struct item *spate_kv_item_create(spate_index revision, uint32_t key_size, uint32_t value_size)
{
    spate_assert(key_size >= 1);
    struct item *item = malloc(sizeof *item + key_size + value_size);

    if (item != NULL) {
        *item = (struct item){.revision = revision, .key_size = key_size, .value_size = value_size};
        cds_lfht_node_init(&item->node);
    }
    return item;
}

static void list_as_newest(struct contents *contents, struct item *item)
{
    spate_assert(contents->newest == NULL || contents->newest->revision < item->revision);
    item->older = contents->newest;
    item->newer = NULL;
    if (contents->newest != NULL) {
        contents->newest->newer = item;
    } else {
        contents->oldest = item;
    }
    contents->newest = item;
}

void spate_kv_contents_unlist(struct contents *contents, struct item *item)
{
    if (item->older != NULL) {
        item->older->newer = item->newer;
    } else {
        spate_assert(contents->oldest == item);
        contents->oldest = item->newer;
    }
    if (item->newer != NULL) {
        item->newer->older = item->older;
    } else {
        spate_assert(contents->newest == item);
        contents->newest = item->older;
    }
}

static void count_out(struct contents *contents, const struct item *item)
{
    spate_assert(contents->keys >= 1);
    spate_assert(contents->bytes >= spate_kv_item_bytes(item));
    contents->keys--;
    contents->bytes -= spate_kv_item_bytes(item);
    contents->digest -= digest_of(item);
}

struct item *spate_kv_contents_put(const struct spate_kv *kv, struct contents *contents,
                                   struct item *item)
{
    const struct key key = {item->bytes, item->key_size};
    struct item *old = NULL;

    list_as_newest(contents, item);
    spate_rcu_publish(item);
    struct cds_lfht_node *replaced =
        cds_lfht_add_replace(contents->table, hash_of(kv, key), has_key, &key, &item->node);
    if (replaced != NULL) {
        old = caa_container_of(replaced, struct item, node);
        count_out(contents, old);
    }
    contents->keys++;
    contents->bytes += spate_kv_item_bytes(item);
    contents->digest += digest_of(item);
    return old;
}

void spate_kv_contents_delete(struct contents *contents, struct item *item)
{
    const int err = cds_lfht_del(contents->table, &item->node);

    spate_assert(err == 0);
    count_out(contents, item);
}
