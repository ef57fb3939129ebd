/* One port of the poll-mode drivers: one queue each way, on the thread that polls it. */
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <stdio.h>
#include <string.h>

#include "dpdk_internal.h"

#define RX_DESCRIPTORS 1024u
#define TX_DESCRIPTORS 1024u

/* The name under which EAL knows a device is what stands before the first comma. */
spate_err spate_dpdk_port_probe(const char *devargs, uint16_t *ret_id)
{
    char name[RTE_ETH_NAME_MAX_LEN];

    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(devargs, ","), devargs);
    if (rte_eth_dev_get_port_by_name(name, ret_id) == 0) {
        return SPATE_OK; /* EAL found it itself, as it does with PCI cards. */
    }
    const int status = rte_dev_probe(devargs);
    if (status != 0) {
        return status == -ENOMEM                       ? SPATE_ERR_NO_MEMORY
               : status == -EPERM || status == -EACCES ? SPATE_ERR_PERMISSION
                                                       : SPATE_ERR_UNSUPPORTED;
    }
    return rte_eth_dev_get_port_by_name(name, ret_id) == 0 ? SPATE_OK : SPATE_ERR_UNSUPPORTED;
}

static void choose_offloads(struct port *port, const struct rte_eth_dev_info *info,
                            struct rte_eth_conf *conf)
{
    const uint64_t rx = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;

    port->tx_flags = 0;
    conf->rxmode.offloads = info->rx_offload_capa & rx;
    if ((info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0) {
        conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
        port->tx_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
    }
    if ((info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0) {
        conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
        port->tx_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM;
    }
    /* All that we send comes from one pool and has one owner. */
    conf->txmode.offloads |= info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
}

/* Only network cards have an Rx interrupt, and some refuse it when they are configured. */
static int configure(struct port *port, struct rte_eth_conf *conf, bool may_interrupt)
{
    conf->intr_conf.rxq = may_interrupt;
    port->has_interrupt = may_interrupt && rte_eth_dev_configure(port->id, 1, 1, conf) == 0;
    if (port->has_interrupt) {
        return 0;
    }
    conf->intr_conf.rxq = 0;
    return rte_eth_dev_configure(port->id, 1, 1, conf);
}

spate_err spate_dpdk_port_configure(struct port *port, const struct port_plan *plan)
{
    struct rte_eth_conf conf = {.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE};
    struct rte_eth_dev_info info;
    uint16_t rx = RX_DESCRIPTORS, tx = TX_DESCRIPTORS;
    const int node = rte_eth_dev_socket_id(port->id);

    if (rte_eth_dev_info_get(port->id, &info) != 0) {
        return SPATE_ERR_UNSUPPORTED;
    }
    choose_offloads(port, &info, &conf);
    if (!plan->mtu_is_fixed) {
        if (plan->mtu > info.max_mtu || plan->mtu < info.min_mtu) {
            return SPATE_ERR_INVALID;
        }
        conf.rxmode.mtu = plan->mtu;
    }
    port->rx_interrupt_fd = -1;
    if (configure(port, &conf, plan->may_interrupt) != 0 ||
        rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &rx, &tx) != 0 ||
        rte_eth_rx_queue_setup(port->id, 0, rx, (unsigned)node, NULL, plan->pool) != 0 ||
        rte_eth_tx_queue_setup(port->id, 0, tx, (unsigned)node, NULL) != 0) {
        return SPATE_ERR_UNSUPPORTED;
    }
    return SPATE_OK;
}

spate_err spate_dpdk_port_start(struct port *port)
{
    if (rte_eth_dev_start(port->id) != 0) {
        return SPATE_ERR_IO;
    }
    if (port->has_interrupt && rte_eth_dev_rx_intr_disable(port->id, 0) == 0) {
        port->rx_interrupt_fd = rte_eth_dev_rx_intr_ctl_q_get_fd(port->id, 0);
    }
    return SPATE_OK;
}

void spate_dpdk_port_close(struct port *port)
{
    while (port->rx_count > 0) {
        port->rx_count--;
        rte_pktmbuf_free(port->rx[port->rx_first++]);
    }
    (void)rte_eth_dev_stop(port->id);
    (void)rte_eth_dev_close(port->id);
}

bool spate_dpdk_port_link_is_up(const struct port *port)
{
    struct rte_eth_link link;

    return rte_eth_link_get_nowait(port->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}
