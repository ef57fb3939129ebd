/* Reads that bypass the log: thesis section 6.4. */
#include "support/test.h"

#include "support/cluster.h"

static struct cluster *make_led(bool lease_enabled)
{
    const struct cluster_options options = {.nodes = 3, .lease_enabled = lease_enabled};
    struct cluster *cluster = cluster_create(&options);

    if (lease_enabled) {
        /* At their start voters keep their votes for an election timeout. */
        cluster_elapse(cluster, 2, CLUSTER_ELECTION_NS);
        cluster_elapse(cluster, 3, CLUSTER_ELECTION_NS);
        (void)cluster_drop(cluster, 0, 0, UINT32_MAX);
    }
    cluster_campaign(cluster, 1);
    (void)cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_LEADER);
    return cluster;
}

static uint64_t ready(struct cluster *cluster, spate_node_id id)
{
    spate_index index;
    return cluster_read_ready(cluster, id, &index);
}

/* Thesis 6.4, step 3: the leader issues a new round of heartbeats and waits for acknowledgements
 * from a majority of the cluster. */
static void reads_wait_for_a_majority_that_answers_later(void **state)
{
    (void)state;
    struct cluster *cluster = make_led(false);

    /* An answer to what was sent before the read was asked proves nothing. */
    (void)cluster_propose(cluster, 1, 1, 8);
    (void)cluster_deliver(cluster, 1, 0, UINT32_MAX);
    const uint64_t read = cluster_read(cluster, 1);
    const struct spate_message *first = cluster_peek(cluster, 2, 1);
    assert_non_null(first);
    assert_int_equal(first->kind, SPATE_MESSAGE_APPEND_RESULT);
    (void)cluster_deliver(cluster, 2, 1, UINT32_MAX);
    (void)cluster_deliver(cluster, 3, 1, UINT32_MAX);
    assert_true(ready(cluster, 1) < read);
    /* One answer to the new round, with the leader itself, is a majority of three. */
    (void)cluster_deliver(cluster, 1, 2, UINT32_MAX);
    (void)cluster_deliver(cluster, 2, 1, UINT32_MAX);
    assert_int_equal(ready(cluster, 1), read);
    cluster_check(cluster);
    cluster_destroy(cluster);
}

/* Thesis 6.4, step 1: a leader that has not yet committed an entry of its term waits until it has.
 */
static void reads_wait_for_an_entry_of_the_own_term(void **state)
{
    (void)state;
    const struct cluster_options options = {.nodes = 3};
    struct cluster *cluster = cluster_create(&options);

    cluster_campaign(cluster, 1);
    for (uint32_t half = 0; half < 3; half++) {
        (void)cluster_deliver(cluster, 0, 0, UINT32_MAX);
    }
    for (spate_node_id id = 1; id <= 3; id++) {
        cluster_store_automatic(cluster, id, false);
    }
    (void)cluster_deliver(cluster, 0, 1, UINT32_MAX);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_LEADER);
    const uint64_t read = cluster_read(cluster, 1);
    for (uint32_t round = 0; round < 5; round++) {
        (void)cluster_deliver(cluster, 0, 0, UINT32_MAX);
    }
    /* A majority answered, but nothing of term 1 is durable. */
    assert_int_equal(cluster_status(cluster, 1).commit, 0);
    assert_true(ready(cluster, 1) < read);
    (void)cluster_store(cluster, 1, UINT32_MAX);
    (void)cluster_store(cluster, 2, UINT32_MAX);
    (void)cluster_deliver(cluster, 0, 0, UINT32_MAX);
    spate_index index;
    assert_int_equal(cluster_read_ready(cluster, 1, &index), read);
    assert_int_equal(index, 1);
    cluster_check(cluster);
    cluster_destroy(cluster);
}

/* Thesis 6.4: followers can help offload the processing of read-only queries. */
static void a_follower_asks_its_leader(void **state)
{
    (void)state;
    struct cluster *cluster = make_led(false);

    (void)cluster_propose(cluster, 1, 3, 8);
    (void)cluster_stabilize(cluster);
    const uint64_t read = cluster_read(cluster, 3);
    assert_true(ready(cluster, 3) < read);
    (void)cluster_stabilize(cluster);
    spate_index index;
    assert_int_equal(cluster_read_ready(cluster, 3, &index), read);
    assert_int_equal(index, 4);
    cluster_destroy(cluster);
}

static void a_deposed_leader_answers_nothing(void **state)
{
    (void)state;
    struct cluster *cluster = make_led(false);

    cluster_cut(cluster, 1, 0, true);
    const uint64_t read = cluster_read(cluster, 1);
    cluster_elapse(cluster, 3, CLUSTER_ELECTION_NS);
    (void)cluster_drop(cluster, 3, 0, UINT32_MAX);
    cluster_campaign(cluster, 2);
    (void)cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 2).role, SPATE_ROLE_LEADER);
    (void)cluster_propose(cluster, 2, 2, 8);
    (void)cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 1).role, SPATE_ROLE_LEADER);
    assert_true(ready(cluster, 1) < read);
    /* Its read is answered by the new one, with what was committed meanwhile. */
    cluster_cut(cluster, 1, 0, false);
    for (uint32_t round = 0; round < 5; round++) {
        cluster_elapse_all(cluster, CLUSTER_HEARTBEAT_NS);
        (void)cluster_stabilize(cluster);
    }
    spate_index index;
    assert_int_equal(cluster_read_ready(cluster, 1, &index), read);
    assert_int_equal(index, 4);
    cluster_check(cluster);
    cluster_destroy(cluster);
}

/* Thesis 6.4.1: once the leader's heartbeats were acknowledged by a majority, it extends its lease,
 * assuming a bound on the drift of clocks. */
static void a_lease_ends_before_anybody_else_can_lead(void **state)
{
    (void)state;
    struct cluster *cluster = make_led(true);

    cluster_elapse_all(cluster, CLUSTER_HEARTBEAT_NS);
    (void)cluster_stabilize(cluster);
    uint64_t read = cluster_read(cluster, 1);
    assert_int_equal(ready(cluster, 1), read);
    assert_int_equal(cluster_status(cluster, 1).reads_leased, 1);
    cluster_cut(cluster, 1, 0, true);
    /* Its clock is a tenth slow, those of the others are a tenth fast, in 90 real milliseconds. */
    cluster_elapse(cluster, 1, CLUSTER_ELECTION_NS / 110 * 90);
    read = cluster_read(cluster, 1);
    assert_true(ready(cluster, 1) < read);
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_wait_for_a_majority_that_answers_later),
        cmocka_unit_test(reads_wait_for_an_entry_of_the_own_term),
        cmocka_unit_test(a_follower_asks_its_leader),
        cmocka_unit_test(a_deposed_leader_answers_nothing),
        cmocka_unit_test(a_lease_ends_before_anybody_else_can_lead),
    };
    return cmocka_run_group_tests_name("paper/reads", tests, NULL, NULL);
}
