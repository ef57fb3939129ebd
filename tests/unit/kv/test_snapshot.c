/* Saved and restored states of the key-value state machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "kv/kv.h"
#include "support/test.h"

#define SESSIONS 16u

struct bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

static struct spate_kv *kv_of(uint64_t seed, uint64_t quota_bytes, uint32_t sessions)
{
    const struct spate_kv_options options = {.reclaim = spate_rcu_reclaim(),
                                             .quota_bytes = quota_bytes,
                                             .bucket_count = 64,
                                             .session_count = sessions,
                                             .seed = seed};
    struct spate_kv *kv = NULL;
    assert_int_equal(spate_kv_create(&options, &kv), SPATE_OK);
    return kv;
}

static struct spate_kv_status status_of(const struct spate_kv *kv)
{
    struct spate_kv_status status;
    spate_kv_status(kv, &status);
    return status;
}

/* The same command for the same index and seed, whichever state machine it is for. */
static uint64_t apply_random(struct spate_kv *kv, uint64_t seed, spate_index index)
{
    struct spate_prng prng;
    uint8_t bytes[4096];
    uint8_t value[600];
    char key[32];
    uint64_t answer = 0;

    spate_prng_seed(&prng, seed, index);
    const int key_size =
        snprintf(key, sizeof key, "key-%u", (unsigned)spate_prng_below(&prng, 200));
    memset(value, (int)(index & 0xff), sizeof value);
    struct spate_kv_command command = {
        .op = SPATE_KV_PUT,
        .session = 1 + spate_prng_below(&prng, 2 * SESSIONS),
        .sequence = 1 + spate_prng_below(&prng, 1 + index / 4),
        .key = (const uint8_t *)key,
        .key_size = (uint32_t)key_size,
        .value = value,
        .value_size = (uint32_t)spate_prng_below(&prng, sizeof value),
    };
    if (spate_prng_below(&prng, 4) == 0) {
        command.op = SPATE_KV_DELETE;
        command.value_size = 0;
    }
    assert_int_equal(spate_kv_command_encode(&command, bytes), SPATE_OK);
    const struct spate_command entry = {
        .index = index, .term = 1, .size = spate_kv_command_bytes(&command), .data = bytes};
    struct spate_fsm *fsm = spate_kv_fsm(kv);
    fsm->apply(fsm, &entry, 1, &answer);
    return answer;
}

static uint32_t read_some(struct spate_kv *kv, struct bytes *to, uint32_t bytes_max)
{
    struct spate_fsm *fsm = spate_kv_fsm(kv);

    if (to->capacity - to->size < bytes_max) {
        to->capacity = 2 * to->capacity + bytes_max;
        to->data = realloc(to->data, to->capacity);
        assert_non_null(to->data);
    }
    const uint32_t bytes = fsm->save_read(fsm, to->data + to->size, bytes_max);
    to->size += bytes;
    return bytes;
}

static struct bytes save(struct spate_kv *kv)
{
    struct spate_fsm *fsm = spate_kv_fsm(kv);
    struct bytes bytes = {0};

    assert_int_equal(fsm->save_begin(fsm), SPATE_OK);
    while (read_some(kv, &bytes, 1000) > 0) {
    }
    fsm->save_end(fsm);
    return bytes;
}

/* In pieces of random sizes, as they come from files and frames. */
static spate_err restore(struct spate_kv *kv, const uint8_t *bytes, size_t size, spate_index index,
                         uint64_t seed)
{
    struct spate_fsm *fsm = spate_kv_fsm(kv);
    struct spate_prng prng;
    spate_err err = fsm->restore_begin(fsm, index);

    assert_int_equal(err, SPATE_OK);
    spate_prng_seed(&prng, seed, 7);
    while (err == SPATE_OK && size > 0) {
        const size_t wanted = 1 + spate_prng_below(&prng, 300);
        const size_t piece = wanted < size ? wanted : size;

        err = fsm->restore_write(fsm, bytes, (uint32_t)piece);
        bytes += piece;
        size -= piece;
    }
    if (err != SPATE_OK) {
        assert_int_not_equal(fsm->restore_end(fsm, false), SPATE_OK);
        return err;
    }
    return fsm->restore_end(fsm, true);
}

