/* An address that the kernel has is not one for our own stack. */
#include <string.h>

#include "net/dpdk/dpdk_internal.h"
#include "support/test.h"

static const struct spate_address loopback = {.family = 4, .port = 7209, .bytes = {127, 0, 0, 1}};
static const struct spate_address nobodys = {.family = 4, .port = 7209, .bytes = {192, 0, 2, 77}};

static void the_kernels_own_address_is_refused_with_its_interface(void **state)
{
    static const enum device_kind kinds[] = {DEVICE_AF_PACKET, DEVICE_AF_XDP, DEVICE_TAP,
                                             DEVICE_PCI};
    (void)state;

    for (size_t i = 0; i < SPATE_ARRAY_COUNT(kinds); i++) {
        const struct device device = {.kind = kinds[i]};
        char text[256] = "";
        const struct spate_dpdk_line line = {.text = text, .bytes = sizeof text};
        assert_int_equal(spate_dpdk_address_check(&device, &loopback, &line), SPATE_ERR_IN_USE);
        assert_non_null(strstr(text, "127.0.0.1"));
        assert_non_null(strstr(text, "on lo"));
        assert_non_null(strstr(text, "ip address del"));
        assert_int_equal(spate_dpdk_address_check(&device, &nobodys, &line), SPATE_OK);
    }
}

static void shared_memory_never_meets_the_kernel(void **state)
{
    const struct device device = {.kind = DEVICE_MEMIF};
    (void)state;

    assert_int_equal(spate_dpdk_address_check(&device, &loopback, NULL), SPATE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernels_own_address_is_refused_with_its_interface),
        cmocka_unit_test(shared_memory_never_meets_the_kernel),
    };
    return cmocka_run_group_tests_name("dpdk/address", tests, NULL, NULL);
}
