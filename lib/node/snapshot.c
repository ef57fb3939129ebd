/* Snapshots: creation, the start from one, and a turn. */
#include "snapshot_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define ENTRIES_DEFAULT      10000000u
#define BYTES_DEFAULT        (256ull << 20)
#define KEEP_ENTRIES_DEFAULT 100000u

static bool can_save(const struct spate_fsm *fsm)
{
    return fsm->save_begin != NULL && fsm->save_read != NULL && fsm->save_end != NULL &&
           fsm->restore_begin != NULL && fsm->restore_write != NULL && fsm->restore_end != NULL;
}

static void set_defaults(struct spate_node *node)
{
    struct spate_node_options *options = &node->options;
    const bool is_disk = node->store->durability == SPATE_DURABILITY_DISK;

    /* In memory nothing has to be kept short by snapshots: they are taken when one is needed. */
    if (options->snapshot_entries == 0) {
        options->snapshot_entries = is_disk ? ENTRIES_DEFAULT : UINT64_MAX;
    }
    if (options->snapshot_bytes == 0) {
        options->snapshot_bytes = is_disk ? BYTES_DEFAULT : UINT64_MAX;
    }
    if (options->snapshot_keep_entries == 0) {
        options->snapshot_keep_entries = KEEP_ENTRIES_DEFAULT;
    }
}

