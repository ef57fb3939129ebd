/*
 * A copy of the state for somebody outside: a snapshot that has everything that was applied when it
 * was asked for, handed over as an image, piece by piece. It waits for as long as whoever asked
 * takes; the node's share is one piece in a turn.
 *
 * The word `stage` says whose turn it is, as for saving:
 *
 *   FREE --begin--> WANTED --node--> FULL --read--> EMPTY --node--> FULL …   is_ended: --node-->
 * FREE
 */
#include "snapshot_internal.h"

#include <string.h>

#include "base/assert.h"

/* How soon to look again whether the snapshot is there. */
#define LOOK_NS 1000000u

static enum spate_copy_stage stage_of(const struct spate_copy *copy)
{
    return (enum spate_copy_stage)atomic_load_explicit(&copy->stage, memory_order_acquire);
}

static void go_to(struct spate_copy *copy, enum spate_copy_stage stage)
{
    atomic_store_explicit(&copy->stage, (uint32_t)stage, memory_order_release);
}

spate_err spate_node_copy_begin(struct spate_node *node)
{
    uint32_t expected = SPATE_COPY_FREE;

    spate_assert(node != NULL);
    if (node->snapshots == NULL) {
        return SPATE_ERR_UNSUPPORTED;
    }
    if (!atomic_compare_exchange_strong_explicit(&node->snapshots->copy.stage, &expected,
                                                 SPATE_COPY_WANTED, memory_order_acq_rel,
                                                 memory_order_relaxed)) {
        return SPATE_ERR_BUSY;
    }
    spate_node_wake(node);
    return SPATE_OK;
}

spate_err spate_node_copy_read(struct spate_node *node, uint8_t *to, uint32_t capacity,
                               uint32_t *ret_bytes)
{
    spate_assert(to != NULL && capacity > 0 && ret_bytes != NULL);
    spate_assert(node->snapshots != NULL);
    struct spate_copy *copy = &node->snapshots->copy;

    *ret_bytes = 0;
    if (stage_of(copy) != SPATE_COPY_FULL) {
        return SPATE_ERR_BUSY;
    }
    if (copy->err != SPATE_OK || copy->piece_bytes == 0) {
        return copy->err;
    }
    const uint32_t left = copy->piece_bytes - copy->piece_taken;
    const uint32_t bytes = left < capacity ? left : capacity;
    memcpy(to, copy->piece + copy->piece_taken, bytes);
    copy->piece_taken += bytes;
    *ret_bytes = bytes;
    if (copy->piece_taken == copy->piece_bytes) {
        go_to(copy, SPATE_COPY_EMPTY);
        spate_node_wake(node);
    }
    return SPATE_OK;
}

void spate_node_copy_end(struct spate_node *node)
{
    spate_assert(node != NULL && node->snapshots != NULL);
    atomic_store_explicit(&node->snapshots->copy.is_ended, true, memory_order_release);
    spate_node_wake(node);
}

/* From here on: the node's side. */

void spate_snapshots_close_copy(struct spate_node_snapshots *snapshots)
{
    struct spate_copy *copy = &snapshots->copy;

    if (copy->reader != NULL) {
        snapshots->driver->ops->close_reader(snapshots->driver, copy->reader);
        copy->reader = NULL;
    }
    copy->is_begun = false;
    atomic_store_explicit(&copy->is_ended, false, memory_order_relaxed);
    go_to(copy, SPATE_COPY_FREE);
}

/* Whether a snapshot is open that is new enough; otherwise one is asked for. */
static bool open_copy(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    struct spate_copy *copy = &snapshots->copy;
    struct spate_snapshot_manifest manifest;

    spate_assert(copy->reader == NULL);
    if (!copy->is_begun) {
        copy->is_begun = true;
        copy->wanted = atomic_load_explicit(&node->applied_shown, memory_order_acquire);
    }
    if (!snapshots->has_newest || snapshots->newest.last.index < copy->wanted ||
        snapshots->is_suspect) {
        snapshots->is_wanted = true;
        return false;
    }
    const spate_err err = snapshots->driver->ops->open(snapshots->driver, &manifest, &copy->reader);
    if (err != SPATE_OK) {
        node->failure = err == SPATE_ERR_BUSY ? SPATE_OK : err;
        return false;
    }
    copy->err = SPATE_OK;
    copy->at = 0;
    copy->end = spate_snapshot_image_bytes(&manifest);
    return true;
}

static void fill_piece(struct spate_node_snapshots *snapshots)
{
    struct spate_copy *copy = &snapshots->copy;
    const uint64_t left = copy->end - copy->at;

    spate_assert(copy->reader != NULL && copy->at <= copy->end);
    copy->piece_taken = 0;
    copy->piece_bytes = left < sizeof copy->piece ? (uint32_t)left : (uint32_t)sizeof copy->piece;
    if (copy->piece_bytes > 0) {
        copy->err = snapshots->driver->ops->read(snapshots->driver, copy->reader, copy->at,
                                                 copy->piece, copy->piece_bytes);
        copy->at += copy->piece_bytes;
    }
    go_to(copy, SPATE_COPY_FULL);
}

void spate_snapshots_copy_turn(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    const enum spate_copy_stage stage = stage_of(&snapshots->copy);

    if (stage == SPATE_COPY_FREE) {
        return;
    }
    if (atomic_load_explicit(&snapshots->copy.is_ended, memory_order_acquire)) {
        spate_snapshots_close_copy(snapshots);
        return;
    }
    if (stage == SPATE_COPY_WANTED && !open_copy(node)) {
        spate_snapshots_wake_at(node, node->now + LOOK_NS);
        return;
    }
    if (stage != SPATE_COPY_FULL) {
        fill_piece(snapshots);
    }
}
