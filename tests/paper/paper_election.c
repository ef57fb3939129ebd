/* Is it Raft? Terms, elections, votes. Each test quotes the sentence that it checks. */
#include "support/test.h"

#include "support/cluster.h"

static struct cluster *with(struct cluster_options options)
{
    return cluster_create(&options);
}

static struct cluster *led(uint32_t nodes)
{
    struct cluster *cluster = with((struct cluster_options){.nodes = nodes});
    cluster_campaign(cluster, 1);
    cluster_stabilize(cluster);
    return cluster;
}

static struct spate_message vote_from(spate_node_id from, spate_node_id to, spate_term term,
                                      spate_term last_term, spate_index last)
{
    return (struct spate_message){.kind = SPATE_MESSAGE_VOTE,
                                  .from = from,
                                  .to = to,
                                  .term = term,
                                  .session = from * 1000u + 1,
                                  .vote.last = {.term = last_term, .index = last}};
}

static struct spate_message append_from(spate_node_id from, spate_node_id to, spate_term term)
{
    return (struct spate_message){.kind = SPATE_MESSAGE_APPEND,
                                  .from = from,
                                  .to = to,
                                  .term = term,
                                  .session = from * 1000u + 1,
                                  .append.round = 1};
}

/* Whether the first answer under way grants a vote. */
static bool is_granted(struct cluster *cluster, spate_node_id from, spate_node_id to)
{
    const struct spate_message *answer = cluster_peek(cluster, from, to);
    assert_non_null(answer);
    assert_int_equal(answer->kind, SPATE_MESSAGE_VOTE_RESULT);
    return answer->vote_result.is_granted;
}

/* Paper 5.2: "When servers start up, they begin as followers." */
static void servers_start_as_followers(void **state)
{
    (void)state;
    struct cluster *cluster = with((struct cluster_options){.nodes = 3});
    for (spate_node_id id = 1; id <= 3; id++) {
        assert_int_equal(cluster_status(cluster, id).role, SPATE_ROLE_FOLLOWER);
    }
    cluster_destroy(cluster);
}

/* Paper 5.2: "A server remains in follower state as long as it receives valid RPCs from a leader
 * or candidate." */
static void followers_stay_while_a_leader_speaks(void **state)
{
    (void)state;
    struct cluster *cluster = led(3);
    for (uint32_t i = 0; i < 50; i++) {
        cluster_elapse_all(cluster, CLUSTER_HEARTBEAT_NS);
        cluster_stabilize(cluster);
    }
    assert_int_equal(cluster_status(cluster, 1).term, 1);
    assert_int_equal(cluster_status(cluster, 2).role, SPATE_ROLE_FOLLOWER);
    assert_int_equal(cluster_status(cluster, 1).elections_started, 1);
    assert_int_equal(cluster_status(cluster, 1).retransmits, 0);
    cluster_destroy(cluster);
}

/* Paper 5.2: "If a follower receives no communication over a period of time called the election
 * timeout, then it assumes there is no viable leader and begins an election." */
static void silence_begins_an_election(void **state)
{
    (void)state;
    struct cluster *cluster = with((struct cluster_options){.nodes = 3, .pre_vote_disabled = true});
    cluster_elapse(cluster, 1, CLUSTER_ELECTION_NS - 1);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_FOLLOWER);
    cluster_elapse(cluster, 1, 1);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_CANDIDATE);
    cluster_destroy(cluster);
}

/* Paper 5.2: "To begin an election, a follower increments its current term and transitions to
 * candidate state. It then votes for itself and issues RequestVote RPCs in parallel to each of the
 * other servers in the cluster." */
static void a_candidate_votes_for_itself_and_asks_all(void **state)
{
    (void)state;
    struct cluster *cluster = with((struct cluster_options){.nodes = 5, .pre_vote_disabled = true});
    cluster_campaign(cluster, 1);
    assert_int_equal(cluster_status(cluster, 1).term, 1);
    assert_int_equal(cluster_status(cluster, 1).vote, 1);
    for (spate_node_id id = 2; id <= 5; id++) {
        assert_int_equal(cluster_peek(cluster, 1, id)->kind, SPATE_MESSAGE_VOTE);
        assert_int_equal(cluster_peek(cluster, 1, id)->term, 1);
    }
    cluster_destroy(cluster);
}

/* Paper 5.2: "A candidate wins an election if it receives votes from a majority of the servers in
 * the full cluster for the same term." */
