/* The store thread: everything that has been staged, one transaction, one sync, again. */
#include <errno.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "lmdb_internal.h"

/* Batches taken into one transaction stay below this, so that its dirty pages do. */
#define TRANSACTION_BYTES_MAX (64u << 20)

/* Records deleted by one compaction step; the rest goes with the next. */
#define COMPACT_RECORDS_MAX 256u

spate_err spate_lmdb_error_of(int code)
{
    switch (code) {
    case 0:
        return SPATE_OK;
    case MDB_NOTFOUND:
        return SPATE_ERR_NOT_FOUND;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
        return SPATE_ERR_CORRUPT;
    case EACCES:
    case EPERM:
        return SPATE_ERR_PERMISSION;
    case ENOMEM:
        return SPATE_ERR_NO_MEMORY;
    default:
        return SPATE_ERR_IO;
    }
}

static int put_meta(struct lmdb_store *lmdb, MDB_txn *txn, const char *name, void *data,
                    size_t size)
{
    MDB_val key = {strlen(name), (void *)(uintptr_t)name};
    MDB_val value = {size, data};
    return mdb_put(txn, lmdb->meta, &key, &value, 0);
}

/* Writes one record behind the last. */
static int append_record(struct lmdb_store *lmdb, MDB_txn *txn, const struct spate_log_span *span)
{
    size_t first = span->first;
    MDB_val key = {sizeof first, &first};
    MDB_val value = {SPATE_RECORD_HEADER_BYTES + span->bytes, NULL};

    spate_assert(span->first == lmdb->end.last + 1);
    const int code = mdb_put(txn, lmdb->log, &key, &value, MDB_APPEND | MDB_RESERVE);
    if (code == 0) {
        lmdb->end.chain = spate_record_encode(value.mv_data, span, lmdb->end.chain);
        lmdb->end.last = span->first + span->count - 1;
    }
    return code;
}

/* Writes a span as records of about SPATE_RECORD_ENTRIES_BYTES. */
static int append_span(struct lmdb_store *lmdb, MDB_txn *txn, const struct spate_log_span *span)
{
    struct spate_record rest = {.first = span->first,
                                .term = span->term,
                                .count = span->count,
                                .bytes = span->bytes,
                                .entries = span->data};

    if (span->bytes <= SPATE_RECORD_ENTRIES_BYTES) {
        return append_record(lmdb, txn, span);
    }
    while (rest.count > 0) {
        struct spate_log_span piece = {0};
        /* Our own log's entries: they are what they say. */
        const spate_err err =
            spate_record_span(&rest, rest.first, UINT32_MAX, SPATE_RECORD_ENTRIES_BYTES, &piece);
        spate_assert(err == SPATE_OK);
        const int code = append_record(lmdb, txn, &piece);
        if (code != 0) {
            return code;
        }
        rest.first += piece.count;
        rest.count -= piece.count;
        rest.entries += piece.bytes;
        rest.bytes -= piece.bytes;
    }
    return 0;
}

/* Takes the last record away, or its entries after `after` when the cut goes through it. */
static int cut_last_record(struct lmdb_store *lmdb, MDB_txn *txn, MDB_cursor *cursor,
                           spate_index after)
{
    MDB_val key;
    MDB_val value;
    struct spate_record record;
    struct spate_log_span kept = {0};

    int code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    if (code != 0) {
        return code;
    }
    if (spate_record_decode(value.mv_data, value.mv_size, &record) != SPATE_OK) {
        return MDB_CORRUPTED;
    }
    if (record.first <= after) {
        /* Kept aside: deleting the record lets its pages go. */
        spate_assert(record.bytes <= RECORD_BYTES_MAX);
        memcpy(lmdb->cut_buffer, record.entries, record.bytes);
        record.entries = lmdb->cut_buffer;
        if (spate_record_span(&record, record.first, (uint32_t)(after - record.first + 1),
                              UINT32_MAX, &kept) != SPATE_OK) {
            return MDB_CORRUPTED;
        }
    }
    code = mdb_cursor_del(cursor, 0);
    lmdb->end = (struct log_end){.last = record.first - 1, .chain = record.chain_prev};
    return code == 0 && kept.count > 0 ? append_record(lmdb, txn, &kept) : code;
}

/* Forgets what comes after `after`. */
static int truncate_log(struct lmdb_store *lmdb, MDB_txn *txn, spate_index after)
{
    MDB_cursor *cursor = NULL;
    int code = mdb_cursor_open(txn, lmdb->log, &cursor);

    while (code == 0 && lmdb->end.last > after) {
        code = cut_last_record(lmdb, txn, cursor, after);
    }
    mdb_cursor_close(cursor);
    return code;
}

static int put_base(struct lmdb_store *lmdb, MDB_txn *txn, struct spate_entry_id base)
{
    uint8_t bytes[SPATE_HARD_STATE_BYTES];
    const struct spate_hard_state stored = {.term = base.term, .commit = base.index};

    spate_hard_state_encode(bytes, &stored);
    lmdb->base = base;
    return put_meta(lmdb, txn, META_BASE, bytes, sizeof bytes);
}

/* Forgets the whole log, which begins anew behind `base`. */
static int reset_log(struct lmdb_store *lmdb, MDB_txn *txn, struct spate_entry_id base)
{
    const int code = mdb_drop(txn, lmdb->log, 0);

    lmdb->end = (struct log_end){.last = base.index};
    lmdb->compact_to = 0;
    return code == 0 ? put_base(lmdb, txn, base) : code;
}

/*
 * Forgets whole records before lmdb->compact_to, a bounded number, and moves the base along. A
 * record that fails its check ends the store like any other: what lies behind it cannot be known
 * to follow it.
 */
