/*
 * A writer replaces an object again and again and reuses the memory as soon as it is reclaimed;
 * readers check that what they hold never changes. Plain (not atomic) accesses to the object on
 * purpose: ThreadSanitizer must accept the correct use, and would report one without the
 * annotations of lib/base/rcu.c.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/rcu.h"
#include "support/test.h"

#define OBJECTS  64u
#define READERS  2u
#define REPLACED 10000u
#define POISON   UINT64_MAX

struct object {
    uint64_t a;
    uint64_t b; /* Always equal to a. */
    struct spate_retired retired;
};

struct arena {
    _Atomic(struct object *) current;
    _Atomic bool is_over;
    _Atomic uint64_t torn;
    struct object objects[OBJECTS];
};

static void *read_objects(void *argument)
{
    struct arena *arena = argument;
    uint64_t before = 0;

    spate_rcu_register();
    for (unsigned turn = 0; !atomic_load(&arena->is_over); turn++) {
        const struct object *object = atomic_load_explicit(&arena->current, memory_order_acquire);
        const uint64_t a = object->a;
        if (turn % 64 == 0) {
            (void)sched_yield();
        }
        if (object->b != a || a == POISON || a < before) {
            atomic_fetch_add(&arena->torn, 1);
        }
        before = a;
        if (turn % 256 == 0) {
            spate_rcu_offline();
            (void)sched_yield();
            spate_rcu_online();
        } else {
            spate_rcu_quiescent();
        }
    }
    spate_rcu_unregister();
    return NULL;
}

/* An object that no reader can hold, waiting for one when there is none. */
static struct object *free_object(struct arena *arena, const struct object *current)
{
    for (unsigned i = 0;; i = (i + 1) % OBJECTS) {
        struct object *object = &arena->objects[i];
        if (object != current && spate_retired_is_reclaimed(&object->retired)) {
            return object;
        }
        if (i == 0) {
            (void)sched_yield();
        }
    }
}

static void *replace_objects(void *argument)
{
    struct arena *arena = argument;
    struct spate_reclaim *reclaim = spate_rcu_reclaim();
    struct object *current = atomic_load(&arena->current);

    for (uint64_t number = 1; number <= REPLACED; number++) {
        struct object *next = free_object(arena, current);
        next->a = POISON;
        next->b = number;
        next->a = number;
        next->retired = (struct spate_retired){0};
        atomic_store_explicit(&arena->current, next, memory_order_release);
        reclaim->retire(reclaim, &current->retired);
        current = next;
    }
    return NULL;
}

static void memory_returns_only_after_the_last_reader(void **state)
{
    (void)state;
    static struct arena arena;
    struct spate_reclaim *immediate = spate_reclaim_immediate();
    pthread_t readers[READERS];
    pthread_t writer;

    for (unsigned i = 1; i < OBJECTS; i++) {
        immediate->retire(immediate, &arena.objects[i].retired);
    }
    atomic_store(&arena.current, &arena.objects[0]);
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_objects, &arena), 0);
    }
    assert_int_equal(pthread_create(&writer, NULL, replace_objects, &arena), 0);
    assert_int_equal(pthread_join(writer, NULL), 0);
    atomic_store(&arena.is_over, true);
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    }
    spate_rcu_barrier();
    assert_int_equal(atomic_load(&arena.torn), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_returns_only_after_the_last_reader),
    };
    return cmocka_run_group_tests_name("base/rcu_threads", tests, NULL, NULL);
}
