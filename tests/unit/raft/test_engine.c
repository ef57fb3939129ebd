/* The engine through its one door: creation, elections, replication, and messages that lie. */
#include "support/test.h"

#include "support/cluster.h"

#include "base/rcu.h"

static struct cluster *cluster_of(uint32_t nodes)
{
    return cluster_create(&(struct cluster_options){.nodes = nodes});
}

/* A cluster in which node 1 leads term 1 and its no-op is committed everywhere. */
static struct cluster *cluster_led(uint32_t nodes)
{
    struct cluster *cluster = cluster_of(nodes);
    cluster_campaign(cluster, 1);
    cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_LEADER);
    return cluster;
}

static void elects_and_replicates_at_every_size(void **state)
{
    (void)state;
    for (uint32_t nodes = 1; nodes <= 7; nodes++) {
        struct cluster *cluster = cluster_led(nodes);
        assert_int_equal(cluster_propose(cluster, 1, 10, 100), SPATE_OK);
        cluster_stabilize(cluster);
        for (spate_node_id id = 1; id <= nodes; id++) {
            const struct spate_raft_status status = cluster_status(cluster, id);
            assert_int_equal(status.commit, 11);
            assert_int_equal(status.durable, 11);
            assert_int_equal(status.leader, 1);
            assert_int_equal(status.retransmits, 0);
        }
        cluster_destroy(cluster);
    }
}

static void a_minority_of_any_size_elects_nobody(void **state)
{
    (void)state;
    for (uint32_t nodes = 2; nodes <= 7; nodes++) {
        struct cluster *cluster = cluster_of(nodes);
        const uint32_t down = nodes - nodes / 2; /* What is left is no majority. */
        for (spate_node_id id = nodes; id > nodes - down; id--) {
            cluster_cut(cluster, id, 0, true);
        }
        cluster_campaign(cluster, 1);
        cluster_stabilize(cluster);
        assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_PRE_CANDIDATE);
        assert_int_equal(cluster_status(cluster, 1).term, 0);
        cluster_destroy(cluster);
    }
}

static void a_single_voter_leads_and_commits_only_by_its_disk(void **state)
{
    (void)state;
    struct cluster *cluster =
        cluster_create(&(struct cluster_options){.nodes = 1, .store_is_manual = true});
    cluster_flush(cluster, 1);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_CANDIDATE);
    assert_int_equal(cluster_store(cluster, 1, 1), 1);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_LEADER);
    assert_int_equal(cluster_status(cluster, 1).commit, 0);
    assert_int_equal(cluster_store(cluster, 1, 1), 1);
    assert_int_equal(cluster_status(cluster, 1).commit, 1);
    cluster_destroy(cluster);
}

static void a_learner_replicates_and_never_campaigns(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(&(struct cluster_options){.nodes = 4, .learners = 1});
    cluster_campaign(cluster, 1);
    cluster_stabilize(cluster);
    cluster_propose(cluster, 1, 3, 8);
    cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 4).commit, 4);
    assert_int_equal(cluster_status(cluster, 4).role, SPATE_ROLE_LEARNER);
    cluster_campaign(cluster, 4);
    assert_int_equal(cluster_status(cluster, 4).role, SPATE_ROLE_LEARNER);
    assert_int_equal(cluster_pending(cluster, 4, 0), 0);
    /* Without the learner: two voters of three are enough; with it but one voter: not. */
    cluster_cut(cluster, 2, 0, true);
    cluster_cut(cluster, 3, 0, true);
    cluster_propose(cluster, 1, 1, 8);
    cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 1).commit, 4);
    cluster_destroy(cluster);
}

static void proposals_go_to_the_leader_only(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_led(3);
    assert_int_equal(cluster_propose(cluster, 2, 1, 8), SPATE_ERR_NOT_READY);
    assert_int_equal(cluster_propose(cluster, 1, 1, 8), SPATE_OK);
    cluster_destroy(cluster);
}