spate_err spate_node_open_snapshots(struct spate_node *node)
{
    if (node->options.snapshots == NULL || !can_save(node->options.fsm)) {
        return SPATE_OK;
    }
    struct spate_node_snapshots *snapshots = calloc(1, sizeof *snapshots);
    if (snapshots == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    set_defaults(node);
    snapshots->driver = node->options.snapshots;
    snapshots->deadline = SPATE_TIME_NEVER;
    node->snapshots = snapshots;
    const spate_err err = snapshots->driver->ops->newest(snapshots->driver, &snapshots->newest);
    snapshots->has_newest = err == SPATE_OK;
    return err == SPATE_ERR_NOT_FOUND ? SPATE_OK : err;
}

void spate_node_close_snapshots(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;

    if (snapshots != NULL) {
        struct spate_fsm *fsm = node->options.fsm;

        spate_snapshots_close_transfers(node);
        spate_snapshots_close_copy(snapshots);
        if (snapshots->restoring != NULL) {
            snapshots->driver->ops->close_reader(snapshots->driver, snapshots->restoring);
        }
        if (snapshots->is_begun && spate_snapshots_stage(snapshots) == SPATE_STAGE_RESTORE_WANTED) {
            (void)fsm->restore_end(fsm, false);
        } else if (snapshots->is_begun) {
            fsm->save_end(fsm);
        }
        free(snapshots);
        node->snapshots = NULL;
    }
    if (node->options.snapshots != NULL) {
        node->options.snapshots->ops->close(node->options.snapshots);
    }
}

spate_err spate_node_snapshot_membership(const struct spate_node *node,
                                         struct spate_membership *ret_membership,
                                         spate_index *ret_index)
{
    const struct spate_snapshot_manifest *manifest = &node->snapshots->newest;

    spate_assert(node->snapshots->has_newest);
    *ret_index = manifest->membership_index;
    return spate_membership_decode(manifest->membership, manifest->membership_bytes,
                                   ret_membership) == SPATE_OK
               ? SPATE_OK
               : SPATE_ERR_CORRUPT;
}

bool spate_node_newest_snapshot(const struct spate_node *node, struct spate_entry_id *ret_last)
{
    const struct spate_node_snapshots *snapshots = node->snapshots;

    if (snapshots == NULL || !snapshots->has_newest) {
        return false;
    }
    *ret_last = snapshots->newest.last;
    return true;
}

/* All of it at once: nothing else is going on yet. */
static spate_err feed_all(struct spate_node_snapshots *snapshots, struct spate_fsm *fsm,
                          struct spate_snapshot_reader *reader)
{
    const struct spate_snapshots_ops *ops = snapshots->driver->ops;
    const uint64_t end = spate_snapshot_image_bytes(&snapshots->newest);
    struct spate_snapshot_hash hash = {.bytes = 0};
    spate_err err = SPATE_OK;

    for (uint64_t at = SPATE_SNAPSHOT_HEADER_BYTES; err == SPATE_OK && at < end;) {
        const uint32_t size =
            end - at < SPATE_PIECE_BYTES ? (uint32_t)(end - at) : SPATE_PIECE_BYTES;

        err = ops->read(snapshots->driver, reader, at, snapshots->piece, size);
        if (err == SPATE_OK) {
            spate_snapshot_hash_add(&hash, snapshots->piece, size);
            err = fsm->restore_write(fsm, snapshots->piece, size);
        }
        at += size;
    }
    if (err == SPATE_OK && spate_snapshot_hash_value(&hash) != snapshots->newest.state_hash) {
        err = SPATE_ERR_CORRUPT;
    }
    return err;
}

spate_err spate_node_restore_at_start(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    struct spate_fsm *fsm = node->options.fsm;
    struct spate_snapshot_reader *reader;

    spate_assert(snapshots != NULL && snapshots->has_newest);
    spate_err err = snapshots->driver->ops->open(snapshots->driver, &snapshots->newest, &reader);
    if (err != SPATE_OK) {
        return err;
    }
    err = fsm->restore_begin(fsm, snapshots->newest.last.index);
    if (err == SPATE_OK) {
        err = feed_all(snapshots, fsm, reader);
        const spate_err end_err = fsm->restore_end(fsm, err == SPATE_OK);
        err = err != SPATE_OK ? err : end_err;
    }
    snapshots->driver->ops->close_reader(snapshots->driver, reader);
    /* To the deployer, bytes that are no state are a damaged snapshot. */
    return err == SPATE_ERR_MALFORMED ? SPATE_ERR_CORRUPT : err;
}

void spate_snapshots_wake_at(struct spate_node *node, spate_time_ns at)
{
    struct spate_node_snapshots *snapshots = node->snapshots;

    spate_assert(snapshots != NULL);
    snapshots->deadline = at < snapshots->deadline ? at : snapshots->deadline;
}

void spate_snapshots_go_to(struct spate_node *node, enum spate_snapshot_stage stage)
{
    spate_assert(node->snapshots != NULL);
    atomic_store_explicit(&node->snapshots->stage, (uint32_t)stage, memory_order_release);
    spate_node_wake_apply(node);
}

void spate_snapshots_have(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    const spate_err err = snapshots->driver->ops->newest(snapshots->driver, &snapshots->newest);

    spate_assert(snapshots != NULL);
    spate_assert(err == SPATE_OK);
    snapshots->has_newest = true;
    snapshots->is_wanted = false;
    snapshots->is_suspect = false;
    spate_snapshots_judge_followers(node);
    snapshots->bytes_at_newest = atomic_load_explicit(&node->applied_bytes, memory_order_relaxed);
    node->status_is_stale = true;
}

/*
 * How far the store may forget: what the snapshot holds, but for a tail, and not what a member that
 * has, or is being sent, an older snapshot still has to be sent: or it would need one again, and
 * again.
 */
static spate_index compactable(const struct spate_node *node)
{
    const struct spate_node_snapshots *snapshots = node->snapshots;
    const spate_index last = snapshots->newest.last.index;
    const uint64_t keep = node->options.snapshot_keep_entries;
    spate_index first_kept = last > keep ? last - keep + 1 : 1;

    spate_assert(snapshots != NULL);
    for (uint32_t t = 0; t < SPATE_MEMBERS_MAX; t++) {
        const struct spate_transfer *transfer = &snapshots->transfers[t];
        if (transfer->hold_from != 0 && transfer->hold_from < first_kept) {
            first_kept = transfer->hold_from;
        }
    }
    return first_kept;
}

void spate_node_compact_store(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    struct spate_log_span span;

    spate_assert(snapshots != NULL);
    if (node->store->durability != SPATE_DURABILITY_DISK || !snapshots->has_newest) {
        return;
    }
    const spate_index first_kept = compactable(node);
    if (first_kept <= node->stored_base.index + 1 || first_kept > spate_raft_durable(node->raft)) {
        return;
    }
    /* The term of the entry before the first is still asked for. */
    spate_err err = node->store->ops->read(node->store, first_kept - 1, 1, &span);
    if (err == SPATE_OK) {
        err = node->store->ops->compact(node->store, first_kept);
    }
    if (err == SPATE_ERR_BUSY) {
        return; /* The next turn asks again. */
    }
    if (err != SPATE_OK) {
        node->failure = err == SPATE_ERR_NOT_FOUND ? SPATE_ERR_CORRUPT : err;
        return;
    }
    node->stored_base = (struct spate_entry_id){.term = span.term, .index = first_kept - 1};
    spate_raft_compacted(node->raft, first_kept);
}

/* What became of the commit that is under way. */
static void take_commit(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    enum spate_snapshot_event event;
    const spate_err err = snapshots->driver->ops->poll(snapshots->driver, &event);

    spate_assert(snapshots != NULL);
    if (err != SPATE_OK) {
        node->failure = err;
        return;
    }
    if (event == SPATE_SNAPSHOT_NOTHING) {
        return;
    }
    if (event == SPATE_SNAPSHOT_COMMITTED) {
        spate_snapshots_have(node);
    }
    if (snapshots->receiving.is_committing) {
        spate_snapshots_received(node, event);
    } else {
        spate_assert(event == SPATE_SNAPSHOT_COMMITTED);
        spate_assert(snapshots->is_committing);
        snapshots->is_taking = false;
        snapshots->is_committing = false;
        snapshots->taken++;
    }
}

void spate_node_snapshot_status(const struct spate_node *node, struct spate_node_status *ret_status)
{
    const struct spate_node_snapshots *snapshots = node->snapshots;

    if (snapshots == NULL) {
        return;
    }
    ret_status->snapshot_index = snapshots->has_newest ? snapshots->newest.last.index : 0;
    ret_status->snapshots_taken = snapshots->taken;
    ret_status->snapshots_sent = snapshots->sent;
    ret_status->snapshots_installed = snapshots->installed;
    ret_status->snapshots_refused = snapshots->refused;
    ret_status->snapshot_bytes_sent = snapshots->bytes_sent;
    ret_status->snapshot_bytes_received = snapshots->bytes_received;
}

spate_time_ns spate_node_snapshots_deadline(const struct spate_node *node)
{
    return node->snapshots != NULL ? node->snapshots->deadline : SPATE_TIME_NEVER;
}

/* In force at `index`, which is committed: what comes later is none of the snapshot's business. */
void spate_node_encode_membership(const struct spate_node *node, spate_index index,
                                  struct spate_snapshot_manifest *manifest)
{
    const struct spate_membership *membership =
        spate_raft_membership_at(node->raft, index, &manifest->membership_index);

    spate_assert(manifest->membership_index <= index);
    manifest->membership_bytes = spate_membership_encode(membership, manifest->membership);
}

uint32_t spate_node_snapshots_turn(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;

    if (snapshots == NULL || node->failure != SPATE_OK) {
        return 0;
    }
    const uint32_t failure = atomic_load_explicit(&snapshots->failure, memory_order_acquire);
    if (failure != SPATE_OK) {
        node->failure = (spate_err)failure;
        return 0;
    }
    snapshots->deadline = SPATE_TIME_NEVER;
    take_commit(node);
    spate_snapshots_receive_turn(node);
    spate_snapshots_copy_turn(node);
    spate_snapshots_take_turn(node);
    if (node->failure == SPATE_OK) {
        spate_node_compact_store(node);
    }
    return 0;
}