static int compact_log(struct lmdb_store *lmdb, MDB_txn *txn)
{
    const spate_index first_kept = lmdb->compact_to;
    MDB_cursor *cursor = NULL;
    struct spate_entry_id base = lmdb->base;
    bool is_done = false;
    int code = mdb_cursor_open(txn, lmdb->log, &cursor);

    for (uint32_t r = 0; code == 0 && !is_done && r < COMPACT_RECORDS_MAX; r++) {
        MDB_val key;
        MDB_val value;
        struct spate_record record;
        code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        if (code != 0) {
            break;
        }
        if (spate_record_decode(value.mv_data, value.mv_size, &record) != SPATE_OK ||
            record.first != base.index + 1) {
            code = MDB_CORRUPTED;
            break;
        }
        /* The last record stays: the chain goes on from it. */
        is_done = record.first + record.count > first_kept ||
                  record.first + record.count > lmdb->end.last;
        if (!is_done) {
            base = (struct spate_entry_id){record.term, record.first + record.count - 1};
            code = mdb_cursor_del(cursor, 0);
        }
    }
    mdb_cursor_close(cursor);
    is_done |= code == MDB_NOTFOUND;
    code = code == MDB_NOTFOUND ? 0 : code;
    if (is_done) {
        lmdb->compact_to = 0;
    }
    return code == 0 && base.index != lmdb->base.index ? put_base(lmdb, txn, base) : code;
}

static int write_batch(struct lmdb_store *lmdb, MDB_txn *txn, const struct request *request)
{
    int code = 0;
    const uint8_t *bytes = (const uint8_t *)(request->spans + request->span_count);

    if (request->has_hard_state) {
        uint8_t hard_state[SPATE_HARD_STATE_BYTES];
        spate_hard_state_encode(hard_state, &request->hard_state);
        code = put_meta(lmdb, txn, META_HARD_STATE, hard_state, sizeof hard_state);
    }
    if (code == 0 && request->has_reset) {
        code = reset_log(lmdb, txn, request->reset_base);
    }
    if (code == 0 && request->has_truncate && request->index < lmdb->end.last) {
        code = truncate_log(lmdb, txn, request->index);
    }
    for (uint32_t s = 0; code == 0 && s < request->span_count; s++) {
        struct spate_log_span span = request->spans[s];
        span.data = bytes;
        bytes += spate_round_up_8(span.bytes);
        code = append_span(lmdb, txn, &span);
    }
    return code;
}

/* Writes what is in the ring. *ret_batches: how many tickets that completes. */
static int write_all(struct lmdb_store *lmdb, MDB_txn *txn, uint64_t *ret_batches)
{
    uint64_t bytes_taken = 0;
    uint32_t bytes = 0;
    const struct request *request = NULL;
    int code = 0;

    *ret_batches = 0;
    while (code == 0 && bytes_taken < TRANSACTION_BYTES_MAX &&
           (request = spate_ring_take(lmdb->requests, &bytes)) != NULL) {
        bytes_taken += bytes;
        if (request->kind == REQUEST_COMPACT) {
            lmdb->compact_to =
                request->index > lmdb->compact_to ? request->index : lmdb->compact_to;
        } else {
            code = write_batch(lmdb, txn, request);
            *ret_batches += 1;
        }
    }
    return code == 0 && lmdb->compact_to != 0 ? compact_log(lmdb, txn) : code;
}

static int write_one_transaction(struct lmdb_store *lmdb, uint64_t *ret_batches)
{
    MDB_txn *txn = NULL;
    int code = mdb_txn_begin(lmdb->env, NULL, 0, &txn);

    if (code != 0) {
        return code;
    }
    code = write_all(lmdb, txn, ret_batches);
    if (code != 0) {
        mdb_txn_abort(txn);
        return code;
    }
    return mdb_txn_commit(txn); /* Writes the pages and syncs, then the meta page and syncs. */
}

/* Sleeps until the ring has something or the store closes. */
static void sleep_until_asked(struct lmdb_store *lmdb)
{
    uint64_t ignored = 0;

    /* Announce first, look again, then sleep: whoever stages after the look sees the announcement.
     */
    atomic_store(&lmdb->is_asleep, true);
    if (spate_ring_is_empty(lmdb->requests) && !atomic_load(&lmdb->is_closing)) {
        while (read(lmdb->work_fd, &ignored, sizeof ignored) < 0 && errno == EINTR) {
        }
    }
    (void)atomic_exchange(&lmdb->is_asleep, false);
}

static void tell_owner(struct lmdb_store *lmdb)
{
    if (lmdb->waker != NULL) {
        lmdb->waker->wake(lmdb->waker);
    }
}

void *spate_lmdb_write_forever(void *context)
{
    struct lmdb_store *lmdb = context;

    for (;;) {
        uint64_t batches = 0;
        if (spate_ring_is_empty(lmdb->requests)) {
            if (atomic_load(&lmdb->is_closing)) {
                return NULL;
            }
            if (lmdb->compact_to == 0) {
                sleep_until_asked(lmdb);
                continue;
            }
        }
        const int code = write_one_transaction(lmdb, &batches);
        if (code != 0) {
            /* Final. What was staged is not acknowledged, now or ever. */
            const spate_err err = spate_lmdb_error_of(code);
            atomic_store(&lmdb->failure,
                         (int)(err == SPATE_ERR_CORRUPT ? SPATE_ERR_CORRUPT : SPATE_ERR_IO));
            tell_owner(lmdb);
            return NULL;
        }
        spate_ring_release(lmdb->requests);
        atomic_fetch_add_explicit(&lmdb->completed, batches, memory_order_release);
        tell_owner(lmdb);
    }
}
