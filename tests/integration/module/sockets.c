/*
 * A module that keeps the contract of the DPDK driver without DPDK: sockets, with the first byte of
 * each address made 127. With it the way from the settings to a module, and from a module's
 * counters and notices to people, is tested on machines that have no DPDK.
 */
#include <stdio.h>
#include <string.h>

#include "net/dpdk/dpdk.h"
#include "net/socket/socket.h"

static struct spate_net_ops ops;
static spate_err (*set_socket_peer)(struct spate_net *net, spate_peer peer,
                                    const struct spate_address *address);
static struct spate_net_notice notices[2];
static uint32_t notices_taken;

static struct spate_address on_loopback(const struct spate_address *address)
{
    struct spate_address loopback = *address;

    loopback.bytes[0] = 127;
    return loopback;
}

static spate_err set_peer(struct spate_net *net, spate_peer peer,
                          const struct spate_address *address)
{
    const struct spate_address loopback = on_loopback(address);

    return set_socket_peer(net, peer, address->family == 0 ? address : &loopback);
}

static bool counter(struct spate_net *net, uint32_t place, struct spate_net_counter *ret_counter)
{
    static const struct spate_net_counter all[] = {
        {.name = "mbufs_free", .value = 4096, .kind = SPATE_NET_COUNTER_LEVEL},
        {.name = "polls_empty", .value = 77},
        {.name = "memif.10.77.0.2.link_up", .kind = SPATE_NET_COUNTER_LEVEL},
        {.name = "memif.10.77.0.2.links_up", .value = 1},
        {.name = "memif.10.77.0.2.drop.vlan", .value = 3, .is_drop = true},
        {.name = "memif.10.77.0.2.drop.arp", .is_drop = true},
        {.name = "memif.10.77.0.3.links_up", .value = 2},
        {.name = "memif.10.77.0.3.drop.vlan", .value = 4, .is_drop = true},
        {.name = "drop.no_mbuf", .value = 5, .is_drop = true},
    };

    (void)net;
    if (place >= SPATE_ARRAY_COUNT(all)) {
        return false;
    }
    *ret_counter = all[place];
    return true;
}

static bool notice(struct spate_net *net, struct spate_net_notice *ret_notice)
{
    (void)net;
    if (notices_taken == SPATE_ARRAY_COUNT(notices)) {
        return false;
    }
    *ret_notice = notices[notices_taken++];
    return true;
}

/* What has arrived here, so that a test can read it in the log. */
static void repeat_options(const struct spate_net_dpdk_options *options)
{
    char address[SPATE_ADDRESS_TEXT_BYTES];
    char gateway[SPATE_ADDRESS_TEXT_BYTES] = "none";

    spate_address_format(&options->address, address);
    if (options->gateway.family != 0) {
        spate_address_format(&options->gateway, gateway);
    }
    (void)snprintf(notices[0].text, sizeof notices[0].text,
                   "options: %s %s /%u via %s vlan %u mtu %u frame %u memory %u cpu %d extra '%s'",
                   options->device, address, options->prefix_bits, gateway, options->vlan,
                   options->mtu, options->frame_bytes_max, options->memory_mib, options->cpu,
                   options->eal_extra);
    notices[1].level = SPATE_NET_NOTICE_WARNING;
    (void)snprintf(notices[1].text, sizeof notices[1].text, "the link has gone down");
}

static spate_err create(const struct spate_net_dpdk_options *options, struct spate_net **ret_net,
                        char *message, size_t message_bytes)
{
    const struct spate_net_socket_options socket = {
        .bind = on_loopback(&options->address),
        .frame_bytes_max = options->frame_bytes_max != 0 ? options->frame_bytes_max : 8000,
    };

    if (strcmp(options->device, "pci:refuse") == 0) {
        (void)snprintf(message, message_bytes, "pci:refuse: bind it to vfio-pci first");
        return SPATE_ERR_PERMISSION;
    }
    const spate_err err = spate_net_socket_create(&socket, ret_net);
    if (err == SPATE_OK) {
        repeat_options(options);
        ops = *(*ret_net)->ops;
        set_socket_peer = ops.set_peer;
        ops.name = "dpdk";
        ops.set_peer = set_peer;
        ops.counter = counter;
        ops.notice = notice;
        (*ret_net)->ops = &ops;
    }
    return err;
}

SPATE_API extern const struct spate_net_dpdk_module spate_net_dpdk_module;

const struct spate_net_dpdk_module spate_net_dpdk_module = {
    .abi = SPATE_NET_DPDK_ABI,
    .create = create,
};