static void a_full_log_answers_busy_and_keeps_order(void **state)
{
    (void)state;
    struct cluster *cluster =
        cluster_create(&(struct cluster_options){.nodes = 3, .log_budget_bytes = 4u * (2u << 20)});
    cluster_campaign(cluster, 1);
    cluster_stabilize(cluster);
    spate_err err = SPATE_OK;
    uint32_t taken = 0;
    while (err == SPATE_OK && taken < 100) {
        err = cluster_propose(cluster, 1, 1, 500000);
        taken += err == SPATE_OK ? 1u : 0u;
        cluster_stabilize(cluster);
    }
    assert_int_equal(err, SPATE_ERR_BUSY);
    assert_true(taken >= 8);
    assert_int_equal(spate_log_last(cluster_log(cluster, 1)), 1 + taken);
    cluster_compact(cluster, 1, 2 + taken);
    assert_int_equal(cluster_propose(cluster, 1, 1, 500000), SPATE_OK);
    cluster_destroy(cluster);
}

static void a_follower_without_room_drops_and_catches_up_later(void **state)
{
    (void)state;
    struct cluster *cluster =
        cluster_create(&(struct cluster_options){.nodes = 3, .log_budget_bytes = 4u * (2u << 20)});
    cluster_campaign(cluster, 1);
    cluster_stabilize(cluster);
    /* Nodes 1 and 2 compact, node 3 does not. */
    for (uint32_t i = 0; i < 40; i++) {
        assert_int_equal(cluster_propose(cluster, 1, 1, 500000), SPATE_OK);
        cluster_stabilize(cluster);
        cluster_compact(cluster, 1, cluster_status(cluster, 1).commit);
        cluster_compact(cluster, 2, cluster_status(cluster, 2).commit);
    }
    assert_int_equal(cluster_status(cluster, 1).commit, 41);
    assert_true(cluster_status(cluster, 3).appends_busy > 0);
    assert_true(cluster_status(cluster, 3).received < 41);
    for (uint32_t i = 0; i < 100 && cluster_status(cluster, 3).commit < 41; i++) {
        cluster_compact(cluster, 3, cluster_status(cluster, 3).commit);
        cluster_elapse_all(cluster, CLUSTER_HEARTBEAT_NS);
        cluster_stabilize(cluster);
    }
    assert_int_equal(cluster_status(cluster, 3).commit, 41);
    cluster_destroy(cluster);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    struct spate_log *log = NULL;
    struct spate_raft *raft = NULL;
    const struct spate_log_options log_options = {.budget_bytes = 64u << 20,
                                                  .reclaim = spate_reclaim_immediate()};
    assert_int_equal(spate_log_create(&log_options, &log), SPATE_OK);
    const struct spate_raft_options good = {
        .self = 1,
        .session = 1,
        .log = log,
        .membership = {.count = 1, .members = {{.id = 1, .is_voter = true}}},
        .election_timeout_ns_min = 100,
        .election_timeout_ns_max = 200,
        .heartbeat_ns = 10,
        .append_bytes_max = 1000,
        .window_bytes = 1000,
        .window_messages = 1,
    };
    assert_int_equal(spate_raft_create(&good, &raft), SPATE_OK);
    spate_raft_destroy(raft);
    raft = NULL;
    for (uint32_t n = 0; n < 12; n++) {
        struct spate_raft_options bad = good;
        bad.self = n == 0 ? 0 : bad.self;
        bad.session = n == 1 ? 0 : bad.session;
        bad.log = n == 2 ? NULL : bad.log;
        bad.membership.count = n == 3 ? SPATE_MEMBERS_MAX + 1 : bad.membership.count;
        bad.term = n == 4 ? UINT64_MAX : bad.term;
        bad.commit = n == 5 ? 1 : bad.commit; /* Beyond the log. */
        bad.election_timeout_ns_min = n == 6 ? 300 : bad.election_timeout_ns_min;
        bad.heartbeat_ns = n == 7 ? 100 : bad.heartbeat_ns;
        bad.append_bytes_max = n == 8 ? 0 : bad.append_bytes_max;
        bad.window_bytes = n == 9 ? 0 : bad.window_bytes;
        bad.window_messages = n == 10 ? 0 : bad.window_messages;
        bad.window_messages = n == 11 ? SPATE_WINDOW_MESSAGES_MAX + 1 : bad.window_messages;
        assert_int_equal(spate_raft_create(&bad, &raft), SPATE_ERR_INVALID);
        assert_null(raft);
    }
    spate_raft_destroy(NULL);
    spate_log_destroy(log);
}

