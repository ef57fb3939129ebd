#include <sched.h>

#include "base/rcu.h"
#include "support/test.h"

static void the_immediate_reclaimer_returns_at_once(void **state)
{
    (void)state;
    struct spate_reclaim *reclaim = spate_reclaim_immediate();
    struct spate_retired item = {0};

    assert_false(spate_retired_is_reclaimed(&item));
    reclaim->retire(reclaim, &item);
    assert_true(spate_retired_is_reclaimed(&item));
}

/* A registered thread that has not passed a quiescent state may still hold what was retired. */
static void nothing_is_reclaimed_before_a_quiescent_state(void **state)
{
    (void)state;
    struct spate_reclaim *reclaim = spate_rcu_reclaim();
    struct spate_retired item = {0};

    spate_rcu_register();
    reclaim->retire(reclaim, &item);
    for (unsigned i = 0; i < 1000; i++) {
        assert_false(spate_retired_is_reclaimed(&item));
        sched_yield();
    }
    while (!spate_retired_is_reclaimed(&item)) {
        spate_rcu_quiescent();
        sched_yield();
    }
    spate_rcu_unregister();
}

/* A core that sleeps must not keep memory from coming back. */
static void a_thread_that_is_offline_holds_nothing_up(void **state)
{
    (void)state;
    struct spate_reclaim *reclaim = spate_rcu_reclaim();
    struct spate_retired items[100] = {0};

    spate_rcu_register();
    for (unsigned i = 0; i < 100; i++) {
        reclaim->retire(reclaim, &items[i]);
    }
    spate_rcu_offline();
    spate_rcu_barrier();
    spate_rcu_online();
    for (unsigned i = 0; i < 100; i++) {
        assert_true(spate_retired_is_reclaimed(&items[i]));
    }
    spate_rcu_unregister();
}

static void items_can_be_retired_again(void **state)
{
    (void)state;
    struct spate_reclaim *reclaim = spate_rcu_reclaim();
    struct spate_retired item;

    spate_rcu_register();
    for (unsigned round = 0; round < 3; round++) {
        item = (struct spate_retired){0};
        reclaim->retire(reclaim, &item);
        spate_rcu_offline();
        spate_rcu_barrier();
        spate_rcu_online();
        assert_true(spate_retired_is_reclaimed(&item));
    }
    spate_rcu_unregister();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_immediate_reclaimer_returns_at_once),
        cmocka_unit_test(nothing_is_reclaimed_before_a_quiescent_state),
        cmocka_unit_test(a_thread_that_is_offline_holds_nothing_up),
        cmocka_unit_test(items_can_be_retired_again),
    };
    return cmocka_run_group_tests_name("base/rcu", tests, NULL, NULL);
}
