/*
 * Members come and go while everything else goes wrong: messages are lost, doubled and late, nodes
 * restart, leaders hand over. tests/support/cluster checks after every event that terms have one
 * leader, that leaders have what was committed, and that what is committed never differs; here it
 * is checked that any two memberships that could decide something at the same time overlap.
 */
#include "support/test.h"

#include "raft/change.h"
#include "support/cluster.h"

#define NODES  7u
#define ROUNDS 60u
#define STEPS  1200u

static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed >> 11;
}

static spate_node_id any(uint64_t *seed)
{
    return (spate_node_id)(1 + draw(seed) % NODES);
}

static uint32_t voters_of(const struct spate_membership *membership, bool is_next)
{
    uint32_t set = 0;
    for (uint32_t i = 0; i < membership->count; i++) {
        const struct spate_member *member = &membership->members[i];
        set |= (uint32_t)(is_next ? member->is_voter_next : member->is_voter) << member->id;
    }
    return set;
}

/* Voters are odd unless somebody insisted. */
static void check_voters(struct cluster *cluster)
{
    for (spate_node_id id = 1; id <= NODES; id++) {
        const struct spate_membership *now = spate_raft_membership(cluster_raft(cluster, id));
        if (now->count > 0 && !now->is_overridden) {
            assert_int_equal(spate_membership_voters(now) % 2, 1);
        }
    }
}

/* The leader of the highest term, or 0. */
static spate_node_id leader_of(struct cluster *cluster)
{
    spate_node_id leader = 0;
    spate_term term = 0;
    for (spate_node_id id = 1; id <= NODES; id++) {
        const struct spate_raft_status status = cluster_status(cluster, id);
        if (status.role == SPATE_ROLE_LEADER && status.term > term) {
            leader = id;
            term = status.term;
        }
    }
    return leader;
}

static void change_something(struct cluster *cluster, uint64_t *seed)
{
    struct spate_change change = {.kind = (enum spate_change_kind)(draw(seed) % 4),
                                  .count = 1 + (uint32_t)(draw(seed) % 2)};

    change.members[0].id = any(seed);
    change.members[1].id = any(seed);
    if (change.kind == SPATE_CHANGE_ADD) {
        change.count = 1;
        change.members[0].is_promotable = draw(seed) % 3 > 0;
        change.members[0].replaces = draw(seed) % 3 == 0 ? any(seed) : 0;
    }
    change.is_override = draw(seed) % 8 == 0;
    (void)cluster_change(cluster, any(seed), &change);
}

static void step(struct cluster *cluster, uint64_t *seed)
{
    const uint64_t what = draw(seed) % 106;

    if (what >= 100) {
        /* A quiet moment, in which learners catch up. */
        cluster_elapse_all(cluster, CLUSTER_HEARTBEAT_NS);
        (void)cluster_stabilize(cluster);
    } else if (what < 45) {
        (void)cluster_deliver(cluster, any(seed), 0, 1 + (uint32_t)(draw(seed) % 4));
    } else if (what < 55) {
        (void)cluster_deliver(cluster, 0, any(seed), UINT32_MAX);
    } else if (what < 60) {
        (void)cluster_drop(cluster, any(seed), any(seed), 1);
    } else if (what < 63 && cluster_pending(cluster, 0, 0) > 0) {
        cluster_duplicate(cluster, 0, 0);
        cluster_delay(cluster, 0, 0);
    } else if (what < 75) {
        cluster_elapse(cluster, any(seed), draw(seed) % 60 * 1000000);
    } else if (what < 85) {
        const spate_node_id leader = leader_of(cluster);
        (void)cluster_propose(cluster, leader != 0 ? leader : any(seed), 1, 8);
    } else if (what < 92) {
        change_something(cluster, seed);
    } else if (what < 94) {
        (void)cluster_transfer(cluster, any(seed), 0);
    } else if (what < 96) {
        cluster_restart(cluster, any(seed));
    } else if (what < 98) {
        cluster_cut(cluster, any(seed), any(seed), true);
    } else {
        cluster_cut(cluster, any(seed), 0, false);
    }
    if (cluster_pending(cluster, 0, 0) > 2000) {
        (void)cluster_drop(cluster, 0, 0, UINT32_MAX);
    }
}

