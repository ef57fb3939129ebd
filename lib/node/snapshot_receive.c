/*
 * The follower's side: chunks in order into the driver, the image made durable, the state restored
 * from it, and the engine told. Meanwhile frames are answered as always; only applying waits while
 * the state is built. What has come of an image is kept while its leader changes, as long as the
 * next one sends the same.
 */
#include "snapshot_internal.h"

#include <string.h>

#include "base/assert.h"

#define BUSY_NS 500000u

static bool is_same(const struct spate_receiving *receiving,
                    const struct spate_message_snapshot *snapshot)
{
    return receiving->last.index == snapshot->last.index &&
           receiving->last.term == snapshot->last.term && receiving->hash == snapshot->hash &&
           receiving->image_bytes == snapshot->image_bytes;
}

/* Tells the leader. A lost answer is repeated when it sends again. */
static void answer(struct spate_node *node, spate_node_id to, uint64_t leader_session,
                   const struct spate_message_snapshot_result *result)
{
    const struct spate_message message = {
        .kind = SPATE_MESSAGE_SNAPSHOT_RESULT,
        .from = node->options.self,
        .to = to,
        .term = node->term,
        .session = node->options.session,
        .peer_session = leader_session,
        .snapshot_result = *result,
    };

    (void)spate_node_send(node, &message);
}

static void give_up(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;

    spate_assert(snapshots != NULL);
    spate_assert(snapshots->receiving.is_open && !snapshots->receiving.is_committing);
    snapshots->driver->ops->abort(snapshots->driver);
    snapshots->receiving.is_open = false;
}

/* Begins to receive what `snapshot` is the first chunk of. False: not now. */
static bool begin(struct spate_node *node, const struct spate_message_snapshot *snapshot)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    struct spate_receiving *receiving = &snapshots->receiving;

    spate_assert(snapshots != NULL);
    if (receiving->is_open) {
        give_up(node);
    }
    if (snapshot->offset != 0 || snapshot->image_bytes < SPATE_SNAPSHOT_HEADER_BYTES ||
        !spate_snapshots_yield_driver(node)) {
        return false;
    }
    const spate_err err = snapshots->driver->ops->begin(snapshots->driver, NULL);
    if (err != SPATE_OK) {
        node->failure = err == SPATE_ERR_BUSY ? SPATE_OK : err;
        return false;
    }
    receiving->is_open = true;
    receiving->is_committing = false;
    receiving->last = snapshot->last;
    receiving->image_bytes = snapshot->image_bytes;
    receiving->hash = snapshot->hash;
    receiving->next = 0;
    return true;
}

/* Once the header is there: whether it is of what the leader said. */
static bool header_is_right(const struct spate_receiving *receiving)
{
    struct spate_snapshot_manifest manifest;

    return spate_snapshot_header_decode(receiving->header, &manifest) == SPATE_OK &&
           manifest.last.index == receiving->last.index &&
           manifest.last.term == receiving->last.term && manifest.state_hash == receiving->hash &&
           spate_snapshot_image_bytes(&manifest) == receiving->image_bytes;
}

/* Takes a chunk that comes next. False: the driver has no room, or the header is wrong. */
static bool take_chunk(struct spate_node *node, const struct spate_message_snapshot *snapshot)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    struct spate_receiving *receiving = &snapshots->receiving;
    const uint64_t before = receiving->next;

    spate_assert(snapshots != NULL);
    spate_assert(snapshot->offset == before);
    const spate_err err =
        snapshots->driver->ops->write(snapshots->driver, snapshot->bytes, snapshot->size);
    if (err != SPATE_OK) {
        node->failure = err == SPATE_ERR_BUSY ? SPATE_OK : err;
        return false;
    }
    if (before < SPATE_SNAPSHOT_HEADER_BYTES) {
        const uint64_t room = SPATE_SNAPSHOT_HEADER_BYTES - before;
        memcpy(receiving->header + before, snapshot->bytes,
               snapshot->size < room ? snapshot->size : room);
    }
    receiving->next += snapshot->size;
    snapshots->bytes_received += snapshot->size;
    if (before < SPATE_SNAPSHOT_HEADER_BYTES && receiving->next >= SPATE_SNAPSHOT_HEADER_BYTES &&
        !header_is_right(receiving)) {
        give_up(node);
        return false;
    }
    return true;
}

void spate_node_take_snapshot(struct spate_node *node, const struct spate_message *message)
{
    const struct spate_message_snapshot *snapshot = &message->snapshot;
    struct spate_node_snapshots *snapshots = node->snapshots;
    struct spate_message_snapshot_result result = {
        .status = SPATE_SNAPSHOT_WANTED, .last = snapshot->last, .hash = snapshot->hash};

    if (snapshots == NULL || node->failure != SPATE_OK) {
        return; /* A state machine without snapshots: its leader counts members that wait. */
    }
    struct spate_receiving *receiving = &snapshots->receiving;
    const bool is_installing =
        snapshots->restoring != NULL || spate_node_snapshots_hold_apply(node);

    receiving->from = message->from;
    receiving->leader_session = message->session;
    if (snapshot->last.index <= node->effects.commit || is_installing) {
        result.status = SPATE_SNAPSHOT_COMPLETE;
    } else if (receiving->is_committing) {
        result.next = is_same(receiving, snapshot) ? receiving->next : 0;
    } else if ((receiving->is_open && is_same(receiving, snapshot)) || begin(node, snapshot)) {
        if (snapshot->offset == receiving->next && !take_chunk(node, snapshot) &&
            !receiving->is_open) {
            result.status = SPATE_SNAPSHOT_BAD;
        }
        result.next = receiving->is_open ? receiving->next : 0;
    }
    answer(node, message->from, message->session, &result);
}

