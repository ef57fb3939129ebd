/* Is it Raft? Log replication, commitment, safety. Each test quotes the sentence that it checks. */
#include "support/test.h"

#include "support/cluster.h"

static struct cluster *with(struct cluster_options options)
{
    return cluster_create(&options);
}

static struct cluster *led(struct cluster_options options)
{
    struct cluster *cluster = cluster_create(&options);
    cluster_campaign(cluster, 1);
    cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_LEADER);
    return cluster;
}

/* An AppendEntries of node 2, leader of `term`, to node 1, with up to four entries. */
static struct spate_message append(spate_term term, spate_term prev_term, spate_index prev,
                                   spate_term entries_term, uint32_t count, spate_index commit)
{
    static uint8_t bytes[64];
    static uint64_t round;
    for (uint32_t i = 0; i < count; i++) {
        spate_entry_encode(bytes + 16 * (size_t)i, SPATE_ENTRY_COMMAND, "12345678", 8);
    }
    return (struct spate_message){.kind = SPATE_MESSAGE_APPEND,
                                  .from = 2,
                                  .to = 1,
                                  .term = term,
                                  .session = 2001,
                                  .append = {.prev = {.term = prev_term, .index = prev},
                                             .commit = commit,
                                             .round = ++round,
                                             .entries_term = entries_term,
                                             .count = count,
                                             .bytes = 16 * count,
                                             .entries = count > 0 ? bytes : NULL}};
}

static void receive(struct cluster *cluster, struct spate_message message)
{
    cluster_receive(cluster, &message);
    cluster_flush(cluster, 1);
}

/* Node 1 of three with these entries. */
static struct cluster *follower_with(const spate_term terms[], uint32_t count)
{
    struct cluster *cluster = with((struct cluster_options){.nodes = 3});
    cluster_set_log(cluster, 1, terms[count - 1], 0, terms, count);
    return cluster;
}

/* Paper 5.3: "The leader appends the command to its log as a new entry, then issues AppendEntries
 * RPCs in parallel to each of the other servers to replicate the entry." */
static void a_proposal_goes_to_all_in_parallel(void **state)
{
    (void)state;
    struct cluster *cluster = led((struct cluster_options){.nodes = 5});
    cluster_propose(cluster, 1, 1, 8);
    assert_int_equal(spate_log_last(cluster_log(cluster, 1)), 2);
    for (spate_node_id id = 2; id <= 5; id++) {
        assert_int_equal(cluster_peek(cluster, 1, id)->append.count, 1);
    }
    cluster_destroy(cluster);
}

/* Paper 5.3: "A log entry is committed once the leader that created the entry has replicated it on
 * a majority of the servers." */
static void a_majority_commits(void **state)
{
    (void)state;
    for (uint32_t nodes = 1; nodes <= 7; nodes++) {
        struct cluster *cluster = led((struct cluster_options){.nodes = nodes});
        const uint32_t needed = nodes / 2; /* Besides the leader. */
        cluster_propose(cluster, 1, 1, 8);
        for (spate_node_id id = 2; id < 2 + needed; id++) {
            assert_int_equal(cluster_status(cluster, 1).commit, 1);
            cluster_deliver(cluster, 1, id, UINT32_MAX);
            cluster_deliver(cluster, id, 1, UINT32_MAX);
        }
        assert_int_equal(cluster_status(cluster, 1).commit, 2);
        cluster_destroy(cluster);
    }
}

/* Paper 5.3: "This also commits all preceding entries in the leader's log, including entries
 * created by previous leaders." */
static void commitment_covers_what_precedes(void **state)
{
    (void)state;
    struct cluster *cluster = with((struct cluster_options){.nodes = 3});
    const spate_term terms[] = {1, 1, 2};
    cluster_set_log(cluster, 1, 2, 0, terms, 3);
    cluster_campaign(cluster, 1);
    cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 1).commit, 4);
    assert_int_equal(cluster_status(cluster, 3).commit, 4);
    cluster_destroy(cluster);
}

/* Paper 5.4.2: "Raft never commits log entries from previous terms by counting replicas. Only log
 * entries from the leader's current term are committed by counting replicas". */
