/* What the owner reads, in short read transactions; every record is checked each time. */
#include <string.h>

#include "base/assert.h"
#include "lmdb_internal.h"

spate_err spate_lmdb_read_meta(MDB_txn *txn, MDB_dbi meta, const char *name, MDB_val *ret_value)
{
    MDB_val key = {strlen(name), (void *)(uintptr_t)name};
    return spate_lmdb_error_of(mdb_get(txn, meta, &key, ret_value));
}

/* A missing value leaves *ret_state as it is. */
static spate_err read_hard_state(MDB_txn *txn, MDB_dbi meta, const char *name,
                                 struct spate_hard_state *ret_state)
{
    MDB_val value;
    const spate_err err = spate_lmdb_read_meta(txn, meta, name, &value);
    if (err != SPATE_OK) {
        return err == SPATE_ERR_NOT_FOUND ? SPATE_OK : err;
    }
    return spate_hard_state_decode(value.mv_data, value.mv_size, ret_state);
}

/* Checks every record, and that they follow each other without a gap, in one chain. */
static spate_err verify_records(MDB_txn *txn, MDB_dbi log, struct spate_entry_id base,
                                spate_index *ret_bad)
{
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val value;
    struct spate_record before = {.first = base.index, .count = 1, .term = base.term};
    bool is_first = true;
    int code = mdb_cursor_open(txn, log, &cursor);

    while (code == 0 && (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        struct spate_record record;
        size_t first = 0;
        *ret_bad = before.first + before.count;
        memcpy(&first, key.mv_data, key.mv_size == sizeof first ? sizeof first : 0);
        if (spate_record_decode(value.mv_data, value.mv_size, &record) != SPATE_OK ||
            record.first != first || record.first != before.first + before.count ||
            record.term < before.term || (!is_first && record.chain_prev != before.chain)) {
            mdb_cursor_close(cursor);
            return SPATE_ERR_CORRUPT;
        }
        before = record;
        is_first = false;
    }
    if (cursor != NULL) {
        mdb_cursor_close(cursor);
    }
    return code == MDB_NOTFOUND ? SPATE_OK : spate_lmdb_error_of(code);
}

spate_err spate_lmdb_verify_all(MDB_env *env, MDB_dbi log, MDB_dbi meta, spate_index *ret_bad)
{
    MDB_txn *txn = NULL;
    struct spate_hard_state state = {0};
    struct spate_hard_state base = {0};

    *ret_bad = 0;
    spate_err err = spate_lmdb_error_of(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
    if (err != SPATE_OK) {
        return err;
    }
    err = read_hard_state(txn, meta, META_HARD_STATE, &state);
    if (err == SPATE_OK) {
        err = read_hard_state(txn, meta, META_BASE, &base);
    }
    if (err == SPATE_OK) {
        err = verify_records(txn, log, (struct spate_entry_id){base.term, base.commit}, ret_bad);
    }
    mdb_txn_abort(txn);
    return err;
}

spate_err spate_lmdb_find_end(struct lmdb_store *lmdb, MDB_txn *txn)
{
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val value;
    struct spate_record record;
    struct spate_hard_state base = {0};

    spate_err err = read_hard_state(txn, lmdb->meta, META_BASE, &base);
    if (err != SPATE_OK) {
        return err;
    }
    lmdb->base = (struct spate_entry_id){base.term, base.commit};
    lmdb->end = (struct log_end){.last = base.commit};
    const int opened = mdb_cursor_open(txn, lmdb->log, &cursor);
    if (opened != 0) {
        return spate_lmdb_error_of(opened);
    }
    const int code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    if (code == 0) {
        err = spate_record_decode(value.mv_data, value.mv_size, &record);
        if (err == SPATE_OK) {
            lmdb->end =
                (struct log_end){.last = record.first + record.count - 1, .chain = record.chain};
        }
    } else if (code != MDB_NOTFOUND) {
        err = spate_lmdb_error_of(code);
    }
    mdb_cursor_close(cursor);
    return err;
}

spate_err spate_lmdb_load(struct spate_store *store, struct spate_store_loaded *ret_loaded)
{
    struct lmdb_store *lmdb = (struct lmdb_store *)store;
    struct spate_store_loaded loaded = {.base = lmdb->base, .last = lmdb->end.last};
    MDB_txn *txn = NULL;

    spate_assert(lmdb->submitted == 0); /* Before the first submit: the store thread is idle. */
    spate_err err = spate_lmdb_error_of(mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &txn));
    if (err != SPATE_OK) {
        return err;
    }
    err = read_hard_state(txn, lmdb->meta, META_HARD_STATE, &loaded.hard_state);
    mdb_txn_abort(txn);
    loaded.is_new = loaded.hard_state.term == 0 && loaded.last == 0;
    if (err == SPATE_OK) {
        *ret_loaded = loaded;
    }
    return err;
}

/* Puts the cursor on the record that holds `first`. */
static int find_record(MDB_cursor *cursor, spate_index first, MDB_val *ret_value)
{
    size_t wanted = first;
    MDB_val key = {sizeof wanted, &wanted};

    int code = mdb_cursor_get(cursor, &key, ret_value, MDB_SET_RANGE);
    if (code == 0 && *(const size_t *)key.mv_data == first) {
        return 0;
    }
    /* The one that begins before. */
    code = mdb_cursor_get(cursor, &key, ret_value, code == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    return code;
}

spate_err spate_lmdb_read(struct spate_store *store, spate_index first, uint32_t bytes_max,
                          struct spate_log_span *ret_span)
{
    struct lmdb_store *lmdb = (struct lmdb_store *)store;
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    MDB_val value = {0};
    struct spate_record record = {0};
    struct spate_log_span span;

    int code = mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &txn);
    if (code != 0) {
        return spate_lmdb_error_of(code);
    }
    code = mdb_cursor_open(txn, lmdb->log, &cursor);
    if (code == 0) {
        code = find_record(cursor, first, &value);
    }
    spate_err err = spate_lmdb_error_of(code);
    if (err == SPATE_OK) {
        err = spate_record_decode(value.mv_data, value.mv_size, &record);
    }
    if (err == SPATE_OK && (first < record.first || first - record.first >= record.count)) {
        err = SPATE_ERR_NOT_FOUND;
    }
    if (err == SPATE_OK) {
        err = spate_record_span(&record, first, UINT32_MAX, bytes_max, &span);
    }
    if (err == SPATE_OK) {
        spate_assert(span.bytes <= RECORD_BYTES_MAX);
        memcpy(lmdb->read_buffer, span.data, span.bytes);
        span.data = lmdb->read_buffer;
        *ret_span = span;
    }
    if (cursor != NULL) {
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return err;
}
