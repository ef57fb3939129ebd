/*
 * A waker on another thread against an owner that sleeps for ever unless woken. Each round the
 * waker publishes a number, then wakes; the owner must see it. A lost wake-up hangs the test.
 */
#include "support/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "net/socket/socket.h"

#define ROUNDS 20000u

struct shared {
    struct spate_net *net;
    _Atomic uint32_t published;
    _Atomic uint32_t seen;
};

static void *wake_forever(void *argument)
{
    struct shared *shared = argument;

    for (uint32_t round = 1; round <= ROUNDS; round++) {
        atomic_store_explicit(&shared->published, round, memory_order_relaxed);
        shared->net->ops->wake(shared->net);
        /* Every third round the owner is given time to fall asleep first, at others it is met
         * anywhere on its way. */
        while (atomic_load_explicit(&shared->seen, memory_order_relaxed) < round) {
            (void)sched_yield();
        }
        for (uint32_t i = 0; i < round % 3; i++) {
            (void)sched_yield();
        }
    }
    return NULL;
}

static void no_wake_is_lost(void **state)
{
    (void)state;
    struct spate_net_socket_options options = {0};
    struct shared shared = {0};
    pthread_t thread;

    assert_int_equal(spate_address_parse("127.0.0.1:0", &options.bind), SPATE_OK);
    assert_int_equal(spate_net_socket_create(&options, &shared.net), SPATE_OK);
    assert_int_equal(pthread_create(&thread, NULL, wake_forever, &shared), 0);
    for (uint32_t seen = 0; seen < ROUNDS;) {
        shared.net->ops->wait(shared.net, SPATE_TIME_NEVER);
        seen = atomic_load_explicit(&shared.published, memory_order_relaxed);
        atomic_store_explicit(&shared.seen, seen, memory_order_relaxed);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    shared.net->ops->close(shared.net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_wake_is_lost),
    };
    return cmocka_run_group_tests_name("net/wake", tests, NULL, NULL);
}
