/* Nodes and their disks: starting, storing, time. */
#include "cluster_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/rcu.h"

struct node *cluster_node_of(struct cluster *cluster, spate_node_id id)
{
    spate_assert(id >= 1 && id <= cluster->options.nodes);
    return &cluster->nodes[id - 1];
}

static void start(struct cluster *cluster, struct node *node)
{
    const struct cluster_options *options = &cluster->options;
    const struct spate_log_options log_options = {
        .budget_bytes = options->log_budget_bytes ? options->log_budget_bytes : 8u << 20,
        .segment_bytes = 2u << 20,
        .reclaim = spate_reclaim_immediate(),
        .base = node->disk.base,
    };
    spate_assert(spate_log_create(&log_options, &node->log) == SPATE_OK);
    for (spate_index index = node->disk.base.index + 1; index <= node->disk.last; index++) {
        const struct disk_entry *entry = &node->disk.entries[index];
        spate_assert(spate_log_stage_encoded(node->log, entry->term, entry->encoded, entry->bytes,
                                             1) == SPATE_OK);
    }
    spate_log_publish(node->log);
    struct spate_raft_options raft_options = {
        .self = node->id,
        .session = node->id * 1000u + ++node->life,
        .seed = 1,
        .log = node->log,
        .membership = {.count = options->nodes},
        .term = node->disk.term,
        .vote = node->disk.vote,
        .commit = node->disk.commit,
        .is_new = options->new_is_known && node->disk.last == 0 && node->disk.vote == 0,
        .is_mute = node->disk.is_mute,
        .first_stored = node->disk.base.index + 1,
        .now = node->now,
        .election_timeout_ns_min = CLUSTER_ELECTION_NS,
        .election_timeout_ns_max = CLUSTER_ELECTION_NS,
        .heartbeat_ns = CLUSTER_HEARTBEAT_NS,
        .append_bytes_max = options->append_bytes_max ? options->append_bytes_max : 60000,
        .append_large_bytes_max = options->append_large_bytes_max,
        .append_count_max = options->append_count_max,
        .window_bytes = options->window_bytes ? options->window_bytes : 1u << 20,
        .window_messages = options->window_messages ? options->window_messages : 16,
        .pre_vote_enabled = !options->pre_vote_disabled,
        .check_quorum_enabled = !options->check_quorum_disabled,
        .lease_enabled = options->lease_enabled,
    };
    if (node->id + options->joiners > options->nodes) {
        raft_options.membership.count = 0;
    } else {
        raft_options.membership.count = options->nodes - options->joiners;
    }
    node->membership_index = 0;
    node->snapshots_wanted = 0;
    node->read_asked = 0;
    node->read_ready = 0;
    node->read_index = 0;
    for (uint32_t i = 0; i < raft_options.membership.count; i++) {
        raft_options.membership.members[i] =
            (struct spate_member){.id = i + 1, .is_voter = i + options->learners < options->nodes};
    }
    spate_assert(spate_raft_create(&raft_options, &node->raft) == SPATE_OK);
    struct spate_raft_status status;
    spate_raft_status(node->raft, node->now, &status);
    node->role = status.role;
    node->term = status.term;
    node->commit = status.commit;
}

static void free_batches(struct node *node)
{
    for (uint32_t i = 0; i < node->batch_count; i++) {
        for (uint64_t k = 0; k < node->batches[i].store.count; k++) {
            free(node->batches[i].entries[k].encoded);
        }
        free(node->batches[i].entries);
    }
    node->batch_count = 0;
}

static void stop(struct node *node)
{
    free_batches(node);
    spate_raft_destroy(node->raft);
    spate_log_destroy(node->log);
    node->fetch.is_needed = false;
}

static void disk_truncate(struct disk *disk, spate_index last_kept)
{
    while (disk->last > last_kept) {
        free(disk->entries[disk->last].encoded);
        disk->entries[disk->last--] = (struct disk_entry){.term = 0};
    }
}

/* Nothing is left but what a snapshot stands for. */
static void disk_begin_behind(struct disk *disk, struct spate_entry_id base)
{
    disk_truncate(disk, 0);
    disk->base = base;
    disk->last = base.index;
    disk->entries[base.index].term = base.term;
}

