/* Where two logs may agree, on a log that begins behind a snapshot. */
#include "support/test.h"

#include "raft/raft_internal.h"

static struct spate_log *log_behind(struct spate_entry_id base)
{
    const struct spate_log_options options = {
        .budget_bytes = 64u << 20, .reclaim = spate_reclaim_immediate(), .base = base};
    struct spate_log *log = NULL;

    assert_int_equal(spate_log_create(&options, &log), SPATE_OK);
    for (spate_term term = base.term + 1; term <= base.term + 2; term++) {
        assert_int_equal(spate_log_stage(log, term, SPATE_ENTRY_COMMAND, "x", 1), SPATE_OK);
        assert_int_equal(spate_log_stage(log, term, SPATE_ENTRY_COMMAND, "x", 1), SPATE_OK);
    }
    spate_log_publish(log);
    return log;
}

/* Entries 11 and 12 are of term 6, 13 and 14 of term 7; entry 10 before them is known to be of 5.
 */
static void the_entry_before_the_log_is_judged_by_its_term(void **state)
{
    (void)state;
    struct spate_log *log = log_behind((struct spate_entry_id){.term = 5, .index = 10});

    assert_int_equal(spate_conflict_find(log, 14, 9), 14);
    assert_int_equal(spate_conflict_find(log, 14, 6), 12);
    assert_int_equal(spate_conflict_find(log, 13, 5), 10);
    assert_int_equal(spate_conflict_find(log, 10, 5), 10);
    /* Of a later term than the other side has: it cannot be that one. */
    assert_int_equal(spate_conflict_find(log, 10, 4), 9);
    assert_int_equal(spate_conflict_find(log, 14, 4), 9);
    /* What lies before that is not known, and so may agree. */
    assert_int_equal(spate_conflict_find(log, 7, 1), 7);
    spate_log_destroy(log);
}

static void a_log_from_the_beginning_agrees_at_nothing(void **state)
{
    (void)state;
    struct spate_log *log = log_behind((struct spate_entry_id){.term = 0, .index = 0});

    assert_int_equal(spate_conflict_find(log, 4, 0), 0);
    assert_int_equal(spate_conflict_find(log, 4, 1), 2);
    spate_log_destroy(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_entry_before_the_log_is_judged_by_its_term),
        cmocka_unit_test(a_log_from_the_beginning_agrees_at_nothing),
    };
    return cmocka_run_group_tests_name("raft/conflict", tests, NULL, NULL);
}
