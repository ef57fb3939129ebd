/* The words that name a device in the configuration. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "dpdk_internal.h"

static const struct {
    const char *word;
    enum device_kind kind;
} kinds[] = {
    {"memif", DEVICE_MEMIF},   {"af_packet", DEVICE_AF_PACKET},
    {"af_xdp", DEVICE_AF_XDP}, {"tap", DEVICE_TAP},
    {"pci", DEVICE_PCI},       {"vdev", DEVICE_VDEV},
};

#define FORMS                                                                         \
    "memif:/run/spate, af_packet:eth1, af_xdp:eth1, tap:spate0, pci:0000:03:00.0 or " \
    "vdev:EAL-ARGUMENTS"

/* EAL takes devices apart at commas; names go into them as they are. */
static bool is_plain(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && strchr("/._-:@+", *at) == NULL) {
            return false;
        }
    }
    return true;
}

/* Writes the whole form, by which EAL calls the port, over the short one. */
static bool complete_pci_address(char *text, size_t bytes)
{
    unsigned domain = 0, bus, slot, function;
    int end = 0;
    const bool is_whole =
        sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) == 4;

    if (!is_whole && sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &function, &end) != 3) {
        return false;
    }
    if (text[end] != '\0') {
        return false;
    }
    (void)snprintf(text, bytes, "%04x:%02x:%02x.%x", is_whole ? domain : 0, bus, slot, function);
    return true;
}

static spate_err check_what(struct device *device, const struct spate_dpdk_line *line)
{
    if (device->kind == DEVICE_VDEV) {
        return SPATE_OK;
    }
    if (!is_plain(device->what)) {
        return spate_dpdk_explain(line, SPATE_ERR_INVALID,
                                  "dpdk.device %s:%s: letters, digits and /._-:@+ only",
                                  device->word, device->what);
    }
    if (device_has_interface(device) && strlen(device->what) >= IFNAMSIZ) {
        return spate_dpdk_explain(line, SPATE_ERR_INVALID,
                                  "dpdk.device %s: '%s' is too long for an interface's name",
                                  device->word, device->what);
    }
    if ((device->kind == DEVICE_AF_PACKET || device->kind == DEVICE_AF_XDP) &&
        if_nametoindex(device->what) == 0) {
        return spate_dpdk_explain(line, SPATE_ERR_INVALID,
                                  "dpdk.device: there is no interface '%s'; `ip link` lists them",
                                  device->what);
    }
    if (device->kind == DEVICE_MEMIF && device->what[0] != '/') {
        return spate_dpdk_explain(line, SPATE_ERR_INVALID,
                                  "dpdk.device memif wants a folder by its whole path, such as "
                                  "memif:/run/spate");
    }
    if (device->kind == DEVICE_PCI && !complete_pci_address(device->what, sizeof device->what)) {
        return spate_dpdk_explain(line, SPATE_ERR_INVALID,
                                  "dpdk.device: '%s' is not a PCI address such as 0000:03:00.0; "
                                  "`dpdk-devbind.py --status-dev net` lists them",
                                  device->what);
    }
    return SPATE_OK;
}

spate_err spate_dpdk_device_parse(const char *text, struct device *ret_device,
                                  const struct spate_dpdk_line *line)
{
    const char *colon = text != NULL ? strchr(text, ':') : NULL;

    if (colon == NULL || colon[1] == '\0') {
        return spate_dpdk_explain(line, SPATE_ERR_INVALID, "dpdk.device wants one of " FORMS);
    }
    if (strlen(colon + 1) >= sizeof ret_device->what) {
        return spate_dpdk_explain(line, SPATE_ERR_INVALID, "dpdk.device is too long");
    }
    for (size_t i = 0; i < SPATE_ARRAY_COUNT(kinds); i++) {
        const size_t length = strlen(kinds[i].word);
        if ((size_t)(colon - text) == length && memcmp(text, kinds[i].word, length) == 0) {
            ret_device->kind = kinds[i].kind;
            ret_device->word = kinds[i].word;
            memcpy(ret_device->what, colon + 1, strlen(colon + 1) + 1);
            return check_what(ret_device, line);
        }
    }
    return spate_dpdk_explain(line, SPATE_ERR_INVALID, "dpdk.device '%s': use one of " FORMS, text);
}

/* The frames of AF_PACKET's ring: their headers (TPACKET) and one Ethernet frame. */
uint32_t spate_dpdk_af_packet_frame_bytes(uint32_t mtu)
{
    uint32_t bytes = 2048;

    while (bytes < mtu + 22u + 256u) {
        bytes *= 2;
    }
    return bytes;
}

void spate_dpdk_device_arguments(const struct device *device, uint32_t mtu, uint32_t device_mtu,
                                 char *text, size_t bytes)
{
    static _Atomic uint32_t made;
    const uint32_t at = atomic_fetch_add(&made, 1);
    const uint32_t frame_bytes = spate_dpdk_af_packet_frame_bytes(mtu != 0 ? mtu : device_mtu);

    switch (device->kind) {
    case DEVICE_AF_PACKET:
        (void)snprintf(text, bytes, "net_af_packet%u,iface=%s,blocksz=%u,framesz=%u,framecnt=%u",
                       at, device->what, frame_bytes > 4096 ? frame_bytes : 4096, frame_bytes,
                       1024u);
        break;
    case DEVICE_AF_XDP:
        (void)snprintf(text, bytes, "net_af_xdp%u,iface=%s", at, device->what);
        break;
    case DEVICE_TAP:
        (void)snprintf(text, bytes, "net_tap%u,iface=%s", at, device->what);
        break;
    case DEVICE_MEMIF:
    case DEVICE_PCI:
    case DEVICE_VDEV:
        (void)snprintf(text, bytes, "%s", device->what);
        break;
    }
}
