/*
 * The leader's side: an image goes to each member that needs one, a window at a time, as fast as it
 * answers. A transfer keeps the image that it began with, however many newer ones are taken
 * meanwhile, and the store keeps what comes behind that image: while the member restores it, which
 * takes a while, and then, as long as it gains on us, until it is no further behind than the
 * store's tail.
 */
#include "snapshot_internal.h"

#include "base/assert.h"
#include "wire/wire.h"

/* Chunks of one turn to one member: AppendEntries of other members must not wait long. */
#define CHUNKS_MAX 8u

#define RESEND_NS_MIN 20000000u
#define REPEATS_MAX   3u

/* So many snapshots in a row at which a member was no less behind than before. */
#define FALLS_MAX 2u

static struct spate_transfer *find(struct spate_node_snapshots *snapshots, spate_node_id member)
{
    for (uint32_t t = 0; t < SPATE_MEMBERS_MAX; t++) {
        if (snapshots->transfers[t].member == member) {
            return &snapshots->transfers[t];
        }
    }
    return NULL;
}

static void close_transfer(struct spate_node_snapshots *snapshots, struct spate_transfer *transfer)
{
    if (transfer->is_open) {
        snapshots->driver->ops->close_reader(snapshots->driver, transfer->reader);
        transfer->is_open = false;
    }
}

void spate_snapshots_close_transfers(struct spate_node *node)
{
    for (uint32_t t = 0; t < SPATE_MEMBERS_MAX; t++) {
        close_transfer(node->snapshots, &node->snapshots->transfers[t]);
        node->snapshots->transfers[t] = (struct spate_transfer){.member = 0};
    }
    node->snapshots->has_transfers = false;
}

void spate_node_note_snapshots(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    const struct spate_effects *effects = &node->effects;

    if (snapshots == NULL || (!snapshots->has_transfers && effects->snapshot_count == 0)) {
        return;
    }
    for (uint32_t t = 0; t < SPATE_MEMBERS_MAX; t++) {
        snapshots->transfers[t].is_needed = false;
    }
    for (uint32_t m = 0; m < effects->snapshot_count; m++) {
        struct spate_transfer *transfer = find(snapshots, effects->snapshot_members[m]);
        transfer = transfer != NULL ? transfer : find(snapshots, 0);
        if (transfer == NULL) {
            continue; /* Members were changed; the next flush has room. */
        }
        transfer->member = effects->snapshot_members[m];
        transfer->is_needed = true;
        snapshots->has_transfers = true;
    }
}

/* Whether entries go on behind the newest snapshot, in the log or in the store. */
static bool newest_is_useful(const struct spate_node *node)
{
    const struct spate_node_snapshots *snapshots = node->snapshots;
    spate_index base = spate_log_first(node->log) - 1;

    spate_assert(snapshots != NULL);
    if (node->store->durability == SPATE_DURABILITY_DISK && node->stored_base.index < base) {
        base = node->stored_base.index;
    }
    return snapshots->has_newest && !snapshots->is_suspect && snapshots->newest.last.index >= base;
}

static spate_time_ns timeout_of(const struct spate_node *node, spate_node_id member)
{
    struct spate_link_peer_status status;

    if (!spate_link_peer_status(node->link, member, &status) || 4 * status.rtt_ns < RESEND_NS_MIN) {
        return RESEND_NS_MIN;
    }
    return 4 * status.rtt_ns;
}

static bool open_transfer(struct spate_node *node, struct spate_transfer *transfer)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    struct spate_snapshot_manifest manifest;

    spate_assert(snapshots != NULL);
    if (!newest_is_useful(node)) {
        snapshots->is_wanted = true;
        return false;
    }
    const spate_err err =
        snapshots->driver->ops->open(snapshots->driver, &manifest, &transfer->reader);
    if (err != SPATE_OK) {
        node->failure = err == SPATE_ERR_BUSY ? SPATE_OK : err;
        return false;
    }
    transfer->is_open = true;
    transfer->last = manifest.last;
    if (transfer->hold_from == 0) {
        transfer->hold_from = manifest.last.index + 1;
    }
    transfer->image_bytes = spate_snapshot_image_bytes(&manifest);
    transfer->hash = manifest.state_hash;
    transfer->acked = 0;
    transfer->sent = 0;
    transfer->repeats = 0;
    transfer->resend_at = node->now + timeout_of(node, transfer->member);
    return true;
}

