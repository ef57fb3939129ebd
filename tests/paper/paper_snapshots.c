/* Log compaction: paper section 7. */
#include "support/test.h"

#include "support/cluster.h"

/* Node 1 leads; node 3 has heard only the first entry; what follows up to 6 is committed. */
static struct cluster *make_behind(void)
{
    struct cluster *cluster = cluster_create(&(struct cluster_options){.nodes = 3});

    cluster_campaign(cluster, 1);
    (void)cluster_stabilize(cluster);
    cluster_cut(cluster, 3, 0, true);
    assert_int_equal(cluster_propose(cluster, 1, 5, 700000), SPATE_OK);
    (void)cluster_stabilize(cluster);
    assert_int_equal(cluster_status(cluster, 1).commit, 6);
    return cluster;
}

static bool needs_snapshot(struct cluster *cluster, spate_node_id member)
{
    const struct spate_raft_status status = cluster_status(cluster, 1);

    for (uint32_t p = 0; p < status.peer_count; p++) {
        if (status.peers[p].id == member) {
            return status.peers[p].needs_snapshot;
        }
    }
    fail();
    return false;
}

static void come_back(struct cluster *cluster)
{
    cluster_cut(cluster, 3, 0, false);
    cluster_elapse(cluster, 1, CLUSTER_HEARTBEAT_NS);
    (void)cluster_stabilize(cluster);
}

/* "the leader must occasionally send snapshots to followers that lag behind. This happens when the
 * leader has already discarded the next log entry that it needs to send to a follower." */
static void who_needs_a_discarded_entry_needs_a_snapshot(void **state)
{
    (void)state;
    struct cluster *cluster = make_behind();

    cluster_snapshot(cluster, 1, 2); /* The entry that 3 needs next is still there. */
    come_back(cluster);
    assert_false(needs_snapshot(cluster, 3));
    assert_int_equal(cluster_status(cluster, 3).commit, 6);

    cluster_destroy(cluster);
    cluster = make_behind();
    cluster_snapshot(cluster, 1, 4);
    come_back(cluster);
    assert_true(needs_snapshot(cluster, 3));
    assert_int_equal(cluster_status(cluster, 3).commit, 1);
    cluster_destroy(cluster);
}

/* "Usually the snapshot will contain new information not already in the recipient's log. In this
 * case, the follower discards its entire log; it is all superseded by the snapshot and may possibly
 * have uncommitted entries that conflict with the snapshot." */
static void a_snapshot_supersedes_the_log(void **state)
{
    (void)state;
    static const spate_term old[] = {1, 1, 1, 1};
    struct cluster *cluster = cluster_create(&(struct cluster_options){.nodes = 3});

    cluster_set_log(cluster, 1, 1, 0, old, 1);
    cluster_set_log(cluster, 2, 1, 0, old, 1);
    cluster_set_log(cluster, 3, 1, 3, old, 4);
    cluster_cut(cluster, 3, 0, true);
    cluster_campaign(cluster, 1);
    (void)cluster_stabilize(cluster);
    assert_int_equal(cluster_propose(cluster, 1, 4, 900000), SPATE_OK);
    (void)cluster_stabilize(cluster);
    cluster_snapshot(cluster, 1, 6);
    come_back(cluster);
    assert_int_equal(cluster_install(cluster, 3, 5), SPATE_OK);
    assert_int_equal(spate_log_last(cluster_log(cluster, 3)), 5);
    assert_int_equal(spate_log_first(cluster_log(cluster, 3)), 6);
    assert_int_equal(cluster_status(cluster, 3).commit, 5);
    assert_int_equal(cluster_disk_term(cluster, 3, 4), 0);
    cluster_elapse(cluster, 1, CLUSTER_HEARTBEAT_NS);
    (void)cluster_stabilize(cluster);
    assert_false(needs_snapshot(cluster, 3));
    cluster_check(cluster);
    cluster_destroy(cluster);
}

/* "If instead the follower receives a snapshot that describes a prefix of its log (due to
 * retransmission or by mistake), then log entries covered by the snapshot are deleted but entries
 * following the snapshot are still valid and must be retained." */
static void entries_behind_the_snapshot_are_retained(void **state)
{
    (void)state;
    struct cluster *cluster = make_behind();

    come_back(cluster);
    assert_int_equal(spate_log_last(cluster_log(cluster, 3)), 6);
    assert_int_equal(cluster_install(cluster, 3, 4), SPATE_OK);
    assert_int_equal(spate_log_last(cluster_log(cluster, 3)), 6);
    assert_int_equal(cluster_disk_term(cluster, 3, 6), 1);
    assert_int_equal(cluster_status(cluster, 3).commit, 6);
    cluster_destroy(cluster);
}

/* "the last included index … and the last included term … are preserved to support the
 * AppendEntries consistency check for the first log entry following the snapshot, since that entry
 * needs a previous log index and term." */
static void the_first_entry_behind_a_snapshot_is_compared_with_it(void **state)
{
    (void)state;
    struct cluster *cluster = make_behind();

    cluster_snapshot(cluster, 1, 5);
    come_back(cluster);
    assert_int_equal(cluster_install(cluster, 3, 4), SPATE_OK);
    cluster_elapse(cluster, 1, CLUSTER_HEARTBEAT_NS);
    (void)cluster_stabilize(cluster);
    assert_int_equal(spate_log_last(cluster_log(cluster, 3)), 6);
    assert_int_equal(cluster_status(cluster, 3).commit, 6);
    cluster_restart(cluster, 3);
    assert_int_equal(spate_log_first(cluster_log(cluster, 3)), 5);
    assert_int_equal(spate_log_last_term(cluster_log(cluster, 3)), 1);
    cluster_destroy(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_needs_a_discarded_entry_needs_a_snapshot),
        cmocka_unit_test(a_snapshot_supersedes_the_log),
        cmocka_unit_test(entries_behind_the_snapshot_are_retained),
        cmocka_unit_test(the_first_entry_behind_a_snapshot_is_compared_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
