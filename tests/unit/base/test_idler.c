#include "base/idler.h"
#include "support/test.h"

/* A clock that is read once for each yield, which takes as long as we say. */
struct yield_clock {
    struct spate_clock clock;
    spate_time_ns now;
    spate_time_ns yield_ns;
    uint32_t yields;
};

static spate_time_ns now_after_yield(struct spate_clock *clock)
{
    struct yield_clock *self = (struct yield_clock *)clock;

    self->yields++;
    self->now += self->yield_ns;
    return self->now;
}

/* Empty turns of 100 ns until `duration_ns` have passed. Returns how often it yielded. */
static uint32_t idle_for(struct spate_idler *idler, struct yield_clock *clock,
                         spate_time_ns duration_ns)
{
    const spate_time_ns end = clock->now + duration_ns;

    clock->yields = 0;
    while (clock->now < end) {
        clock->now += 100;
        const spate_time_ns after = spate_idler_turn(idler, clock->now, &clock->clock);
        assert_int_equal(after, clock->now);
    }
    return clock->yields;
}

static void the_first_empty_turn_lets_others_run(void **state)
{
    (void)state;
    struct yield_clock clock = {.clock = {.now = now_after_yield}, .now = 1000};
    struct spate_idler idler = {0};

    (void)spate_idler_turn(&idler, clock.now, &clock.clock);
    assert_int_equal(clock.yields, 1);
    (void)spate_idler_turn(&idler, clock.now + 100, &clock.clock);
    assert_int_equal(clock.yields, 1);
}

static void who_shares_the_processor_yields_more_often_than_who_has_it_alone(void **state)
{
    (void)state;
    struct yield_clock clock = {.clock = {.now = now_after_yield}, .now = 1000, .yield_ns = 300};
    struct spate_idler idler = {0};

    const uint32_t alone = idle_for(&idler, &clock, 10000000);
    clock.yield_ns = 10000;
    const uint32_t shared = idle_for(&idler, &clock, 10000000);
    clock.yield_ns = 300;
    const uint32_t alone_again = idle_for(&idler, &clock, 10000000);

    /* Alone, hardly any of the time goes into yields; but it never stops looking for others. */
    assert_in_range(alone, 100, 400);
    assert_in_range(alone_again, 100, 400);
    /* The others had 10 us each time, so 10 ms are at most 1,000 times theirs. */
    assert_in_range(shared, 400, 1000);
}

static void a_long_time_without_an_empty_turn_is_followed_by_a_yield(void **state)
{
    (void)state;
    struct yield_clock clock = {.clock = {.now = now_after_yield}, .now = 1000, .yield_ns = 300};
    struct spate_idler idler = {0};

    (void)idle_for(&idler, &clock, 1000000);
    clock.now += 1000000; /* Busy. */
    clock.yields = 0;
    (void)spate_idler_turn(&idler, clock.now, &clock.clock);
    assert_int_equal(clock.yields, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_empty_turn_lets_others_run),
        cmocka_unit_test(who_shares_the_processor_yields_more_often_than_who_has_it_alone),
        cmocka_unit_test(a_long_time_without_an_empty_turn_is_followed_by_a_yield),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
