/* What spate_open() refuses, and that each refusal is one line that names the remedy. */
#include "support/test.h"

#include <string.h>

#include "fixture.h"

static void refused(const struct spate_options *options, spate_err err, const char *words)
{
    char message[256] = "";
    struct spate *spate = NULL;

    assert_int_equal(spate_open(options, &spate, message, sizeof message), err);
    assert_null(spate);
    assert_non_null(strstr(message, words));
    assert_null(strchr(message, '\n'));
}

static void members_are_named_odd_in_number_unique_and_with_addresses(void **state)
{
    (void)state;
    struct spate_options options = right_options(2);
    const struct spate_member_options twice[3] = {members[0], members[1], members[0]};
    const struct spate_member_options badly[1] = {{.id = 1, .address = "localhost"}};
    const struct spate_member_options zero[1] = {{.id = 0, .address = "127.0.0.1:1"}};

    refused(&options, SPATE_ERR_INVALID, "odd number");
    options.member_count = 0;
    refused(&options, SPATE_ERR_INVALID, "this core included");
    options.member_count = 3;
    options.members = twice;
    refused(&options, SPATE_ERR_INVALID, "named twice");
    options.member_count = 1;
    options.members = badly;
    refused(&options, SPATE_ERR_INVALID, "10.0.0.1:7209");
    options.members = zero;
    refused(&options, SPATE_ERR_INVALID, "start at 1");
    options = right_options(3);
    options.id = 9;
    refused(&options, SPATE_ERR_INVALID, "not among the members");
}

static void unsealed_frames_need_a_permission_that_covers_them(void **state)
{
    (void)state;
    struct spate_options options = right_options(3);
    const struct spate_member_options far[3] = {
        members[0], members[1], {.id = 3, .address = "192.0.2.1:7209"}};

    options.insecure_peers = SPATE_INSECURE_REFUSED;
    refused(&options, SPATE_ERR_PERMISSION, "insecure_peers");
    options.insecure_peers = SPATE_INSECURE_LOCAL;
    options.members = far;
    refused(&options, SPATE_ERR_PERMISSION, "192.0.2.1:7209");
}

static void the_rest_is_checked_before_anything_is_touched(void **state)
{
    (void)state;
    struct spate_options options = right_options(3);

    options.fsm = NULL;
    refused(&options, SPATE_ERR_INVALID, "state machine");
    options = right_options(3);
    options.durability = SPATE_DURABILITY_DISK;
    refused(&options, SPATE_ERR_INVALID, "directory");
    options = right_options(3);
    options.frame_bytes_max = 100;
    refused(&options, SPATE_ERR_INVALID, "frame_bytes_max");
    options = right_options(3);
    options.log_budget_bytes = 1000;
    refused(&options, SPATE_ERR_INVALID, "log_budget_bytes");
    options = right_options(3);
    options.heartbeat_ns = 15000000;
    refused(&options, SPATE_ERR_INVALID, "heartbeat");
    options = right_options(3);
    options.cpu = 4097;
    refused(&options, SPATE_ERR_INVALID, "cpu 4096");
    options.cpu = -1;
    refused(&options, SPATE_ERR_INVALID, "choose one");
    options = right_options(3);
    options.listen = "everywhere";
    refused(&options, SPATE_ERR_INVALID, "0.0.0.0:7209");
}

static void an_address_serves_one_core_of_this_machine(void **state)
{
    (void)state;
    struct spate_options options = right_options(3);
    struct spate *first;

    assert_int_equal(spate_open(&options, &first, NULL, 0), SPATE_OK);
    refused(&options, SPATE_ERR_IN_USE, addresses[0]);
    spate_close(first);
    options.listen = "192.0.2.1:17471";
    refused(&options, SPATE_ERR_INVALID, "not an address of this machine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_named_odd_in_number_unique_and_with_addresses),
        cmocka_unit_test(unsealed_frames_need_a_permission_that_covers_them),
        cmocka_unit_test(the_rest_is_checked_before_anything_is_touched),
        cmocka_unit_test(an_address_serves_one_core_of_this_machine),
    };
    return cmocka_run_group_tests_name("api/open", tests, NULL, NULL);
}
