/*
 * The settings of `spate core`, from one table: a flag (--raft.node.listen A), an environment
 * variable (SPATE_RAFT_NODE_LISTEN=A) and a line of an INI file ([raft] node.listen = A) for
 * each. A flag wins over the environment, the environment over the file, the file over the default.
 */
#ifndef SPATE_APPS_SETTINGS_H
#define SPATE_APPS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SETTING_TEXT_BYTES 1024u

/* name, default, what it means */
#define SETTING_MAP(X)                                                                             \
    X(ID, "id", "", "id of this core: 1 or more, one of raft.members")                             \
    X(CLUSTER_ID, "cluster.id", "00000000-0000-0000-0000-000000000000",                            \
      "id of the cluster, a UUID: the same on all members")                                        \
    X(MEMBERS, "raft.members", "", "all voters, an odd number: 1@ADDRESS:PORT,2@ADDRESS:PORT,…")   \
    X(JOIN, "join", "off",                                                                         \
      "on | off: into a running cluster; raft.members then is only where to find whom")            \
    X(INCARNATION, "raft.incarnation", "1",                                                        \
      "larger than before when this id comes back without its data")                               \
    X(LISTEN, "raft.node.listen", "", "where to bind for the peers (default: own address)")        \
    X(TRANSPORT, "transport", "auto", "auto | socket | dpdk; auto: dpdk when dpdk.device is set")  \
    X(DPDK_DEVICE, "dpdk.device", "",                                                              \
      "memif:DIRECTORY | af_packet:IF | af_xdp:IF | tap:NAME | pci:ADDRESS | vdev:DEVARGS")        \
    X(DPDK_ADDRESS, "dpdk.address", "",                                                            \
      "own IPv4 address and prefix (default: the member's, /24)")                                  \
    X(DPDK_GATEWAY, "dpdk.gateway", "", "router to members off the subnet")                        \
    X(DPDK_VLAN, "dpdk.vlan", "0", "802.1Q tag; 0: untagged")                                      \
    X(DPDK_MTU, "dpdk.mtu", "0", "largest IPv4 packet; 0: the device's own, memif 9000")           \
    X(DPDK_MEMORY, "dpdk.memory", "0",                                                             \
      "MiB of memory without hugepages; 0: what the device needs")                                 \
    X(DPDK_FLOW, "dpdk.flow", "off", "on | off: a rule on the card that brings UDP for our port")  \
    X(DPDK_EAL_EXTRA, "dpdk.eal_extra", "", "further arguments of DPDK's EAL")                     \
    X(POLL, "poll", "auto", "auto | busy | adaptive; auto: busy on dpdk with cpu, else adaptive")  \
    X(INSECURE_PEERS, "insecure-peers", "refused",                                                 \
      "frames between cores are not sealed: refused | local | any")                                \
    X(DURABILITY, "durability", "disk", "disk | memory: what an acknowledged write is on")         \
    X(DATA, "data", "", "directory for what must last; memory: only that this core made promises") \
    X(DISK, "disk", "auto",                                                                        \
      "auto | wal | lmdb: how the log lies in data; auto: as it does, or wal")                     \
    X(DISK_LOW, "disk.low", "256M", "free space below which no more writes are taken")             \
    X(STATE_MACHINE, "state-machine", "kv", "kv | counting")                                       \
    X(QUOTA, "kv.quota", "1G", "bytes of keys and values; the same on all members")                \
    X(FRAME_BYTES, "raft.frame-bytes", "0",                                                        \
      "largest UDP payload; 0: 1472, on loopback 60000, on dpdk what the MTU allows")              \
    X(LOG_BUDGET, "raft.log-budget", "256M", "memory for the log")                                 \
    X(SNAPSHOT_ENTRIES, "snapshot.entries", "0",                                                   \
      "a snapshot after so many entries; 0: 10,000,000, in memory when one is needed")             \
    X(SNAPSHOT_BYTES, "snapshot.bytes", "0",                                                       \
      "or after so many bytes of them; 0: 256M, in memory when one is needed")                     \
    X(SNAPSHOT_KEEP, "snapshot.keep-entries", "0",                                                 \
      "entries that the store keeps before the newest snapshot; 0: 100,000")                       \
    X(ELECTION_MIN, "raft.election-timeout-min", "300ms", "shortest election timeout")             \
    X(ELECTION_MAX, "raft.election-timeout-max", "600ms", "longest election timeout")              \
    X(HEARTBEAT, "raft.heartbeat", "50ms", "how often an idle leader is heard")                    \
    X(SPIN, "poll.spin", "50us", "adaptive polling: how long to spin before blocking")             \
    X(CPU, "cpu", "", "pin the node's thread to this processor; on dpdk, of the card's NUMA node") \
    X(APPLY, "apply", "inline", "inline | thread: where the state machine runs")                   \
    X(READS, "reads", "quorum",                                                                    \
      "quorum | lease: who vouches for a linearizable read; lease: the same on all members")       \
    X(HEALTH_LISTEN, "health.listen", "127.0.0.1:7208", "health and metrics, HTTP, read only")     \
    X(API_LISTEN, "api.listen", "127.0.0.1:7220", "the API, plain HTTP: loopback addresses only")  \
    X(API_FOLLOWER, "api.follower", "forward",                                                     \
      "forward | redirect: what a follower does with a write")                                     \
    X(API_MEMBERS, "api.members", "",                                                              \
      "for redirect: where the members' APIs are: 1@HOST:PORT,2@HOST:PORT,…")                      \
    X(LOG_LEVEL, "log.level", "info", "error | warning | info | debug")

enum setting {
#define SETTING_ENUM(name, flag, standard, meaning) SETTING_##name,
    SETTING_MAP(SETTING_ENUM)
#undef SETTING_ENUM
        SETTING_COUNT
};

struct settings {
    char text[SETTING_COUNT][SETTING_TEXT_BYTES];
    const char *origin[SETTING_COUNT]; /* "default", the file, "environment", "command line" */
    char file[SETTING_TEXT_BYTES];
};

/* The flag's name without the dashes. */
const char *setting_name(enum setting setting);

/*
 * Reads --config FILE, the environment and the flags. On failure writes one line that names the
 * culprit and the remedy to `message` and returns false.
 */
bool settings_read(struct settings *settings, int argument_count, char **arguments, char *message,
                   size_t message_bytes);

/* Prints the table for people. */
void settings_print_help(FILE *out);

/*
 * The typed values. Each returns false with a line in `message` that names setting, origin, value
 * and what would do instead.
 */
bool settings_number(const struct settings *settings, enum setting setting, uint64_t min,
                     uint64_t max, uint64_t *ret_value, char *message, size_t message_bytes);
bool settings_bytes(const struct settings *settings, enum setting setting, uint64_t min,
                    uint64_t max, uint64_t *ret_bytes, char *message, size_t message_bytes);
bool settings_duration(const struct settings *settings, enum setting setting, uint64_t min_ns,
                       uint64_t max_ns, uint64_t *ret_ns, char *message, size_t message_bytes);

/* `words`: NULL-terminated; *ret_word is the place of the value among them. */
bool settings_word(const struct settings *settings, enum setting setting, const char *const words[],
                   uint32_t *ret_word, char *message, size_t message_bytes);

/* 8-4-4-4-12 hexadecimal digits. */
bool settings_uuid(const struct settings *settings, enum setting setting, uint8_t ret_uuid[16],
                   char *message, size_t message_bytes);

#endif