static void assert_same(const struct spate_kv *a, const struct spate_kv *b)
{
    const struct spate_kv_status one = status_of(a);
    const struct spate_kv_status other = status_of(b);

    assert_int_equal(one.keys, other.keys);
    assert_int_equal(one.bytes, other.bytes);
    assert_true(one.digest == other.digest);
    assert_int_equal(one.sessions, other.sessions);
    assert_int_equal(one.applied, other.applied);
}

static void an_empty_state_is_saved_and_restored(void **state)
{
    struct spate_kv *from = kv_of(1, 0, SESSIONS);
    struct spate_kv *to = kv_of(2, 0, SESSIONS);
    struct bytes bytes = save(from);

    (void)state;
    assert_int_equal(bytes.size, 72);
    assert_int_equal(restore(to, bytes.data, bytes.size, 1, 3), SPATE_OK);
    assert_same(from, to);
    free(bytes.data);
    spate_kv_destroy(from);
    spate_kv_destroy(to);
}

static void a_save_shows_the_state_as_it_was_at_its_beginning(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct spate_kv *from = kv_of(seed, 0, SESSIONS);
        struct spate_kv *still = kv_of(seed + 1, 0, SESSIONS); /* Stops where the save begins. */
        struct spate_kv *to = kv_of(seed + 2, 0, SESSIONS);
        struct spate_fsm *fsm = spate_kv_fsm(from);
        struct bytes bytes = {0};
        struct spate_prng prng;
        spate_index index = 1;

        spate_prng_seed(&prng, seed, 0);
        for (; index <= 100 * seed; index++) {
            (void)apply_random(from, seed, index);
            (void)apply_random(still, seed, index);
        }
        const spate_index frozen = index - 1;
        assert_int_equal(fsm->save_begin(fsm), SPATE_OK);
        do {
            for (uint64_t n = spate_prng_below(&prng, 4); n > 0; n--) {
                (void)apply_random(from, seed, index++);
            }
        } while (read_some(from, &bytes, 1 + (uint32_t)spate_prng_below(&prng, 700)) > 0);
        fsm->save_end(fsm);

        assert_int_equal(restore(to, bytes.data, bytes.size, frozen, seed), SPATE_OK);
        assert_same(still, to);
        /* From here on both go the same way: sessions are displaced in the same order too. */
        for (index = frozen + 1; index <= frozen + 500; index++) {
            assert_true(apply_random(still, seed, index) == apply_random(to, seed, index));
        }
        assert_same(still, to);
        free(bytes.data);
        spate_kv_destroy(from);
        spate_kv_destroy(still);
        spate_kv_destroy(to);
    }
}

static void a_save_that_is_given_up_keeps_nothing(void **state)
{
    struct spate_kv *kv = kv_of(1, 0, SESSIONS);
    struct spate_fsm *fsm = spate_kv_fsm(kv);
    struct bytes bytes = {0};
    spate_index index = 1;

    (void)state;
    for (; index <= 500; index++) {
        (void)apply_random(kv, 5, index);
    }
    for (uint32_t times = 0; times < 20; times++) {
        assert_int_equal(fsm->save_begin(fsm), SPATE_OK);
        (void)read_some(kv, &bytes, 1 + times * 500);
        for (uint32_t n = 0; n < 100; n++) {
            (void)apply_random(kv, 5, index++);
        }
        fsm->save_end(fsm);
    }
    /* What a save after all of them shows is the present state. */
    struct spate_kv *to = kv_of(2, 0, SESSIONS);
    free(bytes.data);
    bytes = save(kv);
    assert_int_equal(restore(to, bytes.data, bytes.size, index - 1, 3), SPATE_OK);
    assert_same(kv, to);
    free(bytes.data);
    spate_kv_destroy(kv);
    spate_kv_destroy(to);
}

