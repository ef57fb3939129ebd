/*
 * The built-in state machine: keys with values and revisions, in memory.
 *
 * One thread applies (the apply stage); any number of threads read without waiting. Commands are
 * those of kv/command.h. An entry's revision is the log index of the command that wrote it, which
 * never repeats and so can fence.
 *
 * The table is liburcu's lock-free hash table; displaced values are freed after a grace period.
 */
#ifndef SPATE_KV_KV_H
#define SPATE_KV_KV_H

#include "base/error.h"
#include "base/rcu.h"
#include "base/types.h"
#include "kv/command.h"
#include "spate/fsm.h"

struct spate_kv;

struct spate_kv_options {
    struct spate_reclaim *reclaim; /* Outlives the state machine. */
    uint64_t quota_bytes;          /* Of keys and values; the same on all members. 0: 1 GiB. */
    uint32_t bucket_count;         /* A power of two. 0: 65,536. */
    uint32_t session_count;        /* The same on all members. 0: 65,536. */
    uint64_t seed; /* Of the hash: unpredictable to clients, different on each node. */
};

/* What became of a command. */
enum spate_kv_outcome {
    SPATE_KV_OK = 0,
    SPATE_KV_NOT_FOUND = 1, /* DELETE: there was no such key. */
    SPATE_KV_FULL = 2,      /* PUT: the quota is spent. Nothing changed. */
    SPATE_KV_STALE = 3,     /* An older sequence of the session; its answer is gone. */
    SPATE_KV_MALFORMED = 4, /* Not a command. Nothing changed. */
};

/* The state machine's answer to a proposer (struct spate_result, `value`) holds both. */
#define SPATE_KV_ANSWER(outcome, revision) (((uint64_t)(revision) << 8) | (uint64_t)(outcome))
#define SPATE_KV_ANSWER_OUTCOME(answer)    ((enum spate_kv_outcome)((answer)&0xff))
#define SPATE_KV_ANSWER_REVISION(answer)   ((spate_index)((answer) >> 8))

/*
 * Errors: SPATE_ERR_NO_MEMORY, SPATE_ERR_INVALID
 * Memory: what is put is allocated while applying, within the quota; running out of memory all the
 *         same ends the process (an assertion), because skipping a command would break the state.
 */
spate_err spate_kv_create(const struct spate_kv_options *options,
                          struct spate_kv **ret_kv) SPATE_MUST_CHECK;

/* Requires: no reader is left. Accepts NULL. */
void spate_kv_destroy(struct spate_kv *kv);

/* To be given to a node. Memory: part of the kv. */
struct spate_fsm *spate_kv_fsm(struct spate_kv *kv);

/*
 * Copies the value of a key: at most `capacity` bytes of it. *ret_size is the whole size.
 *
 * Thread: any, inside a read section of the reclaimer. Wait-free.
 * Errors: SPATE_ERR_NOT_FOUND
 */
spate_err spate_kv_get(const struct spate_kv *kv, const uint8_t *key, uint32_t key_size,
                       uint8_t *value, uint32_t capacity, uint32_t *ret_size,
                       spate_index *ret_revision) SPATE_MUST_CHECK;

struct spate_kv_status {
    uint64_t keys;
    uint64_t bytes; /* Of keys and values, as the quota counts them. */
    uint64_t quota_bytes;
    uint64_t digest; /* Equal for equal contents, whatever way led there. */
    uint32_t sessions;
    spate_index applied; /* The last command's index. */
};

/* Thread: any. The fields are read one by one: consistent when nothing is being applied. */
void spate_kv_status(const struct spate_kv *kv, struct spate_kv_status *ret_status);

/*
 * What the first bytes of a saved state say: 128 of them are enough. False: they are not what this
 * state machine saves. quota_bytes stays 0. Thread: any.
 */
bool spate_kv_describe(const uint8_t *saved, uint32_t bytes, uint32_t *ret_version,
                       struct spate_kv_status *ret_status);

#endif
