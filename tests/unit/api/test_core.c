/* A core is driven by its caller or by its own threads, and keeps what it acknowledged. */
#include "support/spans.h"
#include "support/test.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

/* Until the one core leads its cluster of one: an election timeout, and a lot to spare. */
#define TURNS_MAX 50000000u

static spate_err propose_polled(struct spate *spate, struct spate_port *port,
                                struct spate_result *result)
{
    result->status = SPATE_ERR_NOT_READY;
    for (uint32_t turn = 0; turn < TURNS_MAX && result->status == SPATE_ERR_NOT_READY; turn++) {
        assert_int_equal(spate_propose(port, 7, "x", 1), SPATE_OK);
        spate_submit(port);
        while (spate_results(port, result, 1) == 0) {
            assert_int_equal(spate_poll(spate, NULL), SPATE_OK);
        }
        assert_int_equal(result->cookie, 7);
    }
    return result->status;
}

static spate_err propose_started(struct spate_port *port, struct spate_result *result)
{
    result->status = SPATE_ERR_NOT_READY;
    for (uint32_t try = 0; try < 10000 && result->status == SPATE_ERR_NOT_READY; try++) {
        struct pollfd readable = {.fd = spate_port_fd(port), .events = POLLIN};

        assert_int_equal(spate_propose(port, 7, "x", 1), SPATE_OK);
        spate_submit(port);
        while (spate_results(port, result, 1) == 0) {
            assert_true(poll(&readable, 1, 10000) == 1);
        }
        if (result->status == SPATE_ERR_NOT_READY) {
            (void)poll(NULL, 0, 1);
        }
    }
    return result->status;
}

static void a_polled_core_applies_on_the_callers_thread(void **state)
{
    (void)state;
    const struct spate_options options = right_options(1);
    struct spate_result result;
    struct spate_status status;
    struct spate_port *port;
    struct spate_port *late;
    struct spate *spate;

    assert_int_equal(spate_open(&options, &spate, NULL, 0), SPATE_OK);
    assert_int_equal(spate_open_port(spate, 0, &port), SPATE_OK);
    assert_int_equal(propose_polled(spate, port, &result), SPATE_OK);
    assert_int_equal(result.value, 1);
    assert_int_equal(spate_start(spate), SPATE_ERR_INVALID);
    assert_int_equal(spate_open_port(spate, 0, &late), SPATE_ERR_INVALID);
    spate_get_status(spate, &status);
    assert_int_equal(status.role, SPATE_ROLE_LEADER);
    assert_string_equal(status.transport, "socket");
    assert_int_equal(spate_health(spate), SPATE_OK);
    spate_close(spate);
}

/* At least every second command: the next may come before the node has seen the end of the last. */
static void check_samples(struct spate *spate, uint32_t commands)
{
    struct spate_sample sample;
    spate_index last = 0;
    uint32_t count = 0;

    while (spate_next_sample(spate, &sample)) {
        assert_false(sample.is_follower);
        assert_true(sample.index > last);
        last = sample.index;
        count++;
    }
    assert_in_range(count, commands / 2 - 1, commands);
}

static void a_started_core_wakes_its_client(void **state)
{
    (void)state;
    for (uint32_t variant = 0; variant < 4; variant++) {
        struct spate_options options = right_options(1);
        struct spate_result result;
        struct spate_port *port;
        struct spate *spate;

        options.sample_every = 1;
        options.apply_is_threaded = variant % 2 == 1;
        options.poll = variant / 2 == 1 ? SPATE_POLL_BUSY : SPATE_POLL_ADAPTIVE;
        assert_int_equal(spate_open(&options, &spate, NULL, 0), SPATE_OK);
        assert_int_equal(spate_open_port(spate, 0, &port), SPATE_OK);
        assert_int_equal(spate_start(spate), SPATE_OK);
        assert_int_equal(spate_start(spate), SPATE_ERR_INVALID);
        assert_int_equal(spate_poll(spate, NULL), SPATE_ERR_INVALID);
        for (uint64_t n = 1; n <= 50; n++) {
            assert_int_equal(propose_started(port, &result), SPATE_OK);
            assert_int_equal(result.value, n);
        }
        check_samples(spate, 50);
        spate_close(spate);
    }
}

static void what_was_acknowledged_on_disk_is_there_after_a_restart(void **state)
{
    (void)state;
    char directory[] = "/tmp/spate-test-core-XXXXXX";
    struct spate_options options = right_options(1);
    struct spate_result result;
    struct spate_port *port;
    struct spate *spate;
    char message[256];

    assert_non_null(mkdtemp(directory));
    options.durability = SPATE_DURABILITY_DISK;
    options.directory = directory;
    for (uint64_t life = 1; life <= 3; life++) {
        atomic_store(&tally.count, 0);
        assert_int_equal(spate_open(&options, &spate, NULL, 0), SPATE_OK);
        assert_int_equal(spate_open_port(spate, 0, &port), SPATE_OK);
        assert_int_equal(spate_start(spate), SPATE_OK);
        assert_int_equal(propose_started(port, &result), SPATE_OK);
        assert_int_equal(result.value, life);
        spate_close(spate);
    }
    options.cluster_id[0] = 'U';
    assert_int_equal(spate_open(&options, &spate, message, sizeof message), SPATE_ERR_MISMATCH);
    assert_non_null(strstr(message, directory));

    assert_int_equal(remove_tree(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_polled_core_applies_on_the_callers_thread),
        cmocka_unit_test(a_started_core_wakes_its_client),
        cmocka_unit_test(what_was_acknowledged_on_disk_is_there_after_a_restart),
    };
    return cmocka_run_group_tests_name("api/core", tests, NULL, NULL);
}
