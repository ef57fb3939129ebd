/* Opening and closing an endpoint: options, EAL, packet memory, ports, the table of functions. */
#include <inttypes.h>
#include <rte_errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "flow.h"
#include "interface.h"
#include "memif.h"

/* 8,000 bytes of payload and what the link adds: as large as copying in shared memory likes. */
#define FRAME_BYTES_DEFAULT_MAX 8064u
#define MEMIF_MTU               9000u
#define PREFIX_BITS             24u

static bool notice(struct spate_net *net, struct spate_net_notice *ret_notice)
{
    return spate_dpdk_notices_take(&endpoint_of(net)->notices, ret_notice);
}

static void destroy_port(struct port *port)
{
    spate_stack_destroy(port->stack);
    free(port);
}

static void destroy(struct endpoint *endpoint)
{
    spate_dpdk_memif_destroy(endpoint->memif);
    spate_dpdk_eal_lock();
    for (uint32_t i = 0; i < endpoint->port_count; i++) {
        if (endpoint->memif == NULL) {
            spate_dpdk_port_close(endpoint->ports[i]);
        }
        destroy_port(endpoint->ports[i]);
    }
    rte_mempool_free(endpoint->pool);
    spate_dpdk_eal_unlock();
    if (endpoint->wake_fd >= 0) {
        (void)close(endpoint->wake_fd);
    }
    if (endpoint->interface_fd >= 0) {
        (void)close(endpoint->interface_fd);
    }
    if (endpoint->claim_fd >= 0) {
        (void)close(endpoint->claim_fd);
    }
    spate_dpdk_notices_destroy(&endpoint->notices);
    free(endpoint);
}

static void close_net(struct spate_net *net)
{
    struct endpoint *endpoint = endpoint_of(net);

    if (endpoint != NULL) {
        spate_assert(endpoint->lent == 0);
        spate_dpdk_telemetry_remove(endpoint);
        destroy(endpoint);
    }
}

static const struct spate_net_ops dpdk_ops = {
    .name = "dpdk",
    .rx = spate_dpdk_rx,
    .reserve = spate_dpdk_reserve,
    .tx = spate_dpdk_tx,
    .release = spate_dpdk_release,
    .set_peer = spate_dpdk_set_peer,
    .wait = spate_dpdk_wait,
    .wake = spate_dpdk_wake,
    .counter = spate_dpdk_counter,
    .notice = notice,
    .close = close_net,
};

static spate_err check(const struct spate_net_dpdk_options *options,
                       const struct spate_dpdk_line *line)
{
    spate_assert(options->clock != NULL);
    if (options->address.family != 4) {
        return spate_dpdk_explain(line, SPATE_ERR_UNSUPPORTED,
                                  "transport = dpdk speaks IPv4: give each member an address such "
                                  "as 10.77.0.1:7209");
    }
    if (options->prefix_bits > 30) {
        return spate_dpdk_explain(line, SPATE_ERR_INVALID,
                                  "dpdk.address: a prefix of 1 to 30 bits, such as 10.77.0.1/24");
    }
    if (options->vlan > 4094) {
        return spate_dpdk_explain(line, SPATE_ERR_INVALID, "dpdk.vlan: 1 to 4094, or 0 for none");
    }
    if (options->mtu != 0 &&
        (options->mtu < SPATE_STACK_MTU_MIN || options->mtu > SPATE_STACK_MTU_MAX)) {
        return spate_dpdk_explain(line, SPATE_ERR_INVALID, "dpdk.mtu: %u to %u",
                                  SPATE_STACK_MTU_MIN, SPATE_STACK_MTU_MAX);
    }
    return SPATE_OK;
}