static void heal_and_commit(struct cluster *cluster)
{
    spate_index before = 0;

    for (spate_node_id id = 1; id <= NODES; id++) {
        cluster_cut(cluster, id, 0, false);
        const spate_index commit = cluster_status(cluster, id).commit;
        before = commit > before ? commit : before;
    }
    for (uint32_t tries = 0; tries < 200; tries++) {
        const spate_node_id leader = leader_of(cluster);
        if (leader != 0 && cluster_propose(cluster, leader, 1, 8) == SPATE_OK) {
            (void)cluster_stabilize(cluster);
            if (cluster_status(cluster, leader).commit > before + 1) {
                return;
            }
        }
        /* Not all at the same moment, or no election would ever be won. */
        for (spate_node_id id = 1; id <= NODES; id++) {
            cluster_elapse(cluster, id, CLUSTER_HEARTBEAT_NS + (id + tries) % NODES * 1000000);
            (void)cluster_stabilize(cluster);
        }
    }
    fail_msg("nothing is committed on a healed cluster");
}

static void members_come_and_go_and_nothing_is_lost(void **state)
{
    (void)state;
    uint32_t grown = 0;

    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint64_t seed = 88172645463325252u + round * 7919u;
        const struct cluster_options options = {.nodes = NODES, .joiners = round % 2 ? 4 : 6};
        struct cluster *cluster = cluster_create(&options);

        cluster_elapse(cluster, 1, CLUSTER_ELECTION_NS);
        (void)cluster_stabilize(cluster);
        for (uint32_t s = 0; s < STEPS; s++) {
            step(cluster, &seed);
            check_voters(cluster);
        }
        cluster_check(cluster);
        heal_and_commit(cluster);
        cluster_check(cluster);
        const spate_node_id leader = leader_of(cluster);
        grown += cluster_status(cluster, leader).membership.count > 1;
        cluster_destroy(cluster);
    }
    assert_true(grown > ROUNDS / 4);
}

/* Whatever is asked for: each membership overlaps, majority by majority, with the one it follows.
 */
static void majorities_of_consecutive_memberships_overlap(void **state)
{
    (void)state;
    uint64_t seed = 4711;

    for (uint32_t round = 0; round < 300; round++) {
        struct spate_membership now = {.count = 1, .members = {{.id = 1, .is_voter = true}}};
        for (uint32_t s = 0; s < 40; s++) {
            struct spate_change change = {.kind = (enum spate_change_kind)(draw(&seed) % 4),
                                          .count = 1 + (uint32_t)(draw(&seed) % 2),
                                          .is_override = draw(&seed) % 4 == 0};
            struct spate_membership next, final;
            change.members[0].id = any(&seed);
            change.members[1].id = any(&seed);
            if (spate_change_apply(&now, &change, &next) != SPATE_CHANGE_ACCEPTED) {
                continue;
            }
            if (!spate_membership_is_joint(&next)) {
                assert_int_equal(voters_of(&next, false), voters_of(&now, false));
                now = next;
                continue;
            }
            /* A joint decision needs a majority of both, so it meets one of either. */
            assert_int_equal(voters_of(&next, false), voters_of(&now, false));
            spate_change_finish(&next, &final);
            assert_int_equal(voters_of(&final, false), voters_of(&next, true));
            now = final;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_come_and_go_and_nothing_is_lost),
        cmocka_unit_test(majorities_of_consecutive_memberships_overlap),
    };
    return cmocka_run_group_tests_name("raft/churn", tests, NULL, NULL);
}
