/* A module of another build: nothing but its version may be looked at. */
#include "net/dpdk/dpdk.h"

SPATE_API extern const struct spate_net_dpdk_module spate_net_dpdk_module;

const struct spate_net_dpdk_module spate_net_dpdk_module = {.abi = SPATE_NET_DPDK_ABI + 1};
