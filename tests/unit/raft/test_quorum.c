/* Majorities: every case of three voters, and pairs of configurations against a naive count. */
#include "support/test.h"

#include "raft/membership.h"

static struct spate_membership voters(uint32_t count, uint32_t current, uint32_t next)
{
    struct spate_membership membership = {.count = count};
    for (uint32_t i = 0; i < count; i++) {
        membership.members[i] = (struct spate_member){.id = i + 1,
                                                      .is_voter = (current >> i & 1u) != 0,
                                                      .is_voter_next = (next >> i & 1u) != 0};
    }
    return membership;
}

static bool is_majority(uint32_t set, uint32_t of)
{
    return of == 0 || 2 * __builtin_popcount(set & of) > __builtin_popcount(of);
}

static spate_index naive_index(uint32_t current, uint32_t next, const spate_index match[],
                               uint32_t count)
{
    for (spate_index index = 9; index > 0; index--) {
        uint32_t reached = 0;
        for (uint32_t i = 0; i < count; i++) {
            reached |= (uint32_t)(match[i] >= index) << i;
        }
        if (is_majority(reached, current) && is_majority(reached, next)) {
            return index;
        }
    }
    return 0;
}

static void three_voters_have_the_median(void **state)
{
    (void)state;
    const struct spate_membership membership = voters(3, 7, 0);
    for (spate_index a = 0; a < 5; a++) {
        for (spate_index b = 0; b < 5; b++) {
            for (spate_index c = 0; c < 5; c++) {
                const spate_index match[] = {a, b, c};
                assert_int_equal(spate_quorum_index(&membership, match),
                                 naive_index(7, 0, match, 3));
            }
        }
    }
}

/* All pairs of configurations of four members, all matches of 0 to 3. */
static void joint_pairs_need_both_majorities(void **state)
{
    (void)state;
    for (uint32_t current = 1; current < 16; current++) {
        for (uint32_t next = 0; next < 16; next++) {
            const struct spate_membership membership = voters(4, current, next);
            for (uint32_t code = 0; code < 256; code++) {
                const spate_index match[] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};
                assert_int_equal(spate_quorum_index(&membership, match),
                                 naive_index(current, next, match, 4));
            }
        }
    }
}

static void an_even_number_needs_one_more_than_half(void **state)
{
    (void)state;
    const struct spate_membership membership = voters(4, 15, 0);
    const spate_index match[] = {9, 9, 1, 1};
    assert_int_equal(spate_quorum_index(&membership, match), 1);
    assert_false(spate_quorum_has(&membership, 3));
    assert_true(spate_quorum_has(&membership, 7));
}

/* Won and lost are final; pending can still become either. */
static void votes_agree_with_a_naive_count(void **state)
{
    (void)state;
    for (uint32_t current = 1; current < 16; current++) {
        for (uint32_t next = 0; next < 16; next++) {
            const struct spate_membership membership = voters(4, current, next);
            for (uint32_t code = 0; code < 256; code++) {
                const uint32_t granted = code & 15;
                const uint32_t refused = code >> 4;
                if ((granted & refused) != 0) {
                    continue;
                }
                enum spate_vote_outcome expected = SPATE_VOTE_PENDING;
                if (is_majority(granted, current) && is_majority(granted, next)) {
                    expected = SPATE_VOTE_WON;
                } else if (!is_majority(~refused, current) || !is_majority(~refused, next)) {
                    expected = SPATE_VOTE_LOST;
                }
                assert_int_equal(spate_quorum_votes(&membership, granted, refused), expected);
            }
        }
    }
}

static void learners_do_not_count(void **state)
{
    (void)state;
    const struct spate_membership membership = voters(5, 7, 0);
    const spate_index match[] = {1, 1, 1, 9, 9};
    assert_int_equal(spate_quorum_index(&membership, match), 1);
    assert_false(spate_quorum_has(&membership, 1u << 3 | 1u << 4 | 1u));
}

static void indexes_near_the_end_of_the_range_are_ordinary(void **state)
{
    (void)state;
    const struct spate_membership membership = voters(3, 7, 0);
    const spate_index match[] = {UINT64_MAX, 1ull << 63, INT64_MAX};
    assert_int_equal(spate_quorum_index(&membership, match), 1ull << 63);
}

static void invalid_memberships_are_told_apart(void **state)
{
    (void)state;
    struct spate_membership membership = voters(3, 7, 0);
    assert_true(spate_membership_is_valid(&membership));
    assert_int_equal(spate_membership_find(&membership, 3), 2);
    assert_int_equal(spate_membership_find(&membership, 4), SPATE_MEMBERS_MAX);
    assert_true(spate_membership_is_voter(&membership, 2));
    assert_false(spate_membership_is_voter(&membership, 4));
    membership.members[1].id = 1;
    assert_false(spate_membership_is_valid(&membership));
    membership = voters(3, 0, 7);
    assert_false(spate_membership_is_valid(&membership));
    membership = voters(3, 7, 0);
    membership.members[0].id = 0;
    assert_false(spate_membership_is_valid(&membership));
    membership.count = SPATE_MEMBERS_MAX + 1;
    assert_false(spate_membership_is_valid(&membership));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_voters_have_the_median),
        cmocka_unit_test(joint_pairs_need_both_majorities),
        cmocka_unit_test(an_even_number_needs_one_more_than_half),
        cmocka_unit_test(votes_agree_with_a_naive_count),
        cmocka_unit_test(learners_do_not_count),
        cmocka_unit_test(indexes_near_the_end_of_the_range_are_ordinary),
        cmocka_unit_test(invalid_memberships_are_told_apart),
    };
    return cmocka_run_group_tests_name("raft/quorum", tests, NULL, NULL);
}
