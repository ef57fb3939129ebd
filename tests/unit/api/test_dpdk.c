/* What the DPDK transport refuses before anything of DPDK is loaded, and when it is chosen. */
#include "support/test.h"

#include <string.h>

#include "fixture.h"

static void refused(const struct spate_options *options, spate_err err, const char *words)
{
    char message[512] = "";
    struct spate *spate = NULL;

    assert_int_equal(spate_open(options, &spate, message, sizeof message), err);
    assert_null(spate);
    if (strstr(message, words) == NULL) {
        fail_msg("'%s' is not in '%s'", words, message);
    }
    assert_null(strchr(message, '\n'));
}

/* Three members in our own stack's addresses, which the kernel does not have. */
static struct spate_options dpdk_options(void)
{
    static const struct spate_member_options on_dpdk[3] = {
        {.id = 1, .address = "10.77.0.1:7209"},
        {.id = 2, .address = "10.77.0.2:7209"},
        {.id = 3, .address = "10.77.0.3:7209"},
    };
    struct spate_options options = right_options(3);

    options.members = on_dpdk;
    options.transport = SPATE_TRANSPORT_DPDK;
    options.dpdk.device = "memif:/nonexistent/spate";
    return options;
}

static void a_device_is_named_by_one_of_the_known_words(void **state)
{
    (void)state;
    static const char *const bad[] = {"memif", "memif:",  "eth0", "pcie:0000:03:00.0",
                                      ":",     "Memif:/x"};
    struct spate_options options = dpdk_options();

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        options.dpdk.device = bad[i];
        refused(&options, SPATE_ERR_INVALID, "af_packet:INTERFACE");
    }
    options.dpdk.device = NULL;
    refused(&options, SPATE_ERR_INVALID, "memif:DIRECTORY");
    options.dpdk.device = "";
    refused(&options, SPATE_ERR_INVALID, "memif:DIRECTORY");
}

/* AUTO is dpdk as soon as a device is named: then the addresses must be such that it can work. */
static void a_device_alone_chooses_the_transport_and_its_options_need_one(void **state)
{
    (void)state;
    struct spate_options options = right_options(3);

    options.dpdk.device = "memif:/nonexistent/spate";
    refused(&options, SPATE_ERR_INVALID, "not the kernel's");
    options.dpdk.device = NULL;
    options.dpdk.address = "10.77.0.1/24";
    refused(&options, SPATE_ERR_INVALID, "no device");
}

static void an_explicit_transport_of_sockets_lets_the_device_lie(void **state)
{
    (void)state;
    struct spate_options options = right_options(3);
    struct spate_status status;
    struct spate *spate;

    options.transport = SPATE_TRANSPORT_SOCKET;
    options.dpdk.device = "memif:/nonexistent/spate";
    assert_int_equal(spate_open(&options, &spate, NULL, 0), SPATE_OK);
    spate_get_status(spate, &status);
    assert_string_equal(status.transport, "socket");
    assert_string_equal(status.device, "");
    assert_int_equal(status.poll, SPATE_POLL_ADAPTIVE);
    spate_close(spate);
}

static void members_have_an_ipv4_address_each(void **state)
{
    (void)state;
    struct spate_member_options three[3];
    struct spate_options options = dpdk_options();
    static const char *const bad[] = {"127.0.0.1:7209", "[fd00::3]:7209"};

    memcpy(three, options.members, sizeof three);
    options.members = three;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        three[2].address = bad[i];
        options.insecure_peers = SPATE_INSECURE_ANY;
        refused(&options, SPATE_ERR_INVALID, bad[i]);
    }
    three[2].address = "10.77.0.2:7210";
    refused(&options, SPATE_ERR_INVALID, "both at");
}

/* On a wire, two of the others may share a host and its kernel; nobody shares the core's own. */
static void on_a_wire_only_the_cores_own_address_must_be_its_own(void **state)
{
    (void)state;
    struct spate_member_options three[3];
    struct spate_options options = dpdk_options();

    memcpy(three, options.members, sizeof three);
    options.members = three;
    options.dpdk.device = "af_packet:eth9";
    options.insecure_peers = SPATE_INSECURE_ANY;
    options.dpdk.gateway = "nowhere";
    three[2].address = "10.77.0.1:7210";
    refused(&options, SPATE_ERR_INVALID, "dpdk.gateway");
    options.dpdk.gateway = NULL;
    refused(&options, SPATE_ERR_INVALID, "both at");
}

