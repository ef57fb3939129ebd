/*
 * Random histories of small clusters: loss, duplication, reordering, partitions, slow disks,
 * crashes. The cluster checks election safety, leader completeness, log matching, state-machine
 * safety and that every promise is on its sender's disk; then the faults end, and it must come to
 * agree. The full simulator is tests/sim; this one is small enough to run with every build.
 */
#include "support/test.h"

#include "support/cluster.h"

#define SEEDS 12u
#define STEPS 1500u

static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void do_something(struct cluster *cluster, uint32_t nodes, uint64_t *seed)
{
    const spate_node_id one = (spate_node_id)(1 + draw(seed) % nodes);
    const spate_node_id other = (spate_node_id)(1 + draw(seed) % nodes);
    const bool is_pending = cluster_pending(cluster, 0, one) > 0;

    switch (draw(seed) % 24) {
    case 0:
        (void)cluster_drop(cluster, 0, one, 1);
        break;
    case 1:
        if (is_pending && cluster_pending(cluster, 0, 0) < 500) {
            cluster_duplicate(cluster, 0, one);
        }
        break;
    case 2:
    case 3:
        if (is_pending) {
            cluster_delay(cluster, 0, one);
        }
        break;
    case 4:
        if (draw(seed) % 8 == 0) {
            cluster_restart(cluster, one);
        }
        break;
    case 5:
        if (one != other && draw(seed) % 4 == 0) {
            cluster_cut(cluster, one, other, draw(seed) % 2 == 0);
        }
        break;
    case 6:
        cluster_elapse(cluster, one, draw(seed) % CLUSTER_ELECTION_NS);
        break;
    case 7:
    case 8:
        cluster_elapse_all(cluster, draw(seed) % CLUSTER_HEARTBEAT_NS);
        break;
    case 9:
    case 10:
    case 11:
        (void)cluster_propose(cluster, one, 1 + (uint32_t)draw(seed) % 3, 16);
        break;
    case 12:
    case 13:
    case 14:
        (void)cluster_store(cluster, one, 1);
        break;
    default:
        (void)cluster_deliver(cluster, 0, one, 1);
        break;
    }
}

static void heal_and_agree(struct cluster *cluster, uint32_t nodes)
{
    for (spate_node_id id = 1; id <= nodes; id++) {
        cluster_cut(cluster, id, 0, false);
        cluster_store_automatic(cluster, id, true);
    }
    /* At most 20 election timeouts, in steps that spread the timers. */
    spate_node_id leader = 0;
    for (uint32_t i = 0; i < 400; i++) {
        (void)cluster_stabilize(cluster);
        cluster_elapse(cluster, 1 + i % nodes, 5000000);
        leader = 0;
        bool is_agreed = true;
        for (spate_node_id id = 1; id <= nodes; id++) {
            const struct spate_raft_status status = cluster_status(cluster, id);
            leader = status.role == SPATE_ROLE_LEADER ? id : leader;
            is_agreed = is_agreed && status.commit == status.received &&
                        status.commit == cluster_status(cluster, 1).commit &&
                        status.leader == cluster_status(cluster, 1).leader;
        }
        if (leader != 0 && is_agreed) {
            break;
        }
        leader = 0;
    }
    assert_int_not_equal(leader, 0);
    const spate_index commit = cluster_status(cluster, leader).commit;
    assert_int_equal(cluster_propose(cluster, leader, 1, 16), SPATE_OK);
    (void)cluster_stabilize(cluster);
    for (spate_node_id id = 1; id <= nodes; id++) {
        assert_int_equal(cluster_status(cluster, id).commit, commit + 1);
    }
}

static void run_seeds(uint32_t nodes, bool pre_vote_disabled, bool check_quorum_disabled)
{
    for (uint64_t s = 1; s <= SEEDS; s++) {
        uint64_t seed = s * 0x9e3779b97f4a7c15u;
        struct cluster *cluster =
            cluster_create(&(struct cluster_options){.nodes = nodes,
                                                     .pre_vote_disabled = pre_vote_disabled,
                                                     .check_quorum_disabled = check_quorum_disabled,
                                                     .store_is_manual = s % 3 != 0,
                                                     .append_count_max = (uint32_t)(s % 4),
                                                     .window_messages = 1 + (uint32_t)(s % 8)});
        for (uint32_t i = 0; i < STEPS; i++) {
            do_something(cluster, nodes, &seed);
            if (i % 16 == 0) {
                cluster_check(cluster);
            }
            for (spate_node_id id = 1; id <= nodes; id++) {
                assert_int_equal(cluster_status(cluster, id).messages_invalid, 0);
            }
        }
        heal_and_agree(cluster, nodes);
        cluster_destroy(cluster);
    }
}

static void three_members_stay_safe_and_recover(void **state)
{
    (void)state;
    run_seeds(3, false, false);
}

static void five_members_stay_safe_and_recover(void **state)
{
    (void)state;
    run_seeds(5, false, false);
}

static void four_members_stay_safe_and_recover(void **state)
{
    (void)state;
    run_seeds(4, false, false);
}

static void without_pre_vote_and_check_quorum_too(void **state)
{
    (void)state;
    run_seeds(3, true, false);
    run_seeds(3, true, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_members_stay_safe_and_recover),
        cmocka_unit_test(five_members_stay_safe_and_recover),
        cmocka_unit_test(four_members_stay_safe_and_recover),
        cmocka_unit_test(without_pre_vote_and_check_quorum_too),
    };
    return cmocka_run_group_tests_name("raft/safety", tests, NULL, NULL);
}
