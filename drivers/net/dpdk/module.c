/* The module's one symbol. */
#include "dpdk_internal.h"

static spate_err create(const struct spate_net_dpdk_options *options, struct spate_net **ret_net,
                        char *message, size_t message_bytes)
{
    const struct spate_dpdk_line line = {.text = message, .bytes = message_bytes};

    return spate_dpdk_endpoint_create(options, ret_net, &line);
}

SPATE_API extern const struct spate_net_dpdk_module spate_net_dpdk_module;

const struct spate_net_dpdk_module spate_net_dpdk_module = {
    .abi = SPATE_NET_DPDK_ABI,
    .create = create,
};
