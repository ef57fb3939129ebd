/* Who may have forgotten what it promised counts for nothing; tests/script has the whole stories.
 */
#include "support/test.h"

#include <string.h>

#include "base/rcu.h"
#include "raft/raft.h"
#include "support/cluster.h"

/* A core alone with its engine: member 2 of three, by what its founders knew. */
struct core {
    struct spate_log *log;
    struct spate_raft *raft;
    struct spate_effects effects;
};

static void open_core(struct core *core, uint64_t incarnation, bool is_new)
{
    const struct spate_log_options log = {
        .budget_bytes = 8u << 20, .segment_bytes = 2u << 20, .reclaim = spate_reclaim_immediate()};
    struct spate_raft_options options = {.self = 2,
                                         .session = 2001,
                                         .seed = 1,
                                         .incarnation = incarnation,
                                         .membership = {.count = 3},
                                         .first_stored = 1,
                                         .is_new = is_new,
                                         .now = 1000,
                                         .election_timeout_ns_min = CLUSTER_ELECTION_NS,
                                         .election_timeout_ns_max = CLUSTER_ELECTION_NS,
                                         .heartbeat_ns = CLUSTER_HEARTBEAT_NS,
                                         .append_bytes_max = 1000,
                                         .window_bytes = 1000,
                                         .window_messages = 4,
                                         .pre_vote_enabled = true,
                                         .check_quorum_enabled = true};

    for (uint32_t i = 0; i < 3; i++) {
        options.membership.members[i] =
            (struct spate_member){.id = i + 1, .incarnation = 1, .is_voter = true};
    }
    memset(&core->effects, 0, sizeof core->effects);
    assert_int_equal(spate_log_create(&log, &core->log), SPATE_OK);
    options.log = core->log;
    assert_int_equal(spate_raft_create(&options, &core->raft), SPATE_OK);
}

static void close_core(struct core *core)
{
    spate_raft_destroy(core->raft);
    spate_log_destroy(core->log);
}

/* Lets it see a message, and store what it wants to; its answer is in the effects then. */
static const struct spate_message *answer_to(struct core *core, struct spate_message *message)
{
    struct spate_event event = {.kind = SPATE_EVENT_MESSAGE, .now = 1000, .message = message};

    spate_effects_reset(&core->effects);
    spate_raft_step(core->raft, &event, &core->effects);
    for (uint32_t flush = 0; flush < 3; flush++) {
        event = (struct spate_event){.kind = SPATE_EVENT_FLUSH,
                                     .now = 1000,
                                     .flush = {.store_is_ready = true, .store_bytes_max = 1000}};
        spate_raft_step(core->raft, &event, &core->effects);
        if (core->effects.store.is_needed) {
            event = (struct spate_event){.kind = SPATE_EVENT_STORED,
                                         .now = 1000,
                                         .stored = {.ticket = core->effects.store.ticket}};
            core->effects.store.is_needed = false;
            spate_raft_step(core->raft, &event, &core->effects);
        }
    }
    return core->effects.message_count == 0 ? NULL : &core->effects.messages[0];
}

static struct spate_message heartbeat(spate_term term)
{
    struct spate_message message = {
        .kind = SPATE_MESSAGE_APPEND, .from = 1, .to = 2, .term = term, .session = 1001};
    message.append.round = 1;
    return message;
}

static struct spate_message vote_request(spate_term term, struct spate_entry_id last)
{
    struct spate_message message = {
        .kind = SPATE_MESSAGE_VOTE, .from = 1, .to = 2, .term = term, .session = 1001};
    message.vote.last = last;
    return message;
}

static void a_namesake_of_another_incarnation_counts_for_nothing(void **state)
{
    (void)state;
    for (uint64_t incarnation = 1; incarnation <= 2; incarnation++) {
        struct core core;
        struct spate_message message = heartbeat(3);

        open_core(&core, incarnation, false);
        const struct spate_message *answer = answer_to(&core, &message);
        assert_non_null(answer);
        assert_int_equal(answer->kind, SPATE_MESSAGE_APPEND_RESULT);
        assert_int_equal(answer->append_result.is_mute, incarnation != 1);
        close_core(&core);
    }
}