/* Sends the next chunk. False: there is no room, or nothing is left. */
static bool send_chunk(struct spate_node *node, struct spate_transfer *transfer)
{
    struct spate_node_snapshots *snapshots = node->snapshots;
    const uint32_t frame = spate_link_payload_bytes_max(node->link, transfer->member);
    const uint64_t left = transfer->image_bytes - transfer->sent;
    uint8_t bytes[SPATE_PIECE_BYTES];

    spate_assert(snapshots != NULL);
    if (left == 0 || frame <= SPATE_WIRE_SNAPSHOT_BYTES + 8 ||
        transfer->sent - transfer->acked >= SPATE_TRANSFER_WINDOW_BYTES) {
        return false;
    }
    uint32_t size = (frame - SPATE_WIRE_SNAPSHOT_BYTES) & ~7u;
    size = size < SPATE_PIECE_BYTES ? size : SPATE_PIECE_BYTES;
    size = size < left ? size : (uint32_t)left;
    const spate_err err = snapshots->driver->ops->read(snapshots->driver, transfer->reader,
                                                       transfer->sent, bytes, size);
    if (err != SPATE_OK) {
        node->failure = err;
        return false;
    }
    const struct spate_message message = {
        .kind = SPATE_MESSAGE_SNAPSHOT,
        .from = node->options.self,
        .to = transfer->member,
        .term = node->term,
        .session = node->options.session,
        .snapshot = {.last = transfer->last,
                     .image_bytes = transfer->image_bytes,
                     .hash = transfer->hash,
                     .offset = transfer->sent,
                     .size = size,
                     .bytes = bytes},
    };
    if (!spate_node_send(node, &message)) {
        return false;
    }
    transfer->sent += size;
    snapshots->bytes_sent += size;
    return true;
}

static void send_to(struct spate_node *node, struct spate_transfer *transfer)
{
    if (node->now < transfer->wait_until) {
        spate_snapshots_wake_at(node, transfer->wait_until);
        return;
    }
    if (!transfer->is_open && !open_transfer(node, transfer)) {
        return;
    }
    if (node->now >= transfer->resend_at) {
        /* Also when all was sent: the answer may be what was lost. */
        transfer->sent = transfer->acked < transfer->image_bytes ? transfer->acked : 0;
        transfer->acked = transfer->sent;
        transfer->resend_at = node->now + timeout_of(node, transfer->member);
    }
    for (uint32_t c = 0; c < CHUNKS_MAX && send_chunk(node, transfer); c++) {
    }
    spate_snapshots_wake_at(node, transfer->resend_at);
}

/* Whether a member that has an older snapshot, or is being sent one, will get on with it. Taking a
 * snapshot takes disk and processor from it, so one that has fallen back once gets another chance.
 */
static bool is_worth_waiting(const struct spate_node *node, struct spate_transfer *transfer)
{
    const spate_index next = node->snapshots->newest.last.index + 1;
    const uint64_t behind = next > transfer->hold_from ? next - transfer->hold_from : 0;
    const uint64_t before = transfer->behind;
    struct spate_link_peer_status status;

    spate_assert(transfer->hold_from != 0);
    if (!spate_link_peer_status(node->link, transfer->member, &status) || !status.is_connected) {
        return false;
    }
    if (transfer->is_needed) {
        return true; /* It receives, or restores. */
    }
    transfer->behind = behind;
    transfer->fell_back = before != 0 && behind >= before ? transfer->fell_back + 1 : 0;
    return transfer->fell_back < FALLS_MAX;
}

