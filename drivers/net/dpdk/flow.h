/* Rules on the card for what is ours. */
#ifndef SPATE_DPDK_FLOW_H
#define SPATE_DPDK_FLOW_H

#include <stdbool.h>
#include <stdint.h>

/* Before the port is configured: only what rules name shall come. False: the card is not shared. */
bool spate_dpdk_flow_isolate(uint16_t port);

/*
 * After the port has started: UDP for address:udp_port comes to queue 0; on an isolated port ARP
 * and ICMP for us, too. Host order. False: the port takes no such rule.
 */
bool spate_dpdk_flow_steer(uint16_t port, uint32_t address, uint16_t udp_port, bool is_isolated);

#endif
