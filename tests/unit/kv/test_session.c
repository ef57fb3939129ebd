#include "base/prng.h"
#include "kv/session.h"
#include "support/test.h"

static struct spate_sessions *sessions_of(uint32_t capacity)
{
    struct spate_sessions *sessions = NULL;
    assert_int_equal(spate_sessions_create(capacity, &sessions), SPATE_OK);
    return sessions;
}

static void a_repeated_command_gets_the_first_answer(void **state)
{
    (void)state;
    struct spate_sessions *sessions = sessions_of(4);
    uint64_t answer = 0;

    assert_int_equal(spate_sessions_check(sessions, 7, 1, &answer), SPATE_SESSION_FRESH);
    spate_sessions_record(sessions, 7, 1, 111);
    assert_int_equal(spate_sessions_check(sessions, 7, 1, &answer), SPATE_SESSION_DUPLICATE);
    assert_int_equal(answer, 111);
    assert_int_equal(spate_sessions_check(sessions, 7, 2, &answer), SPATE_SESSION_FRESH);
    spate_sessions_record(sessions, 7, 2, 222);
    assert_int_equal(spate_sessions_check(sessions, 7, 1, &answer), SPATE_SESSION_STALE);
    spate_sessions_destroy(sessions);
}

/* Three sessions in a table for two: the one used longest ago makes room. */
static void the_session_used_longest_ago_makes_room(void **state)
{
    (void)state;
    struct spate_sessions *sessions = sessions_of(2);
    uint64_t answer = 0;

    spate_sessions_record(sessions, 1, 1, 10);
    spate_sessions_record(sessions, 2, 1, 20);
    spate_sessions_record(sessions, 1, 2, 11);
    spate_sessions_record(sessions, 3, 1, 30);
    assert_int_equal(spate_sessions_check(sessions, 1, 2, &answer), SPATE_SESSION_DUPLICATE);
    assert_int_equal(spate_sessions_check(sessions, 2, 1, &answer), SPATE_SESSION_FRESH);
    assert_int_equal(spate_sessions_check(sessions, 3, 1, &answer), SPATE_SESSION_DUPLICATE);
    assert_int_equal(spate_sessions_count(sessions), 2);
    assert_true(spate_sessions_valid(sessions));
    spate_sessions_destroy(sessions);
}

#define MODEL 12u

/* Against a model that keeps all sessions in an array ordered by last use. */
static void random_use_agrees_with_a_naive_model(void **state)
{
    (void)state;
    struct spate_sessions *sessions = sessions_of(MODEL);
    struct {
        uint64_t id, sequence, answer;
    } model[MODEL + 1]; /* Oldest first. */
    uint32_t count = 0;
    struct spate_prng prng;

    spate_prng_seed(&prng, 4, 1);
    for (uint64_t step = 1; step <= 20000; step++) {
        const uint64_t id = 1 + spate_prng_below(&prng, 3 * MODEL);
        uint32_t at = 0;
        while (at < count && model[at].id != id) {
            at++;
        }
        uint64_t answer = 0;
        const uint64_t sequence = (at < count ? model[at].sequence : 0) + 1;
        assert_int_equal(spate_sessions_check(sessions, id, sequence, &answer),
                         SPATE_SESSION_FRESH);
        if (at < count) {
            assert_int_equal(spate_sessions_check(sessions, id, sequence - 1, &answer),
                             SPATE_SESSION_DUPLICATE);
            assert_int_equal(answer, model[at].answer);
        }
        spate_sessions_record(sessions, id, sequence, step);
        for (; at + 1 < count; at++) { /* Move it to the end. */
            model[at] = model[at + 1];
        }
        if (at == count) {
            count++;
        }
        model[count - 1].id = id;
        model[count - 1].sequence = sequence;
        model[count - 1].answer = step;
        if (count > MODEL) {
            for (uint32_t i = 0; i < MODEL; i++) {
                model[i] = model[i + 1];
            }
            count = MODEL;
        }
        assert_true(step % 100 != 0 || spate_sessions_valid(sessions));
    }
    spate_sessions_destroy(sessions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repeated_command_gets_the_first_answer),
        cmocka_unit_test(the_session_used_longest_ago_makes_room),
        cmocka_unit_test(random_use_agrees_with_a_naive_model),
    };
    return cmocka_run_group_tests_name("kv/session", tests, NULL, NULL);
}
