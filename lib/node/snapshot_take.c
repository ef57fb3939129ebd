/*
 * A snapshot of ourselves: when it is due, the node's side, and the apply stage's side of saving
 * and restoring. The rate is bounded, so that commits find the processor free most of the time.
 */
#include "snapshot_internal.h"

#include "base/assert.h"

/* A piece takes 10 to 20 us; one in so much time is about 300 MiB a second. */
#define PIECE_INTERVAL_NS 50000u

/* How soon to look again when the driver has no room. */
#define BUSY_NS 500000u

/* Whether the log since the newest snapshot has become long enough to take another. */
static bool is_called_for(const struct spate_node *node, spate_index applied)
{
    const struct spate_node_snapshots *snapshots = node->snapshots;
    const spate_index last = snapshots->has_newest ? snapshots->newest.last.index : 0;

    spate_assert(snapshots != NULL);
    if (applied <= last) {
        return snapshots->is_suspect && applied > 0;
    }
    if (snapshots->is_wanted || snapshots->is_suspect ||
        applied - last >= node->options.snapshot_entries) {
        return true;
    }
    /* By size: never less than the last image, or a large state would be written all the time. */
    const uint64_t bytes = atomic_load_explicit(&node->applied_bytes, memory_order_relaxed) -
                           snapshots->bytes_at_newest;
    const uint64_t image = snapshots->has_newest ? snapshots->newest.state_bytes : 0;
    return bytes >= node->options.snapshot_bytes && bytes >= image;
}

static bool is_due(const struct spate_node *node)
{
    const spate_index applied = atomic_load_explicit(&node->applied_shown, memory_order_relaxed);

    /* A core that joins has to hear first who the members are. */
    return is_called_for(node, applied) && spate_raft_knows_membership_at(node->raft, applied);
}

/* The state is frozen: the driver gets what it is of. */
static void begin_image(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    struct spate_snapshot_manifest manifest = {.last = snapshots->saved};

    spate_assert(snapshots != NULL);
    spate_node_encode_membership(node, snapshots->saved.index, &manifest);
    const spate_err err = snapshots->driver->ops->begin(snapshots->driver, &manifest);
    if (err == SPATE_ERR_BUSY) {
        spate_snapshots_wake_at(node, node->now + BUSY_NS);
        return;
    }
    if (err != SPATE_OK) {
        node->failure = err;
        return;
    }
    snapshots->is_taking = true;
    spate_snapshots_go_to(node, SPATE_STAGE_SAVE_READING);
}

/* Hands the piece to the driver, if there is one. False: it has no room. */
static bool write_piece(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    const uint32_t bytes = atomic_load_explicit(&snapshots->piece_bytes, memory_order_acquire);

    spate_assert(snapshots != NULL);
    if (bytes == 0) {
        return true;
    }
    const spate_err err = snapshots->driver->ops->write(snapshots->driver, snapshots->piece,
                                                        bytes & ~SPATE_PIECE_FULL);
    if (err == SPATE_ERR_BUSY) {
        spate_snapshots_wake_at(node, node->now + BUSY_NS);
        return false;
    }
    if (err != SPATE_OK) {
        node->failure = err;
        return false;
    }
    atomic_store_explicit(&snapshots->piece_bytes, 0, memory_order_release);
    return true;
}

/* The driver is wanted for something else. */
static void give_up(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;

    spate_assert(snapshots != NULL);
    if (snapshots->is_taking) {
        snapshots->driver->ops->abort(snapshots->driver);
        snapshots->is_taking = false;
    }
    atomic_store_explicit(&snapshots->piece_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&snapshots->is_cancelled, false, memory_order_relaxed);
    spate_snapshots_go_to(node, SPATE_STAGE_IDLE);
}

static void commit_image(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;

    spate_assert(snapshots != NULL);
    if (atomic_load_explicit(&snapshots->is_cancelled, memory_order_relaxed)) {
        give_up(node);
        return;
    }
    if (!write_piece(node)) {
        return;
    }
    const spate_err err = snapshots->driver->ops->commit(snapshots->driver);
    if (err == SPATE_ERR_BUSY) {
        spate_snapshots_wake_at(node, node->now + BUSY_NS);
        return;
    }
    node->failure = err;
    snapshots->is_committing = err == SPATE_OK;
    spate_snapshots_go_to(node, SPATE_STAGE_IDLE);
}