void spate_snapshots_judge_followers(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;

    for (uint32_t t = 0; t < SPATE_MEMBERS_MAX; t++) {
        struct spate_transfer *transfer = &snapshots->transfers[t];
        if (transfer->member != 0 && transfer->hold_from != 0 &&
            !is_worth_waiting(node, transfer)) {
            /* The newest will help it more. */
            close_transfer(snapshots, transfer);
            transfer->hold_from = 0;
        }
    }
}

/* The member needs no snapshot any more. Whether it still needs more of the log than the store
 * would keep. */
static bool is_following(const struct spate_node *node, struct spate_transfer *transfer)
{
    const spate_index last = node->snapshots->newest.last.index;
    const spate_index received = spate_raft_received_by(node->raft, transfer->member);

    spate_assert(!transfer->is_open);
    spate_assert(!transfer->is_needed);
    if (transfer->hold_from == 0 || node->store->durability != SPATE_DURABILITY_DISK) {
        return false;
    }
    transfer->hold_from = received >= transfer->hold_from ? received + 1 : transfer->hold_from;
    return received + node->options.snapshot_keep_entries < last;
}

void spate_node_send_snapshots(struct spate_node *node)
{
    struct spate_node_snapshots *snapshots = node->snapshots;

    if (snapshots == NULL || !snapshots->has_transfers || node->failure != SPATE_OK) {
        return;
    }
    if (node->role != SPATE_ROLE_LEADER) {
        spate_snapshots_close_transfers(node);
        return;
    }
    bool is_any_left = false;
    for (uint32_t t = 0; t < SPATE_MEMBERS_MAX; t++) {
        struct spate_transfer *transfer = &snapshots->transfers[t];
        if (transfer->member == 0) {
            continue;
        }
        if (transfer->is_needed) {
            is_any_left = true;
            send_to(node, transfer);
        } else {
            close_transfer(snapshots, transfer);
            if (is_following(node, transfer)) {
                is_any_left = true;
            } else {
                *transfer = (struct spate_transfer){.member = 0};
            }
        }
    }
    snapshots->has_transfers = is_any_left;
}

/* The member names what it wants next: it has all before that. */
static void go_on(struct spate_node *node, struct spate_transfer *transfer, uint64_t next)
{
    if (next > transfer->acked || next < transfer->acked) {
        /* Further, or it has forgotten what it had. */
        transfer->sent = next > transfer->sent || next < transfer->acked ? next : transfer->sent;
        transfer->acked = next;
        transfer->repeats = 0;
        transfer->resend_at = node->now + timeout_of(node, transfer->member);
        return;
    }
    if (++transfer->repeats == REPEATS_MAX && transfer->sent > next) {
        transfer->sent = next; /* A chunk was lost, those behind it were dropped. */
    }
}

void spate_node_take_snapshot_result(struct spate_node *node, const struct spate_message *message)
{
    const struct spate_message_snapshot_result *result = &message->snapshot_result;
    struct spate_node_snapshots *snapshots = node->snapshots;

    if (snapshots == NULL || message->from == 0 || node->role != SPATE_ROLE_LEADER ||
        message->term != node->term || message->peer_session != node->options.session) {
        return;
    }
    struct spate_transfer *transfer = find(snapshots, message->from);
    if (transfer == NULL || !transfer->is_open || result->last.index != transfer->last.index ||
        result->last.term != transfer->last.term || result->hash != transfer->hash ||
        result->next > transfer->image_bytes) {
        return; /* Of an earlier transfer. */
    }
    switch (result->status) {
    case SPATE_SNAPSHOT_WANTED:
        transfer->hold_from = transfer->last.index + 1; /* Not the one before, if there was one. */
        go_on(node, transfer, result->next);
        return;
    case SPATE_SNAPSHOT_COMPLETE:
        snapshots->sent++;
        break;
    case SPATE_SNAPSHOT_BAD:
        /* Damaged here or on the way: the next one is taken anew. */
        snapshots->refused++;
        snapshots->is_suspect = true;
        break;
    }
    close_transfer(snapshots, transfer);
    transfer->wait_until = node->now + node->options.election_timeout_ns_min;
}
