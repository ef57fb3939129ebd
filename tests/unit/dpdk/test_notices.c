/* Lines for people come out in order; what finds no room is counted. */
#include <stdio.h>

#include "net/dpdk/dpdk_internal.h"
#include "support/test.h"

static void lines_come_out_in_order(void **state)
{
    struct notices notices = {0};
    struct spate_net_notice line;
    (void)state;

    spate_dpdk_notices_init(&notices);
    assert_false(spate_dpdk_notices_take(&notices, &line));
    for (uint32_t i = 0; i < 3 * NOTICES_MAX; i++) {
        char text[32];
        spate_dpdk_notify(&notices, SPATE_NET_NOTICE_WARNING, "line %u", i);
        assert_true(spate_dpdk_notices_take(&notices, &line));
        (void)snprintf(text, sizeof text, "line %u", i);
        assert_string_equal(line.text, text);
        assert_int_equal(line.level, SPATE_NET_NOTICE_WARNING);
    }
    assert_int_equal(notices.lost, 0);
    spate_dpdk_notices_destroy(&notices);
}

static void what_finds_no_room_is_counted(void **state)
{
    struct notices notices = {0};
    struct spate_net_notice line;
    (void)state;

    spate_dpdk_notices_init(&notices);
    for (uint32_t i = 0; i < NOTICES_MAX + 3; i++) {
        spate_dpdk_notify(&notices, SPATE_NET_NOTICE_INFO, "line %u", i);
    }
    assert_int_equal(notices.lost, 3);
    for (uint32_t i = 0; i < NOTICES_MAX; i++) {
        assert_true(spate_dpdk_notices_take(&notices, &line));
    }
    assert_string_equal(line.text, "line 15");
    assert_false(spate_dpdk_notices_take(&notices, &line));
    spate_dpdk_notices_destroy(&notices);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_out_in_order),
        cmocka_unit_test(what_finds_no_room_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
