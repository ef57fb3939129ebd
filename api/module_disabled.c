/* In place of module.c when the build leaves DPDK out. */
#include "core_internal.h"

spate_err spate_core_load_dpdk(const struct spate_message_line *line,
                               const struct spate_net_dpdk_module **ret_module)
{
    (void)ret_module;
    return spate_explain(line, SPATE_ERR_UNSUPPORTED,
                         "this build has no DPDK driver (-Ddpdk=disabled): choose transport = "
                         "socket, or build with -Ddpdk=enabled");
}
