/* Opening, founding and closing. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "lmdb_internal.h"
#include "store/place/place.h"

#define MAP_BYTES_DEFAULT     ((uint64_t)1 << 40)
#define STAGING_BYTES_DEFAULT (32u << 20)

/* Opens environment and tables. Called by the checking child as well as by the store itself. */
static int open_environment(const struct spate_store_lmdb_options *options, unsigned flags,
                            MDB_env **ret_env, MDB_dbi *ret_log, MDB_dbi *ret_meta)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    const unsigned create = (flags & MDB_RDONLY) != 0 ? 0 : MDB_CREATE;

    int code = mdb_env_create(&env);
    if (code != 0) {
        return code;
    }
    code =
        mdb_env_set_mapsize(env, options->map_bytes != 0 ? options->map_bytes : MAP_BYTES_DEFAULT);
    if (code == 0) {
        code = mdb_env_set_maxdbs(env, 2);
    }
    if (code == 0) {
        code = mdb_env_open(env, options->directory, MDB_NOTLS | flags, 0600);
    }
    if (code == 0) {
        code = mdb_txn_begin(env, NULL, flags & MDB_RDONLY, &txn);
    }
    if (code == 0) {
        code = mdb_dbi_open(txn, "log", MDB_INTEGERKEY | create, ret_log);
        if (code == 0) {
            code = mdb_dbi_open(txn, "meta", create, ret_meta);
        }
        if (code == 0) {
            code = mdb_txn_commit(txn);
        } else {
            mdb_txn_abort(txn);
        }
    }
    if (code != 0) {
        mdb_env_close(env);
        return code;
    }
    *ret_env = env;
    return 0;
}

/* Runs in a child: what LMDB may do to it on damaged pages stays there. Never returns. */
_Noreturn static void check_and_exit(const struct spate_store_lmdb_options *options, int result_fd)
{
    MDB_env *env = NULL;
    MDB_dbi log = 0;
    MDB_dbi meta = 0;
    spate_index bad = 0;

    (void)!freopen("/dev/null", "w", stderr); /* LMDB's own assertion text. */
    const int code = open_environment(options, MDB_RDONLY, &env, &log, &meta);
    const spate_err err =
        code != 0 ? spate_lmdb_error_of(code) : spate_lmdb_verify_all(env, log, meta, &bad);
    (void)!write(result_fd, &bad, sizeof bad);
    _exit((int)err);
}