struct cluster *cluster_create(const struct cluster_options *options)
{
    struct cluster *cluster = calloc(1, sizeof *cluster);
    spate_assert(cluster != NULL);
    spate_assert(options->nodes >= 1 && options->nodes <= NODES_MAX);
    cluster->options = *options;
    cluster->transcript = malloc(TRANSCRIPT_BYTES);
    spate_assert(cluster->transcript != NULL);
    for (uint32_t i = 0; i < options->nodes; i++) {
        struct node *node = &cluster->nodes[i];
        node->id = i + 1;
        node->now = 1000000000u;
        node->store_is_manual = options->store_is_manual;
        start(cluster, node);
    }
    return cluster;
}

void cluster_destroy(struct cluster *cluster)
{
    cluster_drop(cluster, 0, 0, UINT32_MAX);
    for (uint32_t i = 0; i < cluster->options.nodes; i++) {
        stop(&cluster->nodes[i]);
        disk_truncate(&cluster->nodes[i].disk, 0);
    }
    free(cluster->transcript);
    free(cluster);
}

struct spate_raft *cluster_raft(struct cluster *cluster, spate_node_id id)
{
    return cluster_node_of(cluster, id)->raft;
}

struct spate_log *cluster_log(struct cluster *cluster, spate_node_id id)
{
    return cluster_node_of(cluster, id)->log;
}

spate_time_ns cluster_now(struct cluster *cluster, spate_node_id id)
{
    return cluster_node_of(cluster, id)->now;
}

struct spate_raft_status cluster_status(struct cluster *cluster, spate_node_id id)
{
    struct spate_raft_status status;
    spate_raft_status(cluster_node_of(cluster, id)->raft, cluster_node_of(cluster, id)->now,
                      &status);
    return status;
}

static void take_batch(struct cluster *cluster, struct node *node)
{
    const struct spate_effect_store *store = &node->effects.store;
    struct batch *batch = &node->batches[node->batch_count++];
    *batch = (struct batch){.store = *store};
    cluster_write_down(cluster, "  %u stores #%llu", node->id, (unsigned long long)store->ticket);
    if (store->has_hard_state) {
        cluster_write_down(cluster, " term %llu vote %u%s", (unsigned long long)store->term,
                           store->vote, store->is_mute ? " mute" : "");
    }
    if (store->has_reset) {
        cluster_write_down(cluster, " anew behind %llu/%llu",
                           (unsigned long long)store->reset_base.term,
                           (unsigned long long)store->reset_base.index);
    }
    if (store->has_truncate) {
        cluster_write_down(cluster, " keep ..%llu", (unsigned long long)store->truncate_after);
    }
    if (store->count > 0) {
        cluster_write_down(cluster, " [%llu..%llu]", (unsigned long long)store->first,
                           (unsigned long long)(store->first + store->count - 1));
        batch->entries = calloc(store->count, sizeof *batch->entries);
        spate_assert(batch->entries != NULL);
    }
    cluster_write_down(cluster, "\n");
    for (uint64_t k = 0; k < store->count; k++) {
        struct spate_log_view view;
        struct spate_log_span span;
        spate_log_view(node->log, &view);
        spate_log_view_span(&view, store->first + k, 1, UINT32_MAX, &span);
        batch->entries[k] = (struct disk_entry){
            .term = span.term, .bytes = span.bytes, .encoded = malloc(span.bytes)};
        spate_assert(batch->entries[k].encoded != NULL);
        memcpy(batch->entries[k].encoded, span.data, span.bytes);
    }
}

void cluster_step(struct cluster *cluster, struct node *node, struct spate_event *event)
{
    event->now = node->now;
    spate_raft_step(node->raft, event, &node->effects);
    spate_assert(spate_raft_valid(node->raft));
    cluster_note_state(cluster, node);
}

static void note_snapshots(struct cluster *cluster, struct node *node)
{
    uint32_t wanted = 0;

    for (uint32_t m = 0; m < node->effects.snapshot_count; m++) {
        const spate_node_id member = node->effects.snapshot_members[m];
        wanted |= 1u << member;
        if ((node->snapshots_wanted & 1u << member) == 0) {
            cluster_write_down(cluster, "  %u needs a snapshot of %u\n", member, node->id);
        }
    }
    node->snapshots_wanted = wanted;
}

static void carry_out(struct cluster *cluster, struct node *node)
{
    note_snapshots(cluster, node);
    for (uint32_t i = 0; i < node->effects.message_count; i++) {
        cluster_send(cluster, node, &node->effects.messages[i]);
    }
    if (node->effects.fetch.is_needed) {
        node->fetch = node->effects.fetch;
        cluster_write_down(cluster, "  %u fetches from %llu for %u\n", node->id,
                           (unsigned long long)node->fetch.first, node->fetch.member);
    }
    if (node->effects.store.is_needed) {
        take_batch(cluster, node);
    }
    spate_effects_reset(&node->effects);
}

