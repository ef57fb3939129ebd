/* The options of the DPDK transport: checked and translated, before anything of DPDK is loaded. */
#include "core_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/dpdk/dpdk.h"

#define PREFIX_BITS_DEFAULT 24u
#define PREFIX_BITS_MIN     8u
#define PREFIX_BITS_MAX     30u
#define MTU_MIN             1500u
#define MTU_MAX             9000u
#define VLAN_MAX            4094u

#define DEVICE_FORMS                                                                         \
    "memif:DIRECTORY, af_packet:INTERFACE, af_xdp:INTERFACE, tap:NAME, pci:0000:03:00.0 or " \
    "vdev:EAL-DEVARGS"

static bool is_device(const char *text)
{
    static const char *const words[] = {"memif:", "af_packet:", "af_xdp:", "tap:", "pci:", "vdev:"};

    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        const size_t length = strlen(words[w]);
        if (strncmp(text, words[w], length) == 0) {
            return text[length] != '\0';
        }
    }
    return false;
}

bool spate_core_dpdk_is_local(const struct spate_options *options)
{
    return options->transport == SPATE_TRANSPORT_DPDK &&
           strncmp(options->dpdk.device, "memif:", strlen("memif:")) == 0;
}

static uint32_t bits_of(const struct spate_address *address)
{
    return (uint32_t)address->bytes[0] << 24 | (uint32_t)address->bytes[1] << 16 |
           (uint32_t)address->bytes[2] << 8 | address->bytes[3];
}

static bool is_on_subnet(const struct spate_net_dpdk_options *dpdk,
                         const struct spate_address *address)
{
    spate_assert(dpdk->prefix_bits >= PREFIX_BITS_MIN);
    spate_assert(dpdk->prefix_bits <= PREFIX_BITS_MAX);
    const uint32_t mask = ~0u << (32 - dpdk->prefix_bits);

    return ((bits_of(&dpdk->address) ^ bits_of(address)) & mask) == 0;
}

/* "10.77.0.1" of `length` characters; the port is ours. */
static bool parse_ipv4(const char *text, size_t length, uint16_t port,
                       struct spate_address *ret_address)
{
    char with_port[SPATE_ADDRESS_TEXT_BYTES];

    (void)snprintf(with_port, sizeof with_port, "%.*s:%u", length < 32 ? (int)length : 32, text,
                   port);
    return spate_address_parse(with_port, ret_address) == SPATE_OK && ret_address->family == 4;
}

/* "24", and nothing behind it. */
static bool parse_prefix(const char *text, uint8_t *ret_bits)
{
    char *rest = NULL;
    const unsigned long bits = strtoul(text, &rest, 10);

    if (*text < '0' || *text > '9' || *rest != '\0' || bits < PREFIX_BITS_MIN ||
        bits > PREFIX_BITS_MAX) {
        return false;
    }
    *ret_bits = (uint8_t)bits;
    return true;
}

/* Ours: as given, or the address that the others know. They must be the same. */
static spate_err read_address(const struct spate_options *options,
                              const struct spate_address *known,
                              const struct spate_message_line *line,
                              struct spate_net_dpdk_options *dpdk)
{
    const char *text = options->dpdk.address;

    dpdk->address = *known;
    if (text == NULL || text[0] == '\0') {
        return SPATE_OK;
    }
    const char *slash = strchr(text, '/');
    const size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
    if (!parse_ipv4(text, length, known->port, &dpdk->address) ||
        (slash != NULL && !parse_prefix(slash + 1, &dpdk->prefix_bits))) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "dpdk.address: \"%s\" is no IPv4 address with a prefix of %u to %u; "
                             "write it as 10.77.0.1/24",
                             text, PREFIX_BITS_MIN, PREFIX_BITS_MAX);
    }
    if (!spate_address_is_equal(&dpdk->address, known)) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "dpdk.address: %s is not the address that the members have of core "
                             "%u: give that one, the others would not know its frames",
                             text, options->id);
    }
    return SPATE_OK;
}

static spate_err read_gateway(const struct spate_options *options,
                              const struct spate_message_line *line,
                              struct spate_net_dpdk_options *dpdk)
{
    const char *text = options->dpdk.gateway;