void spate_snapshots_take_turn(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;

    spate_assert(snapshots != NULL);
    switch (spate_snapshots_stage(snapshots)) {
    case SPATE_STAGE_IDLE:
        if (!snapshots->is_committing && !snapshots->receiving.is_open && is_due(node)) {
            spate_snapshots_go_to(node, SPATE_STAGE_SAVE_WANTED);
            spate_snapshots_wake_at(node, node->now);
        }
        break;
    case SPATE_STAGE_SAVE_FROZEN:
        /* The apply stage may be two changes of the membership behind: another time. */
        if (!spate_raft_knows_membership_at(node->raft, snapshots->saved.index)) {
            atomic_store_explicit(&snapshots->is_cancelled, true, memory_order_relaxed);
        }
        if (atomic_load_explicit(&snapshots->is_cancelled, memory_order_relaxed)) {
            spate_snapshots_go_to(node, SPATE_STAGE_SAVE_READING);
        } else {
            begin_image(node);
        }
        break;
    case SPATE_STAGE_SAVE_READING:
        if (node->now >= snapshots->piece_at && write_piece(node)) {
            snapshots->piece_at = node->now + PIECE_INTERVAL_NS;
            spate_node_wake_apply(node);
        }
        spate_snapshots_wake_at(node, snapshots->piece_at);
        break;
    case SPATE_STAGE_SAVE_READ:
        commit_image(node);
        break;
    case SPATE_STAGE_SAVE_WANTED:
    case SPATE_STAGE_RESTORE_WANTED:
    case SPATE_STAGE_RESTORED:
        break;
    }
    if (snapshots->is_committing) {
        spate_snapshots_wake_at(node, node->now + BUSY_NS);
    }
}

bool spate_snapshots_yield_driver(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    const enum spate_snapshot_stage stage = spate_snapshots_stage(snapshots);

    spate_assert(snapshots != NULL);
    if (stage == SPATE_STAGE_IDLE) {
        return !snapshots->is_committing;
    }
    atomic_store_explicit(&snapshots->is_cancelled, true, memory_order_relaxed);
    return false;
}

/* From here on: the apply stage's side. */

static void leave(struct spate_node *node, enum spate_snapshot_stage stage)
{
    atomic_store_explicit(&node->snapshots->stage, (uint32_t)stage, memory_order_release);
    if (!spate_node_applies_inline(node)) {
        spate_node_wake(node);
    }
}

static void fail(struct spate_node *node, spate_err err)
{
    spate_assert(err != SPATE_OK);
    atomic_store_explicit(&node->snapshots->failure, (uint32_t)err, memory_order_release);
    if (!spate_node_applies_inline(node)) {
        spate_node_wake(node);
    }
}

static bool is_cancelled(const struct spate_node_snapshots *snapshots)
{
    return atomic_load_explicit(&snapshots->is_cancelled, memory_order_relaxed);
}

static uint32_t freeze(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    struct spate_fsm *fsm = node->options.fsm;
    struct spate_log_view view;
    spate_term term = 0;

    spate_assert(snapshots != NULL);
    if (is_cancelled(snapshots)) {
        leave(node, SPATE_STAGE_SAVE_READ);
        return 1;
    }
    spate_log_view(node->log, &view);
    /* Still being rebuilt from the store: later. */
    if (node->apply.applied < 1 || node->apply.applied > view.last ||
        spate_log_view_term(&view, node->apply.applied, &term) != SPATE_OK || term == 0) {
        return 0;
    }
    const spate_err err = fsm->save_begin(fsm);
    if (err == SPATE_ERR_BUSY) {
        return 0;
    }
    if (err != SPATE_OK) {
        fail(node, err);
        return 0;
    }
    snapshots->is_begun = true;
    snapshots->saved = (struct spate_entry_id){.term = term, .index = node->apply.applied};
    leave(node, SPATE_STAGE_SAVE_FROZEN);
    return 1;
}