static void a_majority_of_votes_wins(void **state)
{
    (void)state;
    struct cluster *cluster = with((struct cluster_options){.nodes = 5, .pre_vote_disabled = true});
    cluster_campaign(cluster, 1);
    cluster_deliver(cluster, 1, 2, 1);
    cluster_deliver(cluster, 2, 1, 1);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_CANDIDATE);
    cluster_deliver(cluster, 1, 3, 1);
    cluster_deliver(cluster, 3, 1, 1);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_LEADER);
    cluster_destroy(cluster);
}

/* Paper 5.2: "Each server will vote for at most one candidate in a given term, on a
 * first-come-first-served basis." */
static void a_server_votes_once_in_a_term(void **state)
{
    (void)state;
    struct cluster *cluster = with((struct cluster_options){.nodes = 3});
    struct spate_message first = vote_from(2, 1, 5, 0, 0);
    struct spate_message second = vote_from(3, 1, 5, 9, 9);
    second.vote.last.term = 4;
    cluster_receive(cluster, &first);
    cluster_receive(cluster, &second);
    cluster_flush(cluster, 1);
    assert_true(is_granted(cluster, 1, 2));
    assert_false(is_granted(cluster, 1, 3));
    assert_int_equal(cluster_status(cluster, 1).vote, 2);
    cluster_destroy(cluster);
}

/* Paper figure 2: "votedFor: candidateId that received vote in current term", persistent state
 * "updated on stable storage before responding to RPCs". */
static void a_vote_survives_a_crash(void **state)
{
    (void)state;
    struct cluster *cluster = with((struct cluster_options){.nodes = 3, .store_is_manual = true});
    struct spate_message first = vote_from(2, 1, 5, 0, 0);
    cluster_receive(cluster, &first);
    cluster_flush(cluster, 1);
    assert_null(cluster_peek(cluster, 1, 2)); /* Not before it is stored. */
    cluster_store(cluster, 1, 1);
    assert_true(is_granted(cluster, 1, 2));
    cluster_restart(cluster, 1);
    struct spate_message second = vote_from(3, 1, 5, 0, 0);
    cluster_receive(cluster, &second);
    cluster_flush(cluster, 1);
    assert_false(is_granted(cluster, 1, 3));
    cluster_destroy(cluster);
}

/* Paper 5.2: "If the leader's term (included in its RPC) is at least as large as the candidate's
 * current term, then the candidate recognizes the leader as legitimate and returns to follower
 * state." */
static void a_candidate_returns_to_a_legitimate_leader(void **state)
{
    (void)state;
    for (spate_term term = 1; term <= 2; term++) {
        struct cluster *cluster =
            with((struct cluster_options){.nodes = 3, .pre_vote_disabled = true});
        cluster_campaign(cluster, 1);
        struct spate_message append = append_from(2, 1, term);
        cluster_receive(cluster, &append);
        assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_FOLLOWER);
        assert_int_equal(cluster_status(cluster, 1).leader, 2);
        cluster_destroy(cluster);
    }
}

/* Paper 5.2: "If the term in the RPC is smaller than the candidate's current term, then the
 * candidate rejects the RPC and continues in candidate state." */
static void a_candidate_rejects_an_older_leader(void **state)
{
    (void)state;
    struct cluster *cluster = with((struct cluster_options){.nodes = 3, .pre_vote_disabled = true});
    cluster_campaign(cluster, 1);
    cluster_campaign(cluster, 1);
    cluster_drop(cluster, 1, 0, UINT32_MAX);
    struct spate_message append = append_from(2, 1, 1);
    cluster_receive(cluster, &append);
    cluster_flush(cluster, 1);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_CANDIDATE);
    const struct spate_message *answer = cluster_peek(cluster, 1, 2);
    assert_false(answer->append_result.is_accepted);
    assert_int_equal(answer->term, 2);
    cluster_destroy(cluster);
}

/* Paper 5.2: "When this happens [a split vote], each candidate will time out and start a new
 * election by incrementing its term and initiating another round of RequestVote RPCs." */
static void a_split_vote_ends_in_a_new_term(void **state)
{
    (void)state;
    struct cluster *cluster = with((struct cluster_options){.nodes = 2, .pre_vote_disabled = true});
    cluster_campaign(cluster, 1);
    cluster_campaign(cluster, 2);
    cluster_stabilize(cluster);
    assert_int_not_equal(cluster_status(cluster, 1).role, SPATE_ROLE_LEADER);
    assert_int_not_equal(cluster_status(cluster, 2).role, SPATE_ROLE_LEADER);
    cluster_elapse(cluster, 1, CLUSTER_ELECTION_NS);
    cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_LEADER);
    assert_int_equal(cluster_status(cluster, 1).term, 2);
    cluster_destroy(cluster);
}

