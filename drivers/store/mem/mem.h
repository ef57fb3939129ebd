/*
 * The store of durability `memory`: nothing outlives the process, and the log in memory is the only
 * copy. A batch is complete as soon as it is submitted.
 */
#ifndef SPATE_DRIVERS_STORE_MEM_H
#define SPATE_DRIVERS_STORE_MEM_H

#include "store/store.h"

/* Errors: SPATE_ERR_NO_MEMORY */
spate_err spate_store_mem_create(struct spate_store **ret_store) SPATE_MUST_CHECK;

#endif
