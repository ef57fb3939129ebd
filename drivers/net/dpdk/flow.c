/*
 * A rule on the card: UDP for our port and address comes to our queue. On a card that is shared
 * with the kernel (a bifurcated driver such as mlx5) the port is isolated first, so that all but
 * our own frames stay the kernel's; then ARP and ICMP for us need rules as well (rte_flow, isolated
 * mode).
 */
#include <rte_byteorder.h>
#include <rte_flow.h>
#include <string.h>

#include "flow.h"

#define ETHER_TYPE_ARP 0x0806u
#define PROTOCOL_ICMP  1u

#define ITEMS_MAX 4u

struct rule {
    uint32_t used;
    struct rte_flow_item items[ITEMS_MAX];
    struct rte_flow_item_eth eth, eth_mask;
    struct rte_flow_item_ipv4 ip, ip_mask;
    struct rte_flow_item_udp udp, udp_mask;
};

static void add(struct rule *rule, enum rte_flow_item_type type, const void *spec, const void *mask)
{
    rule->items[rule->used++] = (struct rte_flow_item){.type = type, .spec = spec, .mask = mask};
}

static void match_ip(struct rule *rule, uint32_t address, uint8_t protocol)
{
    rule->ip.hdr.dst_addr = rte_cpu_to_be_32(address);
    rule->ip_mask.hdr.dst_addr = UINT32_MAX;
    rule->ip.hdr.next_proto_id = protocol;
    rule->ip_mask.hdr.next_proto_id = protocol != 0 ? UINT8_MAX : 0;
    add(rule, RTE_FLOW_ITEM_TYPE_ETH, NULL, NULL);
    add(rule, RTE_FLOW_ITEM_TYPE_IPV4, &rule->ip, &rule->ip_mask);
}

/* True: the port took it. */
static bool install(uint16_t port, struct rule *rule)
{
    const struct rte_flow_attr attributes = {.ingress = 1};
    const struct rte_flow_action_queue queue = {.index = 0};
    const struct rte_flow_action actions[] = {
        {.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &queue},
        {.type = RTE_FLOW_ACTION_TYPE_END},
    };
    struct rte_flow_error error;

    add(rule, RTE_FLOW_ITEM_TYPE_END, NULL, NULL);
    return rte_flow_create(port, &attributes, rule->items, actions, &error) != NULL;
}

bool spate_dpdk_flow_isolate(uint16_t port)
{
    struct rte_flow_error error;

    return rte_flow_isolate(port, 1, &error) == 0;
}

bool spate_dpdk_flow_steer(uint16_t port, uint32_t address, uint16_t udp_port, bool is_isolated)
{
    struct rule udp = {.used = 0}, icmp = {.used = 0}, arp = {.used = 0};

    match_ip(&udp, address, 0);
    udp.udp.hdr.dst_port = rte_cpu_to_be_16(udp_port);
    udp.udp_mask.hdr.dst_port = UINT16_MAX;
    add(&udp, RTE_FLOW_ITEM_TYPE_UDP, &udp.udp, &udp.udp_mask);
    if (!install(port, &udp)) {
        return false;
    }
    if (!is_isolated) {
        return true;
    }
    match_ip(&icmp, address, PROTOCOL_ICMP);
    arp.eth.type = rte_cpu_to_be_16(ETHER_TYPE_ARP);
    arp.eth_mask.type = UINT16_MAX;
    add(&arp, RTE_FLOW_ITEM_TYPE_ETH, &arp.eth, &arp.eth_mask);
    return install(port, &icmp) && install(port, &arp);
}