void cluster_flush(struct cluster *cluster, spate_node_id id)
{
    struct node *node = cluster_node_of(cluster, id);
    struct spate_event event = {.kind = SPATE_EVENT_FLUSH,
                                .flush = {.store_is_ready = node->batch_count < SPATE_TICKETS_MAX,
                                          .store_bytes_max = 1u << 20}};
    cluster_step(cluster, node, &event);
    carry_out(cluster, node);
    if (!node->store_is_manual && node->batch_count > 0) {
        cluster_store(cluster, id, UINT32_MAX);
    }
}

uint32_t cluster_storing(const struct cluster *cluster, spate_node_id id)
{
    return cluster->nodes[id - 1].batch_count;
}

static void write_batch(struct node *node)
{
    struct disk *disk = &node->disk;
    struct batch *batch = &node->batches[0];
    if (batch->store.has_hard_state) {
        /* One vote in a term; it may be written again with a newer commit index. */
        spate_assert(batch->store.term > disk->term ||
                     (batch->store.term == disk->term &&
                      (disk->vote == 0 || batch->store.vote == disk->vote)));
        disk->term = batch->store.term;
        disk->vote = batch->store.vote;
        disk->is_mute = batch->store.is_mute;
    }
    if (batch->store.has_reset) {
        disk_begin_behind(disk, batch->store.reset_base);
    }
    if (batch->store.has_truncate) {
        spate_assert(batch->store.truncate_after <= disk->last);
        disk_truncate(disk, batch->store.truncate_after);
    }
    for (uint64_t k = 0; k < batch->store.count; k++) {
        spate_assert(batch->store.first + k == disk->last + 1);
        disk->entries[++disk->last] = batch->entries[k];
    }
    disk->commit = batch->store.commit > disk->commit ? batch->store.commit : disk->commit;
    spate_assert(disk->commit <= disk->last);
    free(batch->entries);
    memmove(batch, batch + 1, (node->batch_count - 1) * sizeof *batch);
    node->batch_count--;
}

uint32_t cluster_store(struct cluster *cluster, spate_node_id id, uint32_t count)
{
    struct node *node = cluster_node_of(cluster, id);
    uint32_t done = 0;
    while (done < count && node->batch_count > 0) {
        struct spate_event event = {.kind = SPATE_EVENT_STORED,
                                    .stored = {.ticket = node->batches[0].store.ticket}};
        write_batch(node);
        cluster_step(cluster, node, &event);
        done++;
    }
    if (done > 0) {
        cluster_flush(cluster, id);
    }
    return done;
}

void cluster_store_automatic(struct cluster *cluster, spate_node_id id, bool is_automatic)
{
    cluster_node_of(cluster, id)->store_is_manual = !is_automatic;
}

void cluster_set_log(struct cluster *cluster, spate_node_id id, spate_term term, spate_node_id vote,
                     const spate_term entry_terms[], uint32_t count)
{
    struct node *node = cluster_node_of(cluster, id);
    stop(node);
    disk_truncate(&node->disk, 0);
    node->disk.term = term;
    node->disk.vote = vote;
    node->disk.commit = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct disk_entry *entry = &node->disk.entries[++node->disk.last];
        *entry = (struct disk_entry){
            .term = entry_terms[i], .bytes = spate_entry_stride(8), .encoded = malloc(16)};
        spate_assert(entry->encoded != NULL);
        spate_entry_encode(entry->encoded, SPATE_ENTRY_COMMAND, &entry_terms[i], 8);
    }
    start(cluster, node);
}

void cluster_restart(struct cluster *cluster, spate_node_id id)
{
    struct node *node = cluster_node_of(cluster, id);
    stop(node);
    cluster_write_down(cluster, "%u restarts with term %llu vote %u last %llu\n", id,
                       (unsigned long long)node->disk.term, node->disk.vote,
                       (unsigned long long)node->disk.last);
    start(cluster, node);
}

void cluster_forget(struct cluster *cluster, spate_node_id id, spate_index last, bool is_known)
{
    struct node *node = cluster_node_of(cluster, id);
    struct disk *disk = &node->disk;

    stop(node);
    disk_truncate(disk, last);
    disk->term = last == 0 ? 0 : disk->entries[last].term;
    disk->vote = 0;
    disk->commit = disk->commit < last ? disk->commit : last;
    disk->is_mute = is_known;
    cluster_write_down(cluster, "%u %s all behind %llu\n", id, is_known ? "forgets" : "lost",
                       (unsigned long long)last);
    start(cluster, node);
}

