/*
 * The network driver over DPDK: our own stack (stack/) on a port of the poll-mode drivers, or, for
 * memif, on one point-to-point port per peer.
 *
 * Built as a loadable module, so that a program that uses sockets alone neither links nor loads
 * DPDK. It has one symbol, SPATE_NET_DPDK_SYMBOL, of type `const struct spate_net_dpdk_module`.
 *
 * EAL is started by the first endpoint of a process, with arguments made from its options, and
 * stays until the process ends; further endpoints share it.
 */
#ifndef SPATE_NET_DPDK_DPDK_H
#define SPATE_NET_DPDK_DPDK_H

#include "base/clock.h"
#include "net/net.h"

/* Changes with struct spate_net_dpdk_options, struct spate_net and what they mean. */
#define SPATE_NET_DPDK_ABI    2u
#define SPATE_NET_DPDK_SYMBOL "spate_net_dpdk_module"
#define SPATE_NET_DPDK_FILE   "spate-net-dpdk.so"

/* Zero means the default everywhere. Strings are copied. */
struct spate_net_dpdk_options {
    /*
     * "memif:/run/spate"     shared memory between processes of one machine; sockets in that folder
     * "af_packet:eth1"       a kernel interface, through AF_PACKET
     * "af_xdp:eth1"          a kernel interface, through AF_XDP
     * "tap:spate0"           a new kernel interface with that name
     * "pci:0000:03:00.0"     a network card, bound to vfio-pci or to a bifurcated driver
     * "vdev:net_ring0,..."   anything else that EAL can make
     */
    const char *device;
    struct spate_address address; /* Ours: IPv4 and the UDP port. */
    uint8_t prefix_bits;          /* Of the subnet; 0: 24. */
    struct spate_address gateway; /* For peers off the subnet; family 0: none. */
    uint16_t vlan;                /* 802.1Q tag; 0: untagged. */
    uint16_t mtu;                 /* Largest IPv4 packet; 0: the device's own, memif 9000. */
    uint32_t frame_bytes_max;     /* UDP payload; 0: what the MTU allows, at most 8,000 + 64. */
    uint32_t memory_mib;       /* Without hugepages: EAL's memory. 0: 64 and 16 per memif peer. */
    bool is_steered;           /* A rule on the card brings UDP for our port; see flow.c. */
    const char *eal_extra;     /* Further EAL arguments, split at blanks. */
    struct spate_clock *clock; /* Required. Outlives the endpoint. */
    int cpu;                   /* Where the owner's thread will run: CPU n-1; 0: not known. */
};

struct spate_net_dpdk_module {
    uint32_t abi; /* SPATE_NET_DPDK_ABI of the module. */

    /*
     * Starts EAL unless it runs, opens the device, sends an announcement. `message` (may be NULL)
     * gets one line for people that names the remedy when this fails.
     *
     * Thread: the owner's or another; the endpoint may be handed over before its first use.
     * Errors: INVALID      options or device words
     *         UNSUPPORTED  no such driver, or the device lacks what is needed
     *         PERMISSION   the device needs root, a group, or a limit raised
     *         IN_USE       another process has the device
     *         NO_MEMORY, IO
     */
    spate_err (*create)(const struct spate_net_dpdk_options *options, struct spate_net **ret_net,
                        char *message, size_t message_bytes);
};

#endif