static uint32_t read_piece(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    struct spate_fsm *fsm = node->options.fsm;

    spate_assert(snapshots != NULL);
    if (atomic_load_explicit(&snapshots->piece_bytes, memory_order_acquire) != 0 &&
        !is_cancelled(snapshots)) {
        return 0;
    }
    const uint32_t bytes =
        is_cancelled(snapshots) ? 0 : fsm->save_read(fsm, snapshots->piece, SPATE_PIECE_BYTES);
    spate_assert(bytes <= SPATE_PIECE_BYTES);
    if (bytes > 0) {
        atomic_store_explicit(&snapshots->piece_bytes, bytes | SPATE_PIECE_FULL,
                              memory_order_release);
        return 0; /* The next one has time. */
    }
    fsm->save_end(fsm);
    snapshots->is_begun = false;
    leave(node, SPATE_STAGE_SAVE_READ);
    return 1;
}

static uint32_t restore_piece(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    struct spate_fsm *fsm = node->options.fsm;
    const uint32_t bytes = atomic_load_explicit(&snapshots->piece_bytes, memory_order_acquire);
    spate_err err = SPATE_OK;

    spate_assert(snapshots != NULL);
    if (bytes == 0) {
        return 0;
    }
    if (!snapshots->is_begun) {
        err = fsm->restore_begin(fsm, snapshots->newest.last.index);
        snapshots->is_begun = err == SPATE_OK;
    }
    if (err == SPATE_OK && bytes != SPATE_PIECE_FULL) {
        err = fsm->restore_write(fsm, snapshots->piece, bytes & ~SPATE_PIECE_FULL);
    }
    if (err == SPATE_OK && snapshots->is_last_piece) {
        snapshots->is_begun = false;
        err = fsm->restore_end(fsm, true);
    }
    if (err != SPATE_OK) {
        fail(node, err);
        return 0;
    }
    const bool is_last = snapshots->is_last_piece;
    atomic_store_explicit(&snapshots->piece_bytes, 0, memory_order_release);
    if (is_last) {
        node->apply.applied = snapshots->newest.last.index;
        spate_node_resolve_skipped(node, snapshots->newest.last);
        spate_node_publish_outcomes(node);
        leave(node, SPATE_STAGE_RESTORED);
    } else if (!spate_node_applies_inline(node)) {
        spate_node_wake(node);
    }
    return 1;
}

uint32_t spate_node_snapshots_apply(struct spate_node *node)
{
    const struct spate_node_snapshots *snapshots = node->snapshots;

    if (snapshots == NULL ||
        atomic_load_explicit(&snapshots->failure, memory_order_relaxed) != SPATE_OK) {
        return 0;
    }
    switch (spate_snapshots_stage(snapshots)) {
    case SPATE_STAGE_SAVE_WANTED:
        return freeze(node);
    case SPATE_STAGE_SAVE_READING:
        return read_piece(node);
    case SPATE_STAGE_RESTORE_WANTED:
        return restore_piece(node);
    case SPATE_STAGE_IDLE:
    case SPATE_STAGE_SAVE_FROZEN:
    case SPATE_STAGE_SAVE_READ:
    case SPATE_STAGE_RESTORED:
        break;
    }
    return 0;
}

bool spate_node_snapshots_hold_apply(const struct spate_node *node)
{
    if (node->snapshots == NULL) {
        return false;
    }
    const enum spate_snapshot_stage stage = spate_snapshots_stage(node->snapshots);
    return stage == SPATE_STAGE_RESTORE_WANTED || stage == SPATE_STAGE_RESTORED;
}

bool spate_node_snapshots_need_apply(const struct spate_node *node)
{
    const struct spate_node_snapshots *snapshots = node->snapshots;

    if (snapshots == NULL) {
        return false;
    }
    const bool is_filled = atomic_load_explicit(&snapshots->piece_bytes, memory_order_acquire) != 0;
    switch (spate_snapshots_stage(snapshots)) {
    case SPATE_STAGE_SAVE_WANTED:
        return true;
    case SPATE_STAGE_SAVE_READING:
        return !is_filled;
    case SPATE_STAGE_RESTORE_WANTED:
        return is_filled;
    case SPATE_STAGE_IDLE:
    case SPATE_STAGE_SAVE_FROZEN:
    case SPATE_STAGE_SAVE_READ:
    case SPATE_STAGE_RESTORED:
        break;
    }
    return false;
}
