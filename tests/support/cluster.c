#include "support/cluster.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/rcu.h"

#define NODES_MAX        7u
#define DISK_ENTRIES_MAX 8192u
#define MESSAGES_MAX     4096u
#define TRANSCRIPT_BYTES (1u << 20)
#define TERMS_MAX        4096u

struct disk_entry {
    spate_term term;
    uint32_t bytes;
    uint8_t *encoded;
};

struct disk {
    spate_term term;
    spate_node_id vote;
    spate_index commit;
    spate_index last;
    struct disk_entry entries[DISK_ENTRIES_MAX]; /* By index. */
};

struct batch {
    struct spate_effect_store store;
    struct disk_entry *entries;
};

struct node {
    spate_node_id id;
    uint64_t life;
    spate_time_ns now;
    struct spate_log *log;
    struct spate_raft *raft;
    struct spate_effects effects;
    struct disk disk;
    struct batch batches[SPATE_TICKETS_MAX];
    uint32_t batch_count;
    bool store_is_manual;
    struct spate_effect_fetch fetch;
    enum spate_role role;
    spate_term term;
    spate_index commit;
};

struct flying {
    struct spate_message message;
    uint8_t *bytes;
};

struct cluster {
    struct cluster_options options;
    struct node nodes[NODES_MAX];
    struct flying flying[MESSAGES_MAX];
    uint32_t flying_count;
    bool is_cut[NODES_MAX + 1][NODES_MAX + 1];
    spate_node_id leader_of[TERMS_MAX];
    spate_term committed[DISK_ENTRIES_MAX]; /* By index: the term that some node committed. */
    char *transcript;
    uint32_t transcript_bytes;
    bool transcript_is_read;
    char terms[4096];
};

static const char *const role_names[] = {"learner", "follower", "pre-candidate", "candidate",
                                         "leader"};

static struct node *node_of(struct cluster *cluster, spate_node_id id)
{
    spate_assert(id >= 1 && id <= cluster->options.nodes);
    return &cluster->nodes[id - 1];
}