void cluster_elapse(struct cluster *cluster, spate_node_id id, spate_time_ns ns)
{
    cluster_node_of(cluster, id)->now += ns;
    cluster_flush(cluster, id);
}

void cluster_elapse_all(struct cluster *cluster, spate_time_ns ns)
{
    for (uint32_t i = 0; i < cluster->options.nodes; i++) {
        cluster->nodes[i].now += ns;
    }
    for (uint32_t i = 0; i < cluster->options.nodes; i++) {
        cluster_flush(cluster, i + 1);
    }
}

void cluster_campaign(struct cluster *cluster, spate_node_id id)
{
    cluster_elapse(cluster, id, CLUSTER_ELECTION_NS);
}

spate_err cluster_propose(struct cluster *cluster, spate_node_id id, uint32_t count, uint32_t size)
{
    struct node *node = cluster_node_of(cluster, id);
    struct spate_proposal items[SPATE_PROPOSALS_MAX];
    uint8_t *data = calloc(1, size + 1);
    spate_assert(data != NULL);
    spate_assert(count >= 1 && count <= SPATE_PROPOSALS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        items[i] = (struct spate_proposal){.data = data, .size = size, .kind = SPATE_ENTRY_COMMAND};
    }
    struct spate_event event = {.kind = SPATE_EVENT_PROPOSE,
                                .propose = {.items = items, .count = count}};
    cluster_step(cluster, node, &event);
    const spate_err err = node->effects.proposed_err;
    if (err != SPATE_OK) {
        cluster_write_down(cluster, "  %u took %u: %s\n", id, node->effects.proposed_count,
                           spate_err_name(err));
    }
    cluster_flush(cluster, id);
    free(data);
    return err;
}

enum spate_change_verdict cluster_change(struct cluster *cluster, spate_node_id id,
                                         const struct spate_change *change)
{
    struct node *node = cluster_node_of(cluster, id);
    struct spate_event event = {.kind = SPATE_EVENT_CHANGE, .change = change};
    cluster_step(cluster, node, &event);
    const enum spate_change_verdict verdict = node->effects.change_verdict;
    if (verdict != SPATE_CHANGE_ACCEPTED) {
        cluster_write_down(cluster, "  %u says %s\n", id, spate_change_name(verdict));
    }
    cluster_flush(cluster, id);
    return verdict;
}

bool cluster_transfer(struct cluster *cluster, spate_node_id id, spate_node_id to)
{
    struct node *node = cluster_node_of(cluster, id);
    struct spate_event event = {.kind = SPATE_EVENT_TRANSFER, .transfer = {.to = to}};
    cluster_step(cluster, node, &event);
    const bool is_accepted = node->effects.transfer_accepted;
    if (!is_accepted) {
        cluster_write_down(cluster, "  %u hands over to nobody\n", id);
    }
    cluster_flush(cluster, id);
    return is_accepted;
}

uint64_t cluster_read(struct cluster *cluster, spate_node_id id)
{
    struct node *node = cluster_node_of(cluster, id);
    spate_index floor = 0;
    for (uint32_t i = 0; i < cluster->options.nodes; i++) {
        const spate_index commit = cluster->nodes[i].commit;
        floor = commit > floor ? commit : floor;
    }
    node->read_asked++;
    node->read_floor[node->read_asked % READS_MAX] = floor;
    struct spate_event event = {.kind = SPATE_EVENT_READ, .read = {.id = node->read_asked}};
    cluster_step(cluster, node, &event);
    cluster_flush(cluster, id);
    return node->read_asked;
}

uint64_t cluster_read_ready(struct cluster *cluster, spate_node_id id, spate_index *ret_index)
{
    const struct node *node = cluster_node_of(cluster, id);
    *ret_index = node->read_index;
    return node->read_ready;
}

void cluster_measure(struct cluster *cluster, spate_node_id id, spate_node_id member,
                     spate_time_ns rtt_ns)
{
    struct spate_event event = {.kind = SPATE_EVENT_PATH,
                                .path = {.member = member, .rtt_ns = rtt_ns}};
    cluster_step(cluster, cluster_node_of(cluster, id), &event);
}

void cluster_compact(struct cluster *cluster, spate_node_id id, spate_index first_kept)
{
    spate_log_compact(cluster_node_of(cluster, id)->log, first_kept);
    cluster_write_down(cluster, "%u has its log from %llu\n", id,
                       (unsigned long long)spate_log_first(cluster_node_of(cluster, id)->log));
}

