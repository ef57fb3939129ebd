/* What the files of the LMDB store share. */
#ifndef SPATE_DRIVERS_STORE_LMDB_INTERNAL_H
#define SPATE_DRIVERS_STORE_LMDB_INTERNAL_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/ring.h"
#include "lmdb.h"
#include "store/record.h"

/* The most that a record's entries can take up: one entry may be larger than the usual record. */
#define RECORD_BYTES_MAX (SPATE_ENTRY_BYTES_MAX + SPATE_RECORD_ENTRIES_BYTES)

/* What the owner asks of the store thread, as it lies in the ring; spans and bytes follow. */
enum request_kind { REQUEST_BATCH = 1, REQUEST_COMPACT = 2 };

struct request {
    enum request_kind kind;
    bool has_hard_state;
    bool has_truncate;
    bool has_reset;
    uint32_t span_count;
    struct spate_hard_state hard_state;
    spate_index index; /* truncate_after, or first_kept. */
    struct spate_entry_id reset_base;
    struct spate_log_span spans[]; /* Their bytes follow, in the same order, each rounded to 8. */
};

/* The end of the log as the open transaction sees it. */
struct log_end {
    spate_index last; /* base.index when empty. */
    uint64_t chain;
};

struct lmdb_store {
    struct spate_store store;
    MDB_env *env;
    MDB_dbi log;  /* First index (native integer) -> record. */
    MDB_dbi meta; /* Names below -> hard state, identity, base. */
    int lock_fd;
    struct spate_waker *waker;

    /* The owner's. */
    struct spate_ring *requests;
    spate_ticket submitted;
    uint8_t *read_buffer; /* RECORD_BYTES_MAX */

    /* The store thread's. */
    struct log_end end;
    struct spate_entry_id base;
    spate_index compact_to; /* Entries before this are to go; done when the base is there. */
    uint8_t *cut_buffer;    /* RECORD_BYTES_MAX */

    /* Between the two. */
    _Atomic spate_ticket completed;
    _Atomic int failure; /* spate_err; final. */
    _Atomic bool is_asleep;
    _Atomic bool is_closing;
    int work_fd; /* eventfd: the ring has something, or closing. */
    pthread_t thread;
    bool is_started;
};

#define META_HARD_STATE "hard-state"
#define META_IDENTITY   "identity"
#define META_BASE       "base" /* The entry before the first, in the layout of hard state. */

/* reader.c */
spate_err spate_lmdb_read_meta(MDB_txn *txn, MDB_dbi meta, const char *name, MDB_val *ret_value);
spate_err spate_lmdb_find_end(struct lmdb_store *lmdb, MDB_txn *txn);
spate_err spate_lmdb_verify_all(MDB_env *env, MDB_dbi log, MDB_dbi meta, spate_index *ret_bad);
spate_err spate_lmdb_load(struct spate_store *store, struct spate_store_loaded *ret_loaded);
spate_err spate_lmdb_read(struct spate_store *store, spate_index first, uint32_t bytes_max,
                          struct spate_log_span *ret_span);

/* writer.c: the store thread. */
void *spate_lmdb_write_forever(void *context);

/* What an LMDB result means to the host. */
spate_err spate_lmdb_error_of(int code);

#endif