/* xorshift: the lies need no better generator, and every run tells the same ones. */
static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint64_t lie(uint64_t *seed)
{
    static const uint64_t extremes[] = {0,
                                        1,
                                        2,
                                        3,
                                        5,
                                        11,
                                        1u << 31,
                                        UINT32_MAX,
                                        1ull << 62,
                                        1ull << 63,
                                        INT64_MAX,
                                        UINT64_MAX,
                                        UINT64_MAX - 1,
                                        UINT64_MAX - 2,
                                        UINT64_MAX - 3,
                                        12};
    return extremes[draw(seed) % SPATE_ARRAY_COUNT(extremes)];
}

static struct spate_message lying_message(uint64_t *seed, const uint8_t *bytes)
{
    static const enum spate_message_kind kinds[] = {
        SPATE_MESSAGE_VOTE,          SPATE_MESSAGE_VOTE_RESULT, SPATE_MESSAGE_APPEND,
        SPATE_MESSAGE_APPEND_RESULT, SPATE_MESSAGE_FORWARD,     SPATE_MESSAGE_READ,
        SPATE_MESSAGE_READ_RESULT,   SPATE_MESSAGE_SNAPSHOT,    SPATE_MESSAGE_TIMEOUT_NOW,
        SPATE_MESSAGE_REINSTATE,     SPATE_MESSAGE_FORGOTTEN};
    struct spate_message m = {.kind = kinds[draw(seed) % SPATE_ARRAY_COUNT(kinds)],
                              .from = (spate_node_id)(draw(seed) % 5),
                              .to = (spate_node_id)(1 + draw(seed) % 3),
                              .term = draw(seed) % 3 == 0 ? draw(seed) % 5 : lie(seed),
                              .session = draw(seed) % 2 ? 1001 : lie(seed)};
    m.peer_session = m.to * 1000u + 1;
    switch (m.kind) {
    case SPATE_MESSAGE_VOTE:
        m.vote.is_pre_vote = draw(seed) % 2;
        m.vote.is_transfer = draw(seed) % 2;
        m.vote.last = (struct spate_entry_id){.term = lie(seed), .index = lie(seed)};
        break;
    case SPATE_MESSAGE_VOTE_RESULT:
        m.vote_result.is_pre_vote = draw(seed) % 2;
        m.vote_result.is_granted = false;
        m.vote_result.asked_term = lie(seed);
        break;
    case SPATE_MESSAGE_APPEND:
        m.append.prev = (struct spate_entry_id){.term = lie(seed), .index = lie(seed)};
        m.append.commit = lie(seed);
        m.append.round = lie(seed);
        m.append.entries_term = lie(seed);
        m.append.count = (uint32_t)lie(seed);
        m.append.bytes = draw(seed) % 2 ? 64 : 0;
        m.append.entries = draw(seed) % 2 ? bytes : NULL;
        break;
    case SPATE_MESSAGE_APPEND_RESULT:
        m.append_result.is_accepted = draw(seed) % 2;
        m.append_result.is_mute = draw(seed) % 2;
        m.append_result.round = lie(seed);
        m.append_result.prev = lie(seed);
        m.append_result.match = lie(seed) % 2; /* A greater lie would be believed: Raft trusts. */
        m.append_result.last = lie(seed);
        m.append_result.hint_term = lie(seed);
        break;
    case SPATE_MESSAGE_FORGOTTEN:
        m.forgotten.index = lie(seed);
        break;
    case SPATE_MESSAGE_REINSTATE:
    case SPATE_MESSAGE_TIMEOUT_NOW:
        break;
    case SPATE_MESSAGE_READ:
        m.read.id = lie(seed);
        break;
    case SPATE_MESSAGE_READ_RESULT:
        m.read_result.id = lie(seed);
        m.read_result.index = lie(seed);
        break;
    case SPATE_MESSAGE_SNAPSHOT:
        m.snapshot.last = (struct spate_entry_id){.term = lie(seed), .index = lie(seed)};
        break;
    case SPATE_MESSAGE_SNAPSHOT_RESULT:
    case SPATE_MESSAGE_FORWARD:
    case SPATE_MESSAGE_FORWARD_RESULT:
        break;
    }
    return m;
}

