/*
 * A namespace per core and one for the bridge, with a veth pair from each core to it. `ip` does the
 * work; names carry our process id, so that the leftovers of a killed harness can be told.
 */
#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/transport/transport.h"

#define PREFIX    TRANSPORT_PREFIX
#define SPACES    "/run/netns"
#define WORDS_MAX 24

extern char **environ;

/* Runs a program; words are parted at blanks. True: it ended well. */
__attribute__((format(printf, 1, 2))) static bool run(const char *format, ...)
{
    char text[512];
    char *words[WORDS_MAX + 1];
    char *rest = text;
    int count = 0;
    int status = -1;
    pid_t pid;
    posix_spawnattr_t attributes;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    while (count < WORDS_MAX && (words[count] = strsep(&rest, " ")) != NULL) {
        count++;
    }
    words[count] = NULL;
    /* A group of its own: Ctrl-C shall not end the programs that remove what there is. */
    if (posix_spawnattr_init(&attributes) != 0) {
        return false;
    }
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    const bool is_started = posix_spawnp(&pid, words[0], NULL, &attributes, words, environ) == 0;
    (void)posix_spawnattr_destroy(&attributes);
    if (!is_started) {
        return false;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status == 0;
}

static void bridge_space(char *text, size_t bytes)
{
    (void)snprintf(text, bytes, PREFIX "%ld-b", (long)getpid());
}

static void remove_space(const char *name)
{
    char path[sizeof SPACES + 256];

    (void)snprintf(path, sizeof path, SPACES "/%s", name);
    if (access(path, F_OK) == 0) {
        (void)run("ip netns del %s", name);
    }
}

/* Namespaces whose harness is gone. */
static void sweep(void)
{
    DIR *folder = opendir(SPACES);
    const struct dirent *entry;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (transport_is_left(entry->d_name)) {
            remove_space(entry->d_name);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

static bool add_space(const char *name)
{
    return run("ip netns add %s", name) && run("ip -n %s link set lo up", name) &&
           run("ip netns exec %s sysctl -qw net.ipv6.conf.all.disable_ipv6=1 "
               "net.ipv6.conf.default.disable_ipv6=1",
               name);
}

static void mac_of(uint32_t node, uint8_t mac[6])
{
    const uint8_t bytes[6] = {0x02, 0x78, 0, 0, 0, (uint8_t)node};

    memcpy(mac, bytes, sizeof bytes);
}

static bool add_node(uint32_t node, const char *bridge)
{
    char space[48];
    uint8_t mac[6];

    (void)snprintf(space, sizeof space, PREFIX "%ld-%u", (long)getpid(), node);
    mac_of(node, mac);
    return add_space(space) &&
           run("ip link add p%u netns %s type veth peer name eth0 address "
               "%02x:%02x:%02x:%02x:%02x:%02x netns %s",
               node, bridge, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], space) &&
           run("ip -n %s link set p%u master br0 up", bridge, node) &&
           run("ip -n %s addr add 10.78.0.%u/24 dev eth0", space, node) &&
           run("ip -n %s link set eth0 up", space);
}

/*
 * For DPDK's tap: a second veth pair, whose end in the core's namespace is bridged there to the
 * interface that the driver makes when the core starts.
 */
static bool add_tap_path(uint32_t node, const char *bridge)
{
    char space[48];

    (void)snprintf(space, sizeof space, PREFIX "%ld-%u", (long)getpid(), node);
    return run("ip link add t%u netns %s type veth peer name eth1 netns %s", node, bridge, space) &&
           run("ip -n %s link set t%u master br0 up", bridge, node) &&
           run("ip -n %s link add br1 type bridge", space) &&
           run("ip -n %s link set eth1 master br1 up", space) &&
           run("ip -n %s link set br1 up", space);
}

/* The driver gives the kernel's end the address of the core's, which a bridge would take for its
 * own: it gets another. */
bool network_attach_tap(uint32_t node)
{
    char space[48];

    (void)snprintf(space, sizeof space, PREFIX "%ld-%u", (long)getpid(), node + 1);
    return run("ip -n %s link set " TRANSPORT_TAP_NAME " address 02:79:00:00:00:%02x", space,
               node + 1) &&
           run("ip -n %s link set " TRANSPORT_TAP_NAME " master br1 up", space);
}

/* Transports of one run share the network: the same veth for all that are compared on it. */
static uint32_t users;
static uint32_t nodes_made;

static void remove_spaces(void)
{
    char name[48];

    for (uint32_t n = 0; n < nodes_made; n++) {
        (void)snprintf(name, sizeof name, PREFIX "%ld-%u", (long)getpid(), n + 1);
        remove_space(name);
    }
    bridge_space(name, sizeof name);
    remove_space(name);
}

static bool make_spaces(uint32_t nodes)
{
    char bridge[48];

    sweep();
    bridge_space(bridge, sizeof bridge);
    bool is_good = add_space(bridge) && run("ip -n %s link add br0 type bridge", bridge) &&
                   run("ip -n %s link set br0 up", bridge);
    nodes_made = 0;
    while (is_good && nodes_made < nodes) {
        is_good = add_node(++nodes_made, bridge);
    }
    if (!is_good) {
        remove_spaces();
    }
    return is_good;
}

bool network_open(struct transport *transport, char *message, uint32_t message_bytes)
{
    if (geteuid() != 0) {
        (void)snprintf(message, message_bytes,
                       "%s needs network namespaces: run as root, or choose memif or socket",
                       transport_name(transport->kind));
        return false;
    }
    if (users == 0 && !make_spaces(transport->nodes)) {
        (void)snprintf(message, message_bytes,
                       "network namespaces cannot be made: is iproute2 installed, and may we?");
        return false;
    }
    users++;
    for (uint32_t n = 0; transport->kind == TRANSPORT_TAP && n < transport->nodes; n++) {
        char bridge[48];
        bridge_space(bridge, sizeof bridge);
        if (!add_tap_path(n + 1, bridge)) {
            (void)snprintf(message, message_bytes, "veth pairs for tap cannot be made");
            network_close();
            return false;
        }
    }
    for (uint32_t n = 0; n < transport->nodes; n++) {
        struct transport_node *node = &transport->node[n];
        (void)snprintf(node->network_space, sizeof node->network_space, PREFIX "%ld-%u",
                       (long)getpid(), n + 1);
        mac_of(n + 1, node->mac);
    }
    return true;
}

void network_close(void)
{
    if (--users == 0) {
        remove_spaces();
    }
}
