/* Bare ports of DPDK under the bare loop: frames of our own Ethernet type, no stack, no checks. */
#ifndef SPATE_BENCH_LIMITS_DPDK_PORT_H
#define SPATE_BENCH_LIMITS_DPDK_PORT_H

#include "bench/limits/socket.h"

/*
 * Starts EAL with a device per string and all ports. `node` 0 leads. With one device all others are
 * behind it (af_packet, af_xdp); with several (memif) device f of the leader leads to node f + 1.
 * Where a message is to go its msg_name says: a sockaddr_in whose port is the node.
 * False: says why on stderr.
 */
bool dpdk_port_open(uint32_t node, uint32_t device_count, char *const devices[],
                    struct bench_port **ret_port);

/* Gives the devices back. */
void dpdk_port_close(void);

#endif
