#include "bench/transport/transport.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORT    7209
#define FOLDERS "/tmp" /* Short, for the sockets below have little room for a path. */

static const char *const names[TRANSPORT_KINDS] = {
    [TRANSPORT_SOCKET] = "socket", [TRANSPORT_VETH] = "veth",
    [TRANSPORT_MEMIF] = "memif",   [TRANSPORT_AF_PACKET] = "af_packet",
    [TRANSPORT_AF_XDP] = "af_xdp", [TRANSPORT_TAP] = "tap",
    [TRANSPORT_PCI] = "pci",
};

const char *transport_name(enum transport_kind kind)
{
    return names[kind];
}

static bool parse_kind(const char *name, enum transport_kind *ret_kind)
{
    for (uint32_t k = 0; k < TRANSPORT_KINDS; k++) {
        if (strcmp(name, names[k]) == 0) {
            *ret_kind = (enum transport_kind)k;
            return k != TRANSPORT_PCI; /* Which needs an address. */
        }
    }
    return false;
}

/* The next card of a transport. The driver is the judge of the address. */
static bool add_card(struct transport *transport, const char *address)
{
    const size_t room = sizeof transport->node[0].device;

    if (transport->cards == TRANSPORT_NODES_MAX || address[0] == '\0') {
        return false;
    }
    struct transport_node *node = &transport->node[transport->cards++];
    return (size_t)snprintf(node->device, room, "pci:%s", address) < room;
}

uint32_t transport_parse(char *text, struct transport transports[TRANSPORT_KINDS])
{
    char *item = NULL;
    uint32_t count = 0;

    while ((item = strsep(&text, ",")) != NULL) {
        struct transport *last = count > 0 ? &transports[count - 1] : NULL;
        const bool is_first_card = strncmp(item, "pci:", 4) == 0;
        const bool is_card = strchr(item, ':') != NULL;
        if (!is_first_card && is_card && last != NULL && last->kind == TRANSPORT_PCI) {
            if (!add_card(last, item)) {
                return 0;
            }
            continue;
        }
        if (count == TRANSPORT_KINDS) {
            return 0;
        }
        struct transport *next = &transports[count++];
        *next = (struct transport){.kind = TRANSPORT_PCI};
        if (is_first_card ? !add_card(next, item + 4) : !parse_kind(item, &next->kind)) {
            return 0;
        }
    }
    return count;
}

/* memif's folder is flat. */
static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    (void)rmdir(path);
}

bool transport_is_left(const char *name)
{
    long pid = 0;
    int used = 0;

    return sscanf(name, TRANSPORT_PREFIX "%ld-%n", &pid, &used) == 1 && used > 0 && pid > 0 &&
           kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* Everybody writes to /tmp: only a folder of our own is what it seems. */
static void sweep(void)
{
    DIR *folder = opendir(FOLDERS);
    const struct dirent *entry;
    struct stat status;
    char path[sizeof FOLDERS + 256];

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (transport_is_left(entry->d_name) &&
            fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(status.st_mode) && status.st_uid == geteuid()) {
            (void)snprintf(path, sizeof path, FOLDERS "/%s", entry->d_name);
            remove_folder(path);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

static bool open_memif(struct transport *transport, char *message, uint32_t message_bytes)
{
    sweep();
    (void)snprintf(transport->folder, sizeof transport->folder,
                   FOLDERS "/" TRANSPORT_PREFIX "%ld-XXXXXX", (long)getpid());
    if (mkdtemp(transport->folder) == NULL) {
        (void)snprintf(message, message_bytes, "no folder can be made in " FOLDERS ": %s",
                       strerror(errno));
        transport->folder[0] = '\0';
        return false;
    }
    for (uint32_t n = 0; n < transport->nodes; n++) {
        (void)snprintf(transport->node[n].device, sizeof transport->node[n].device, "memif:%s",
                       transport->folder);
    }
    return true;
}

/* Cores on DPDK have addresses that the kernel has not: their stack is their own. */
static void name_addresses(struct transport *transport)
{
    const int subnet = transport_is_dpdk(transport->kind) ? 77 : 78;

    for (uint32_t n = 0; n < transport->nodes; n++) {
        struct transport_node *node = &transport->node[n];
        (void)snprintf(node->address, sizeof node->address, "10.%d.0.%u:%d", subnet, n + 1, PORT);
        if (transport->kind == TRANSPORT_AF_PACKET || transport->kind == TRANSPORT_AF_XDP) {
            (void)snprintf(node->device, sizeof node->device, "%s:eth0", names[transport->kind]);
        } else if (transport->kind == TRANSPORT_TAP) {
            (void)snprintf(node->device, sizeof node->device, "tap:" TRANSPORT_TAP_NAME);
        }
    }
}

bool transport_open(struct transport *transport, uint32_t nodes, char *message,
                    uint32_t message_bytes)
{
    transport->nodes = nodes;
    if (transport->kind == TRANSPORT_SOCKET) {
        return true;
    }
    name_addresses(transport);
    if (transport->kind == TRANSPORT_PCI) {
        return cards_open(transport, message, message_bytes);
    }
    return transport->kind == TRANSPORT_MEMIF ? open_memif(transport, message, message_bytes)
                                              : network_open(transport, message, message_bytes);
}

bool transport_attach(const struct transport *transport, uint32_t node)
{
    return transport->kind != TRANSPORT_TAP || network_attach_tap(node);
}

void transport_close(struct transport *transport)
{
    if (transport->kind == TRANSPORT_MEMIF && transport->folder[0] != '\0') {
        remove_folder(transport->folder);
    } else if (transport->kind != TRANSPORT_SOCKET && transport->kind != TRANSPORT_PCI) {
        network_close();
    }
    *transport = (struct transport){.kind = TRANSPORT_SOCKET};
}