static void a_restore_that_fails_leaves_the_present_state(void **state)
{
    struct spate_kv *from = kv_of(1, 0, SESSIONS);
    struct spate_kv *to = kv_of(2, 0, SESSIONS);

    (void)state;
    for (spate_index index = 1; index <= 300; index++) {
        (void)apply_random(from, 9, index);
        (void)apply_random(to, 10, index);
    }
    const struct spate_kv_status before = status_of(to);
    struct bytes bytes = save(from);
    for (size_t size = 0; size < bytes.size; size += 1 + size / 16) {
        assert_int_equal(restore(to, bytes.data, size, 300, size), SPATE_ERR_MALFORMED);
    }
    bytes.data = realloc(bytes.data, bytes.size + 1);
    bytes.data[bytes.size] = 0;
    assert_int_equal(restore(to, bytes.data, bytes.size + 1, 300, 1), SPATE_ERR_MALFORMED);
    /* Of a later index than the snapshot says: cannot be. */
    assert_int_equal(restore(to, bytes.data, bytes.size, 299, 1), SPATE_ERR_MALFORMED);
    const struct spate_kv_status after = status_of(to);
    assert_int_equal(before.keys, after.keys);
    assert_int_equal(before.sessions, after.sessions);
    assert_true(before.digest == after.digest);
    free(bytes.data);
    spate_kv_destroy(from);
    spate_kv_destroy(to);
}

static void damaged_keys_and_values_are_refused(void **state)
{
    struct spate_kv *from = kv_of(1, 0, SESSIONS);
    struct spate_kv *to = kv_of(2, 0, SESSIONS);

    (void)state;
    for (spate_index index = 1; index <= 40; index++) {
        (void)apply_random(from, 11, index);
    }
    struct bytes bytes = save(from);
    const size_t sessions = (size_t)status_of(from).sessions * 24;
    for (size_t at = 0; at < bytes.size - sessions; at++) {
        bytes.data[at] ^= 0x10;
        assert_int_not_equal(restore(to, bytes.data, bytes.size, 40, at), SPATE_OK);
        bytes.data[at] ^= 0x10;
    }
    assert_int_equal(restore(to, bytes.data, bytes.size, 40, 1), SPATE_OK);
    free(bytes.data);
    spate_kv_destroy(from);
    spate_kv_destroy(to);
}

static void a_state_that_does_not_fit_is_refused_as_a_mismatch(void **state)
{
    struct spate_kv *from = kv_of(1, 0, SESSIONS);
    struct spate_kv *small = kv_of(2, 100, SESSIONS);
    struct spate_kv *few = kv_of(3, 0, SESSIONS / 2);

    (void)state;
    for (spate_index index = 1; index <= 100; index++) {
        (void)apply_random(from, 12, index);
    }
    struct bytes bytes = save(from);
    assert_int_equal(restore(small, bytes.data, bytes.size, 100, 1), SPATE_ERR_MISMATCH);
    assert_int_equal(restore(few, bytes.data, bytes.size, 100, 1), SPATE_ERR_MISMATCH);
    free(bytes.data);
    spate_kv_destroy(from);
    spate_kv_destroy(small);
    spate_kv_destroy(few);
}

static void readers_of_the_old_state_are_not_disturbed_by_a_restore(void **state)
{
    struct spate_kv *from = kv_of(1, 0, SESSIONS);
    struct spate_kv *to = kv_of(2, 0, SESSIONS);

    (void)state;
    for (spate_index index = 1; index <= 300; index++) {
        (void)apply_random(from, 13, index);
    }
    struct bytes bytes = save(from);
    for (uint32_t times = 0; times < 5; times++) {
        assert_int_equal(restore(to, bytes.data, bytes.size, 300, times), SPATE_OK);
        spate_rcu_barrier();
    }
    assert_same(from, to);
    /* Old contents go with the next apply. */
    (void)apply_random(from, 13, 301);
    (void)apply_random(to, 13, 301);
    assert_same(from, to);
    free(bytes.data);
    spate_kv_destroy(from);
    spate_kv_destroy(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_state_is_saved_and_restored),
        cmocka_unit_test(a_save_shows_the_state_as_it_was_at_its_beginning),
        cmocka_unit_test(a_save_that_is_given_up_keeps_nothing),
        cmocka_unit_test(a_restore_that_fails_leaves_the_present_state),
        cmocka_unit_test(damaged_keys_and_values_are_refused),
        cmocka_unit_test(a_state_that_does_not_fit_is_refused_as_a_mismatch),
        cmocka_unit_test(readers_of_the_old_state_are_not_disturbed_by_a_restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
