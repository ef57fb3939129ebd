#include "store/mem/mem.h"

#include <stdlib.h>

#include "base/assert.h"

struct mem {
    struct spate_store store;
    spate_ticket submitted;
};

static spate_err mem_load(struct spate_store *store, struct spate_store_loaded *ret_loaded)
{
    (void)store;
    *ret_loaded = (struct spate_store_loaded){.is_new = true};
    return SPATE_OK;
}

static spate_err mem_read(struct spate_store *store, spate_index first, uint32_t bytes_max,
                          struct spate_log_span *ret_span)
{
    (void)store;
    (void)first;
    (void)bytes_max;
    (void)ret_span;
    return SPATE_ERR_NOT_FOUND;
}

static spate_err mem_submit(struct spate_store *store, const struct spate_store_batch *batch,
                            spate_ticket *ret_ticket)
{
    struct mem *mem = (struct mem *)store;
    spate_assert(batch->has_hard_state || batch->has_reset || batch->has_truncate ||
                 batch->span_count > 0);
    *ret_ticket = ++mem->submitted;
    return SPATE_OK;
}

static spate_err mem_poll(struct spate_store *store, spate_ticket *ret_completed)
{
    *ret_completed = ((struct mem *)store)->submitted;
    return SPATE_OK;
}

static spate_err mem_compact(struct spate_store *store, spate_index first_kept)
{
    (void)store;
    (void)first_kept;
    return SPATE_OK;
}

static void mem_close(struct spate_store *store)
{
    free(store);
}

static const struct spate_store_ops mem_ops = {
    .name = "mem",
    .load = mem_load,
    .read = mem_read,
    .submit = mem_submit,
    .poll = mem_poll,
    .compact = mem_compact,
    .close = mem_close,
};

spate_err spate_store_mem_create(struct spate_store **ret_store)
{
    struct mem *mem = calloc(1, sizeof *mem);
    if (mem == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    mem->store = (struct spate_store){
        .ops = &mem_ops, .batch_bytes_max = UINT64_MAX, .durability = SPATE_DURABILITY_MEMORY};
    *ret_store = &mem->store;
    return SPATE_OK;
}
