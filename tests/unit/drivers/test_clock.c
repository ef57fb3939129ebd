#include <pthread.h>

#include "clock/monotonic.h"
#include "clock/sim.h"
#include "support/test.h"

static void never_goes_back(struct spate_clock *clock)
{
    spate_time_ns last = spate_clock_now(clock);
    const spate_time_ns first = last;
    /* 200 ms see the fast clock corrected three times. */
    while (last - first < 200000000u) {
        const spate_time_ns now = spate_clock_now(clock);
        assert_true(now >= last);
        last = now;
    }
}

static void the_system_clock_never_goes_back(void **state)
{
    (void)state;
    never_goes_back(spate_clock_system());
}

static void the_fast_clock_never_goes_back_and_keeps_near_the_system(void **state)
{
    (void)state;
    struct spate_clock *fast = spate_clock_fast_create();

    never_goes_back(fast);
    /* Between two readings of the system clock, give or take the 10 ms it would step over. */
    const spate_time_ns before = spate_clock_now(spate_clock_system());
    const spate_time_ns now = spate_clock_now(fast);
    const spate_time_ns after = spate_clock_now(spate_clock_system());
    assert_true(now + 10000000u >= before);
    assert_true(now <= after + 10000000u);
    spate_clock_fast_destroy(fast);
}

struct shared {
    struct spate_clock *clock;
    _Atomic uint64_t latest;
    _Atomic bool went_back;
};

/* Whoever reads a time after another published one must not read less. */
static void *read_against_the_others(void *argument)
{
    struct shared *shared = argument;

    for (unsigned i = 0; i < 300000; i++) {
        const uint64_t seen = atomic_load(&shared->latest);
        const uint64_t now = spate_clock_now(shared->clock);
        if (now < seen) {
            atomic_store(&shared->went_back, true);
        }
        uint64_t latest = seen;
        while (latest < now && !atomic_compare_exchange_weak(&shared->latest, &latest, now)) {
        }
    }
    return NULL;
}

static void the_fast_clock_never_goes_back_between_threads(void **state)
{
    (void)state;
    struct shared shared = {.clock = spate_clock_fast_create()};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, read_against_the_others, &shared), 0);
    (void)read_against_the_others(&shared);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(atomic_load(&shared.went_back));
    spate_clock_fast_destroy(shared.clock);
}

static void the_simulated_clock_moves_only_when_told(void **state)
{
    (void)state;
    struct spate_clock_sim sim;

    spate_clock_sim_init(&sim, 5);
    assert_int_equal(spate_clock_now(&sim.clock), 5);
    spate_clock_sim_advance(&sim, 10);
    assert_int_equal(spate_clock_now(&sim.clock), 15);
    spate_clock_sim_set(&sim, 15);
    assert_int_equal(spate_clock_now(&sim.clock), 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_system_clock_never_goes_back),
        cmocka_unit_test(the_fast_clock_never_goes_back_and_keeps_near_the_system),
        cmocka_unit_test(the_fast_clock_never_goes_back_between_threads),
        cmocka_unit_test(the_simulated_clock_moves_only_when_told),
    };
    return cmocka_run_group_tests_name("drivers/clock", tests, NULL, NULL);
}