void cluster_snapshot(struct cluster *cluster, spate_node_id id, spate_index first_kept)
{
    struct node *node = cluster_node_of(cluster, id);
    struct disk *disk = &node->disk;
    const struct spate_entry_id base = {.term = disk->entries[first_kept - 1].term,
                                        .index = first_kept - 1};

    spate_assert(base.index <= node->commit);
    spate_log_compact(node->log, first_kept);
    for (spate_index index = disk->base.index + 1; index < first_kept; index++) {
        free(disk->entries[index].encoded);
        disk->entries[index].encoded = NULL;
    }
    disk->base = base;
    spate_raft_compacted(node->raft, first_kept);
    cluster_write_down(cluster, "%u has a snapshot up to %llu/%llu, and the log behind it\n", id,
                       (unsigned long long)base.term, (unsigned long long)base.index);
}

spate_err cluster_install(struct cluster *cluster, spate_node_id id, spate_index index)
{
    struct node *node = cluster_node_of(cluster, id);
    const struct spate_membership membership = *spate_raft_membership(node->raft);
    struct spate_event event = {
        .kind = SPATE_EVENT_INSTALLED,
        .installed = {.last = {.term = cluster->committed[index], .index = index},
                      .membership = &membership}};

    spate_assert(cluster->committed[index] != 0);
    node->disk.installed = index > node->disk.installed ? index : node->disk.installed;
    cluster_step(cluster, node, &event);
    const spate_err err = node->effects.installed_err;
    cluster_write_down(cluster, "%u installs a snapshot up to %llu/%llu: %s\n", id,
                       (unsigned long long)cluster->committed[index], (unsigned long long)index,
                       spate_err_text(err));
    cluster_flush(cluster, id);
    return err;
}

bool cluster_fetched(struct cluster *cluster, spate_node_id id, spate_err err)
{
    struct node *node = cluster_node_of(cluster, id);
    const struct disk *disk = &node->disk;
    if (!node->fetch.is_needed) {
        return false;
    }
    const spate_index first = node->fetch.first;
    struct spate_event event = {.kind = SPATE_EVENT_FETCHED,
                                .fetched = {.err = err, .member = node->fetch.member}};
    uint8_t *bytes = malloc(node->fetch.bytes_max + disk->entries[first].bytes);
    spate_assert(bytes != NULL);
    if (err == SPATE_OK) {
        struct spate_log_span *span = &event.fetched.span;
        *span = (struct spate_log_span){
            .data = bytes, .first = first, .term = disk->entries[first].term};
        while (first + span->count <= disk->last) {
            const struct disk_entry *entry = &disk->entries[first + span->count];
            if (entry->term != span->term ||
                (span->count > 0 && span->bytes + entry->bytes > node->fetch.bytes_max)) {
                break;
            }
            memcpy(bytes + span->bytes, entry->encoded, entry->bytes);
            span->bytes += entry->bytes;
            span->count++;
        }
        event.fetched.prev =
            (struct spate_entry_id){.term = disk->entries[first - 1].term, .index = first - 1};
    }
    node->fetch.is_needed = false;
    cluster_step(cluster, node, &event);
    carry_out(cluster, node);
    free(bytes);
    cluster_flush(cluster, id);
    return true;
}

uint32_t cluster_stabilize(struct cluster *cluster)
{
    uint32_t delivered = 0;
    for (uint32_t turn = 0; turn < 20000; turn++) {
        uint32_t done = cluster_deliver(cluster, 0, 0, UINT32_MAX);
        delivered += done;
        for (spate_node_id id = 1; id <= cluster->options.nodes; id++) {
            struct node *node = cluster_node_of(cluster, id);
            done += cluster_store(cluster, id, UINT32_MAX);
            if (node->effects.deadline <= node->now) {
                cluster_flush(cluster, id);
                done++;
            }
            done += cluster_fetched(cluster, id, SPATE_OK) ? 1u : 0u;
        }
        if (done == 0) {
            cluster_check(cluster);
            return delivered;
        }
    }
    const uint32_t tail = cluster->transcript_bytes > 2000 ? cluster->transcript_bytes - 2000 : 0;
    (void)fprintf(stderr, "%s\n", cluster->transcript + tail);
    spate_assert(0 && "the cluster never comes to rest");
    return 0;
}

spate_term cluster_disk_term(const struct cluster *cluster, spate_node_id id, spate_index index)
{
    return cluster->nodes[id - 1].disk.entries[index].term;
}
