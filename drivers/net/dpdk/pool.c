/* Packet memory: one pool per endpoint, on the NUMA node of its device. */
#include <stdio.h>

#include "dpdk_internal.h"

/* What a thread keeps for itself, and what a device holds in its queues. */
#define CACHE_MBUFS      256u
#define DEVICE_MBUFS     3072u
#define BUFFER_BYTES_MIN 2048u

/* A frame in one piece, in steps that network cards can be told. */
static uint32_t buffer_bytes(const struct endpoint *endpoint)
{
    const uint32_t frame = endpoint->mtu + 14u + 2u * 4u + 4u;
    const uint32_t rounded = (frame + 1023u) & ~1023u;

    if (endpoint->device.kind == DEVICE_MEMIF) {
        return MEMIF_BUFFER_BYTES;
    }
    if (endpoint->device.kind == DEVICE_AF_PACKET) {
        return spate_dpdk_af_packet_frame_bytes(endpoint->mtu);
    }
    return rounded > BUFFER_BYTES_MIN ? rounded : BUFFER_BYTES_MIN;
}

struct rte_mempool *spate_dpdk_pool_create(const struct endpoint *endpoint, int numa_node)
{
    static _Atomic uint32_t made;
    char name[RTE_MEMPOOL_NAMESIZE];
    /* memif copies: its queues hold no mbufs of ours. */
    const uint32_t device = endpoint->device.kind == DEVICE_MEMIF ? 0 : DEVICE_MBUFS;
    const uint32_t count = LENT_MAX + 3 * CACHE_MBUFS / 2 + 4 * SPATE_BURST_MAX + device;

    (void)snprintf(name, sizeof name, "spate_%u", atomic_fetch_add(&made, 1));
    return rte_pktmbuf_pool_create(name, count, CACHE_MBUFS, 0,
                                   (uint16_t)(buffer_bytes(endpoint) + RTE_PKTMBUF_HEADROOM),
                                   numa_node);
}
