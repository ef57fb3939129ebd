/* The kernel must not have our address: it would answer for it too, and refuse what is ours. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "dpdk_internal.h"

static bool is_address(const struct ifaddrs *interface, uint32_t address)
{
    const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)interface->ifa_addr;

    return ipv4 != NULL && ipv4->sin_family == AF_INET && ntohl(ipv4->sin_addr.s_addr) == address;
}

/* Shared memory and what EAL makes by itself never meet the kernel. */
spate_err spate_dpdk_address_check(const struct device *device, const struct spate_address *address,
                                   const struct spate_dpdk_line *line)
{
    struct ifaddrs *all = NULL;
    spate_err err = SPATE_OK;

    if (device->kind == DEVICE_MEMIF || device->kind == DEVICE_VDEV || getifaddrs(&all) != 0) {
        return SPATE_OK;
    }
    for (const struct ifaddrs *one = all; one != NULL && err == SPATE_OK; one = one->ifa_next) {
        if (is_address(one, spate_dpdk_ipv4(address))) {
            err = spate_dpdk_explain(line, SPATE_ERR_IN_USE,
                                     "%u.%u.%u.%u is the kernel's too, on %s: both would answer "
                                     "for it; `ip address` shows it, `ip address del` removes it",
                                     address->bytes[0], address->bytes[1], address->bytes[2],
                                     address->bytes[3], one->ifa_name);
        }
    }
    freeifaddrs(all);
    return err;
}