static void who_has_nothing_votes_only_for_founders(void **state)
{
    (void)state;
    struct core core;
    struct spate_message of_founder = vote_request(1, (struct spate_entry_id){0, 0});
    struct spate_message of_other = vote_request(2, (struct spate_entry_id){1, 1});

    open_core(&core, 1, true);
    assert_null(answer_to(&core, &of_other));
    const struct spate_message *answer = answer_to(&core, &of_founder);
    assert_non_null(answer);
    assert_true(answer->vote_result.is_granted);
    close_core(&core);
}

static void who_elected_the_first_leader_is_not_mute(void **state)
{
    (void)state;
    for (uint32_t has_voted = 0; has_voted <= 1; has_voted++) {
        struct core core;
        struct spate_message request = vote_request(1, (struct spate_entry_id){0, 0});
        struct spate_message message = heartbeat(1);

        open_core(&core, 1, true);
        if (has_voted == 1) {
            assert_non_null(answer_to(&core, &request));
        }
        const struct spate_message *answer = answer_to(&core, &message);
        assert_non_null(answer);
        assert_int_equal(answer->append_result.is_mute, has_voted == 0);
        assert_int_equal(core.effects.role,
                         has_voted == 0 ? SPATE_ROLE_LEARNER : SPATE_ROLE_FOLLOWER);
        close_core(&core);
    }
}

static void only_the_present_leader_reinstates_and_only_this_life(void **state)
{
    (void)state;
    struct core core;
    struct spate_message message = heartbeat(3);
    struct spate_message word = {.kind = SPATE_MESSAGE_REINSTATE,
                                 .from = 1,
                                 .to = 2,
                                 .term = 3,
                                 .session = 1001,
                                 .peer_session = 2001};
    struct spate_message wrong[4] = {word, word, word, word};

    open_core(&core, 1, true);
    assert_non_null(answer_to(&core, &message));
    wrong[0].term = 2;
    wrong[1].from = 3;
    wrong[2].session = 1002;
    wrong[3].peer_session = 2000;
    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(wrong); i++) {
        (void)answer_to(&core, &wrong[i]);
        assert_true(core.effects.is_mute);
    }
    (void)answer_to(&core, &word);
    assert_false(core.effects.is_mute);
    close_core(&core);
}

/* Three nodes, of which 2 says that it is mute: 1 and 2 are no majority. */
static void a_leader_commits_and_reads_without_mute_members(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_create(&(struct cluster_options){.nodes = 3});
    spate_index at = 0;

    cluster_campaign(cluster, 1);
    cluster_stabilize(cluster);
    cluster_forget(cluster, 2, 0, true);
    cluster_cut(cluster, 3, 0, true);
    cluster_elapse(cluster, 1, CLUSTER_HEARTBEAT_NS);
    cluster_stabilize(cluster);
    assert_int_equal(cluster_propose(cluster, 1, 3, 8), SPATE_OK);
    const uint64_t read = cluster_read(cluster, 1);
    cluster_stabilize(cluster);
    assert_int_equal(spate_log_last(cluster_log(cluster, 2)), 5);
    assert_int_equal(cluster_status(cluster, 1).commit, 1);
    assert_true(cluster_read_ready(cluster, 1, &at) < read);

    cluster_cut(cluster, 3, 0, false);
    cluster_elapse(cluster, 1, CLUSTER_HEARTBEAT_NS);
    cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 1).commit, 5);
    assert_int_equal(cluster_read_ready(cluster, 1, &at), read);
    assert_false(cluster_status(cluster, 2).is_mute);
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_namesake_of_another_incarnation_counts_for_nothing),
        cmocka_unit_test(who_has_nothing_votes_only_for_founders),
        cmocka_unit_test(who_elected_the_first_leader_is_not_mute),
        cmocka_unit_test(only_the_present_leader_reinstates_and_only_this_life),
        cmocka_unit_test(a_leader_commits_and_reads_without_mute_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
