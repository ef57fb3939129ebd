/* Messages under way: each is a copy, moved by the test alone. */
#include "cluster_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

void cluster_send(struct cluster *cluster, struct node *node, const struct spate_message *message)
{
    cluster_write_message(cluster, message);
    cluster_check_promise(node, message);
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

void cluster_receive(struct cluster *cluster, struct spate_message *message)
{
    struct spate_event event = {.kind = SPATE_EVENT_MESSAGE, .message = message};
    cluster_step(cluster, cluster_node_of(cluster, message->to), &event);
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
