/* Two endpoints over memif, in one process that shares EAL, in a folder that the test made. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock/monotonic.h"
#include "fixture.h"
#include "net/dpdk/dpdk.h"

extern const struct spate_net_dpdk_module spate_net_dpdk_module;

static char folder[64];

static void remove_folder(void)
{
    char path[128];

    for (uint32_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/10.77.0.%u.lock", folder, i + 1);
        (void)unlink(path);
    }
    /* Fails when an endpoint left a socket behind. */
    if (rmdir(folder) != 0) {
        (void)fprintf(stderr, "%s is not empty\n", folder);
        _exit(1);
    }
}

bool pair_open_memif(struct pair *pair, struct spate_address addresses[2])
{
    static const char *const texts[2] = {"10.77.0.1:7209", "10.77.0.2:7209"};
    char message[256] = "", device[96];

    if (folder[0] == '\0') {
        (void)snprintf(folder, sizeof folder, "/tmp/spate-contract-XXXXXX");
        if (mkdtemp(folder) == NULL || atexit(remove_folder) != 0) {
            return false;
        }
    }
    (void)snprintf(device, sizeof device, "memif:%s", folder);
    for (uint32_t i = 0; i < 2; i++) {
        struct spate_net_dpdk_options options = {.device = device, .clock = spate_clock_system()};
        if (spate_address_parse(texts[i], &addresses[i]) != SPATE_OK) {
            return false;
        }
        options.address = addresses[i];
        if (spate_net_dpdk_module.create(&options, &pair->net[i], message, sizeof message) !=
            SPATE_OK) {
            (void)fprintf(stderr, "%s\n", message);
            return false;
        }
    }
    return true;
}