static void fail_restore(struct spate_node *node, spate_err err)
{
    if (err != SPATE_OK && err != SPATE_ERR_BUSY) {
        node->failure = err;
    }
}

/* The image is durable here: its state is restored, a piece a turn. */
static void begin_restore(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    struct spate_snapshot_manifest manifest;

    spate_assert(snapshots != NULL);
    spate_assert(snapshots->restoring == NULL);
    const spate_err err =
        snapshots->driver->ops->open(snapshots->driver, &manifest, &snapshots->restoring);
    if (err != SPATE_OK) {
        snapshots->restoring = NULL;
        fail_restore(node, err == SPATE_ERR_BUSY ? SPATE_ERR_IO : err);
        return;
    }
    snapshots->restored = SPATE_SNAPSHOT_HEADER_BYTES;
    snapshots->restored_end = spate_snapshot_image_bytes(&manifest);
    snapshots->is_last_piece = false;
    spate_snapshots_go_to(node, SPATE_STAGE_RESTORE_WANTED);
}

void spate_snapshots_received(struct spate_node *node, enum spate_snapshot_event event)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    struct spate_receiving *receiving = &snapshots->receiving;
    const struct spate_message_snapshot_result result = {
        .status = event == SPATE_SNAPSHOT_COMMITTED ? SPATE_SNAPSHOT_COMPLETE : SPATE_SNAPSHOT_BAD,
        .last = receiving->last,
        .hash = receiving->hash,
    };

    spate_assert(snapshots != NULL);
    spate_assert(event != SPATE_SNAPSHOT_NOTHING);
    receiving->is_open = false;
    receiving->is_committing = false;
    answer(node, receiving->from, receiving->leader_session, &result);
    if (event == SPATE_SNAPSHOT_REFUSED) {
        snapshots->refused++;
        return;
    }
    /* Otherwise we have come there by ourselves: it is a snapshot like one of our own. */
    if (receiving->last.index > node->effects.commit) {
        begin_restore(node);
    }
}

/* Hands the state machine what comes next. */
static void feed(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    const uint64_t left = snapshots->restored_end - snapshots->restored;
    const uint32_t size = left < SPATE_PIECE_BYTES ? (uint32_t)left : SPATE_PIECE_BYTES;

    spate_assert(snapshots != NULL);
    if (snapshots->is_last_piece ||
        atomic_load_explicit(&snapshots->piece_bytes, memory_order_acquire) != 0) {
        return;
    }
    const spate_err err =
        size == 0 ? SPATE_OK
                  : snapshots->driver->ops->read(snapshots->driver, snapshots->restoring,
                                                 snapshots->restored, snapshots->piece, size);
    if (err != SPATE_OK) {
        node->failure = err;
        return;
    }
    snapshots->restored += size;
    snapshots->is_last_piece = snapshots->restored == snapshots->restored_end;
    atomic_store_explicit(&snapshots->piece_bytes, size | SPATE_PIECE_FULL, memory_order_release);
    spate_node_wake_apply(node);
}

/* The state is in place: the log follows. */
static void install(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    const struct spate_entry_id last = snapshots->newest.last;
    struct spate_membership membership;
    struct spate_event event = {.kind = SPATE_EVENT_INSTALLED,
                                .installed = {.last = last, .membership = &membership}};

    spate_assert(snapshots != NULL);
    node->failure =
        spate_node_snapshot_membership(node, &membership, &event.installed.membership_index);
    if (node->failure != SPATE_OK) {
        return;
    }
    spate_node_step(node, &event);
    if (node->effects.installed_err == SPATE_ERR_BUSY) {
        spate_snapshots_wake_at(node, node->now + BUSY_NS);
        return;
    }
    if (node->effects.installed_err != SPATE_OK) {
        node->failure = node->effects.installed_err;
        return;
    }
    spate_assert(node->effects.commit >= last.index);
    if (spate_log_first(node->log) == last.index + 1 && spate_log_last(node->log) == last.index) {
        node->stored_base = last;
        node->fetched_last = (struct spate_entry_id){.term = 0};
    }
    /* Entries behind the snapshot may have been committed while it was restored. */
    spate_node_show_commit(node);
    atomic_store_explicit(&node->applied_shown, last.index, memory_order_release);
    snapshots->driver->ops->close_reader(snapshots->driver, snapshots->restoring);
    snapshots->restoring = NULL;
    snapshots->installed++;
    spate_snapshots_go_to(node, SPATE_STAGE_IDLE);
}

void spate_snapshots_receive_turn(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    struct spate_receiving *receiving = &snapshots->receiving;

    spate_assert(snapshots != NULL);
    if (node->failure != SPATE_OK) {
        return;
    }
    if (receiving->is_open && !receiving->is_committing) {
        if (receiving->last.index <= node->effects.commit) {
            give_up(node); /* Come there by ourselves. */
        } else if (receiving->next == receiving->image_bytes) {
            const spate_err err = snapshots->driver->ops->commit(snapshots->driver);
            fail_restore(node, err);
            receiving->is_committing = err == SPATE_OK;
        }
    }
    if (receiving->is_committing) {
        spate_snapshots_wake_at(node, node->now + BUSY_NS);
    }
    if (spate_snapshots_stage(snapshots) == SPATE_STAGE_RESTORE_WANTED) {
        feed(node);
    } else if (spate_snapshots_stage(snapshots) == SPATE_STAGE_RESTORED) {
        install(node);
    }
}