static void the_cores_address_is_the_one_that_its_members_have(void **state)
{
    (void)state;
    static const char *const bad[] = {"10.77.0.1/",   "10.77.0.1/7",  "10.77.0.1/31",
                                      "10.77.0.1/2x", "10.77.0/24",   "10.77.0.1:7209/24",
                                      "fd00::1/64",   "10.77.0.1/-24"};
    struct spate_options options = dpdk_options();

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        options.dpdk.address = bad[i];
        refused(&options, SPATE_ERR_INVALID, "10.77.0.1/24");
    }
    options.dpdk.address = "10.77.0.9/24";
    refused(&options, SPATE_ERR_INVALID, "core 1");
    options = dpdk_options();
    options.listen = "0.0.0.0:7209";
    refused(&options, SPATE_ERR_INVALID, "for sockets");
}

static void members_off_the_subnet_need_a_gateway_on_it(void **state)
{
    (void)state;
    static const char *const bad[] = {"10.78.0.254", "10.77.0.1", "10.77.0.254:1", "router"};
    struct spate_options options = dpdk_options();
    struct spate_member_options three[3];

    memcpy(three, options.members, sizeof three);
    three[2].address = "10.78.0.3:7209";
    options.members = three;
    refused(&options, SPATE_ERR_INVALID, "member 3 at 10.78.0.3:7209 is off");
    refused(&options, SPATE_ERR_INVALID, "dpdk.gateway");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        options.dpdk.gateway = bad[i];
        refused(&options, SPATE_ERR_INVALID, "10.77.0.254");
    }
}

static void numbers_stay_within_what_the_stack_can_do(void **state)
{
    (void)state;
    struct spate_options options = dpdk_options();

    options.dpdk.mtu = 1499;
    refused(&options, SPATE_ERR_INVALID, "dpdk.mtu");
    options.dpdk.mtu = 9001;
    refused(&options, SPATE_ERR_INVALID, "dpdk.mtu");
    options = dpdk_options();
    options.dpdk.vlan = 4095;
    refused(&options, SPATE_ERR_INVALID, "dpdk.vlan");
    options = dpdk_options();
    options.frame_bytes_max = 100;
    refused(&options, SPATE_ERR_INVALID, "frame_bytes_max");
}

/* memif never leaves the machine; a wire does, whatever hangs on it. */
static void only_shared_memory_counts_as_local(void **state)
{
    (void)state;
    static const char *const wires[] = {"af_packet:eth9", "af_xdp:eth9", "tap:spate9",
                                        "pci:0000:03:00.0", "vdev:net_null0"};
    struct spate_options options = dpdk_options();

    for (size_t i = 0; i < sizeof wires / sizeof wires[0]; i++) {
        options.dpdk.device = wires[i];
        refused(&options, SPATE_ERR_PERMISSION, "10.77.0.1");
    }
    options.insecure_peers = SPATE_INSECURE_REFUSED;
    refused(&options, SPATE_ERR_PERMISSION, "memif");
}

static void the_counters_of_the_transport_have_names_and_an_end(void **state)
{
    (void)state;
    const struct spate_options options = right_options(3);
    struct spate_counter counter = {0};
    struct spate_notice notice;
    struct spate *spate;
    bool is_found = false;
    uint32_t place = 0;

    assert_int_equal(spate_open(&options, &spate, NULL, 0), SPATE_OK);
    for (; spate_get_counter(spate, place, &counter); place++) {
        assert_non_null(counter.name);
        assert_false(counter.is_drop && counter.is_level);
        is_found |= strcmp(counter.name, "tx_segmented") == 0;
    }
    assert_true(is_found);
    assert_false(spate_get_counter(spate, place + 1, &counter));
    assert_false(spate_next_notice(spate, &notice));
    spate_close(spate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_is_named_by_one_of_the_known_words),
        cmocka_unit_test(a_device_alone_chooses_the_transport_and_its_options_need_one),
        cmocka_unit_test(an_explicit_transport_of_sockets_lets_the_device_lie),
        cmocka_unit_test(members_have_an_ipv4_address_each),
        cmocka_unit_test(on_a_wire_only_the_cores_own_address_must_be_its_own),
        cmocka_unit_test(the_cores_address_is_the_one_that_its_members_have),
        cmocka_unit_test(members_off_the_subnet_need_a_gateway_on_it),
        cmocka_unit_test(numbers_stay_within_what_the_stack_can_do),
        cmocka_unit_test(only_shared_memory_counts_as_local),
        cmocka_unit_test(the_counters_of_the_transport_have_names_and_an_end),
    };
    return cmocka_run_group_tests_name("api/dpdk", tests, NULL, NULL);
}
