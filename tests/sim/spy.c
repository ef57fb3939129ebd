/* Persist before send: every promise is held against the disk of whoever makes it. */
#include "base/bytes.h"
#include "link/frame_internal.h"
#include "node/node_internal.h"
#include "sim.h"
#include "wire/wire.h"

static void check_vote(struct sim *sim, uint32_t from, const struct spate_message *message)
{
    const spate_term term = message->vote_result.asked_term;
    const spate_node_id to = message->to;
    const struct spate_hard_state disk = spate_store_image_hard_state(sim->nodes[from].image);

    if (!message->vote_result.is_granted || message->vote_result.is_pre_vote) {
        return;
    }
    if (term >= SIM_TERMS_MAX) {
        sim_fail(sim, "term %llu: terms run away", (unsigned long long)term);
        return;
    }
    if (sim->votes[from][term] != 0 && sim->votes[from][term] != to) {
        sim_fail(sim, "node %u votes for %u and for %u in term %llu", from + 1,
                 sim->votes[from][term], to, (unsigned long long)term);
    }
    sim->votes[from][term] = to;
    if (disk.term < term || (disk.term == term && disk.vote != to)) {
        sim_fail(sim, "node %u grants a vote in term %llu that is not on its disk", from + 1,
                 (unsigned long long)term);
    }
}

/* A node that starts behind a snapshot of a later term than it stored goes on in that term; it has
 * no vote there that it could forget. */
static spate_term durable_term(const struct sim_node *node)
{
    const spate_term stored = spate_store_image_hard_state(node->image).term;

    return node->snapshot.last.term > stored ? node->snapshot.last.term : stored;
}

static void check_append_result(struct sim *sim, uint32_t from, const struct spate_message *message)
{
    const spate_index match = message->append_result.match;
    const struct sim_node *node = &sim->nodes[from];
    spate_term term = 0;

    if (durable_term(node) < message->term) {
        sim_fail(sim, "node %u answers in term %llu, which is not on its disk", from + 1,
                 (unsigned long long)message->term);
    }
    if (!message->append_result.is_accepted || match == 0 ||
        spate_log_term_at(node->node->log, match, &term) != SPATE_OK) {
        return;
    }
    if (!sim_disk_has(sim, from, (struct spate_entry_id){.term = term, .index = match})) {
        sim_fail(sim, "node %u acknowledges %llu, which is not on its disk", from + 1,
                 (unsigned long long)match);
    }
}

static void check_frame(struct sim *sim, uint32_t from, const struct spate_frame *frame)
{
    if (frame->size < SPATE_LINK_OVERHEAD_BYTES || frame->data[AT_TYPE] != FRAME_DATA ||
        sim->nodes[from].node == NULL) {
        return;
    }
    const uint8_t *at = frame->data + SPATE_LINK_HEADER_BYTES;
    uint32_t left = spate_get_u16(frame->data + AT_LENGTH);
    while (left > 0) {
        struct spate_message message;
        uint32_t bytes = 0;
        if (spate_wire_decode(at, left, &message, &bytes) != SPATE_OK) {
            sim_fail(sim, "node %u sends bytes that cannot be decoded", from + 1);
            return;
        }
        message.to = spate_get_u32(frame->data + AT_DESTINATION);
        if (message.kind == SPATE_MESSAGE_VOTE_RESULT) {
            check_vote(sim, from, &message);
        } else if (message.kind == SPATE_MESSAGE_APPEND_RESULT) {
            check_append_result(sim, from, &message);
        }
        at += bytes;
        left -= bytes;
    }
}

static uint32_t spy_rx(struct spate_net *net, struct spate_frame frames[], uint32_t count)
{
    struct sim_spy *spy = (struct sim_spy *)net;
    return spy->inner->ops->rx(spy->inner, frames, count);
}

static spate_err spy_reserve(struct spate_net *net, spate_peer peer, struct spate_frame frames[],
                             uint32_t count)
{
    struct sim_spy *spy = (struct sim_spy *)net;
    return spy->inner->ops->reserve(spy->inner, peer, frames, count);
}

static void spy_tx(struct spate_net *net, struct spate_frame frames[], uint32_t count)
{
    struct sim_spy *spy = (struct sim_spy *)net;
    for (uint32_t f = 0; f < count; f++) {
        check_frame(spy->sim, spy->node, &frames[f]);
    }
    spy->inner->ops->tx(spy->inner, frames, count);
}

static void spy_release(struct spate_net *net, struct spate_frame frames[], uint32_t count)
{
    struct sim_spy *spy = (struct sim_spy *)net;
    spy->inner->ops->release(spy->inner, frames, count);
}

static spate_err spy_set_peer(struct spate_net *net, spate_peer peer,
                              const struct spate_address *address)
{
    struct sim_spy *spy = (struct sim_spy *)net;
    return spy->inner->ops->set_peer(spy->inner, peer, address);
}

static void spy_wait(struct spate_net *net, spate_time_ns timeout_ns)
{
    (void)net;
    (void)timeout_ns;
}

static void spy_wake(struct spate_net *net)
{
    (void)net;
}

static void spy_close(struct spate_net *net)
{
    struct sim_spy *spy = (struct sim_spy *)net;
    spy->inner->ops->close(spy->inner);
}

struct spate_net *sim_spy_init(struct sim_spy *spy, struct sim *sim, uint32_t node,
                               struct spate_net *inner)
{
    static const struct spate_net_ops ops = {
        .name = "spy",
        .rx = spy_rx,
        .reserve = spy_reserve,
        .tx = spy_tx,
        .release = spy_release,
        .set_peer = spy_set_peer,
        .wait = spy_wait,
        .wake = spy_wake,
        .close = spy_close,
    };
    *spy = (struct sim_spy){.net = {.ops = &ops, .frame_bytes_max = inner->frame_bytes_max},
                            .inner = inner,
                            .sim = sim,
                            .node = node};
    return &spy->net;
}