    if (text == NULL || text[0] == '\0') {
        return SPATE_OK;
    }
    if (!parse_ipv4(text, strlen(text), dpdk->address.port, &dpdk->gateway) ||
        !is_on_subnet(dpdk, &dpdk->gateway) || bits_of(&dpdk->gateway) == bits_of(&dpdk->address)) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "dpdk.gateway: \"%s\" is no other IPv4 address of the core's own "
                             "subnet (/%u); write it as 10.77.0.254",
                             text, dpdk->prefix_bits);
    }
    return SPATE_OK;
}

/* Addresses that exist in our own stack alone: one each, and a way to all of them. */
static spate_err check_member(const struct spate_options *options, uint32_t member,
                              const struct spate_address addresses[],
                              const struct spate_net_dpdk_options *dpdk,
                              const struct spate_message_line *line)
{
    const struct spate_member_options *named = &options->members[member];

    if (addresses[member].family != 4 || spate_address_is_loopback(&addresses[member])) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "member %u at %s: on DPDK each member has an IPv4 address that is "
                             "not the kernel's, like 10.77.0.%u:7209",
                             named->id, named->address, named->id % 250);
    }
    for (uint32_t i = 0; i < member; i++) {
        const bool is_own = named->id == options->id || options->members[i].id == options->id;
        if ((is_own || spate_core_dpdk_is_local(options)) &&
            bits_of(&addresses[i]) == bits_of(&addresses[member])) {
            return spate_explain(line, SPATE_ERR_INVALID,
                                 "members %u and %u are both at %s: on DPDK each has an address "
                                 "of its own, another port is not enough",
                                 options->members[i].id, named->id, named->address);
        }
    }
    if (dpdk->gateway.family == 0 && !is_on_subnet(dpdk, &addresses[member])) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "member %u at %s is off the core's subnet (/%u): give dpdk.gateway, "
                             "or a shorter prefix with dpdk.address",
                             named->id, named->address, dpdk->prefix_bits);
    }
    return SPATE_OK;
}

static spate_err check_numbers(const struct spate_dpdk_options *dpdk,
                               const struct spate_message_line *line)
{
    if (dpdk->mtu != 0 && (dpdk->mtu < MTU_MIN || dpdk->mtu > MTU_MAX)) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "dpdk.mtu: %u to %u, 0 for what the device has", MTU_MIN, MTU_MAX);
    }
    if (dpdk->vlan > VLAN_MAX) {
        return spate_explain(line, SPATE_ERR_INVALID, "dpdk.vlan: 1 to %u, 0 for no tag", VLAN_MAX);
    }
    return SPATE_OK;
}

static spate_err check_device(const struct spate_options *options,
                              const struct spate_message_line *line)
{
    const char *device = options->dpdk.device;

    if (device == NULL || device[0] == '\0') {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "transport dpdk needs dpdk.device: one of " DEVICE_FORMS);
    }
    if (!is_device(device)) {
        return spate_explain(line, SPATE_ERR_INVALID, "dpdk.device: '%s' is none of " DEVICE_FORMS,
                             device);
    }
    if (options->listen != NULL) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "listen: \"%s\" is for sockets; a core on DPDK is at its member's "
                             "address, leave it out",
                             options->listen);
    }
    return check_numbers(&options->dpdk, line);
}

spate_err spate_core_dpdk_options(const struct spate_options *options,
                                  const struct spate_address addresses[],
                                  const struct spate_message_line *line,
                                  struct spate_net_dpdk_options *ret_dpdk)
{
    struct spate_net_dpdk_options dpdk = {
        .device = options->dpdk.device,
        .prefix_bits = PREFIX_BITS_DEFAULT,
        .vlan = options->dpdk.vlan,
        .mtu = options->dpdk.mtu,
        .frame_bytes_max = options->frame_bytes_max,
        .memory_mib = options->dpdk.memory_mib,
        .is_steered = options->dpdk.is_steered,
        .eal_extra = options->dpdk.eal_extra,
        .cpu = options->cpu,
    };
    spate_err err = check_device(options, line);

    for (uint32_t i = 0; err == SPATE_OK && i < options->member_count; i++) {
        if (options->members[i].id == options->id) {
            err = read_address(options, &addresses[i], line, &dpdk);
        }
    }
    if (err == SPATE_OK) {
        err = read_gateway(options, line, &dpdk);
    }
    for (uint32_t i = 0; err == SPATE_OK && i < options->member_count; i++) {
        err = check_member(options, i, addresses, &dpdk, line);
    }
    if (err == SPATE_OK) {
        *ret_dpdk = dpdk;
    }
    return err;
}