static void write_down(struct cluster *cluster, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void write_down(struct cluster *cluster, const char *format, ...)
{
    va_list arguments;
    /* Nobody reads a transcript that is this long. */
    if (cluster->transcript_is_read || cluster->transcript_bytes > TRANSCRIPT_BYTES / 2) {
        cluster->transcript_bytes = 0;
        cluster->transcript_is_read = false;
    }
    const uint32_t room = TRANSCRIPT_BYTES - cluster->transcript_bytes;
    va_start(arguments, format);
    const int written =
        vsnprintf(cluster->transcript + cluster->transcript_bytes, room, format, arguments);
    va_end(arguments);
    spate_assert(written >= 0 && (uint32_t)written < room);
    cluster->transcript_bytes += (uint32_t)written;
}

const char *cluster_transcript(struct cluster *cluster)
{
    if (cluster->transcript_is_read) {
        cluster->transcript_bytes = 0;
    }
    cluster->transcript[cluster->transcript_bytes] = '\0';
    cluster->transcript_is_read = true;
    return cluster->transcript;
}

static void start(struct cluster *cluster, struct node *node)
{
    const struct cluster_options *options = &cluster->options;
    const struct spate_log_options log_options = {
        .budget_bytes = options->log_budget_bytes ? options->log_budget_bytes : 8u << 20,
        .segment_bytes = 2u << 20,
        .reclaim = spate_reclaim_immediate(),
    };
    spate_assert(spate_log_create(&log_options, &node->log) == SPATE_OK);
    for (spate_index index = 1; index <= node->disk.last; index++) {
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
        .first_stored = 1,
        .now = node->now,
        .election_timeout_ns_min = CLUSTER_ELECTION_NS,
        .election_timeout_ns_max = CLUSTER_ELECTION_NS,
        .heartbeat_ns = CLUSTER_HEARTBEAT_NS,
        .append_bytes_max = options->append_bytes_max ? options->append_bytes_max : 60000,
        .append_count_max = options->append_count_max,
        .window_bytes = options->window_bytes ? options->window_bytes : 1u << 20,
        .window_messages = options->window_messages ? options->window_messages : 16,
        .pre_vote_enabled = !options->pre_vote_disabled,
        .check_quorum_enabled = !options->check_quorum_disabled,
    };
    for (uint32_t i = 0; i < options->nodes; i++) {
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
    return node_of(cluster, id)->raft;
}

struct spate_log *cluster_log(struct cluster *cluster, spate_node_id id)
{
    return node_of(cluster, id)->log;
}

spate_time_ns cluster_now(struct cluster *cluster, spate_node_id id)
{
    return node_of(cluster, id)->now;
}

struct spate_raft_status cluster_status(struct cluster *cluster, spate_node_id id)
{
    struct spate_raft_status status;
    spate_raft_status(node_of(cluster, id)->raft, node_of(cluster, id)->now, &status);
    return status;
}

static void note_state(struct cluster *cluster, struct node *node)
{
    const struct spate_effects *effects = &node->effects;
    if (effects->role != node->role || effects->term != node->term) {
        write_down(cluster, "%u is %s in term %llu\n", node->id, role_names[effects->role],
                   (unsigned long long)effects->term);
        spate_assert(effects->term >= node->term);
        node->role = effects->role;
        node->term = effects->term;
        if (node->role == SPATE_ROLE_LEADER && node->term < TERMS_MAX) {
            /* Election safety (paper figure 3). */
            spate_assert(cluster->leader_of[node->term] == 0 ||
                         cluster->leader_of[node->term] == node->id);
            cluster->leader_of[node->term] = node->id;
            /* Leader completeness. */
            for (spate_index i = spate_log_first(node->log); i < DISK_ENTRIES_MAX; i++) {
                spate_term term = 0;
                if (cluster->committed[i] == 0) {
                    break;
                }
                spate_assert(i <= spate_log_last(node->log));
                spate_assert(spate_log_term_at(node->log, i, &term) == SPATE_OK);
                spate_assert(term == cluster->committed[i]);
            }
        }
    }
    spate_assert(effects->commit >= node->commit);
    if (effects->commit != node->commit) {
        write_down(cluster, "%u commits %llu\n", node->id, (unsigned long long)effects->commit);
        for (spate_index i = node->commit + 1; i <= effects->commit && i < DISK_ENTRIES_MAX; i++) {
            spate_term term = 0;
            if (spate_log_term_at(node->log, i, &term) != SPATE_OK) {
                continue;
            }
            /* State-machine safety. */
            spate_assert(cluster->committed[i] == 0 || cluster->committed[i] == term);
            cluster->committed[i] = term;
        }
        node->commit = effects->commit;
    }
}

static void write_message(struct cluster *cluster, const struct spate_message *m)
{
    write_down(cluster, "  %u>%u ", m->from, m->to);
    switch (m->kind) {
    case SPATE_MESSAGE_VOTE:
        write_down(cluster, "%s term %llu last %llu/%llu\n",
                   m->vote.is_pre_vote ? "pre-vote" : "vote", (unsigned long long)m->term,
                   (unsigned long long)m->vote.last.term, (unsigned long long)m->vote.last.index);
        break;
    case SPATE_MESSAGE_VOTE_RESULT:
        write_down(cluster, "%s %s term %llu asked %llu\n",
                   m->vote_result.is_pre_vote ? "pre-vote" : "vote",
                   m->vote_result.is_granted ? "granted" : "refused", (unsigned long long)m->term,
                   (unsigned long long)m->vote_result.asked_term);
        break;
    case SPATE_MESSAGE_APPEND:
        write_down(cluster, "append term %llu #%llu prev %llu/%llu", (unsigned long long)m->term,
                   (unsigned long long)m->append.round, (unsigned long long)m->append.prev.term,
                   (unsigned long long)m->append.prev.index);
        if (m->append.count > 0) {
            write_down(cluster, " [%llu..%llu] of %llu",
                       (unsigned long long)m->append.prev.index + 1,
                       (unsigned long long)m->append.prev.index + m->append.count,
                       (unsigned long long)m->append.entries_term);
        }
        write_down(cluster, " commit %llu\n", (unsigned long long)m->append.commit);
        break;
    case SPATE_MESSAGE_APPEND_RESULT:
        if (m->append_result.is_accepted) {
            write_down(cluster, "accepted term %llu #%llu match %llu last %llu\n",
                       (unsigned long long)m->term, (unsigned long long)m->append_result.round,
                       (unsigned long long)m->append_result.match,
                       (unsigned long long)m->append_result.last);
        } else {
            write_down(cluster, "refused term %llu #%llu prev %llu try %llu/%llu\n",
                       (unsigned long long)m->term, (unsigned long long)m->append_result.round,
                       (unsigned long long)m->append_result.prev,
                       (unsigned long long)m->append_result.hint_term,
                       (unsigned long long)m->append_result.last);
        }
        break;
    case SPATE_MESSAGE_FORWARD:
    case SPATE_MESSAGE_FORWARD_RESULT:
        break;
    }
}

/* Everything that a message promises is on the disk of its sender. */
static void check_promise(const struct node *node, const struct spate_message *m)
{
    if (m->kind == SPATE_MESSAGE_VOTE_RESULT && m->vote_result.is_granted &&
        !m->vote_result.is_pre_vote) {
        spate_assert(node->disk.term == m->term);
        spate_assert(node->disk.vote == m->to);
    }
    if (m->kind == SPATE_MESSAGE_APPEND) {
        spate_assert(node->disk.term == m->term);
        spate_assert(node->disk.vote == m->from);
    }
    if (m->kind == SPATE_MESSAGE_APPEND_RESULT) {
        spate_assert(node->disk.term >= m->term);
        spate_assert(!m->append_result.is_accepted || node->disk.last >= m->append_result.match);
    }
}

static void send(struct cluster *cluster, struct node *node, const struct spate_message *message)
{
    write_message(cluster, message);
    check_promise(node, message);
    if (cluster->is_cut[message->from][message->to]) {
        return;
    }
    spate_assert(cluster->flying_count < MESSAGES_MAX);
    struct flying *flying = &cluster->flying[cluster->flying_count++];
    *flying = (struct flying){.message = *message};
    if (message->kind != SPATE_MESSAGE_APPEND || message->append.count == 0) {
        return;
    }
    const uint8_t *from = message->append.entries;
    struct spate_log_span span = {.bytes = message->append.bytes};
    if (from == NULL) {
        struct spate_log_view view;
        spate_log_view(node->log, &view);
        spate_log_view_span(&view, message->append.prev.index + 1, message->append.count,
                            message->append.bytes, &span);
        spate_assert(span.count == message->append.count);
        spate_assert(span.bytes == message->append.bytes);
        spate_assert(span.term == message->append.entries_term);
        from = span.data;
    }
    flying->bytes = malloc(span.bytes);
    spate_assert(flying->bytes != NULL);
    memcpy(flying->bytes, from, span.bytes);
    flying->message.append.entries = flying->bytes;
}

static void take_batch(struct cluster *cluster, struct node *node)
{
    const struct spate_effect_store *store = &node->effects.store;
    struct batch *batch = &node->batches[node->batch_count++];
    *batch = (struct batch){.store = *store};
    write_down(cluster, "  %u stores #%llu", node->id, (unsigned long long)store->ticket);
    if (store->has_hard_state) {
        write_down(cluster, " term %llu vote %u", (unsigned long long)store->term, store->vote);
    }
    if (store->has_truncate) {
        write_down(cluster, " keep ..%llu", (unsigned long long)store->truncate_after);
    }
    if (store->count > 0) {
        write_down(cluster, " [%llu..%llu]", (unsigned long long)store->first,
                   (unsigned long long)(store->first + store->count - 1));
        batch->entries = calloc(store->count, sizeof *batch->entries);
        spate_assert(batch->entries != NULL);
    }
    write_down(cluster, "\n");
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

static void step(struct cluster *cluster, struct node *node, struct spate_event *event)
{
    event->now = node->now;
    spate_raft_step(node->raft, event, &node->effects);
    spate_assert(spate_raft_valid(node->raft));
    note_state(cluster, node);
}

static void carry_out(struct cluster *cluster, struct node *node)
{
    for (uint32_t i = 0; i < node->effects.message_count; i++) {
        send(cluster, node, &node->effects.messages[i]);
    }
    if (node->effects.fetch.is_needed) {
        node->fetch = node->effects.fetch;
        write_down(cluster, "  %u fetches from %llu for %u\n", node->id,
                   (unsigned long long)node->fetch.first, node->fetch.member);
    }
    if (node->effects.store.is_needed) {
        take_batch(cluster, node);
    }
    spate_effects_reset(&node->effects);
}

void cluster_flush(struct cluster *cluster, spate_node_id id)
{
    struct node *node = node_of(cluster, id);
    struct spate_event event = {.kind = SPATE_EVENT_FLUSH,
                                .flush = {.store_is_ready = node->batch_count < SPATE_TICKETS_MAX,
                                          .store_bytes_max = 1u << 20}};
    step(cluster, node, &event);
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
        spate_assert(batch->store.term > disk->term || disk->vote == 0);
        disk->term = batch->store.term;
        disk->vote = batch->store.vote;
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
    struct node *node = node_of(cluster, id);
    uint32_t done = 0;
    while (done < count && node->batch_count > 0) {
        struct spate_event event = {.kind = SPATE_EVENT_STORED,
                                    .stored = {.ticket = node->batches[0].store.ticket}};
        write_batch(node);
        step(cluster, node, &event);
        done++;
    }
    if (done > 0) {
        cluster_flush(cluster, id);
    }
    return done;
}

void cluster_store_automatic(struct cluster *cluster, spate_node_id id, bool is_automatic)
{
    node_of(cluster, id)->store_is_manual = !is_automatic;
}

void cluster_set_log(struct cluster *cluster, spate_node_id id, spate_term term, spate_node_id vote,
                     const spate_term entry_terms[], uint32_t count)
{
    struct node *node = node_of(cluster, id);
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
    struct node *node = node_of(cluster, id);
    stop(node);
    write_down(cluster, "%u restarts with term %llu vote %u last %llu\n", id,
               (unsigned long long)node->disk.term, node->disk.vote,
               (unsigned long long)node->disk.last);
    start(cluster, node);
}

void cluster_elapse(struct cluster *cluster, spate_node_id id, spate_time_ns ns)
{
    node_of(cluster, id)->now += ns;
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
    struct node *node = node_of(cluster, id);
    struct spate_proposal items[SPATE_PROPOSALS_MAX];
    uint8_t *data = calloc(1, size + 1);
    spate_assert(data != NULL);
    spate_assert(count >= 1 && count <= SPATE_PROPOSALS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        items[i] = (struct spate_proposal){.data = data, .size = size, .kind = SPATE_ENTRY_COMMAND};
    }
    struct spate_event event = {.kind = SPATE_EVENT_PROPOSE,
                                .propose = {.items = items, .count = count}};
    step(cluster, node, &event);
    const spate_err err = node->effects.proposed_err;
    if (err != SPATE_OK) {
        write_down(cluster, "  %u took %u: %s\n", id, node->effects.proposed_count,
                   spate_err_name(err));
    }
    cluster_flush(cluster, id);
    free(data);
    return err;
}

void cluster_measure(struct cluster *cluster, spate_node_id id, spate_node_id member,
                     spate_time_ns rtt_ns)
{
    struct spate_event event = {.kind = SPATE_EVENT_RTT,
                                .rtt = {.member = member, .rtt_ns = rtt_ns}};
    step(cluster, node_of(cluster, id), &event);
}

void cluster_receive(struct cluster *cluster, struct spate_message *message)
{
    struct spate_event event = {.kind = SPATE_EVENT_MESSAGE, .message = message};
    step(cluster, node_of(cluster, message->to), &event);
}

static uint32_t next_flying(const struct cluster *cluster, spate_node_id from, spate_node_id to)
{
    for (uint32_t i = 0; i < cluster->flying_count; i++) {
        const struct spate_message *m = &cluster->flying[i].message;
        if ((from == 0 || m->from == from) && (to == 0 || m->to == to)) {
            return i;
        }
    }
    return UINT32_MAX;
}

static struct flying take_flying(struct cluster *cluster, uint32_t at)
{
    const struct flying flying = cluster->flying[at];
    cluster->flying_count--;
    memmove(&cluster->flying[at], &cluster->flying[at + 1],
            (cluster->flying_count - at) * sizeof cluster->flying[0]);
    return flying;
}

uint32_t cluster_pending(const struct cluster *cluster, spate_node_id from, spate_node_id to)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < cluster->flying_count; i++) {
        const struct spate_message *m = &cluster->flying[i].message;
        count += (from == 0 || m->from == from) && (to == 0 || m->to == to) ? 1u : 0u;
    }
    return count;
}

const struct spate_message *cluster_peek(const struct cluster *cluster, spate_node_id from,
                                         spate_node_id to)
{
    const uint32_t at = next_flying(cluster, from, to);
    return at == UINT32_MAX ? NULL : &cluster->flying[at].message;
}

uint32_t cluster_deliver(struct cluster *cluster, spate_node_id from, spate_node_id to,
                         uint32_t count)
{
    bool is_touched[NODES_MAX + 1] = {false};
    uint32_t done = 0;
    while (done < count) {
        const uint32_t at = next_flying(cluster, from, to);
        if (at == UINT32_MAX) {
            break;
        }
        struct flying flying = take_flying(cluster, at);
        is_touched[flying.message.to] = true;
        cluster_receive(cluster, &flying.message);
        free(flying.bytes);
        done++;
    }
    for (spate_node_id id = 1; id <= cluster->options.nodes; id++) {
        if (is_touched[id]) {
            cluster_flush(cluster, id);
        }
    }
    return done;
}

uint32_t cluster_drop(struct cluster *cluster, spate_node_id from, spate_node_id to, uint32_t count)
{
    uint32_t done = 0;
    for (; done < count; done++) {
        const uint32_t at = next_flying(cluster, from, to);
        if (at == UINT32_MAX) {
            break;
        }
        free(take_flying(cluster, at).bytes);
    }
    return done;
}

void cluster_duplicate(struct cluster *cluster, spate_node_id from, spate_node_id to)
{
    const uint32_t at = next_flying(cluster, from, to);
    spate_assert(at != UINT32_MAX);
    spate_assert(cluster->flying_count < MESSAGES_MAX);
    struct flying copy = cluster->flying[at];
    if (copy.bytes != NULL) {
        copy.bytes = malloc(copy.message.append.bytes);
        spate_assert(copy.bytes != NULL);
        memcpy(copy.bytes, cluster->flying[at].bytes, copy.message.append.bytes);
        copy.message.append.entries = copy.bytes;
    }
    cluster->flying[cluster->flying_count++] = copy;
}

void cluster_delay(struct cluster *cluster, spate_node_id from, spate_node_id to)
{
    const uint32_t at = next_flying(cluster, from, to);
    spate_assert(at != UINT32_MAX);
    const struct flying flying = take_flying(cluster, at);
    cluster->flying[cluster->flying_count++] = flying;
}

void cluster_cut(struct cluster *cluster, spate_node_id one, spate_node_id other, bool is_cut)
{
    for (spate_node_id id = 1; id <= cluster->options.nodes; id++) {
        if ((other == 0 || id == other) && id != one) {
            cluster->is_cut[one][id] = is_cut;
            cluster->is_cut[id][one] = is_cut;
            if (is_cut) {
                cluster_drop(cluster, one, id, UINT32_MAX);
                cluster_drop(cluster, id, one, UINT32_MAX);
            }
        }
    }
}

void cluster_compact(struct cluster *cluster, spate_node_id id, spate_index first_kept)
{
    spate_log_compact(node_of(cluster, id)->log, first_kept);
    write_down(cluster, "%u has its log from %llu\n", id,
               (unsigned long long)spate_log_first(node_of(cluster, id)->log));
}

bool cluster_fetched(struct cluster *cluster, spate_node_id id, spate_err err)
{
    struct node *node = node_of(cluster, id);
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
    step(cluster, node, &event);
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
            struct node *node = node_of(cluster, id);
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

const char *cluster_log_terms(struct cluster *cluster, spate_node_id id)
{
    const struct spate_log *log = node_of(cluster, id)->log;
    uint32_t bytes = 0;
    cluster->terms[0] = '\0';
    for (spate_index i = spate_log_first(log); i <= spate_log_last(log); i++) {
        spate_term term = 0;
        spate_assert(spate_log_term_at(log, i, &term) == SPATE_OK);
        const int written = snprintf(cluster->terms + bytes, sizeof cluster->terms - bytes,
                                     bytes > 0 ? " %llu" : "%llu", (unsigned long long)term);
        spate_assert(written > 0);
        bytes += (uint32_t)written;
        spate_assert(bytes < sizeof cluster->terms);
    }
    return cluster->terms;
}

void cluster_check(struct cluster *cluster)
{
    for (uint32_t a = 0; a < cluster->options.nodes; a++) {
        const struct spate_log *one = cluster->nodes[a].log;
        spate_assert(spate_raft_valid(cluster->nodes[a].raft));
        for (spate_index i = spate_log_first(one); i <= cluster->nodes[a].commit; i++) {
            spate_term term = 0;
            spate_assert(spate_log_term_at(one, i, &term) == SPATE_OK);
            spate_assert(cluster->committed[i] == 0 || cluster->committed[i] == term);
        }
        for (uint32_t b = 0; b < a; b++) {
            const struct spate_log *other = cluster->nodes[b].log;
            const spate_index last = spate_log_last(one) < spate_log_last(other)
                                         ? spate_log_last(one)
                                         : spate_log_last(other);
            bool is_same = false;
            /* Log matching: one equal (index, term) means that all before it is equal. */
            for (spate_index i = last; i >= spate_log_first(one) && i >= spate_log_first(other);
                 i--) {
                spate_term term = 0;
                spate_term term_other = 0;
                spate_assert(spate_log_term_at(one, i, &term) == SPATE_OK);
                spate_assert(spate_log_term_at(other, i, &term_other) == SPATE_OK);
                spate_assert(!is_same || term == term_other);
                is_same = is_same || term == term_other;
            }
        }
    }
}