static void entries_of_earlier_terms_are_not_counted(void **state)
{
    (void)state;
    struct cluster *cluster = with((struct cluster_options){.nodes = 3, .append_count_max = 1});
    const spate_term terms[] = {1, 2};
    cluster_set_log(cluster, 1, 2, 0, terms, 2);
    cluster_set_log(cluster, 2, 2, 0, terms, 2);
    cluster_set_log(cluster, 3, 2, 0, terms, 1);
    cluster_cut(cluster, 2, 0, true);
    cluster_campaign(cluster, 1);
    while (cluster_status(cluster, 1).role != SPATE_ROLE_LEADER) {
        assert_true(cluster_deliver(cluster, 0, 0, 1) > 0);
    }
    /* Index 2 of term 2 reaches node 3's disk, and so a majority; the no-op of term 3 does not. */
    while (cluster_disk_term(cluster, 3, 2) != 2) {
        assert_true(cluster_deliver(cluster, 0, 0, 1) > 0);
    }
    (void)cluster_drop(cluster, 1, 3, UINT32_MAX);
    (void)cluster_deliver(cluster, 3, 1, UINT32_MAX);
    assert_int_equal(cluster_status(cluster, 1).peers[1].match, 2);
    assert_int_equal(cluster_status(cluster, 1).commit, 0);
    cluster_elapse(cluster, 1, CLUSTER_HEARTBEAT_NS);
    cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 1).commit, 3);
    cluster_destroy(cluster);
}

/* Paper 5.3: "Once a follower learns that a log entry is committed, it applies the entry to its
 * local state machine (in log order)": it learns at once, not by the next heartbeat. */
static void followers_learn_of_commitment_without_a_heartbeat(void **state)
{
    (void)state;
    struct cluster *cluster = led((struct cluster_options){.nodes = 3});
    cluster_propose(cluster, 1, 1, 8);
    cluster_stabilize(cluster); /* No time passes. */
    assert_int_equal(cluster_status(cluster, 2).commit, 2);
    assert_int_equal(cluster_status(cluster, 3).commit, 2);
    cluster_destroy(cluster);
}

/* Paper 5.3: "If the follower does not find an entry in its log with the same index and term, then
 * it refuses the new entries." */
static void entries_behind_an_unknown_one_are_refused(void **state)
{
    (void)state;
    const spate_term terms[] = {1, 1, 2};
    struct cluster *cluster = follower_with(terms, 3);
    receive(cluster, append(4, 3, 3, 4, 1, 0)); /* Another term at 3. */
    assert_false(cluster_peek(cluster, 1, 2)->append_result.is_accepted);
    assert_string_equal(cluster_log_terms(cluster, 1), "1 1 2");
    cluster_drop(cluster, 1, 2, UINT32_MAX);
    receive(cluster, append(4, 4, 5, 4, 1, 0)); /* Nothing at 5. */
    assert_false(cluster_peek(cluster, 1, 2)->append_result.is_accepted);
    assert_string_equal(cluster_log_terms(cluster, 1), "1 1 2");
    cluster_destroy(cluster);
}

/* Paper figure 2: "If an existing entry conflicts with a new one (same index but different terms),
 * delete the existing entry and all that follow it". */
static void a_conflict_removes_all_that_follows(void **state)
{
    (void)state;
    const spate_term terms[] = {1, 1, 2, 2, 2};
    struct cluster *cluster = follower_with(terms, 5);
    receive(cluster, append(4, 1, 2, 3, 1, 0));
    assert_string_equal(cluster_log_terms(cluster, 1), "1 1 3");
    assert_int_equal(cluster_disk_term(cluster, 1, 3), 3);
    assert_int_equal(cluster_disk_term(cluster, 1, 4), 0);
    cluster_destroy(cluster);
}

/* Paper figure 2: "Append any new entries not already in the log": an old or repeated message
 * removes nothing. */
static void a_duplicate_removes_nothing(void **state)
{
    (void)state;
    const spate_term terms[] = {1, 1, 1, 1};
    struct cluster *cluster = follower_with(terms, 4);
    receive(cluster, append(1, 1, 1, 1, 2, 0));
    receive(cluster, append(1, 1, 1, 0, 0, 0));
    receive(cluster, append(1, 0, 0, 1, 1, 0));
    assert_string_equal(cluster_log_terms(cluster, 1), "1 1 1 1");
    receive(cluster, append(1, 1, 2, 1, 4, 0)); /* Two known, two new. */
    assert_string_equal(cluster_log_terms(cluster, 1), "1 1 1 1 1 1");
    cluster_destroy(cluster);
}