/* Reliability G2: whatever a peer sends, the engine stays within its invariants. */
static void no_message_reaches_an_assertion(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;
    uint8_t bytes[64] = {0};
    spate_entry_encode(bytes, SPATE_ENTRY_COMMAND, "x", 1);
    for (uint32_t round = 0; round < 60; round++) {
        struct cluster *cluster = cluster_led(3);
        cluster_propose(cluster, 1, 4, 8);
        if (round % 2 == 0) {
            cluster_stabilize(cluster);
        }
        for (uint32_t i = 0; i < 400; i++) {
            struct spate_message message = lying_message(&seed, bytes);
            cluster_receive(cluster, &message);
            if (i % 16 == 0) {
                cluster_elapse(cluster, message.to, draw(&seed) % 50000000u);
            }
        }
        assert_true(cluster_status(cluster, 1).messages_invalid > 0);
        cluster_destroy(cluster);
    }
}

static void a_dropped_append_is_sent_again(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_led(2);
    cluster_propose(cluster, 1, 2, 8);
    const struct spate_message *message = cluster_peek(cluster, 1, 2);
    assert_non_null(message);
    spate_raft_message_dropped(cluster_raft(cluster, 1), message);
    cluster_drop(cluster, 1, 2, 1);
    cluster_elapse(cluster, 1, 1000000); /* The pause after a failure to send. */
    cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 2).commit, 3);
    assert_int_equal(cluster_status(cluster, 1).retransmits, 0);
    cluster_destroy(cluster);
}

static void the_lowest_needed_index_follows_reachable_members(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_led(3);
    cluster_cut(cluster, 3, 0, true);
    cluster_propose(cluster, 1, 5, 8);
    cluster_stabilize(cluster);
    assert_int_equal(spate_raft_needed_first(cluster_raft(cluster, 1)), 2);
    for (uint32_t i = 0; i < 10; i++) {
        cluster_elapse_all(cluster, CLUSTER_HEARTBEAT_NS);
        cluster_stabilize(cluster);
    }
    assert_int_equal(spate_raft_needed_first(cluster_raft(cluster, 1)), 7);
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elects_and_replicates_at_every_size),
        cmocka_unit_test(a_minority_of_any_size_elects_nobody),
        cmocka_unit_test(a_single_voter_leads_and_commits_only_by_its_disk),
        cmocka_unit_test(a_learner_replicates_and_never_campaigns),
        cmocka_unit_test(proposals_go_to_the_leader_only),
        cmocka_unit_test(a_full_log_answers_busy_and_keeps_order),
        cmocka_unit_test(a_follower_without_room_drops_and_catches_up_later),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(no_message_reaches_an_assertion),
        cmocka_unit_test(a_dropped_append_is_sent_again),
        cmocka_unit_test(the_lowest_needed_index_follows_reachable_members),
    };
    return cmocka_run_group_tests_name("raft/engine", tests, NULL, NULL);
}