/* What the frames' size follows from. */
static spate_err choose_sizes(struct endpoint *endpoint, uint16_t device_mtu,
                              const struct spate_dpdk_line *line)
{
    const struct spate_net_dpdk_options *options = &endpoint->options;
    const uint32_t mtu = options->mtu != 0 ? options->mtu : device_mtu;

    endpoint->mtu = (uint16_t)(mtu > SPATE_STACK_MTU_MAX ? SPATE_STACK_MTU_MAX : mtu);
    if (endpoint->mtu < SPATE_STACK_MTU_MIN) {
        return spate_dpdk_explain(
            line, SPATE_ERR_INVALID, "dpdk.device %s:%s has an MTU of %u: raise it to %u or more",
            endpoint->device.word, endpoint->device.what, endpoint->mtu, SPATE_STACK_MTU_MIN);
    }
    const uint32_t fits = endpoint->mtu - SPATE_STACK_OVERHEAD_BYTES;
    if (options->frame_bytes_max > fits) {
        return spate_dpdk_explain(line, SPATE_ERR_INVALID,
                                  "frames of %u bytes do not fit an MTU of %u: at most %u",
                                  options->frame_bytes_max, endpoint->mtu, fits);
    }
    endpoint->net.frame_bytes_max = options->frame_bytes_max != 0    ? options->frame_bytes_max
                                    : fits < FRAME_BYTES_DEFAULT_MAX ? fits
                                                                     : FRAME_BYTES_DEFAULT_MAX;
    endpoint->header_bytes = SPATE_STACK_HEADER_BYTES_MAX - (options->vlan == 0 ? 4u : 0u);
    return SPATE_OK;
}

