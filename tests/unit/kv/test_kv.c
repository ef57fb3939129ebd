#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "kv/kv.h"
#include "support/test.h"

static struct spate_kv *kv_of(uint64_t quota_bytes, uint64_t seed)
{
    const struct spate_kv_options options = {.reclaim = spate_rcu_reclaim(),
                                             .quota_bytes = quota_bytes,
                                             .bucket_count = 64,
                                             .session_count = 16,
                                             .seed = seed};
    struct spate_kv *kv = NULL;
    assert_int_equal(spate_kv_create(&options, &kv), SPATE_OK);
    return kv;
}

static uint64_t apply(struct spate_kv *kv, spate_index index,
                      const struct spate_kv_command *command)
{
    uint8_t bytes[4096];
    uint64_t answer = 0;

    assert_int_equal(spate_kv_command_encode(command, bytes), SPATE_OK);
    const struct spate_command entry = {
        .index = index, .term = 1, .size = spate_kv_command_bytes(command), .data = bytes};
    struct spate_fsm *fsm = spate_kv_fsm(kv);
    fsm->apply(fsm, &entry, 1, &answer);
    return answer;
}

static struct spate_kv_command put_of(const char *key, const char *value)
{
    return (struct spate_kv_command){.op = SPATE_KV_PUT,
                                     .key = (const uint8_t *)key,
                                     .key_size = (uint32_t)strlen(key),
                                     .value = (const uint8_t *)value,
                                     .value_size = (uint32_t)strlen(value)};
}

static struct spate_kv_command delete_of(const char *key)
{
    return (struct spate_kv_command){
        .op = SPATE_KV_DELETE, .key = (const uint8_t *)key, .key_size = (uint32_t)strlen(key)};
}

static void assert_value(struct spate_kv *kv, const char *key, const char *value,
                         spate_index revision)
{
    uint8_t got[256];
    uint32_t size = 0;
    spate_index got_revision = 0;
    assert_int_equal(spate_kv_get(kv, (const uint8_t *)key, (uint32_t)strlen(key), got, sizeof got,
                                  &size, &got_revision),
                     SPATE_OK);
    assert_int_equal(size, strlen(value));
    assert_memory_equal(got, value, size);
    assert_int_equal(got_revision, revision);
}

static void what_was_put_is_read_with_its_revision(void **state)
{
    (void)state;
    struct spate_kv *kv = kv_of(1000, 1);
    const struct spate_kv_command first = put_of("a", "one");
    const struct spate_kv_command second = put_of("a", "three");
    const struct spate_kv_command gone = delete_of("a");
    uint32_t size = 0;
    spate_index revision = 0;

    assert_int_equal(apply(kv, 5, &first), SPATE_KV_ANSWER(SPATE_KV_OK, 5));
    assert_value(kv, "a", "one", 5);
    assert_int_equal(apply(kv, 6, &second), SPATE_KV_ANSWER(SPATE_KV_OK, 6));
    assert_value(kv, "a", "three", 6);
    assert_int_equal(apply(kv, 7, &gone), SPATE_KV_ANSWER(SPATE_KV_OK, 7));
    assert_int_equal(apply(kv, 8, &gone), SPATE_KV_ANSWER(SPATE_KV_NOT_FOUND, 8));
    assert_int_equal(spate_kv_get(kv, (const uint8_t *)"a", 1, NULL, 0, &size, &revision),
                     SPATE_ERR_NOT_FOUND);
    spate_kv_destroy(kv);
}

static void a_command_of_a_session_takes_effect_once(void **state)
{
    (void)state;
    struct spate_kv *kv = kv_of(1000, 1);
    struct spate_kv_command first = put_of("k", "mine");
    const struct spate_kv_command between = put_of("k", "other");

    first.session = 9;
    first.sequence = 1;
    const uint64_t answer = apply(kv, 1, &first);
    (void)apply(kv, 2, &between);
    assert_int_equal(apply(kv, 3, &first), answer); /* The repeat does not undo what came since. */
    assert_value(kv, "k", "other", 2);
    spate_kv_destroy(kv);
}