/* Paper figure 2: "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last
 * new entry)": of the last entry that was compared, not of the log. */
static void a_follower_commits_no_further_than_it_compared(void **state)
{
    (void)state;
    const spate_term terms[] = {1, 1, 2, 2, 2};
    struct cluster *cluster = follower_with(terms, 5);
    receive(cluster, append(3, 1, 2, 0, 0, 5));
    assert_int_equal(cluster_status(cluster, 1).commit, 2);
    receive(cluster, append(3, 1, 2, 3, 1, 3));
    assert_int_equal(cluster_status(cluster, 1).commit, 3);
    assert_string_equal(cluster_log_terms(cluster, 1), "1 1 3");
    cluster_destroy(cluster);
}

/* Paper figure 3, Leader Append-Only: "a leader never overwrites or deletes entries in its log; it
 * only appends new entries." */
static void a_leader_keeps_its_log(void **state)
{
    (void)state;
    struct cluster *cluster = led((struct cluster_options){.nodes = 3});
    cluster_propose(cluster, 1, 3, 8);
    struct spate_message lie = append(1, 0, 0, 1, 1, 0);
    cluster_receive(cluster, &lie); /* Another leader of its own term. */
    assert_int_equal(cluster_status(cluster, 1).messages_invalid, 1);
    assert_string_equal(cluster_log_terms(cluster, 1), "1 1 1 1");
    cluster_destroy(cluster);
}

/* Paper 5.3: "the leader must find the latest log entry where the two logs agree, delete any
 * entries in the follower's log after that point, and send the follower all of the leader's entries
 * after that point." Figure 7's followers (a) to (f). */
static void figure_7_followers_come_to_agree(void **state)
{
    (void)state;
    static const spate_term leader[] = {1, 1, 1, 4, 4, 5, 5, 6, 6, 6};
    static const struct {
        uint32_t count;
        spate_term terms[12];
    } followers[] = {{9, {1, 1, 1, 4, 4, 5, 5, 6, 6}},
                     {4, {1, 1, 1, 4}},
                     {11, {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6}},
                     {12, {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7}},
                     {7, {1, 1, 1, 4, 4, 4, 4}},
                     {11, {1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3}}};
    struct cluster *cluster = with((struct cluster_options){.nodes = 7});
    cluster_set_log(cluster, 1, 7, 0, leader, 10);
    for (uint32_t i = 0; i < 6; i++) {
        cluster_set_log(cluster, 2 + i, 7, 0, followers[i].terms, followers[i].count);
    }
    cluster_campaign(cluster, 1);
    cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_LEADER);
    for (spate_node_id id = 1; id <= 7; id++) {
        assert_string_equal(cluster_log_terms(cluster, id), "1 1 1 4 4 5 5 6 6 6 8");
        assert_int_equal(cluster_status(cluster, id).commit, 11);
    }
    cluster_destroy(cluster);
}

/* Paper 5.3: "With this optimization, one AppendEntries RPC will be required for each term with
 * conflicting entries, rather than one RPC per entry." */
static void backing_off_costs_a_message_a_term(void **state)
{
    (void)state;
    static spate_term mine[1000];
    static spate_term theirs[1000];
    for (uint32_t i = 0; i < 1000; i++) {
        mine[i] = i < 10 ? 1 : 2 + 2 * (i / 250);   /* 2 4 6 8 */
        theirs[i] = i < 10 ? 1 : 3 + 2 * (i / 334); /* 3 5 7 */
    }
    struct cluster *cluster = with((struct cluster_options){.nodes = 3});
    cluster_set_log(cluster, 1, 8, 0, mine, 1000);
    cluster_set_log(cluster, 2, 8, 0, theirs, 1000);
    cluster_cut(cluster, 3, 0, true);
    cluster_campaign(cluster, 1);
    uint32_t refusals = 0;
    for (uint32_t i = 0; i < 10000 && cluster_status(cluster, 2).commit < 1001; i++) {
        const struct spate_message *answer = cluster_peek(cluster, 0, 0);
        if (answer == NULL) {
            cluster_flush(cluster, 1);
            continue;
        }
        refusals +=
            answer->kind == SPATE_MESSAGE_APPEND_RESULT && !answer->append_result.is_accepted ? 1u
                                                                                              : 0u;
        (void)cluster_deliver(cluster, 0, 0, 1);
    }
    assert_int_equal(cluster_status(cluster, 2).commit, 1001);
    assert_true(refusals >= 1);
    assert_true(refusals <= 7); /* The terms of both beyond the first. */
    cluster_destroy(cluster);
}

