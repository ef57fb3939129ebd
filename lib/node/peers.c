/*
 * The link's peers, and what is remembered of each, follow the membership in force: members come,
 * move and go. Those that go are heard a while longer, for they may still have to learn of it.
 */
#include "node_internal.h"

#include <string.h>

#include "base/assert.h"

struct spate_node_peer *spate_node_peer_find(struct spate_node *node, spate_node_id id)
{
    for (uint32_t i = 0; i < node->peer_count && id != 0; i++) {
        if (node->peers[i].id == id && !node->peers[i].is_gone) {
            return &node->peers[i];
        }
    }
    return NULL;
}

/* The place that the member had before, or a new one, or, at last, that of another who is gone. */
static struct spate_node_peer *find_place(struct spate_node *node, spate_node_id id)
{
    struct spate_node_peer *gone = NULL;

    for (uint32_t i = 0; i < node->peer_count; i++) {
        struct spate_node_peer *peer = &node->peers[i];
        if (peer->id == id) {
            return peer;
        }
        gone = peer->is_gone ? peer : gone;
    }
    return node->peer_count < SPATE_MEMBERS_MAX ? &node->peers[node->peer_count++] : gone;
}

static void add_peer(struct spate_node *node, spate_node_id id)
{
    struct spate_node_peer *peer = find_place(node, id);

    spate_assert(peer != NULL); /* No more than SPATE_MEMBERS_MAX - 1 others are members. */
    if (peer->id != id) {
        peer->id = id;
        peer->session = 0;
        peer->epoch++; /* Outcomes for who had this place, still on their way, reach nobody. */
        memset(peer->remembered, 0, SPATE_REMEMBERED_MAX * sizeof peer->remembered[0]);
    }
    peer->is_gone = false;
}

/* What it passed on is remembered: it may come back, and repeat it (tests/track-record.md). */
static void remove_peer(struct spate_node *node, struct spate_node_peer *peer)
{
    spate_assert(peer->id != 0);
    spate_link_dismiss_peer(node->link, peer->id);
    peer->is_gone = true;
}

/* An address that the driver cannot reach is no reason to fail: the status shows no connection. */
static void connect_peer(struct spate_node *node, const struct spate_member *member)
{
    struct spate_address address;

    spate_assert(member->id != 0 && member->id != node->options.self);
    if (member->address[0] == '\0') {
        return; /* The link was told where it is by the host. */
    }
    if (spate_address_parse(member->address, &address) != SPATE_OK ||
        spate_link_set_peer(node->link, member->id, &address) != SPATE_OK) {
        node->members_unreachable++;
    }
}

/* The engine forgets what it knew of a member's path when that leaves, or comes as another. */
static void tell_path_anew(struct spate_node *node, spate_node_id id)
{
    struct spate_node_peer *peer = spate_node_peer_find(node, id);

    spate_assert(peer != NULL);
    peer->rtt_ns = 0;
    peer->frame_bytes = 0;
}

void spate_node_follow_members(struct spate_node *node)
{
    const struct spate_membership *membership = spate_raft_membership(node->raft);

    spate_assert(membership->count <= SPATE_MEMBERS_MAX);
    if (membership->count == 0) {
        return; /* A core that joins: the link has the peers that it was told of. */
    }
    for (uint32_t i = 0; i < node->peer_count; i++) {
        struct spate_node_peer *peer = &node->peers[i];
        if (!peer->is_gone && spate_membership_find(membership, peer->id) == SPATE_MEMBERS_MAX) {
            remove_peer(node, peer);
        }
    }
    for (uint32_t i = 0; i < membership->count; i++) {
        const struct spate_member *member = &membership->members[i];
        if (member->id == node->options.self) {
            continue;
        }
        if (spate_node_peer_find(node, member->id) == NULL) {
            add_peer(node, member->id);
        }
        tell_path_anew(node, member->id);
        connect_peer(node, member);
    }
}