static void a_spent_quota_refuses_and_changes_nothing(void **state)
{
    (void)state;
    struct spate_kv *kv = kv_of(10, 1);
    const struct spate_kv_command fits = put_of("k", "123456789");
    const struct spate_kv_command replaces = put_of("k", "abcdefghi");
    const struct spate_kv_command too_much = put_of("l", "");
    struct spate_kv_status status;

    assert_int_equal(SPATE_KV_ANSWER_OUTCOME(apply(kv, 1, &fits)), SPATE_KV_OK);
    assert_int_equal(SPATE_KV_ANSWER_OUTCOME(apply(kv, 2, &too_much)), SPATE_KV_FULL);
    assert_int_equal(SPATE_KV_ANSWER_OUTCOME(apply(kv, 3, &replaces)), SPATE_KV_OK);
    spate_kv_status(kv, &status);
    assert_int_equal(status.keys, 1);
    assert_int_equal(status.bytes, 10);
    spate_kv_destroy(kv);
}

static void bytes_that_are_no_command_are_refused(void **state)
{
    (void)state;
    struct spate_kv *kv = kv_of(1000, 1);
    struct spate_prng prng;
    struct spate_kv_status before;
    struct spate_kv_status after;

    spate_prng_seed(&prng, 5, 1);
    spate_kv_status(kv, &before);
    for (spate_index i = 1; i <= 5000; i++) {
        uint8_t bytes[64];
        const uint32_t size = (uint32_t)spate_prng_below(&prng, sizeof bytes + 1);
        for (uint32_t b = 0; b < size; b++) {
            bytes[b] = (uint8_t)spate_prng_next(&prng);
        }
        bytes[1] = 1; /* A reserved byte: never zero here. */
        const struct spate_command entry = {.index = i, .term = 1, .size = size, .data = bytes};
        uint64_t answer = 0;
        struct spate_fsm *fsm = spate_kv_fsm(kv);
        fsm->apply(fsm, &entry, 1, &answer);
        assert_int_equal(SPATE_KV_ANSWER_OUTCOME(answer), SPATE_KV_MALFORMED);
    }
    spate_kv_status(kv, &after);
    assert_int_equal(after.digest, before.digest);
    spate_kv_destroy(kv);
}

/* Two replicas with different hash seeds get the same commands: same answers, same digest; and
 * deleting everything leads back to the digest of the empty state. */
static void replicas_with_equal_contents_have_equal_digests(void **state)
{
    (void)state;
    struct spate_kv *a = kv_of(4000, 1);
    struct spate_kv *b = kv_of(4000, 2);
    struct spate_kv_status status_a;
    struct spate_kv_status status_b;
    struct spate_prng prng;
    spate_index index = 0;
    char key[16];
    char value[64];

    spate_prng_seed(&prng, 6, 1);
    for (unsigned step = 0; step < 5000; step++) {
        (void)snprintf(key, sizeof key, "key-%u", (unsigned)spate_prng_below(&prng, 200));
        (void)snprintf(value, sizeof value, "%0*u", 1 + (int)spate_prng_below(&prng, 60), step);
        struct spate_kv_command command =
            spate_prng_below(&prng, 3) == 0 ? delete_of(key) : put_of(key, value);
        command.session = spate_prng_below(&prng, 20);
        command.sequence = spate_prng_below(&prng, 100);
        index++;
        assert_int_equal(apply(a, index, &command), apply(b, index, &command));
    }
    spate_kv_status(a, &status_a);
    spate_kv_status(b, &status_b);
    assert_true(status_a.keys > 10);
    assert_int_equal(status_a.digest, status_b.digest);
    for (unsigned k = 0; k < 200; k++) {
        (void)snprintf(key, sizeof key, "key-%u", k);
        const struct spate_kv_command gone = delete_of(key);
        (void)apply(a, ++index, &gone);
    }
    spate_kv_status(a, &status_a);
    assert_int_equal(status_a.digest, 0);
    assert_int_equal(status_a.keys, 0);
    assert_int_equal(status_a.bytes, 0);
    spate_kv_destroy(a);
    spate_kv_destroy(b);
}

static int register_thread(void **state)
{
    (void)state;
    spate_rcu_register();
    return 0;
}

static int unregister_thread(void **state)
{
    (void)state;
    spate_rcu_unregister();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_read_with_its_revision),
        cmocka_unit_test(a_command_of_a_session_takes_effect_once),
        cmocka_unit_test(a_spent_quota_refuses_and_changes_nothing),
        cmocka_unit_test(bytes_that_are_no_command_are_refused),
        cmocka_unit_test(replicas_with_equal_contents_have_equal_digests),
    };
    return cmocka_run_group_tests_name("kv/kv", tests, register_thread, unregister_thread);
}
