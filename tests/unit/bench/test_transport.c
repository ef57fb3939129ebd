/* What --transport says, and what is said when a transport cannot be had. */
#include <stdio.h>
#include <string.h>

#include "bench/transport/transport.h"
#include "support/test.h"

static uint32_t parse(const char *text, struct transport transports[TRANSPORT_KINDS])
{
    char copy[200];

    (void)snprintf(copy, sizeof copy, "%s", text);
    return transport_parse(copy, transports);
}

static void transports_are_named_one_after_the_other(void **state)
{
    (void)state;
    struct transport transports[TRANSPORT_KINDS];

    assert_int_equal(parse("memif,tap,socket", transports), 3);
    assert_int_equal(transports[0].kind, TRANSPORT_MEMIF);
    assert_int_equal(transports[1].kind, TRANSPORT_TAP);
    assert_int_equal(transports[2].kind, TRANSPORT_SOCKET);
    assert_int_equal(parse("memif,carrier-pigeon", transports), 0);
    assert_int_equal(parse("", transports), 0);
    assert_int_equal(parse("memif,", transports), 0);
}

static void cards_go_on_behind_the_first(void **state)
{
    (void)state;
    struct transport transports[TRANSPORT_KINDS];

    assert_int_equal(parse("socket,pci:0000:03:00.0,03:00.1,0000:04:00.0,memif", transports), 3);
    assert_int_equal(transports[1].kind, TRANSPORT_PCI);
    assert_int_equal(transports[1].cards, 3);
    assert_string_equal(transports[1].node[0].device, "pci:0000:03:00.0");
    assert_string_equal(transports[1].node[1].device, "pci:03:00.1");
    assert_string_equal(transports[1].node[2].device, "pci:0000:04:00.0");
    assert_int_equal(transports[2].kind, TRANSPORT_MEMIF);
}

static void cards_without_an_address_or_a_beginning_are_refused(void **state)
{
    (void)state;
    struct transport transports[TRANSPORT_KINDS];

    assert_int_equal(parse("pci", transports), 0);
    assert_int_equal(parse("pci:", transports), 0);
    assert_int_equal(parse("memif,0000:03:00.0", transports), 0);
    assert_int_equal(parse("pci:1:0.0,1:0.1,1:0.2,1:0.3,1:0.4,1:0.5,1:0.6,1:0.7", transports), 0);
}

static void a_card_that_cannot_be_had_is_named_with_the_remedy(void **state)
{
    (void)state;
    struct transport transports[TRANSPORT_KINDS];
    char message[256] = "";

    assert_int_equal(parse("pci:ffff:ff:1f.7", transports), 1);
    assert_false(transport_open(&transports[0], 3, message, sizeof message));
    assert_non_null(strstr(message, "3 cores want a card each, and 1 are named"));
    assert_int_equal(parse("pci:ffff:ff:1f.7", transports), 1);
    assert_false(transport_open(&transports[0], 1, message, sizeof message));
    assert_non_null(strstr(message, "no card ffff:ff:1f.7"));
    assert_non_null(strstr(message, "dpdk-devbind.py"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transports_are_named_one_after_the_other),
        cmocka_unit_test(cards_go_on_behind_the_first),
        cmocka_unit_test(cards_without_an_address_or_a_beginning_are_refused),
        cmocka_unit_test(a_card_that_cannot_be_had_is_named_with_the_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
