#include <string.h>

#include "net/net.h"
#include "support/test.h"

static void numeric_addresses_survive_a_round_trip(void **state)
{
    (void)state;
    static const char *const texts[] = {"127.0.0.1:7209", "0.0.0.0:0", "255.255.255.255:65535",
                                        "[::1]:7209", "[2001:db8::5]:1"};
    for (size_t i = 0; i < SPATE_ARRAY_COUNT(texts); i++) {
        struct spate_address address;
        char text[SPATE_ADDRESS_TEXT_BYTES];
        assert_int_equal(spate_address_parse(texts[i], &address), SPATE_OK);
        spate_address_format(&address, text);
        assert_string_equal(text, texts[i]);
        assert_true(spate_address_is_equal(&address, &address));
    }
}

static void anything_else_is_invalid_and_leaves_the_result_alone(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        ":1",
        "localhost:1",
        "1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:+1",
        "1.2.3:1",
        "1.2.3.4: 1",
        "1.2.3.4:1x",
        "::1:7",
        "[::1]7",
        "[::1]",
        "[::1]:",
        "[1.2.3.4]:1",
        "[::1%lo]:1",
        "1.2.3.4:-1",
        "256.1.1.1:1",
        "[",
        "1.2.3.4:99999999999999999999",
    };
    for (size_t i = 0; i < SPATE_ARRAY_COUNT(texts); i++) {
        struct spate_address address = {.family = 9};
        assert_int_equal(spate_address_parse(texts[i], &address), SPATE_ERR_INVALID);
        assert_int_equal(address.family, 9);
    }
}

static void equality_ignores_bytes_that_mean_nothing(void **state)
{
    (void)state;
    struct spate_address a = {.family = 4, .port = 1, .bytes = {10, 0, 0, 1, 99}};
    struct spate_address b = {.family = 4, .port = 1, .bytes = {10, 0, 0, 1}};

    assert_true(spate_address_is_equal(&a, &b));
    b.port = 2;
    assert_false(spate_address_is_equal(&a, &b));
    b = (struct spate_address){.family = 6, .port = 1, .bytes = {10, 0, 0, 1, 99}};
    assert_false(spate_address_is_equal(&a, &b));
}

static void loopback_is_127_and_one(void **state)
{
    (void)state;
    struct spate_address address;

    assert_int_equal(spate_address_parse("127.9.9.9:1", &address), SPATE_OK);
    assert_true(spate_address_is_loopback(&address));
    assert_int_equal(spate_address_parse("[::1]:1", &address), SPATE_OK);
    assert_true(spate_address_is_loopback(&address));
    assert_int_equal(spate_address_parse("128.0.0.1:1", &address), SPATE_OK);
    assert_false(spate_address_is_loopback(&address));
    assert_int_equal(spate_address_parse("[::2]:1", &address), SPATE_OK);
    assert_false(spate_address_is_loopback(&address));
    assert_false(spate_address_is_loopback(&(struct spate_address){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numeric_addresses_survive_a_round_trip),
        cmocka_unit_test(anything_else_is_invalid_and_leaves_the_result_alone),
        cmocka_unit_test(equality_ignores_bytes_that_mean_nothing),
        cmocka_unit_test(loopback_is_127_and_one),
    };
    return cmocka_run_group_tests_name("net/address", tests, NULL, NULL);
}
