#include <stdlib.h>
#include <string.h>

#include "bench/rivals/rivals_internal.h"
#include "support/test.h"

#define HEAD 9u /* Of a frame of HTTP/2. */

static const struct rival_options options = {.payload_bytes = 64, .in_flight = 1};

/* A greeted connection that has asked `count` puts. */
static struct connection *asked(uint32_t count)
{
    struct connection *connection = calloc(1, sizeof *connection);

    assert_non_null(connection);
    grpc_put.greet(connection);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(grpc_put.ask(connection, &options));
        connection->made_ns[connection->asked++] = 1;
    }
    return connection;
}

static struct requests counting(struct spate_histogram *latency)
{
    return (struct requests){.latency = latency, .now_ns = 3, .began_ns = 2, .end_ns = 4};
}

/* Hands over bytes as the server's, and returns what was made of them. */
static int64_t hear(const struct protocol *protocol, struct requests *requests,
                    struct connection *connection, const void *bytes, uint32_t count)
{
    memcpy(connection->in, bytes, count);
    connection->in_bytes = count;
    return protocol->hear(requests, connection);
}

static void a_put_is_answered_by_a_message_on_its_stream(void **state)
{
    (void)state;
    static const uint8_t answer[] = {0, 0, 7, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 2, 10, 0};
    struct spate_histogram *latency = NULL;
    assert_int_equal(spate_histogram_create(&latency), SPATE_OK);
    struct requests requests = counting(latency);
    struct connection *connection = asked(2);

    /* Not before the last byte of it is here. */
    assert_int_equal(hear(&grpc_put, &requests, connection, answer, sizeof answer - 1), 0);
    assert_int_equal(hear(&grpc_put, &requests, connection, answer, sizeof answer), sizeof answer);
    assert_int_equal(requests.counted, 1);
    assert_int_equal(connection->answered, 1);
    assert_true(requests_is_asked(connection, 0));
    assert_false(requests_is_asked(connection, 1));
    /* Once only. */
    assert_int_equal(hear(&grpc_put, &requests, connection, answer, sizeof answer), -1);
    free(connection);
    spate_histogram_destroy(latency);
}

static void an_end_without_a_message_is_an_error(void **state)
{
    (void)state;
    static const uint8_t trailers[] = {0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88};
    static const uint8_t reset[] = {0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7};
    static const uint8_t go_away[] = {0, 0, 0, 7, 0, 0, 0, 0, 0};
    struct requests requests = counting(NULL);
    struct connection *connection = asked(1);

    assert_int_equal(hear(&grpc_put, &requests, connection, trailers, sizeof trailers), -1);
    assert_int_equal(hear(&grpc_put, &requests, connection, reset, sizeof reset), -1);
    assert_int_equal(hear(&grpc_put, &requests, connection, go_away, sizeof go_away), -1);
    assert_int_equal(requests.counted, 0);
    free(connection);
}

static void settings_and_pings_are_acknowledged(void **state)
{
    (void)state;
    static const uint8_t frames[] = {0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 6,
                                     0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t answers[] = {0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 8, 6,
                                      1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    struct requests requests = counting(NULL);
    struct connection *connection = asked(0);

    connection->out_bytes = 0; /* As if the greeting had been sent. */
    assert_int_equal(hear(&grpc_put, &requests, connection, frames, sizeof frames), sizeof frames);
    assert_int_equal(connection->out_bytes, sizeof answers);
    assert_memory_equal(connection->out, answers, sizeof answers);
    free(connection);
}

/* Nothing is sent that the server has not given room for. */
static void puts_wait_for_the_window(void **state)
{
    (void)state;
    static const uint8_t update[] = {0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 1, 0, 0};
    struct requests requests = counting(NULL);
    struct connection *connection = asked(0);
    uint32_t count = 0;

    while (grpc_put.ask(connection, &options)) {
        connection->asked++;
        count++;
    }
    assert_int_equal(count, 65535 / (5 + 2 + 8 + 2 + 56));
    assert_int_equal(hear(&grpc_put, &requests, connection, update, sizeof update), sizeof update);
    assert_true(grpc_put.ask(connection, &options));
    free(connection);
}

/* Later requests have six bytes of headers: their fields are in the server's table. */
static void header_fields_are_sent_once(void **state)
{
    (void)state;
    static const uint8_t known[] = {0, 0, 6, 1, 4, 0, 0, 0, 3, 0x83, 0x86, 0xc1, 0xc0, 0xbf, 0xbe};
    struct connection *connection = asked(1);
    const uint32_t at = connection->out_bytes;

    assert_true(grpc_put.ask(connection, &options));
    assert_memory_equal(connection->out + at, known, sizeof known);
    assert_int_equal(connection->out_bytes - at, sizeof known + HEAD + 5 + 2 + 8 + 2 + 56);
    free(connection);
}

static void names_are_known(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < RIVAL_KINDS; k++) {
        enum rival_kind kind = RIVAL_KINDS;
        assert_true(rival_parse(rival_name((enum rival_kind)k), &kind));
        assert_int_equal(kind, k);
    }
    enum rival_kind kind = RIVAL_KINDS;
    assert_false(rival_parse("raft", &kind));
    assert_false(rival_parse("", &kind));
}

static void what_is_missing_is_said(void **state)
{
    (void)state;
    const struct rival_options durable = {
        .craft = "/nowhere/at-all", .payload_bytes = 64, .is_durable = true};

    assert_string_equal(rival_obstacle(RIVAL_CRAFT, &durable),
                        "libraft-dev was not there at the build");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_put_is_answered_by_a_message_on_its_stream),
        cmocka_unit_test(an_end_without_a_message_is_an_error),
        cmocka_unit_test(settings_and_pings_are_acknowledged),
        cmocka_unit_test(puts_wait_for_the_window),
        cmocka_unit_test(header_fields_are_sent_once),
        cmocka_unit_test(names_are_known),
        cmocka_unit_test(what_is_missing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