spate_err spate_dpdk_endpoint_stack(struct endpoint *endpoint, struct port *port,
                                    struct spate_mac mac)
{
    const struct spate_net_dpdk_options *options = &endpoint->options;
    const struct spate_stack_options stack = {
        .mac = mac,
        .address = endpoint->address,
        .prefix_bits = options->prefix_bits != 0 ? options->prefix_bits : PREFIX_BITS,
        .gateway = options->gateway.family == 4 ? spate_dpdk_ipv4(&options->gateway) : 0,
        .port = options->address.port,
        .vlan = options->vlan,
        .mtu = endpoint->mtu,
        .seed = (uint64_t)endpoint->address << 32 | (uint32_t)getpid(),
        .tx_ip_checksum_offloaded = (port->tx_flags & RTE_MBUF_F_TX_IP_CKSUM) != 0,
        .tx_udp_checksum_offloaded =
            (port->tx_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM,
    };

    return spate_stack_create(&stack, &port->stack);
}

static spate_err make_pool(struct endpoint *endpoint, int numa_node,
                           const struct spate_dpdk_line *line)
{
    endpoint->pool = spate_dpdk_pool_create(endpoint, numa_node);
    if (endpoint->pool == NULL) {
        return spate_dpdk_explain(line, SPATE_ERR_NO_MEMORY,
                                  "no memory for packets (%s): raise dpdk.memory",
                                  rte_strerror(rte_errno));
    }
    return SPATE_OK;
}

static spate_err open_memif(struct endpoint *endpoint, const struct spate_dpdk_line *line)
{
    spate_err err = choose_sizes(endpoint, MEMIF_MTU, line);

    if (err == SPATE_OK) {
        err = make_pool(endpoint, SOCKET_ID_ANY, line);
    }
    return err == SPATE_OK ? spate_dpdk_memif_create(endpoint, &endpoint->memif, line) : err;
}

static spate_err explain_port(const struct endpoint *endpoint, spate_err err, const char *step,
                              const struct spate_dpdk_line *line)
{
    char complaint[128];
    const char *remedy = "see the log, and docs/hardware.md";

    spate_dpdk_eal_complaint(complaint, sizeof complaint);
    if (geteuid() != 0 && endpoint->device.kind != DEVICE_MEMIF) {
        err = SPATE_ERR_PERMISSION;
        remedy = "run as root, or with CAP_NET_RAW, CAP_NET_ADMIN (and CAP_BPF for af_xdp)";
    } else if (endpoint->device.kind == DEVICE_PCI) {
        remedy = "is it bound to vfio-pci, and used by nobody else? (docs/hardware.md)";
    } else if (err == SPATE_ERR_INVALID) {
        remedy = "the device cannot do this MTU: set dpdk.mtu";
    }
    return spate_dpdk_explain(line, err, "dpdk.device %s:%s cannot be %s%s%s: %s",
                              endpoint->device.word, endpoint->device.what, step,
                              complaint[0] != '\0' ? " - " : "", complaint, remedy);
}

static void warn_about_numa(struct endpoint *endpoint, const struct port *port)
{
    char path[96];
    const int node = rte_eth_dev_socket_id(port->id);
    const int cpu = endpoint->options.cpu - 1;

    if (node < 0 || cpu < 0) {
        return;
    }
    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/node%d", cpu, node);
    if (access(path, F_OK) != 0) {
        spate_dpdk_notify(&endpoint->notices, SPATE_NET_NOTICE_WARNING,
                          "%s is on NUMA node %d, the node's thread on CPU %d of another: every "
                          "frame crosses over; choose a CPU of node %d",
                          port->label, node, cpu, node);
    }
}

/* One process has an interface's queue; what another that was killed left on it goes away. */
static spate_err claim_interface(struct endpoint *endpoint, const struct spate_dpdk_line *line)
{
    const char *name = endpoint->device.what;

    if (endpoint->device.kind != DEVICE_AF_XDP) {
        return SPATE_OK;
    }
    endpoint->claim_fd = spate_dpdk_interface_claim(name);
    if (endpoint->claim_fd < 0) {
        return spate_dpdk_explain(line, SPATE_ERR_IN_USE,
                                  "dpdk.device af_xdp: another core uses %s; stop it, or give this "
                                  "one another interface",
                                  name);
    }
    switch (spate_dpdk_interface_program(name)) {
    case INTERFACE_PROGRAM_NONE:
        return SPATE_OK;
    case INTERFACE_PROGRAM_OURS:
        spate_dpdk_notify(&endpoint->notices, SPATE_NET_NOTICE_INFO,
                          "%s: removed the XDP program that a killed process left", name);
        (void)spate_dpdk_interface_program_remove(name);
        return SPATE_OK;
    case INTERFACE_PROGRAM_FOREIGN:
        break;
    }
    return spate_dpdk_explain(line, SPATE_ERR_IN_USE,
                              "dpdk.device af_xdp: %s has an XDP program of somebody else; if it "
                              "may go: ip link set dev %s xdp off",
                              name, name);
}

/* A port without such rules gets all frames anyhow; the stack drops what is not ours. */
static void steer(struct endpoint *endpoint, const struct port *port, bool is_isolated)
{
    const uint16_t udp_port = endpoint->options.address.port;

    if (!endpoint->options.is_steered) {
        return;
    }
    if (spate_dpdk_flow_steer(port->id, endpoint->address, udp_port, is_isolated)) {
        spate_dpdk_notify(&endpoint->notices, SPATE_NET_NOTICE_INFO,
                          "%s: a rule on the card brings UDP %u%s", port->label, udp_port,
                          is_isolated ? ", all else stays the kernel's" : "");
    } else {
        spate_dpdk_notify(&endpoint->notices, SPATE_NET_NOTICE_WARNING,
                          "%s takes no flow rule: dpdk.flow has no effect", port->label);
    }
}

static spate_err open_port(struct endpoint *endpoint, struct port *port,
                           const struct spate_dpdk_line *line)
{
    char devargs[320];
    struct rte_ether_addr mac;
    uint16_t device_mtu = spate_dpdk_interface_mtu(endpoint->interface_fd, endpoint->device.what);

    spate_dpdk_device_arguments(&endpoint->device, endpoint->options.mtu, device_mtu, devargs,
                                sizeof devargs);
    spate_err err = claim_interface(endpoint, line);
    if (err != SPATE_OK) {
        return err;
    }
    err = spate_dpdk_port_probe(devargs, &port->id);
    if (err != SPATE_OK) {
        return explain_port(endpoint, err, "opened", line);
    }
    if (device_mtu == 0) {
        (void)rte_eth_dev_get_mtu(port->id, &device_mtu);
    }
    err = choose_sizes(endpoint, device_mtu, line);
    if (err == SPATE_OK) {
        err = make_pool(endpoint, rte_eth_dev_socket_id(port->id), line);
    }
    if (err != SPATE_OK) {
        return err;
    }
    const bool is_isolated = endpoint->options.is_steered && spate_dpdk_flow_isolate(port->id);
    const struct port_plan plan = {.pool = endpoint->pool,
                                   .mtu = endpoint->mtu,
                                   .may_interrupt = endpoint->device.kind == DEVICE_PCI};
    err = spate_dpdk_port_configure(port, &plan);
    if (err != SPATE_OK) {
        return explain_port(endpoint, err, "configured", line);
    }
    err = spate_dpdk_port_start(port);
    if (err != SPATE_OK || rte_eth_macaddr_get(port->id, &mac) != 0) {
        return explain_port(endpoint, SPATE_ERR_IO, "started", line);
    }
    steer(endpoint, port, is_isolated);
    struct spate_mac own;
    memcpy(own.bytes, mac.addr_bytes, sizeof own.bytes);
    err = spate_dpdk_endpoint_stack(endpoint, port, own);
    return err == SPATE_OK ? SPATE_OK
                           : spate_dpdk_explain(line, err,
                                                "dpdk.address or dpdk.gateway is not one that a "
                                                "host can have on its subnet");
}

static spate_err open_single(struct endpoint *endpoint, const struct spate_dpdk_line *line)
{
    struct port *port = calloc(1, sizeof *port);

    if (port == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    port->id = RTE_MAX_ETHPORTS;
    port->rx_interrupt_fd = -1;
    (void)snprintf(port->label, sizeof port->label, "%s.%.32s", endpoint->device.word,
                   endpoint->device.kind == DEVICE_VDEV ? "0" : endpoint->device.what);
    if (device_has_interface(&endpoint->device)) {
        endpoint->interface_fd = spate_dpdk_interface_open();
    }
    spate_dpdk_eal_lock();
    const spate_err err = open_port(endpoint, port, line);
    if (err != SPATE_OK) {
        if (port->id != RTE_MAX_ETHPORTS) {
            spate_dpdk_port_close(port);
        }
        spate_dpdk_eal_unlock();
        destroy_port(port);
        return err;
    }
    spate_dpdk_eal_unlock();
    spate_dpdk_counters_name(port);
    warn_about_numa(endpoint, port);
    atomic_store(&port->state, PORT_UP);
    endpoint->ports[0] = port;
    endpoint->port_count = 1;
    return SPATE_OK;
}

spate_err spate_dpdk_endpoint_create(const struct spate_net_dpdk_options *options,
                                     struct spate_net **ret_net, const struct spate_dpdk_line *line)
{
    spate_assert(options != NULL);
    spate_assert(ret_net != NULL);

    struct endpoint *endpoint = calloc(1, sizeof *endpoint);
    if (endpoint == NULL) {
        return spate_dpdk_explain(line, SPATE_ERR_NO_MEMORY, "out of memory");
    }
    endpoint->net.ops = &dpdk_ops;
    endpoint->options = *options;
    endpoint->address = spate_dpdk_ipv4(&options->address);
    endpoint->interface_fd = -1;
    endpoint->claim_fd = -1;
    endpoint->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    spate_dpdk_notices_init(&endpoint->notices);
    spate_err err = endpoint->wake_fd >= 0 ? check(options, line) : SPATE_ERR_IO;
    if (err == SPATE_OK) {
        err = spate_dpdk_device_parse(options->device, &endpoint->device, line);
    }
    if (err == SPATE_OK) {
        err = spate_dpdk_address_check(&endpoint->device, &options->address, line);
    }
    if (err == SPATE_OK) {
        err = spate_dpdk_eal_start(options, &endpoint->device, &endpoint->notices, line);
    }
    if (err == SPATE_OK) {
        endpoint->complaints_seen = spate_dpdk_eal_complaints();
        err = endpoint->device.kind == DEVICE_MEMIF ? open_memif(endpoint, line)
                                                    : open_single(endpoint, line);
    }
    if (err != SPATE_OK) {
        destroy(endpoint);
        return err;
    }
    endpoint->options.device = NULL; /* The caller's strings may go. */
    endpoint->options.eal_extra = NULL;
    spate_dpdk_telemetry_add(endpoint);
    *ret_net = &endpoint->net;
    return SPATE_OK;
}
