/* What is durable when, with truncations between submission and completion. */
#include "support/test.h"

#include <string.h>

#include "raft/tickets_internal.h"

static void begin(struct spate_tickets *tickets, spate_term term, spate_node_id vote,
                  spate_index last)
{
    const struct spate_ticket_record record = {.term = term, .vote = vote, .last = last};
    spate_tickets_init(tickets, &record);
}

static uint64_t issue(struct spate_tickets *tickets, spate_term term, spate_node_id vote,
                      spate_index last)
{
    const struct spate_ticket_record record = {.term = term, .vote = vote, .last = last};
    return spate_tickets_issue(tickets, &record);
}

static void completion_makes_entries_and_hard_state_durable(void **state)
{
    (void)state;
    struct spate_tickets tickets;
    begin(&tickets, 3, 2, 10);
    assert_int_equal(issue(&tickets, 4, 0, 12), 1);
    assert_int_equal(tickets.durable.last, 10);
    assert_int_equal(tickets.durable.term, 3);
    assert_true(spate_tickets_complete(&tickets, 1));
    assert_int_equal(tickets.durable.last, 12);
    assert_int_equal(tickets.durable.term, 4);
    assert_false(spate_tickets_complete(&tickets, 1));
}

/* The ABA race: index 11 is written by term 1, cut, and written again by term 2. */
static void an_old_completion_does_not_acknowledge_new_entries(void **state)
{
    (void)state;
    struct spate_tickets tickets;
    begin(&tickets, 1, 0, 10);
    issue(&tickets, 1, 0, 12);
    spate_tickets_truncate(&tickets, 10);
    assert_true(tickets.has_truncate);
    assert_int_equal(issue(&tickets, 2, 0, 11), 2);
    assert_false(tickets.has_truncate);
    assert_true(spate_tickets_complete(&tickets, 1));
    assert_int_equal(tickets.durable.last, 10);
    assert_true(spate_tickets_complete(&tickets, 2));
    assert_int_equal(tickets.durable.last, 11);
}

/* A snapshot is durable before it takes the place of the log: no old ticket can say more or less.
 */
static void a_reset_stands_for_all_that_came_before(void **state)
{
    (void)state;
    struct spate_tickets tickets;
    const struct spate_entry_id base = {.term = 2, .index = 40};
    begin(&tickets, 2, 0, 10);
    issue(&tickets, 2, 0, 12);
    issue(&tickets, 2, 0, 60);
    spate_tickets_truncate(&tickets, 50);
    spate_tickets_reset(&tickets, base);
    assert_true(spate_tickets_valid(&tickets));
    assert_true(tickets.has_reset);
    assert_false(tickets.has_truncate);
    assert_int_equal(tickets.durable.last, 40);
    assert_true(spate_tickets_complete(&tickets, 2));
    assert_int_equal(tickets.durable.last, 40);
    assert_int_equal(issue(&tickets, 2, 0, 41), 3);
    assert_false(tickets.has_reset);
    assert_true(spate_tickets_complete(&tickets, 3));
    assert_int_equal(tickets.durable.last, 41);
}

static void one_completion_may_stand_for_many(void **state)
{
    (void)state;
    struct spate_tickets tickets;
    begin(&tickets, 1, 0, 0);
    for (spate_index last = 1; last <= SPATE_TICKETS_MAX; last++) {
        assert_true(spate_tickets_has_room(&tickets));
        issue(&tickets, 1, 0, last);
    }
    assert_false(spate_tickets_has_room(&tickets));
    assert_true(spate_tickets_complete(&tickets, SPATE_TICKETS_MAX - 1));
    assert_int_equal(tickets.durable.last, SPATE_TICKETS_MAX - 1);
    assert_true(spate_tickets_valid(&tickets));
}

static void truncation_of_durable_entries_takes_durability_back(void **state)
{
    (void)state;
    struct spate_tickets tickets;
    begin(&tickets, 1, 0, 10);
    spate_tickets_truncate(&tickets, 12);
    assert_false(tickets.has_truncate);
    spate_tickets_truncate(&tickets, 7);
    spate_tickets_truncate(&tickets, 8);
    assert_true(tickets.has_truncate);
    assert_int_equal(tickets.truncate_after, 7);
    assert_int_equal(tickets.durable.last, 7);
    assert_int_equal(tickets.submitted.last, 7);
}

/* A naive disk beside it: 20,000 random steps. `durable` never exceeds what is really there. */
static void durable_is_never_more_than_the_disk_has(void **state)
{
    (void)state;
    struct spate_tickets tickets;
    uint64_t seed = 42;
    uint64_t content[64] = {0}; /* The version of each entry in the log … */
    uint64_t disk[64] = {0};    /* … and on the disk. */
    struct {
        spate_index keep, last;
        uint64_t content[64];
    } queue[SPATE_TICKETS_MAX + 1];
    uint64_t version = 0;
    spate_index last = 0;
    begin(&tickets, 1, 0, 0);
    for (uint32_t i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        const uint32_t choice = (uint32_t)(seed >> 33);
        if (choice % 4 == 0 && last < 63) {
            content[++last] = ++version;
        } else if (choice % 4 == 1 && last > 0 && choice % 16 == 1) {
            last -= 1 + (choice >> 8) % last;
            spate_tickets_truncate(&tickets, last);
        } else if (choice % 4 == 2 && spate_tickets_has_room(&tickets)) {
            const spate_index keep = tickets.submitted.last;
            const uint64_t ticket = issue(&tickets, 1, 0, last);
            queue[ticket % SPATE_TICKETS_MAX].keep = keep;
            queue[ticket % SPATE_TICKETS_MAX].last = last;
            memcpy(queue[ticket % SPATE_TICKETS_MAX].content, content, sizeof content);
        } else if (choice % 4 == 3 && tickets.completed < tickets.issued) {
            const uint64_t ticket = tickets.completed + 1;
            const uint64_t at = ticket % SPATE_TICKETS_MAX;
            for (spate_index k = queue[at].keep + 1; k < 64; k++) {
                disk[k] = k <= queue[at].last ? queue[at].content[k] : 0;
            }
            assert_true(spate_tickets_complete(&tickets, ticket));
        }
        assert_true(spate_tickets_valid(&tickets));
        for (spate_index k = 1; k <= tickets.durable.last; k++) {
            assert_int_equal(disk[k], content[k]);
        }
    }
    assert_true(tickets.completed > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(completion_makes_entries_and_hard_state_durable),
        cmocka_unit_test(an_old_completion_does_not_acknowledge_new_entries),
        cmocka_unit_test(one_completion_may_stand_for_many),
        cmocka_unit_test(truncation_of_durable_entries_takes_durability_back),
        cmocka_unit_test(durable_is_never_more_than_the_disk_has),
        cmocka_unit_test(a_reset_stands_for_all_that_came_before),
    };
    return cmocka_run_group_tests_name("raft/tickets", tests, NULL, NULL);
}
