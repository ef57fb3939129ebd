/* Network cards: what can be known of them before a core opens one. */
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/transport/transport.h"

#define CARDS "/sys/bus/pci/devices"

/* The driver that the card is bound to; "" if none. Addresses may leave out the domain. */
static bool find_driver(const char *address, char *driver, size_t bytes)
{
    const bool has_domain = strchr(address, ':') != strrchr(address, ':');
    char path[300];
    char target[300] = "";

    (void)snprintf(path, sizeof path, CARDS "/%s%s", has_domain ? "" : "0000:", address);
    if (access(path, F_OK) != 0) {
        return false;
    }
    (void)strncat(path, "/driver", sizeof path - strlen(path) - 1);
    if (readlink(path, target, sizeof target - 1) > 0) {
        (void)snprintf(driver, bytes, "%s", basename(target));
    }
    return true;
}

bool cards_open(const struct transport *transport, char *message, uint32_t message_bytes)
{
    if (transport->cards < transport->nodes) {
        (void)snprintf(message, message_bytes,
                       "pci: %u cores want a card each, and %u are named: "
                       "--transport pci:0000:03:00.0,0000:03:00.1,...",
                       transport->nodes, transport->cards);
        return false;
    }
    for (uint32_t n = 0; n < transport->nodes; n++) {
        const char *address = transport->node[n].device + strlen("pci:");
        char driver[64] = "";
        if (!find_driver(address, driver, sizeof driver)) {
            (void)snprintf(
                message, message_bytes,
                "pci: there is no card %s; `dpdk-devbind.py --status-dev net` lists them", address);
            return false;
        }
        /* Mellanox's keep the kernel's driver and share the card with it. */
        if (strcmp(driver, "vfio-pci") != 0 && strncmp(driver, "mlx", 3) != 0) {
            (void)snprintf(message, message_bytes,
                           "pci: %s is bound to %s: bind it to vfio-pci, as docs/hardware.md says",
                           address, driver[0] != '\0' ? driver : "no driver");
            return false;
        }
    }
    return true;
}