/* Paper 5.3: "If followers crash or run slowly, or if network packets are lost, the leader retries
 * AppendEntries RPCs indefinitely (even after it has responded to the client)". */
static void lost_messages_are_sent_again(void **state)
{
    (void)state;
    struct cluster *cluster = led((struct cluster_options){.nodes = 3});
    cluster_propose(cluster, 1, 2, 8);
    for (uint32_t i = 0; i < 30; i++) {
        cluster_drop(cluster, 1, 3, UINT32_MAX);
        cluster_elapse(cluster, 1, CLUSTER_HEARTBEAT_NS);
        (void)cluster_deliver(cluster, 1, 2, UINT32_MAX);
        (void)cluster_deliver(cluster, 2, 1, UINT32_MAX);
    }
    assert_int_equal(cluster_status(cluster, 1).commit, 3);
    assert_int_equal(cluster_status(cluster, 3).commit, 1);
    cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 3).commit, 3);
    cluster_destroy(cluster);
}

/* Paper 8: "Raft handles this by having each leader commit a blank no-op entry into the log at the
 * start of its term." */
static void a_leader_begins_with_a_no_op(void **state)
{
    (void)state;
    struct cluster *cluster = led((struct cluster_options){.nodes = 3});
    struct spate_log_view view;
    struct spate_log_span span;
    struct spate_entry entry;
    spate_log_view(cluster_log(cluster, 1), &view);
    spate_log_view_span(&view, 1, 1, 1000, &span);
    assert_true(spate_entry_decode(span.data, span.bytes, &entry) > 0);
    assert_int_equal(entry.kind, SPATE_ENTRY_NOOP);
    assert_int_equal(entry.size, 0);
    cluster_destroy(cluster);
}

/* Thesis 10.2.1: "The leader may even commit an entry before it has been written to its own disk,
 * if a majority of followers have written it to their disks; this is still safe." */
static void the_leaders_disk_is_one_vote(void **state)
{
    (void)state;
    struct cluster *cluster = led((struct cluster_options){.nodes = 3});
    cluster_store_automatic(cluster, 1, false);
    cluster_propose(cluster, 1, 1, 8);
    (void)cluster_deliver(cluster, 1, 0, UINT32_MAX);
    (void)cluster_deliver(cluster, 2, 1, UINT32_MAX);
    assert_int_equal(cluster_status(cluster, 1).commit, 1);
    (void)cluster_deliver(cluster, 3, 1, UINT32_MAX);
    assert_int_equal(cluster_status(cluster, 1).commit, 2);
    assert_int_equal(cluster_status(cluster, 1).durable, 1);
    cluster_destroy(cluster);
}

/* Thesis 10.2.2, in our words: with pipelining the leader sends the next entries without waiting
 * for the acknowledgement of those before; here within a window. */
static void messages_follow_each_other_within_the_window(void **state)
{
    (void)state;
    struct cluster *cluster =
        led((struct cluster_options){.nodes = 2, .append_count_max = 1, .window_messages = 4});
    cluster_propose(cluster, 1, 10, 8);
    assert_int_equal(cluster_pending(cluster, 1, 2), 4);
    cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 2).commit, 11);
    cluster_destroy(cluster);
}

/* Paper figure 2: persistent state "updated on stable storage before responding to RPCs": what is
 * acknowledged is durable. */
static void acknowledged_entries_are_durable(void **state)
{
    (void)state;
    struct cluster *cluster = led((struct cluster_options){.nodes = 3});
    cluster_store_automatic(cluster, 2, false);
    cluster_propose(cluster, 1, 3, 8);
    (void)cluster_deliver(cluster, 1, 2, UINT32_MAX);
    assert_int_equal(cluster_peek(cluster, 2, 1)->append_result.match, 1);
    assert_int_equal(cluster_peek(cluster, 2, 1)->append_result.last, 4);
    (void)cluster_deliver(cluster, 2, 1, UINT32_MAX);
    assert_int_equal(cluster_status(cluster, 1).commit, 1);
    (void)cluster_store(cluster, 2, UINT32_MAX);
    assert_int_equal(cluster_peek(cluster, 2, 1)->append_result.match, 4);
    (void)cluster_deliver(cluster, 2, 1, UINT32_MAX);
    assert_int_equal(cluster_status(cluster, 1).commit, 4);
    cluster_destroy(cluster);
}

