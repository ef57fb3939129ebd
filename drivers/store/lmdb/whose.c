/* Whose data a directory holds, without opening it as a store. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "lmdb_internal.h"

/* What the child found out, as it goes through the pipe. */
struct finding {
    spate_err err;
    struct spate_store_identity identity;
};

static spate_err look(const char *directory, struct spate_store_identity *ret_identity)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi meta = 0;
    MDB_val value = {0};

    int code = mdb_env_create(&env);
    if (code != 0) {
        return spate_lmdb_error_of(code);
    }
    code = mdb_env_set_maxdbs(env, 2);
    if (code == 0) {
        code = mdb_env_open(env, directory, MDB_RDONLY | MDB_NOTLS, 0600);
    }
    if (code == 0) {
        code = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    }
    if (code == 0) {
        code = mdb_dbi_open(txn, "meta", 0, &meta);
    }
    spate_err err = spate_lmdb_error_of(code);
    if (err == SPATE_OK) {
        err = spate_lmdb_read_meta(txn, meta, META_IDENTITY, &value);
    }
    return err == SPATE_OK ? spate_identity_decode(value.mv_data, value.mv_size, ret_identity)
                           : err;
}

/* Never returns. What LMDB may do to a process on damaged pages stays here. */
_Noreturn static void look_and_exit(const char *directory, int result_fd)
{
    struct finding finding = {.err = SPATE_ERR_CORRUPT};

    finding.err = look(directory, &finding.identity);
    (void)!write(result_fd, &finding, sizeof finding);
    _exit(0);
}

spate_err spate_store_lmdb_whose(const char *directory, struct spate_store_identity *ret_identity)
{
    struct finding finding = {.err = SPATE_ERR_CORRUPT};
    int result[2];
    int status = 0;

    spate_assert(directory != NULL && ret_identity != NULL);
    if (pipe2(result, O_CLOEXEC) != 0) {
        return SPATE_ERR_NO_MEMORY;
    }
    const pid_t child = fork();
    if (child == 0) {
        look_and_exit(directory, result[1]);
    }
    (void)close(result[1]);
    const bool is_told =
        child > 0 && read(result[0], &finding, sizeof finding) == (ssize_t)sizeof finding;
    (void)close(result[0]);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (child < 0) {
        return SPATE_ERR_NO_MEMORY;
    }
    if (is_told && finding.err == SPATE_OK) {
        *ret_identity = finding.identity;
    }
    return is_told ? finding.err : SPATE_ERR_CORRUPT;
}
