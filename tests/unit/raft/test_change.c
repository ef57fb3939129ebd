/* The rules of membership changes, the bytes of a membership, and what a log's memberships are. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "raft/change.h"

static struct spate_membership with_voters(uint32_t voters)
{
    struct spate_membership membership = {.count = voters};

    for (uint32_t i = 0; i < voters; i++) {
        membership.members[i] =
            (struct spate_member){.id = i + 1, .is_voter = true, .incarnation = 1};
        (void)snprintf(membership.members[i].address, SPATE_MEMBER_ADDRESS_BYTES, "10.0.0.%u:7209",
                       i + 1);
    }
    return membership;
}

static struct spate_membership with_learners(uint32_t voters, uint32_t learners, bool is_promotable)
{
    struct spate_membership membership = with_voters(voters + learners);

    for (uint32_t i = voters; i < voters + learners; i++) {
        membership.members[i].is_voter = false;
        membership.members[i].is_promotable = is_promotable;
    }
    return membership;
}

static struct spate_change change_of(enum spate_change_kind kind, spate_node_id one,
                                     spate_node_id other)
{
    struct spate_change change = {.kind = kind, .count = other == 0 ? 1 : 2};

    change.members[0].id = one;
    change.members[1].id = other;
    return change;
}

static void voters_change_in_pairs(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 3, 5};
    struct spate_membership next, final;

    for (uint32_t s = 0; s < SPATE_ARRAY_COUNT(sizes); s++) {
        const uint32_t voters = sizes[s];
        const struct spate_membership now = with_learners(voters, 2, true);
        struct spate_change change = change_of(SPATE_CHANGE_PROMOTE, voters + 1, 0);
        assert_int_equal(spate_change_apply(&now, &change, &next), SPATE_CHANGE_EVEN_PROMOTION);
        change = change_of(SPATE_CHANGE_PROMOTE, voters + 1, voters + 2);
        assert_int_equal(spate_change_apply(&now, &change, &next), SPATE_CHANGE_ACCEPTED);
        assert_true(spate_membership_is_joint(&next));
        assert_false(next.is_overridden);
        spate_change_finish(&next, &final);
        assert_false(spate_membership_is_joint(&final));
        assert_int_equal(spate_membership_voters(&final), voters + 2);
        assert_false(final.members[voters].is_promotable);
    }
}

static void one_voter_of_three_is_not_removed_unless_somebody_insists(void **state)
{
    (void)state;
    const struct spate_membership now = with_voters(3);
    struct spate_membership next, final;

    struct spate_change change = change_of(SPATE_CHANGE_REMOVE, 2, 0);
    assert_int_equal(spate_change_apply(&now, &change, &next), SPATE_CHANGE_EVEN_REMOVAL);
    assert_non_null(strstr(spate_change_text(SPATE_CHANGE_EVEN_REMOVAL), "replace"));
    assert_non_null(strstr(spate_change_text(SPATE_CHANGE_EVEN_REMOVAL), "override"));
    change.is_override = true;
    assert_int_equal(spate_change_apply(&now, &change, &next), SPATE_CHANGE_ACCEPTED);
    assert_true(next.is_overridden);
    change = change_of(SPATE_CHANGE_REMOVE, 2, 3);
    assert_int_equal(spate_change_apply(&now, &change, &next), SPATE_CHANGE_ACCEPTED);
    spate_change_finish(&next, &final);
    assert_int_equal(final.count, 1);
    assert_int_equal(final.members[0].id, 1);
    const struct spate_membership alone = with_voters(1);
    change = change_of(SPATE_CHANGE_REMOVE, 1, 0);
    assert_int_equal(spate_change_apply(&alone, &change, &next), SPATE_CHANGE_NO_VOTER);
}

static void a_replacement_is_one_joint_change(void **state)
{
    (void)state;
    struct spate_membership now = with_learners(3, 1, false);
    struct spate_membership next, final;
    const struct spate_change change = change_of(SPATE_CHANGE_REPLACE, 2, 4);

    now.members[3].replaces = 2;
    assert_int_equal(spate_change_apply(&now, &change, &next), SPATE_CHANGE_ACCEPTED);
    spate_change_finish(&next, &final);
    assert_int_equal(spate_membership_voters(&final), 3);
    assert_int_equal(spate_membership_find(&final, 2), SPATE_MEMBERS_MAX);
    assert_true(spate_membership_is_voter(&final, 4));
    assert_int_equal(final.members[2].replaces, 0);
}

static void what_cannot_be_meant_is_refused(void **state)
{
    (void)state;
    const struct spate_membership now = with_learners(3, 1, false);
    struct spate_membership next;
    struct spate_change change = change_of(SPATE_CHANGE_ADD, 4, 0);

    assert_int_equal(spate_change_apply(&now, &change, &next), SPATE_CHANGE_EXISTS);
    change.members[0] = (struct spate_member){.id = 9, .address = "10.0.0.1:7209"};
    assert_int_equal(spate_change_apply(&now, &change, &next), SPATE_CHANGE_ADDRESS_USED);
    change.members[0] = (struct spate_member){.id = 9, .replaces = 8};
    assert_int_equal(spate_change_apply(&now, &change, &next), SPATE_CHANGE_UNKNOWN);
    change.members[0] = (struct spate_member){.id = 9, .replaces = 4};
    assert_int_equal(spate_change_apply(&now, &change, &next), SPATE_CHANGE_IS_LEARNER);
    change = change_of(SPATE_CHANGE_PROMOTE, 1, 4);
    assert_int_equal(spate_change_apply(&now, &change, &next), SPATE_CHANGE_IS_VOTER);
    change = change_of(SPATE_CHANGE_PROMOTE, 4, 4);
    assert_int_equal(spate_change_apply(&now, &change, &next), SPATE_CHANGE_MALFORMED);
    change = change_of(SPATE_CHANGE_REMOVE, 7, 0);
    assert_int_equal(spate_change_apply(&now, &change, &next), SPATE_CHANGE_UNKNOWN);
    change = change_of(SPATE_CHANGE_REPLACE, 4, 1);
    assert_int_equal(spate_change_apply(&now, &change, &next), SPATE_CHANGE_IS_LEARNER);
    change = change_of(SPATE_CHANGE_UPDATE, 1, 0);
    change.members[0] = now.members[0];
    assert_int_equal(spate_change_apply(&now, &change, &next), SPATE_CHANGE_NOTHING);
    const struct spate_membership full = with_voters(15);
    struct spate_membership sixteen = full;
    change = change_of(SPATE_CHANGE_ADD, 77, 0);
    assert_int_equal(spate_change_apply(&full, &change, &sixteen), SPATE_CHANGE_ACCEPTED);
    change = change_of(SPATE_CHANGE_ADD, 78, 0);
    assert_int_equal(spate_change_apply(&sixteen, &change, &next), SPATE_CHANGE_FULL);
    for (uint32_t v = 0; v < SPATE_CHANGE_VERDICTS; v++) {
        assert_true(strlen(spate_change_text((enum spate_change_verdict)v)) > 0);
        assert_true(strlen(spate_change_name((enum spate_change_verdict)v)) > 0);
    }
}

static void learners_that_caught_up_are_promoted_in_pairs(void **state)
{
    (void)state;
    struct spate_membership now = with_learners(1, 3, true);
    struct spate_change change;

    assert_false(spate_change_find(&now, 0x2, &change));
    assert_true(spate_change_find(&now, 0xe, &change));
    assert_int_equal(change.kind, SPATE_CHANGE_PROMOTE);
    assert_int_equal(change.count, 2);
    now.members[2].is_promotable = false;
    assert_false(spate_change_find(&now, 0x6, &change));
    assert_true(spate_change_find(&now, 0xa, &change));
    assert_int_equal(change.members[1].id, 4);
    now.members[2].replaces = 1;
    assert_true(spate_change_find(&now, 0x4, &change));
    assert_int_equal(change.kind, SPATE_CHANGE_REPLACE);
    /* Of an even number, which somebody insisted on, one makes it odd again. */
    now = with_learners(2, 1, true);
    assert_true(spate_change_find(&now, 0x4, &change));
    assert_int_equal(change.count, 1);
}

