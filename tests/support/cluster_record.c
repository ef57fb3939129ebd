/* What is written down, and what must hold in a cluster at every moment. */
#include "cluster_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static const char *const role_names[] = {"learner", "follower", "pre-candidate", "candidate",
                                         "leader"};
void cluster_write_down(struct cluster *cluster, const char *format, ...)
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

static void write_voters(struct cluster *cluster, const struct spate_membership *membership,
                         bool is_next)
{
    const char *separator = "";
    for (uint32_t i = 0; i < membership->count; i++) {
        const struct spate_member *member = &membership->members[i];
        if (is_next ? member->is_voter_next : member->is_voter) {
            cluster_write_down(cluster, "%s%u", separator, member->id);
            separator = " ";
        }
    }
}

void cluster_write_members(struct cluster *cluster, const struct node *node)
{
    const struct spate_membership *membership = spate_raft_membership(node->raft);
    cluster_write_down(cluster, "%u has members of %llu: voters ", node->id,
                       (unsigned long long)node->membership_index);
    write_voters(cluster, membership, false);
    if (spate_membership_is_joint(membership)) {
        cluster_write_down(cluster, " and then ");
        write_voters(cluster, membership, true);
    }
    for (uint32_t i = 0; i < membership->count; i++) {
        const struct spate_member *member = &membership->members[i];
        if (!member->is_voter && !member->is_voter_next) {
            cluster_write_down(cluster, ", learner %u", member->id);
        }
    }
    cluster_write_down(cluster, "%s\n", membership->is_overridden ? ", overridden" : "");
}

void cluster_note_state(struct cluster *cluster, struct node *node)
{
    const struct spate_effects *effects = &node->effects;
    if (effects->role != node->role || effects->term != node->term) {
        cluster_write_down(cluster, "%u is %s in term %llu\n", node->id, role_names[effects->role],
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
    if (effects->membership_index != node->membership_index) {
        node->membership_index = effects->membership_index;
        cluster_write_members(cluster, node);
    }
    spate_assert(effects->read_ready <= node->read_asked);
    if (effects->read_ready != node->read_ready) {
        spate_assert(effects->read_ready > node->read_ready);
        /* Linearizability: whatever was committed when the read was asked is covered. */
        spate_assert(effects->read_index >= node->read_floor[effects->read_ready % READS_MAX]);
        node->read_ready = effects->read_ready;
        node->read_index = effects->read_index;
        cluster_write_down(cluster, "%u may read %llu at %llu\n", node->id,
                           (unsigned long long)effects->read_ready,
                           (unsigned long long)effects->read_index);
    }
    spate_assert(effects->commit >= node->commit);
    if (effects->commit != node->commit) {
        cluster_write_down(cluster, "%u commits %llu\n", node->id,
                           (unsigned long long)effects->commit);
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

static void write_append(struct cluster *cluster, const struct spate_message *m)
{
    cluster_write_down(cluster, "append term %llu #%llu prev %llu/%llu",
                       (unsigned long long)m->term, (unsigned long long)m->append.round,
                       (unsigned long long)m->append.prev.term,
                       (unsigned long long)m->append.prev.index);
    if (m->append.count > 0) {
        cluster_write_down(cluster, " [%llu..%llu] of %llu",
                           (unsigned long long)m->append.prev.index + 1,
                           (unsigned long long)m->append.prev.index + m->append.count,
                           (unsigned long long)m->append.entries_term);
    }
    cluster_write_down(cluster, " commit %llu\n", (unsigned long long)m->append.commit);
}

void cluster_write_message(struct cluster *cluster, const struct spate_message *m)
{
    cluster_write_down(cluster, "  %u>%u ", m->from, m->to);
    switch (m->kind) {
    case SPATE_MESSAGE_VOTE:
        cluster_write_down(
            cluster, "%s%s term %llu last %llu/%llu\n", m->vote.is_pre_vote ? "pre-vote" : "vote",
            m->vote.is_transfer ? " wanted" : "", (unsigned long long)m->term,
            (unsigned long long)m->vote.last.term, (unsigned long long)m->vote.last.index);
        break;
    case SPATE_MESSAGE_VOTE_RESULT:
        cluster_write_down(cluster, "%s %s term %llu asked %llu\n",
                           m->vote_result.is_pre_vote ? "pre-vote" : "vote",
                           m->vote_result.is_granted ? "granted" : "refused",
                           (unsigned long long)m->term,
                           (unsigned long long)m->vote_result.asked_term);
        break;
    case SPATE_MESSAGE_APPEND:
        write_append(cluster, m);
        break;
    case SPATE_MESSAGE_APPEND_RESULT:
        if (m->append_result.is_accepted) {
            cluster_write_down(cluster, "accepted%s term %llu #%llu match %llu last %llu\n",
                               m->append_result.is_mute ? " mute" : "", (unsigned long long)m->term,
                               (unsigned long long)m->append_result.round,
                               (unsigned long long)m->append_result.match,
                               (unsigned long long)m->append_result.last);
        } else {
            cluster_write_down(cluster, "refused%s term %llu #%llu prev %llu try %llu/%llu\n",
                               m->append_result.is_mute ? " mute" : "", (unsigned long long)m->term,
                               (unsigned long long)m->append_result.round,
                               (unsigned long long)m->append_result.prev,
                               (unsigned long long)m->append_result.hint_term,
                               (unsigned long long)m->append_result.last);
        }
        break;
    case SPATE_MESSAGE_TIMEOUT_NOW:
        cluster_write_down(cluster, "campaign now, term %llu\n", (unsigned long long)m->term);
        break;
    case SPATE_MESSAGE_REINSTATE:
        cluster_write_down(cluster, "reinstated, term %llu\n", (unsigned long long)m->term);
        break;
    case SPATE_MESSAGE_FORGOTTEN:
        cluster_write_down(cluster, "forgot %llu, term %llu\n",
                           (unsigned long long)m->forgotten.index, (unsigned long long)m->term);
        break;
    case SPATE_MESSAGE_READ:
        cluster_write_down(cluster, "read %llu term %llu\n", (unsigned long long)m->read.id,
                           (unsigned long long)m->term);
        break;
    case SPATE_MESSAGE_READ_RESULT:
        cluster_write_down(cluster, "read %llu at %llu\n", (unsigned long long)m->read_result.id,
                           (unsigned long long)m->read_result.index);
        break;
    case SPATE_MESSAGE_SNAPSHOT:
        cluster_write_down(cluster, "snapshot term %llu of %llu/%llu\n",
                           (unsigned long long)m->term, (unsigned long long)m->snapshot.last.term,
                           (unsigned long long)m->snapshot.last.index);
        break;
    case SPATE_MESSAGE_FORWARD:
    case SPATE_MESSAGE_FORWARD_RESULT:
    case SPATE_MESSAGE_SNAPSHOT_RESULT:
        break;
    }
}

/* Everything that a message promises is on the disk of its sender. */
void cluster_check_promise(const struct node *node, const struct spate_message *m)
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
        spate_assert(!m->append_result.is_accepted || node->disk.last >= m->append_result.match ||
                     node->disk.installed >= m->append_result.match);
    }
}

const char *cluster_log_terms(struct cluster *cluster, spate_node_id id)
{
    const struct spate_log *log = cluster_node_of(cluster, id)->log;
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