/* Paper 5.1: "if one server's current term is smaller than the other's, then it updates its
 * current term to the larger value." */
static void a_larger_term_is_adopted(void **state)
{
    (void)state;
    struct cluster *cluster = with((struct cluster_options){.nodes = 3});
    struct spate_message append = append_from(2, 1, 7);
    cluster_receive(cluster, &append);
    assert_int_equal(cluster_status(cluster, 1).term, 7);
    cluster_destroy(cluster);
}

/* Paper 5.1: "If a candidate or leader discovers that its term is out of date, it immediately
 * reverts to follower state." */
static void a_leader_that_is_out_of_date_steps_down(void **state)
{
    (void)state;
    struct cluster *cluster = led(3);
    struct spate_message append = append_from(2, 1, 9);
    cluster_receive(cluster, &append);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_FOLLOWER);
    assert_int_equal(cluster_status(cluster, 1).term, 9);
    cluster_destroy(cluster);
}

/* Paper 5.1: "If a server receives a request with a stale term number, it rejects the request." */
static void requests_of_stale_terms_are_rejected(void **state)
{
    (void)state;
    struct cluster *cluster = with((struct cluster_options){.nodes = 3});
    cluster_set_log(cluster, 1, 5, 0, NULL, 0);
    struct spate_message vote = vote_from(2, 1, 4, 0, 0);
    struct spate_message append = append_from(3, 1, 4);
    cluster_receive(cluster, &vote);
    cluster_receive(cluster, &append);
    cluster_flush(cluster, 1);
    assert_false(is_granted(cluster, 1, 2));
    assert_false(cluster_peek(cluster, 1, 3)->append_result.is_accepted);
    assert_int_equal(cluster_status(cluster, 1).leader, 0);
    cluster_destroy(cluster);
}

/* Paper 5.4.1: "the voter denies its vote if its own log is more up-to-date than that of the
 * candidate. […] If the logs have last entries with different terms, then the log with the later
 * term is more up-to-date. If the logs end with the same term, then whichever log is longer is more
 * up-to-date." */
static void votes_go_to_logs_that_are_up_to_date(void **state)
{
    (void)state;
    const struct {
        spate_term term;
        spate_index index;
        bool is_granted;
    } cases[] = {{1, 9, false}, {2, 1, false}, {2, 2, true},
                 {2, 3, true},  {3, 1, true},  {0, 0, false}};
    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(cases); i++) {
        struct cluster *cluster = with((struct cluster_options){.nodes = 3});
        const spate_term terms[] = {1, 2};
        cluster_set_log(cluster, 1, 3, 0, terms, 2);
        struct spate_message vote = vote_from(2, 1, 4, cases[i].term, cases[i].index);
        cluster_receive(cluster, &vote);
        cluster_flush(cluster, 1);
        assert_int_equal(is_granted(cluster, 1, 2), cases[i].is_granted);
        cluster_destroy(cluster);
    }
}

/* Paper 5.2: "Once a candidate wins an election, it becomes leader. It then sends heartbeat
 * messages to all of the other servers to establish its authority and prevent new elections." */
static void a_new_leader_speaks_to_all_at_once(void **state)
{
    (void)state;
    struct cluster *cluster = with((struct cluster_options){.nodes = 3, .pre_vote_disabled = true});
    cluster_campaign(cluster, 1);
    cluster_deliver(cluster, 1, 2, 1);
    cluster_drop(cluster, 1, 3, 1);
    cluster_deliver(cluster, 2, 1, 1);
    assert_int_equal(cluster_peek(cluster, 1, 2)->kind, SPATE_MESSAGE_APPEND);
    assert_int_equal(cluster_peek(cluster, 1, 3)->kind, SPATE_MESSAGE_APPEND);
    cluster_destroy(cluster);
}

/* Thesis 9.6: "In the Pre-Vote algorithm, a candidate only increments its term if it first learns
 * from a majority of the cluster that they would be willing to grant the candidate their votes." */
static void a_pre_candidate_keeps_its_term(void **state)
{
    (void)state;
    struct cluster *cluster = with((struct cluster_options){.nodes = 3});
    cluster_cut(cluster, 1, 0, true);
    for (uint32_t i = 0; i < 10; i++) {
        cluster_campaign(cluster, 1);
    }
    assert_int_equal(cluster_status(cluster, 1).term, 0);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_PRE_CANDIDATE);
    cluster_destroy(cluster);
}

