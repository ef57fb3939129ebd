/*
 * lib/raft: three engines in one thread, whose messages are encoded and decoded between them and
 * whose stores are done at once. What is reported is the time inside spate_raft_step(), of the
 * leader or of one follower, per committed entry.
 */
#include <stdlib.h>

#include "bench/micro/micro.h"
#include "raft/raft.h"
#include "wire/wire.h"

#define NODES         3u
#define PAYLOAD_BYTES 64u
#define BATCH_MAX     64u
#define INBOX_MAX     64u
#define FRAME_BYTES   16384u

struct letter {
    spate_node_id from;
    uint32_t bytes;
    uint8_t frame[FRAME_BYTES] __attribute__((aligned(8)));
};

struct node {
    struct spate_log *log;
    struct spate_raft *raft;
    struct spate_effects effects;
    uint64_t step_ns; /* Spent in the engine. */
    uint64_t stored;  /* Ticket to report, 0: none. */
    uint32_t inbox_count;
    struct letter inbox[INBOX_MAX];
};

struct context {
    spate_time_ns now;
    struct node nodes[NODES];
    struct spate_proposal proposals[BATCH_MAX];
    uint8_t payload[PAYLOAD_BYTES];
};

static void step(struct context *context, struct node *node, struct spate_event event)
{
    event.now = context->now;
    spate_raft_step(node->raft, &event, &node->effects);
}

static void post(struct context *context, struct node *from, const struct spate_message *message)
{
    struct node *to = &context->nodes[message->to - 1];
    struct spate_log_view view;

    micro_require(to->inbox_count < INBOX_MAX, "inbox");
    struct letter *letter = &to->inbox[to->inbox_count++];
    letter->from = message->from;
    spate_log_view(from->log, &view);
    micro_require(spate_wire_encode(message, &view, letter->frame, FRAME_BYTES, &letter->bytes) ==
                      SPATE_OK,
                  "encode");
}

/* One turn: everything that waits for the node, a flush, and what follows from it. */
static void turn(struct context *context, struct node *node, uint32_t proposals)
{
    struct spate_message messages[INBOX_MAX];
    uint32_t bytes = 0;

    for (uint32_t m = 0; m < node->inbox_count; m++) {
        micro_require(spate_wire_decode(node->inbox[m].frame, node->inbox[m].bytes, &messages[m],
                                        &bytes) == SPATE_OK,
                      "decode");
        messages[m].from = node->inbox[m].from;
        messages[m].to = (spate_node_id)(node - context->nodes) + 1;
    }
    const uint64_t start = bench_now_ns();
    for (uint32_t m = 0; m < node->inbox_count; m++) {
        step(context, node,
             (struct spate_event){.kind = SPATE_EVENT_MESSAGE, .message = &messages[m]});
    }
    if (node->stored > 0) {
        step(context, node,
             (struct spate_event){.kind = SPATE_EVENT_STORED, .stored = {node->stored}});
    }
    if (proposals > 0) {
        step(context, node,
             (struct spate_event){.kind = SPATE_EVENT_PROPOSE,
                                  .propose = {.items = context->proposals, .count = proposals}});
    }
    step(context, node,
         (struct spate_event){.kind = SPATE_EVENT_FLUSH,
                              .flush = {.store_is_ready = true, .store_bytes_max = 1u << 20}});
    node->step_ns += bench_now_ns() - start;
    node->inbox_count = 0;
    node->stored = node->effects.store.is_needed ? node->effects.store.ticket : 0;
    for (uint32_t m = 0; m < node->effects.message_count; m++) {
        post(context, node, &node->effects.messages[m]);
    }
    spate_effects_reset(&node->effects);
}

static bool is_busy(const struct context *context)
{
    for (uint32_t n = 0; n < NODES; n++) {
        if (context->nodes[n].stored > 0 || context->nodes[n].inbox_count > 0) {
            return true;
        }
    }
    return false;
}

static void settle(struct context *context)
{
    while (is_busy(context)) {
        for (uint32_t n = 0; n < NODES; n++) {
            turn(context, &context->nodes[n], 0);
        }
    }
}