/* Checks all that is stored. NOT_FOUND: there is nothing yet. */
static spate_err check_in_child(const struct spate_store_lmdb_options *options,
                                const struct spate_complaint *complaint)
{
    int result[2];
    int status = 0;
    spate_index bad = 0;

    if (pipe2(result, O_CLOEXEC) != 0) {
        return spate_complain(complaint, SPATE_ERR_NO_MEMORY, "no pipe: %s", strerror(errno));
    }
    const pid_t child = fork();
    if (child == 0) {
        check_and_exit(options, result[1]);
    }
    (void)close(result[1]);
    (void)!read(result[0], &bad, sizeof bad);
    (void)close(result[0]);
    if (child < 0) {
        return spate_complain(complaint, SPATE_ERR_NO_MEMORY, "cannot fork: %s", strerror(errno));
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    const spate_err err = WIFEXITED(status) ? (spate_err)WEXITSTATUS(status) : SPATE_ERR_CORRUPT;
    if (err == SPATE_ERR_CORRUPT) {
        return spate_complain(
            complaint, err,
            "the data in %s is damaged (record at index %llu); keep a copy for "
            "examination, and bring this core back as a new member from the others",
            options->directory, (unsigned long long)bad);
    }
    return err;
}

bool spate_store_lmdb_is_in(const char *directory)
{
    char path[4096];
    struct stat status;
    (void)snprintf(path, sizeof path, "%s/data.mdb", directory);
    return stat(path, &status) == 0 && status.st_size > 0;
}

/* Compares the identity of the data with the one that is wanted, or writes it. */
static spate_err settle_identity(struct lmdb_store *lmdb, MDB_txn *txn,
                                 const struct spate_store_lmdb_options *options,
                                 const struct spate_complaint *complaint)
{
    const struct spate_store_identity *wanted = &options->identity;
    struct spate_store_identity stored = {0};
    MDB_val value;
    spate_err err = spate_lmdb_read_meta(txn, lmdb->meta, META_IDENTITY, &value);

    if (err == SPATE_ERR_NOT_FOUND) {
        uint8_t bytes[SPATE_IDENTITY_BYTES];
        MDB_val key = {strlen(META_IDENTITY), (void *)(uintptr_t)META_IDENTITY};
        spate_identity_encode(bytes, wanted);
        value = (MDB_val){sizeof bytes, bytes};
        return spate_lmdb_error_of(mdb_put(txn, lmdb->meta, &key, &value, MDB_NOOVERWRITE));
    }
    if (err == SPATE_OK) {
        err = spate_identity_decode(value.mv_data, value.mv_size, &stored);
    }
    if (err == SPATE_ERR_MISMATCH) {
        return spate_complain(
            complaint, err,
            "the data in %s was written in another format; run the version of spate "
            "that wrote it",
            options->directory);
    }
    if (err != SPATE_OK) {
        return spate_complain(complaint, err, "the identity of the data in %s is damaged",
                              options->directory);
    }
    return spate_place_compare(&stored, wanted, options->directory, complaint);
}

static spate_err settle(struct lmdb_store *lmdb, const struct spate_store_lmdb_options *options,
                        const struct spate_complaint *complaint)
{
    const unsigned unsafe = MDB_NOSYNC | MDB_NOMETASYNC | MDB_MAPASYNC | MDB_WRITEMAP;
    unsigned flags = 0;
    MDB_txn *txn = NULL;

    spate_err err = spate_lmdb_error_of(mdb_env_get_flags(lmdb->env, &flags));
    if (err != SPATE_OK || (flags & unsafe) != 0) {
        return spate_complain(complaint, SPATE_ERR_IO, "LMDB would not sync: this must not be");
    }
    err = spate_lmdb_error_of(mdb_txn_begin(lmdb->env, NULL, 0, &txn));
    if (err != SPATE_OK) {
        return err;
    }
    err = settle_identity(lmdb, txn, options, complaint);
    if (err == SPATE_OK) {
        err = spate_lmdb_find_end(lmdb, txn);
    }
    if (err != SPATE_OK) {
        mdb_txn_abort(txn);
        return err;
    }
    err = spate_lmdb_error_of(mdb_txn_commit(txn));
    return err == SPATE_OK ? spate_place_sync(options->directory) : err;
}

static void wake_writer(struct lmdb_store *lmdb)
{
    const uint64_t one = 1;
    (void)!write(lmdb->work_fd, &one, sizeof one);
}

/*
 * After publishing to the ring. Both sides exchange is_asleep: whichever exchange comes second
 * sees what the other side wrote before its own, so either we find the writer asleep, or it finds
 * the request when it looks once more before it sleeps.
 */
static void wake_if_asleep(struct lmdb_store *lmdb)
{
    if (atomic_exchange(&lmdb->is_asleep, false)) {
        wake_writer(lmdb);
    }
}

static spate_err lmdb_submit(struct spate_store *store, const struct spate_store_batch *batch,
                             spate_ticket *ret_ticket)
{
    struct lmdb_store *lmdb = (struct lmdb_store *)store;
    size_t bytes = sizeof(struct request) + batch->span_count * sizeof(struct spate_log_span);

    for (uint32_t s = 0; s < batch->span_count; s++) {
        bytes += spate_round_up_8(batch->spans[s].bytes);
    }
    spate_assert(bytes <= spate_ring_record_bytes_max(lmdb->requests));
    struct request *request = spate_ring_reserve(lmdb->requests, (uint32_t)bytes);
    if (request == NULL) {
        return SPATE_ERR_BUSY;
    }
    *request = (struct request){.kind = REQUEST_BATCH,
                                .has_hard_state = batch->has_hard_state,
                                .has_truncate = batch->has_truncate,
                                .has_reset = batch->has_reset,
                                .reset_base = batch->reset_base,
                                .hard_state = batch->hard_state,
                                .index = batch->truncate_after,
                                .span_count = batch->span_count};
    uint8_t *to = (uint8_t *)(request->spans + batch->span_count);
    for (uint32_t s = 0; s < batch->span_count; s++) {
        request->spans[s] = batch->spans[s];
        memcpy(to, batch->spans[s].data, batch->spans[s].bytes);
        to += spate_round_up_8(batch->spans[s].bytes);
    }
    spate_ring_publish(lmdb->requests);
    *ret_ticket = ++lmdb->submitted;
    wake_if_asleep(lmdb);
    return SPATE_OK;
}

static spate_err lmdb_poll(struct spate_store *store, spate_ticket *ret_completed)
{
    struct lmdb_store *lmdb = (struct lmdb_store *)store;
    const int failure = atomic_load_explicit(&lmdb->failure, memory_order_relaxed);

    if (failure != SPATE_OK) {
        return (spate_err)failure;
    }
    *ret_completed = atomic_load_explicit(&lmdb->completed, memory_order_acquire);
    return SPATE_OK;
}

static spate_err lmdb_compact(struct spate_store *store, spate_index first_kept)
{
    struct lmdb_store *lmdb = (struct lmdb_store *)store;
    struct request *request = spate_ring_reserve(lmdb->requests, sizeof *request);

    if (request == NULL) {
        return SPATE_ERR_BUSY;
    }
    *request = (struct request){.kind = REQUEST_COMPACT, .index = first_kept};
    spate_ring_publish(lmdb->requests);
    wake_if_asleep(lmdb);
    return SPATE_OK;
}

static void lmdb_close(struct spate_store *store)
{
    struct lmdb_store *lmdb = (struct lmdb_store *)store;

    if (lmdb == NULL) {
        return;
    }
    if (lmdb->is_started) {
        atomic_store(&lmdb->is_closing, true);
        wake_writer(lmdb);
        (void)pthread_join(lmdb->thread, NULL);
    }
    if (lmdb->env != NULL) {
        mdb_env_close(lmdb->env);
    }
    if (lmdb->work_fd >= 0) {
        (void)close(lmdb->work_fd);
    }
    if (lmdb->lock_fd >= 0) {
        (void)close(lmdb->lock_fd);
    }
    spate_ring_destroy(lmdb->requests);
    free(lmdb->read_buffer);
    free(lmdb->cut_buffer);
    free(lmdb);
}

static const struct spate_store_ops lmdb_ops = {
    .name = "lmdb",
    .load = spate_lmdb_load,
    .read = spate_lmdb_read,
    .submit = lmdb_submit,
    .poll = lmdb_poll,
    .compact = lmdb_compact,
    .close = lmdb_close,
};

static spate_err reserve_memory(struct lmdb_store *lmdb, uint32_t staging_bytes)
{
    lmdb->read_buffer = malloc(RECORD_BYTES_MAX);
    lmdb->cut_buffer = malloc(RECORD_BYTES_MAX);
    lmdb->work_fd = eventfd(0, EFD_CLOEXEC);
    if (lmdb->read_buffer == NULL || lmdb->cut_buffer == NULL || lmdb->work_fd < 0) {
        return SPATE_ERR_NO_MEMORY;
    }
    return spate_ring_create(staging_bytes, &lmdb->requests);
}

static spate_err open_all(struct lmdb_store *lmdb, const struct spate_store_lmdb_options *options,
                          const struct spate_complaint *complaint)
{
    const uint32_t staging =
        options->staging_bytes != 0 ? options->staging_bytes : STAGING_BYTES_DEFAULT;
    spate_err err = spate_place_take(options->directory, &lmdb->lock_fd, complaint);

    if (err == SPATE_OK && spate_store_lmdb_is_in(options->directory)) {
        err = check_in_child(options, complaint);
        err = err == SPATE_ERR_NOT_FOUND ? SPATE_OK : err; /* Founded, then cut short. */
    }
    if (err == SPATE_OK) {
        err = reserve_memory(lmdb, staging);
    }
    if (err != SPATE_OK) {
        return err;
    }
    const int code = open_environment(options, 0, &lmdb->env, &lmdb->log, &lmdb->meta);
    if (code != 0) {
        return spate_complain(complaint, spate_lmdb_error_of(code),
                              "cannot open the data in %s: %s", options->directory,
                              mdb_strerror(code));
    }
    lmdb->store.batch_bytes_max = staging / 4;
    return settle(lmdb, options, complaint);
}

spate_err spate_store_lmdb_create(const struct spate_store_lmdb_options *options,
                                  struct spate_store **ret_store, char *message,
                                  size_t message_bytes)
{
    const struct spate_complaint complaint = {message, message_bytes};
    struct lmdb_store *lmdb = calloc(1, sizeof *lmdb);

    if (lmdb == NULL) {
        return spate_complain(&complaint, SPATE_ERR_NO_MEMORY, "out of memory");
    }
    lmdb->store.ops = &lmdb_ops;
    lmdb->store.durability = SPATE_DURABILITY_DISK;
    lmdb->lock_fd = -1;
    lmdb->work_fd = -1;
    lmdb->waker = options->waker;
    (void)spate_complain(&complaint, SPATE_OK, "%s", "");
    spate_err err = open_all(lmdb, options, &complaint);
    if (err == SPATE_OK) {
        lmdb->is_started = pthread_create(&lmdb->thread, NULL, spate_lmdb_write_forever, lmdb) == 0;
        err = lmdb->is_started ? SPATE_OK : SPATE_ERR_NO_MEMORY;
    }
    if (err != SPATE_OK) {
        if (message != NULL && message[0] == '\0') {
            (void)spate_complain(&complaint, err, "the store in %s: %s", options->directory,
                                 spate_err_text(err));
        }
        lmdb_close(&lmdb->store);
        return err;
    }
    *ret_store = &lmdb->store;
    return SPATE_OK;
}