/* Thesis 9.6: servers would grant a pre-vote if "the candidate's log is sufficiently up-to-date,
 * and the voters have not received heartbeats from a valid leader for at least a baseline election
 * timeout." */
static void pre_votes_are_withheld_while_a_leader_is_heard(void **state)
{
    (void)state;
    struct cluster *cluster = led(3);
    struct spate_message vote = vote_from(3, 2, 2, 1, 1);
    vote.vote.is_pre_vote = true;
    cluster_receive(cluster, &vote);
    cluster_flush(cluster, 2);
    assert_null(cluster_peek(cluster, 2, 3));
    assert_int_equal(cluster_status(cluster, 2).votes_ignored, 1);
    cluster_elapse(cluster, 2, CLUSTER_ELECTION_NS);
    cluster_drop(cluster, 2, 0, UINT32_MAX);
    cluster_receive(cluster, &vote);
    cluster_flush(cluster, 2);
    assert_true(is_granted(cluster, 2, 3));
    assert_int_equal(cluster_status(cluster, 2).term, 1); /* A pre-vote changes nothing. */
    cluster_destroy(cluster);
}

/* Thesis 4.2.3: "if a server receives a RequestVote request within the minimum election timeout of
 * hearing from a current leader, it does not update its term or grant its vote." */
static void votes_are_ignored_while_a_leader_is_heard(void **state)
{
    (void)state;
    struct cluster *cluster = led(3);
    struct spate_message vote = vote_from(3, 2, 8, 1, 1);
    cluster_receive(cluster, &vote);
    assert_int_equal(cluster_status(cluster, 2).term, 1);
    vote.to = 1; /* The leader hears itself while it hears a majority. */
    cluster_receive(cluster, &vote);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_LEADER);
    cluster_destroy(cluster);
}

/* Thesis 6.2: "a leader in Raft steps down if an election timeout elapses without a successful
 * round of heartbeats to a majority of its cluster". */
static void a_leader_without_a_majority_steps_down(void **state)
{
    (void)state;
    struct cluster *cluster = led(3);
    cluster_cut(cluster, 1, 0, true);
    cluster_elapse(cluster, 1, CLUSTER_ELECTION_NS - 1);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_LEADER);
    cluster_elapse(cluster, 1, 1);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_FOLLOWER);
    assert_int_equal(cluster_status(cluster, 1).leader, 0);
    cluster_destroy(cluster);
}

/* Paper 5.1: "terms act as a logical clock"; every candidate's term has a successor: a message of
 * the last term is no correct server's. */
static void the_last_term_is_refused(void **state)
{
    (void)state;
    struct cluster *cluster = with((struct cluster_options){.nodes = 3});
    struct spate_message append = append_from(2, 1, UINT64_MAX);
    cluster_receive(cluster, &append);
    struct spate_message vote = vote_from(2, 1, UINT64_MAX, 0, 0);
    cluster_receive(cluster, &vote);
    assert_int_equal(cluster_status(cluster, 1).term, 0);
    assert_int_equal(cluster_status(cluster, 1).messages_invalid, 2);
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_start_as_followers),
        cmocka_unit_test(followers_stay_while_a_leader_speaks),
        cmocka_unit_test(silence_begins_an_election),
        cmocka_unit_test(a_candidate_votes_for_itself_and_asks_all),
        cmocka_unit_test(a_majority_of_votes_wins),
        cmocka_unit_test(a_server_votes_once_in_a_term),
        cmocka_unit_test(a_vote_survives_a_crash),
        cmocka_unit_test(a_candidate_returns_to_a_legitimate_leader),
        cmocka_unit_test(a_candidate_rejects_an_older_leader),
        cmocka_unit_test(a_split_vote_ends_in_a_new_term),
        cmocka_unit_test(a_larger_term_is_adopted),
        cmocka_unit_test(a_leader_that_is_out_of_date_steps_down),
        cmocka_unit_test(requests_of_stale_terms_are_rejected),
        cmocka_unit_test(votes_go_to_logs_that_are_up_to_date),
        cmocka_unit_test(a_new_leader_speaks_to_all_at_once),
        cmocka_unit_test(a_pre_candidate_keeps_its_term),
        cmocka_unit_test(pre_votes_are_withheld_while_a_leader_is_heard),
        cmocka_unit_test(votes_are_ignored_while_a_leader_is_heard),
        cmocka_unit_test(a_leader_without_a_majority_steps_down),
        cmocka_unit_test(the_last_term_is_refused),
    };
    return cmocka_run_group_tests_name("paper/election", tests, NULL, NULL);
}
