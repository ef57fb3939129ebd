/* What the files of the key-value state machine share. */
#ifndef SPATE_KV_KV_INTERNAL_H
#define SPATE_KV_KV_INTERNAL_H

#include <stdatomic.h>

#define _LGPL_SOURCE /* BSD-3-Clause is compatible: liburcu's inlined readers (docs/adr/0009). */
#include <urcu/urcu-qsbr.h>

#include <urcu/rculfhash.h>

#include "base/rcu.h"
#include "kv/kv.h"
#include "kv/session.h"

/* A key with its value: written once, before readers can find it; replaced as a whole. */
struct item {
    struct cds_lfht_node node;
    struct spate_retired retired;
    struct item *retired_next;
    struct item *older; /* The applier's: all items of the contents in the order of revisions. */
    struct item *newer;
    spate_index revision;
    uint32_t key_size;
    uint32_t value_size;
    bool is_displaced; /* Readers find it no more; a save still has to visit it. */
    uint8_t bytes[];   /* Key, then value. */
};

/* Keys, values and sessions: the replicated state. A restore puts another in its place. */
struct contents {
    struct spate_retired retired;
    struct contents *retired_next;
    struct cds_lfht *table;
    struct spate_sessions *sessions;
    struct item *oldest;
    struct item *newest;
    uint64_t keys;
    uint64_t bytes;
    uint64_t digest;
};

/*
 * A save walks the list of items by revision. Items put since are behind the frozen revision and
 * not visited; those displaced since stay in the list until they have been (copy on write).
 */
enum save_phase { SAVE_CLOSED, SAVE_HEADER, SAVE_ITEMS, SAVE_SESSIONS, SAVE_ALL };

#define SNAPSHOT_HEADER_BYTES  72u
#define SNAPSHOT_ITEM_BYTES    16u /* Before key and value. */
#define SNAPSHOT_SESSION_BYTES 24u

struct save {
    enum save_phase phase;
    spate_index frozen; /* Items up to this revision belong to the save. */
    struct item *next;  /* The item to visit next; NULL: no more. */
    uint32_t done;      /* Bytes of the present part that were handed out … */
    uint32_t size;      /* … of so many, besides an item's key and value. */
    uint8_t part[SNAPSHOT_HEADER_BYTES];
};

enum restore_phase {
    RESTORE_CLOSED,
    RESTORE_HEADER,
    RESTORE_ITEM,
    RESTORE_ITEM_BYTES,
    RESTORE_SESSION,
    RESTORE_ALL,
    RESTORE_FAILED
};

struct restore {
    enum restore_phase phase;
    spate_err failure;
    spate_index index;
    struct contents *contents;
    struct item *item; /* Being filled; not in the contents yet. */
    uint64_t items_left;
    uint32_t sessions_left;
    uint32_t filled; /* Bytes of the present part that have come. */
    uint8_t part[SNAPSHOT_HEADER_BYTES];
    /* What the header promised. */
    spate_index applied;
    uint64_t bytes;
    uint64_t digest;
    uint32_t sessions;
};

struct spate_kv {
    struct spate_fsm fsm;
    struct spate_reclaim *reclaim;
    uint64_t seed;
    uint64_t quota_bytes;
    uint32_t bucket_count;
    uint32_t session_capacity;

    struct contents *contents; /* The applier's; readers go through `shown`. */
    struct save save;
    struct restore restore;

    /* Retired items in the order of their retirement; the applier frees from the head. */
    struct item *retired_head;
    struct item **retired_tail;
    struct contents *retired_contents; /* Likewise, the newest first; a handful at most. */

    _Atomic(struct contents *) shown;
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

/* contents.c */
struct contents *spate_kv_contents_create(const struct spate_kv *kv);
/* Frees contents that no reader can hold, with all items. Accepts NULL. */
void spate_kv_contents_destroy(struct contents *contents);
struct item *spate_kv_contents_find(const struct spate_kv *kv, const struct contents *contents,
                                    struct key key);
/* An item of its own memory, its key and value not filled in. NULL: out of memory. */
struct item *spate_kv_item_create(spate_index revision, uint32_t key_size, uint32_t value_size);
/* Puts an item in; returns the one that it displaced, now to be given to spate_kv_displace(), or
 * NULL. Requires: its revision is higher than all in there. */
struct item *spate_kv_contents_put(const struct spate_kv *kv, struct contents *contents,
                                   struct item *item);
void spate_kv_contents_delete(struct contents *contents, struct item *item);
/* Takes an item out of the list of revisions. */
void spate_kv_contents_unlist(struct contents *contents, struct item *item);
static inline uint64_t spate_kv_item_bytes(const struct item *item)
{
    return (uint64_t)item->key_size + item->value_size;
}

/* kv.c: readers no longer find the item; it goes when they and the save no longer need it. */
void spate_kv_displace(struct spate_kv *kv, struct item *item);
void spate_kv_retire(struct spate_kv *kv, struct item *item);
void spate_kv_show(struct spate_kv *kv, spate_index applied);

/* save.c */
spate_err spate_kv_save_begin(struct spate_fsm *fsm);
uint32_t spate_kv_save_read(struct spate_fsm *fsm, uint8_t *to, uint32_t capacity);
void spate_kv_save_end(struct spate_fsm *fsm);
/* Whether the open save has yet to visit the item. */
bool spate_kv_save_needs(const struct spate_kv *kv, const struct item *item);

/* restore.c */
spate_err spate_kv_restore_begin(struct spate_fsm *fsm, spate_index index);
spate_err spate_kv_restore_write(struct spate_fsm *fsm, const uint8_t *bytes, uint32_t size);
spate_err spate_kv_restore_end(struct spate_fsm *fsm, bool is_complete);

static inline struct spate_kv *spate_kv_of(struct spate_fsm *fsm)
{
    return (struct spate_kv *)fsm; /* Its first member. */
}

#endif