static void a_membership_survives_its_bytes(void **state)
{
    (void)state;
    struct spate_membership from = with_learners(13, 3, true);
    struct spate_membership to;
    uint8_t bytes[SPATE_MEMBERSHIP_BYTES_MAX];

    from.is_overridden = true;
    from.members[15].replaces = 3;
    from.members[14].priority = 9;
    from.members[13].incarnation = UINT64_MAX;
    memset(from.members[0].address, 'x', SPATE_MEMBER_ADDRESS_BYTES - 1);
    const uint32_t size = spate_membership_encode(&from, bytes);
    assert_int_equal(spate_membership_decode(bytes, size, &to), SPATE_OK);
    assert_memory_equal(&from, &to, sizeof from);
    for (uint32_t cut = 0; cut < size; cut++) {
        assert_int_equal(spate_membership_decode(bytes, cut, &to), SPATE_ERR_MALFORMED);
    }
    /* Whatever is changed, it is refused or a valid membership. */
    for (uint32_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (spate_membership_decode(bytes, size, &to) == SPATE_OK) {
            assert_true(spate_membership_is_valid(&to));
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void memberships_have_exactly_these_bytes(void **state)
{
    (void)state;
    static const uint8_t golden[] = {1, 0, 1, 0, 0, 0, 0, 0, /* */
                                     7, 0, 0, 0, 1, 2, 3, 0, 5,   0,   0,   0, 0, 0, 0, 0,
                                     0, 0, 0, 0, 0, 0, 0, 0, 'a', ':', '1', 0, 0, 0, 0, 0};
    const struct spate_membership membership = {
        .count = 1,
        .members = {
            {.id = 7, .is_voter = true, .priority = 2, .incarnation = 5, .address = "a:1"}}};
    uint8_t bytes[SPATE_MEMBERSHIP_BYTES_MAX];

    assert_int_equal(spate_membership_encode(&membership, bytes), sizeof golden);
    assert_memory_equal(bytes, golden, sizeof golden);
}

static void the_newest_membership_of_a_log_is_in_force_until_it_is_cut(void **state)
{
    (void)state;
    struct spate_configs configs;
    struct spate_membership one = with_voters(1);
    struct spate_membership three = with_voters(3);
    uint8_t payload[SPATE_MEMBERSHIP_BYTES_MAX];
    uint8_t bytes[4096];

    spate_configs_begin(&configs, 0, &one);
    uint32_t used = spate_entry_encode(bytes, SPATE_ENTRY_COMMAND, "abc", 3);
    used += spate_entry_encode(bytes + used, SPATE_ENTRY_MEMBERSHIP, payload,
                               spate_membership_encode(&three, payload));
    used += spate_entry_encode(bytes + used, SPATE_ENTRY_MEMBERSHIP, "no membership", 13);
    const struct spate_log_span span = {
        .data = bytes, .bytes = used, .count = 3, .first = 10, .term = 1};
    assert_true(spate_configs_take(&configs, &span));
    assert_int_equal(configs.index, 11);
    assert_int_equal(configs.now.count, 3);
    assert_false(spate_configs_take(&configs, &span));
    assert_false(spate_configs_cut(&configs, 11));
    assert_true(spate_configs_can_cut(&configs, 5));
    assert_true(spate_configs_cut(&configs, 10));
    assert_int_equal(configs.now.count, 1);
    assert_int_equal(configs.index, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(voters_change_in_pairs),
        cmocka_unit_test(one_voter_of_three_is_not_removed_unless_somebody_insists),
        cmocka_unit_test(a_replacement_is_one_joint_change),
        cmocka_unit_test(what_cannot_be_meant_is_refused),
        cmocka_unit_test(learners_that_caught_up_are_promoted_in_pairs),
        cmocka_unit_test(a_membership_survives_its_bytes),
        cmocka_unit_test(memberships_have_exactly_these_bytes),
        cmocka_unit_test(the_newest_membership_of_a_log_is_in_force_until_it_is_cut),
    };
    return cmocka_run_group_tests_name("raft/change", tests, NULL, NULL);
}
