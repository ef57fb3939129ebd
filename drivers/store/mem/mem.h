/*
 * The store of durability `memory`: nothing outlives the process, and the log in memory is the only
 * copy. A batch is complete as soon as it is submitted.
 *
 * One thing does last, in `directory`: that this core has made promises to others. Before the first
 * such batch is complete, a file is written that says whose; a store that finds it loads as mute
 * (lib/raft/mute.c), for the core has forgotten what it promised.
 *
 *   memory-identity    cluster, core and incarnation that made promises
 */
#ifndef SPATE_DRIVERS_STORE_MEM_H
#define SPATE_DRIVERS_STORE_MEM_H

#include <stddef.h>

#include "store/store.h"

struct spate_store_mem_options {
    const char *directory; /* Made when absent. NULL: a restart is taken for a first start. */
    struct spate_store_identity identity;
};

/*
 * ret_message: the line that explains a failure; may be NULL.
 *
 * Errors: SPATE_ERR_NO_MEMORY; with a directory also IN_USE, PERMISSION, INVALID, IO, CORRUPT and
 *         MISMATCH (another core's)
 */
spate_err spate_store_mem_create(const struct spate_store_mem_options *options,
                                 struct spate_store **ret_store, char *ret_message,
                                 size_t message_bytes) SPATE_MUST_CHECK;

/* Whether a core with durability memory has been at work in this directory. */
bool spate_store_mem_is_in(const char *directory);

#endif
