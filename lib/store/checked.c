/* The decorator that proves the store's contract at run time. */
#include <stdlib.h>

#include "base/assert.h"
#include "store/store.h"

struct checked {
    struct spate_store store;
    struct spate_store *inner;
    spate_index base;
    spate_index last; /* As submitted. */
    spate_ticket submitted;
    spate_ticket completed;
    spate_err failure; /* Final; SPATE_OK: none yet. */
    bool is_damaged;
};

static spate_err checked_load(struct spate_store *store, struct spate_store_loaded *ret_loaded)
{
    struct checked *checked = (struct checked *)store;

    spate_assert(checked->submitted == 0);
    const spate_err err = checked->inner->ops->load(checked->inner, ret_loaded);
    if (err == SPATE_OK) {
        spate_assert(ret_loaded->base.index <= ret_loaded->last);
        spate_assert(!ret_loaded->is_damaged || checked->inner->ops->repair != NULL);
        spate_assert(!ret_loaded->is_damaged || !ret_loaded->is_new);
        checked->is_damaged = ret_loaded->is_damaged;
        checked->base = ret_loaded->base.index;
        checked->last = ret_loaded->last;
    }
    return err;
}

static spate_err checked_repair(struct spate_store *store)
{
    struct checked *checked = (struct checked *)store;
    struct spate_store_loaded loaded;

    spate_assert(checked->is_damaged);
    spate_assert(checked->submitted == 0);
    spate_err err = checked->inner->ops->repair(checked->inner);
    if (err == SPATE_OK) {
        err = checked->inner->ops->load(checked->inner, &loaded);
    }
    if (err == SPATE_OK) {
        spate_assert(!loaded.is_damaged && loaded.hard_state.is_mute);
        spate_assert(loaded.last == checked->last && loaded.base.index == checked->base);
        checked->is_damaged = false;
    }
    return err;
}

static spate_err checked_read(struct spate_store *store, spate_index first, uint32_t bytes_max,
                              struct spate_log_span *ret_span)
{
    struct checked *checked = (struct checked *)store;

    const spate_err err = checked->inner->ops->read(checked->inner, first, bytes_max, ret_span);
    if (err == SPATE_OK) {
        spate_assert(ret_span->first == first);
        spate_assert(ret_span->count >= 1);
        spate_assert(ret_span->count == 1 || ret_span->bytes <= bytes_max);
    }
    return err;
}

/* The last index once the batch has taken effect. */
static spate_index last_after(const struct checked *checked, const struct spate_store_batch *batch)
{
    spate_index last = checked->last;

    if (batch->has_reset) {
        spate_assert((batch->reset_base.term == 0) == (batch->reset_base.index == 0));
        last = batch->reset_base.index;
    }
    if (batch->has_truncate) {
        spate_assert(batch->truncate_after >=
                     (batch->has_reset ? batch->reset_base.index : checked->base));
        spate_assert(batch->truncate_after <= last);
        last = batch->truncate_after;
    }
    for (uint32_t s = 0; s < batch->span_count; s++) {
        spate_assert(batch->spans[s].count >= 1);
        spate_assert(batch->spans[s].first == last + 1);
        last += batch->spans[s].count;
    }
    return last;
}

static spate_err checked_submit(struct spate_store *store, const struct spate_store_batch *batch,
                                spate_ticket *ret_ticket)
{
    struct checked *checked = (struct checked *)store;
    spate_ticket ticket = 0;

    spate_assert(batch->has_hard_state || batch->has_reset || batch->has_truncate ||
                 batch->span_count > 0);
    spate_assert(!checked->is_damaged);
    const spate_index last = last_after(checked, batch);
    const spate_err err = checked->inner->ops->submit(checked->inner, batch, &ticket);
    if (err != SPATE_OK) {
        return err;
    }
    spate_assert(checked->failure == SPATE_OK);
    spate_assert(ticket == checked->submitted + 1);
    checked->submitted = ticket;
    checked->last = last;
    checked->base = batch->has_reset ? batch->reset_base.index : checked->base;
    *ret_ticket = ticket;
    return SPATE_OK;
}

static spate_err checked_poll(struct spate_store *store, spate_ticket *ret_completed)
{
    struct checked *checked = (struct checked *)store;
    spate_ticket completed = 0;

    const spate_err err = checked->inner->ops->poll(checked->inner, &completed);
    if (checked->failure != SPATE_OK) {
        spate_assert(err == checked->failure);
    }
    checked->failure = err;
    if (err != SPATE_OK) {
        return err;
    }
    spate_assert(completed >= checked->completed);
    spate_assert(completed <= checked->submitted);
    checked->completed = completed;
    *ret_completed = completed;
    return SPATE_OK;
}

static spate_err checked_compact(struct spate_store *store, spate_index first_kept)
{
    struct checked *checked = (struct checked *)store;

    spate_assert(first_kept <= checked->last + 1);
    return checked->inner->ops->compact(checked->inner, first_kept);
}

static void checked_close(struct spate_store *store)
{
    struct checked *checked = (struct checked *)store;

    if (checked != NULL) {
        checked->inner->ops->close(checked->inner);
        free(checked);
    }
}

static const struct spate_store_ops checked_ops = {
    .name = "checked",
    .load = checked_load,
    .repair = checked_repair,
    .read = checked_read,
    .submit = checked_submit,
    .poll = checked_poll,
    .compact = checked_compact,
    .close = checked_close,
};

spate_err spate_store_checked_create(struct spate_store *inner, struct spate_store **ret_store)
{
    spate_assert(inner != NULL);
    struct checked *checked = calloc(1, sizeof *checked);
    if (checked == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    checked->store = *inner;
    checked->store.ops = &checked_ops;
    checked->inner = inner;
    *ret_store = &checked->store;
    return SPATE_OK;
}