/* Paper figure 3, Leader Completeness: "If a log entry is committed in a given term, then that
 * entry will be present in the logs of the leaders for all higher-numbered terms." */
static void committed_entries_outlive_their_leader(void **state)
{
    (void)state;
    struct cluster *cluster = led((struct cluster_options){.nodes = 3});
    cluster_cut(cluster, 3, 0, true);
    cluster_propose(cluster, 1, 2, 8);
    cluster_stabilize(cluster);
    cluster_cut(cluster, 1, 0, true);
    cluster_cut(cluster, 3, 2, false);
    cluster_campaign(cluster, 3);
    cluster_stabilize(cluster); /* Its log lacks the committed entries. */
    assert_int_not_equal(cluster_status(cluster, 3).role, SPATE_ROLE_LEADER);
    cluster_campaign(cluster, 2);
    cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 2).role, SPATE_ROLE_LEADER);
    assert_string_equal(cluster_log_terms(cluster, 3), "1 1 1 2");
    cluster_destroy(cluster);
}

/* Paper 5.5: "Raft RPCs are idempotent, so this causes no harm": duplicates of everything. */
static void messages_are_idempotent(void **state)
{
    (void)state;
    struct cluster *cluster = led((struct cluster_options){.nodes = 3});
    for (uint32_t i = 0; i < 20; i++) {
        cluster_propose(cluster, 1, 1, 8);
        for (spate_node_id id = 2; id <= 3; id++) {
            cluster_duplicate(cluster, 1, id);
            (void)cluster_deliver(cluster, 1, id, UINT32_MAX);
            cluster_duplicate(cluster, id, 1);
        }
        cluster_stabilize(cluster);
    }
    assert_int_equal(cluster_status(cluster, 3).commit, 21);
    assert_int_equal(spate_log_last(cluster_log(cluster, 3)), 21);
    assert_int_equal(cluster_status(cluster, 1).retransmits, 0);
    cluster_destroy(cluster);
}

/* Paper 5.5: "If a follower or candidate crashes, then future RequestVote and AppendEntries RPCs
 * sent to it will fail. Raft handles these failures by retrying indefinitely; if the crashed server
 * restarts, then the RPC will complete successfully." */
static void a_restarted_follower_catches_up(void **state)
{
    (void)state;
    struct cluster *cluster = led((struct cluster_options){.nodes = 3});
    cluster_cut(cluster, 3, 0, true);
    cluster_propose(cluster, 1, 5, 8);
    cluster_stabilize(cluster);
    cluster_restart(cluster, 3);
    cluster_cut(cluster, 3, 0, false);
    cluster_elapse(cluster, 1, CLUSTER_HEARTBEAT_NS);
    cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 3).commit, 6);
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proposal_goes_to_all_in_parallel),
        cmocka_unit_test(a_majority_commits),
        cmocka_unit_test(commitment_covers_what_precedes),
        cmocka_unit_test(entries_of_earlier_terms_are_not_counted),
        cmocka_unit_test(followers_learn_of_commitment_without_a_heartbeat),
        cmocka_unit_test(entries_behind_an_unknown_one_are_refused),
        cmocka_unit_test(a_conflict_removes_all_that_follows),
        cmocka_unit_test(a_duplicate_removes_nothing),
        cmocka_unit_test(a_follower_commits_no_further_than_it_compared),
        cmocka_unit_test(a_leader_keeps_its_log),
        cmocka_unit_test(figure_7_followers_come_to_agree),
        cmocka_unit_test(backing_off_costs_a_message_a_term),
        cmocka_unit_test(lost_messages_are_sent_again),
        cmocka_unit_test(a_leader_begins_with_a_no_op),
        cmocka_unit_test(the_leaders_disk_is_one_vote),
        cmocka_unit_test(messages_follow_each_other_within_the_window),
        cmocka_unit_test(acknowledged_entries_are_durable),
        cmocka_unit_test(committed_entries_outlive_their_leader),
        cmocka_unit_test(messages_are_idempotent),
        cmocka_unit_test(a_restarted_follower_catches_up),
    };
    return cmocka_run_group_tests_name("paper/replication", tests, NULL, NULL);
}