static void start_node(struct context *context, uint32_t n)
{
    struct node *node = &context->nodes[n];
    const struct spate_log_options log_options = {.budget_bytes = 64u << 20,
                                                  .reclaim = spate_reclaim_immediate()};
    struct spate_raft_options options = {.self = n + 1,
                                         .session = n + 100,
                                         .seed = n,
                                         .membership = {.count = NODES},
                                         .first_stored = 1,
                                         .now = context->now,
                                         .election_timeout_ns_min = 1000000000,
                                         .election_timeout_ns_max = 2000000000,
                                         .heartbeat_ns = 100000000,
                                         .append_bytes_max = 8192,
                                         .window_bytes = 1u << 20,
                                         .window_messages = 64,
                                         .pre_vote_enabled = true,
                                         .check_quorum_enabled = true};

    for (uint32_t m = 0; m < NODES; m++) {
        options.membership.members[m] = (struct spate_member){.id = m + 1, .is_voter = true};
    }
    micro_require(spate_log_create(&log_options, &node->log) == SPATE_OK, "log");
    options.log = node->log;
    micro_require(spate_raft_create(&options, &node->raft) == SPATE_OK, "raft");
    spate_effects_reset(&node->effects);
}

static void *create(void)
{
    struct context *context = micro_allocate(sizeof *context);

    context->now = 1;
    for (uint32_t p = 0; p < BATCH_MAX; p++) {
        context->proposals[p] = (struct spate_proposal){
            .data = context->payload, .size = PAYLOAD_BYTES, .kind = SPATE_ENTRY_COMMAND};
    }
    for (uint32_t n = 0; n < NODES; n++) {
        start_node(context, n);
    }
    context->now += 3000000000; /* Node 1 looks first, and stands for election. */
    turn(context, &context->nodes[0], 0);
    settle(context);
    struct spate_raft_status status;
    spate_raft_status(context->nodes[0].raft, context->now, &status);
    micro_require(status.role == SPATE_ROLE_LEADER, "election");
    return context;
}

static void destroy(void *argument)
{
    struct context *context = argument;
    for (uint32_t n = 0; n < NODES; n++) {
        spate_raft_destroy(context->nodes[n].raft);
        spate_log_destroy(context->nodes[n].log);
    }
    free(context);
}

/* Commits `operations` entries, `batch` at a time. */
static double replicate(struct context *context, uint64_t operations, uint32_t batch,
                        uint32_t measured)
{
    const spate_index first = spate_log_last(context->nodes[0].log);
    uint64_t left = operations;

    context->nodes[measured].step_ns = 0;
    while (left > 0) {
        context->now += 1000;
        turn(context, &context->nodes[0], batch);
        settle(context);
        left -= left < batch ? left : batch;
        for (uint32_t n = 0; n < NODES; n++) {
            struct spate_log *log = context->nodes[n].log;
            if (spate_log_used_bytes(log) > spate_log_budget_bytes(log) / 2) {
                spate_log_compact(log, spate_log_last(log) - 1);
            }
        }
    }
    const spate_index count = spate_log_last(context->nodes[0].log) - first;
    micro_require(count >= operations, "replication");
    return (double)context->nodes[measured].step_ns / (double)count;
}

static double leader_1(void *context, uint64_t operations)
{
    return replicate(context, operations, 1, 0);
}

static double leader_64(void *context, uint64_t operations)
{
    return replicate(context, operations, 64, 0);
}

static double follower_1(void *context, uint64_t operations)
{
    return replicate(context, operations, 1, 1);
}

static double follower_64(void *context, uint64_t operations)
{
    return replicate(context, operations, 64, 1);
}

static const struct micro_case cases[] = {
    {"raft: leader's steps per entry, one by one", create, leader_1, destroy},
    {"raft: leader's steps per entry, 64 at once", create, leader_64, destroy},
    {"raft: follower's steps per entry, one by one", create, follower_1, destroy},
    {"raft: follower's steps per entry, 64 at once", create, follower_64, destroy},
};
const struct micro_table micro_raft = {cases, SPATE_ARRAY_COUNT(cases)};
