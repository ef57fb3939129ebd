/* The words of dpdk.device, and what EAL is told. */
#include <string.h>

#include "net/dpdk/dpdk_internal.h"
#include "support/test.h"

static void every_kind_is_read(void **state)
{
    static const struct {
        const char *text;
        enum device_kind kind;
        const char *what;
    } cases[] = {
        {"memif:/run/spate", DEVICE_MEMIF, "/run/spate"},
        {"af_packet:lo", DEVICE_AF_PACKET, "lo"},
        {"af_xdp:lo", DEVICE_AF_XDP, "lo"},
        {"tap:spate0", DEVICE_TAP, "spate0"},
        {"pci:0000:03:00.0", DEVICE_PCI, "0000:03:00.0"},
        {"pci:03:00.1", DEVICE_PCI, "0000:03:00.1"},
        {"vdev:net_ring0,nodeaction=r0:0:CREATE", DEVICE_VDEV, "net_ring0,nodeaction=r0:0:CREATE"},
    };
    (void)state;

    for (size_t i = 0; i < SPATE_ARRAY_COUNT(cases); i++) {
        struct device device;
        assert_int_equal(spate_dpdk_device_parse(cases[i].text, &device, NULL), SPATE_OK);
        assert_int_equal(device.kind, cases[i].kind);
        assert_string_equal(device.what, cases[i].what);
    }
}

static void bad_words_are_refused_with_the_remedy(void **state)
{
    static const struct {
        const char *text;
        const char *remedy;
    } cases[] = {
        {NULL, "memif:/run/spate"},
        {"", "memif:/run/spate"},
        {"memif", "memif:/run/spate"},
        {"memif:", "memif:/run/spate"},
        {"memif:relative", "whole path"},
        {"memif:/run/a,b", "letters, digits"},
        {"memif:/run/a b", "letters, digits"},
        {"af_xdp:no-such-if0", "ip link"},
        {"af_packet:a-name-that-is-too-long-for-linux", "too long"},
        {"pci:03:00", "0000:03:00.0"},
        {"pci:0000:03:00.0x", "0000:03:00.0"},
        {"ethernet:eth0", "af_packet:eth1"},
    };
    (void)state;

    for (size_t i = 0; i < SPATE_ARRAY_COUNT(cases); i++) {
        char message[256] = "";
        const struct spate_dpdk_line line = {.text = message, .bytes = sizeof message};
        struct device device;
        assert_int_equal(spate_dpdk_device_parse(cases[i].text, &device, &line), SPATE_ERR_INVALID);
        assert_non_null(strstr(message, cases[i].remedy));
        assert_null(strchr(message, '\n'));
    }
}

static void af_packet_frames_hold_the_mtu_and_divide_their_blocks(void **state)
{
    struct device device;
    char text[320];
    unsigned index, block, frame, frames;
    (void)state;

    assert_int_equal(spate_dpdk_device_parse("af_packet:lo", &device, NULL), SPATE_OK);
    for (uint32_t mtu = 1500; mtu <= 9000; mtu += 500) {
        spate_dpdk_device_arguments(&device, mtu, 1500, text, sizeof text);
        assert_int_equal(sscanf(text, "net_af_packet%u,iface=lo,blocksz=%u,framesz=%u,framecnt=%u",
                                &index, &block, &frame, &frames),
                         4);
        assert_true(frame >= mtu + 22 + 128);
        assert_int_equal(block % frame, 0);
        assert_int_equal(block % 4096, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_read),
        cmocka_unit_test(bad_words_are_refused_with_the_remedy),
        cmocka_unit_test(af_packet_frames_hold_the_mtu_and_divide_their_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
