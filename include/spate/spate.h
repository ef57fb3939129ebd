/*
 * Spate: a replicated log for a service's state.
 *
 * A program fills in struct spate_options, opens a core, gives it a state machine, and either
 * drives it from its own loop (spate_poll) or lets it run on threads of its own (spate_start).
 * Commands are proposed through ports; each outcome says whether the command took effect.
 * examples/counter.c is a complete program.
 */
#ifndef SPATE_SPATE_H
#define SPATE_SPATE_H

#include "spate/error.h"
#include "spate/fsm.h"
#include "spate/members.h"
#include "spate/port.h"
#include "spate/recover.h"
#include "spate/sample.h"
#include "spate/snapshot.h"
#include "spate/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What carries frames between cores. Decided before anything is started; there is no way back. */
enum spate_transport {
    SPATE_TRANSPORT_AUTO = 0, /* DPDK when dpdk.device is set, else sockets. */
    SPATE_TRANSPORT_SOCKET = 1,
    SPATE_TRANSPORT_DPDK = 2,
};

/* What a core's poll loop does when it finds nothing. */
enum spate_poll_mode {
    SPATE_POLL_AUTO = 0,     /* Busy on DPDK with a cpu of its own, else adaptive. */
    SPATE_POLL_BUSY = 1,     /* Spin, yielding now and then when idle. Lowest latency. */
    SPATE_POLL_ADAPTIVE = 2, /* Spin for a while, then block. Near zero CPU when idle. */
};

/* Where unsealed frames may go. */
enum spate_insecure {
    SPATE_INSECURE_REFUSED = 0,
    SPATE_INSECURE_LOCAL = 1, /* Unsealed frames over loopback and shared memory (memif) only. */
    SPATE_INSECURE_ANY = 2,   /* Unsealed frames to any address: for measuring. */
};

/* One member of the cluster as the configuration names it. */
struct spate_member_options {
    spate_node_id id;    /* 1 or more, unique, for ever. */
    const char *address; /* "127.0.0.1:7209", "[::1]:7209": numeric, UDP. */
};

/*
 * The device that DPDK drives, and the core's own address on it: an IPv4 address that the kernel
 * does not have, since the core answers for it itself. Zero means the default everywhere.
 */
struct spate_dpdk_options {
    /*
     * "memif:/run/spate"     shared memory between processes of one machine; sockets in that folder
     * "af_packet:eth1"       a kernel interface, through AF_PACKET
     * "af_xdp:eth1"          a kernel interface, through AF_XDP
     * "tap:spate0"           a new kernel interface with that name
     * "pci:0000:03:00.0"     a network card, bound to vfio-pci or to a bifurcated driver
     * "vdev:net_ring0,..."   anything else that EAL can make
     */
    const char *device;
    const char *address; /* With its prefix: "10.77.0.1/24". NULL: the member's own, /24. */
    const char *gateway; /* For members off the subnet: "10.77.0.254". NULL: none. */
    uint16_t vlan;       /* 802.1Q tag, 1 to 4094; 0: untagged. */
    uint16_t mtu;        /* Largest IPv4 packet, 1500 to 9000; 0: the device's own, memif 9000. */
    uint32_t memory_mib; /* Without hugepages: DPDK's memory. 0: what the device needs. */
    bool is_steered;     /* A rule on the card brings UDP for our port, where the card has rules. */
    const char *eal_extra; /* Further arguments of EAL, separated by blanks. NULL: none. */
};

/* Zero means the default everywhere, so that a designated initializer shows what differs. */
struct spate_options {
    spate_node_id id;                           /* This core: one of the members. */
    const struct spate_member_options *members; /* The founders, this core included. Copied. What
                                                 * became of the members since then is stored. */
    uint32_t member_count;                      /* Odd. */
    bool is_joining;        /* Into a running cluster: `members` are only where to find whom (this
                             * core needs an address), and any number; the leader must add it. */
    uint64_t incarnation;   /* Larger than before when this id comes back without its data. 0: 1. */
    uint8_t cluster_id[16]; /* The same on all members. */

    const char *listen; /* Sockets: where to bind; NULL: the member's own address. */
    enum spate_transport transport;
    struct spate_dpdk_options dpdk; /* Strings are copied. */
    enum spate_poll_mode poll;
    enum spate_insecure insecure_peers;
    enum spate_durability durability;
    /* Made when absent. Durability memory: what is kept there is that this core has made promises,
     * so that it knows after a restart that it forgot them. NULL or "": it does not know, so it is
     * not to be started twice. */
    const char *directory;
    enum spate_disk disk;    /* How the log lies in it. */
    uint64_t disk_low_bytes; /* A segment log: free space below which proposals are refused.
                                0: 256 MiB */

    uint32_t frame_bytes_max;  /* UDP payload; 0: 1472, or 60000 when all is loopback; on DPDK what
                                  the MTU allows, at most 8064. */
    uint64_t log_budget_bytes; /* 0: 256 MiB */
    uint64_t election_timeout_ns_min; /* 0: 300 ms */
    uint64_t election_timeout_ns_max; /* 0: 600 ms */
    uint64_t heartbeat_ns;            /* 0: 50 ms */
    uint64_t spin_ns;                 /* Adaptive: how long to spin before blocking. 0: 50 us */
    /* Snapshots, if the fsm can save: due after so many entries or bytes of them. 0: 10,000,000 and
     * 256 MiB on disk; in memory they are taken when a core needs one. */
    uint64_t snapshot_entries;
    uint64_t snapshot_bytes;
    uint64_t snapshot_keep_entries; /* What the store keeps before the newest one. 0: 100,000. */
    uint64_t store_bytes_max;       /* Size of the LMDB map. 0: 1 TiB, sparse. */
    uint32_t sample_every; /* Commands of a port between two that spate_next_sample() tells of. 0:
                              256; SPATE_SAMPLE_NEVER. */
    int cpu; /* Pin the node's thread; 0: no; n: CPU n-1. Polled cores: where that thread runs. */
    /* A leader answers reads of its own clients without a round trip while nobody else can be
     * elected (thesis 6.4.1). The same on all members, like the election timeouts; their clocks may
     * run at most 10 % apart each way. */
    bool lease_enabled;
    bool apply_is_threaded; /* Apply on a thread of its own, not on the node's. */

    struct spate_fsm *fsm; /* Outlives the core. */
};

struct spate;

/*
 * Opens a core: binds its address, opens or founds its store, recovers. Nothing runs yet.
 *
 * Memory: options are copied; the fsm is borrowed. The caller closes the core.
 * Errors: INVALID, IN_USE (address, device, directory), MISMATCH (data of another node or cluster),
 *         PERMISSION (insecure_peers, device), CORRUPT, IO, NO_MEMORY, UNSUPPORTED (the DPDK driver
 *         is missing or of another version). `message`, if not NULL, gets one line for people that
 *         names the remedy; 512 bytes hold every one. With SPATE_OK: what people should know, such
 *         as damaged records that were given up and are fetched from the others; "": nothing.
 */
SPATE_API spate_err spate_open(const struct spate_options *options, struct spate **ret_spate,
                               char *message, size_t message_bytes) SPATE_MUST_CHECK;

/* Stops what runs, finishes what was submitted to the store, frees everything. Accepts NULL. */
SPATE_API void spate_close(struct spate *spate);

/*
 * Either: one turn of the core on the caller's thread. Never blocks. *ret_work, if not NULL: how
 * much there was to do. Errors: IO, CORRUPT: final; close the core and end the process.
 * INVALID: it was started, or applies on a thread of its own.
 */
SPATE_API spate_err spate_poll(struct spate *spate, uint32_t *ret_work) SPATE_MUST_CHECK;

/*
 * Blocks until a polled core may have something to do: a frame, a proposal, a durable batch, or its
 * next deadline. May return early. For loops that call spate_poll() and found nothing to do.
 */
SPATE_API void spate_wait(struct spate *spate);

/* Or: start the core's own threads. Errors: NO_MEMORY, INVALID (cpu). */
SPATE_API spate_err spate_start(struct spate *spate) SPATE_MUST_CHECK;

/* Started cores: SPATE_OK while it runs, the final error once it has failed. Thread: any. */
SPATE_API spate_err spate_health(const struct spate *spate);

/*
 * Opens a port for one client thread. Before spate_start(), or before the first spate_poll().
 * `ring_bytes`: a power of two from 4096 on, 0: 4 MiB; a command takes less than half of it.
 * Errors: BUSY (16 are open), INVALID (too late, or such a size cannot be), NO_MEMORY
 */
SPATE_API spate_err spate_open_port(struct spate *spate, uint32_t ring_bytes,
                                    struct spate_port **ret_port) SPATE_MUST_CHECK;

/*
 * Proposes a command; a follower passes it on to the leader. The bytes are copied; nothing is sent
 * before spate_submit(). Thread: the port's client. Errors: BUSY (take results, submit, try again),
 * INVALID (larger than SPATE_ENTRY_BYTES_MAX, or than the ring can hold).
 */
SPATE_API spate_err spate_propose(struct spate_port *port, uint64_t cookie, const void *data,
                                  uint32_t size) SPATE_MUST_CHECK;

/*
 * Asks when the state machine of this core may be read so that the read is linearizable: the
 * outcome OK, with the cookie, comes once it shows every command that anybody was told of before
 * this call (its `index` is what the state includes at least). The log is not written: the leader
 * has a majority vouch for it, or a lease (lease_enabled). Any core answers. NOT_READY: no leader
 * was found in time; safe to repeat. To read what this core happens to have, ask nobody. Thread:
 * the port's client. Errors: BUSY (take results, submit, try again).
 */
SPATE_API spate_err spate_read(struct spate_port *port, uint64_t cookie) SPATE_MUST_CHECK;

/* Hands over all that was proposed or asked. Thread: the port's client. */
SPATE_API void spate_submit(struct spate_port *port);

/* Takes up to `count` outcomes; each proposal has exactly one. Thread: the port's client. */
SPATE_API uint32_t spate_results(struct spate_port *port, struct spate_result results[],
                                 uint32_t count);

/*
 * A descriptor that becomes readable (poll, epoll) when outcomes have arrived after
 * spate_results() last returned none; for clients that block. Not to be read or closed. Until it is
 * asked for the client is taken to poll, and its outcomes cost no system call. Thread: the port's
 * client.
 */
SPATE_API int spate_port_fd(struct spate_port *port);

/* What a core knows about one of the others. */
struct spate_peer_status {
    spate_node_id id;
    bool is_connected;
    bool is_active;      /* Leader only: answered within an election timeout. */
    bool is_refused;     /* It belongs to another cluster or speaks another version. */
    uint64_t rtt_ns;     /* 0: not measured yet. */
    spate_index match;   /* Leader only: durable there up to here. */
    const char *refusal; /* Why refused; static. */
    char address[56];
};

/* What a core says about itself. */
struct spate_status {
    spate_node_id id;
    spate_node_id leader; /* 0: none known. */
    enum spate_role role;
    spate_term term;
    spate_index first, received, durable, committed, applied;
    uint64_t quorum_age_ns; /* Leader only: since a majority last answered. */
    uint64_t elections_started;
    uint64_t log_used_bytes, log_budget_bytes;
    spate_index snapshot_index; /* The newest snapshot's last entry; 0: there is none. */
    uint64_t snapshots_taken, snapshots_sent, snapshots_installed;
    uint64_t snapshot_bytes_sent, snapshot_bytes_received;
    uint64_t proposals, proposals_forwarded, proposals_refused, entries_applied;
    uint64_t reads, reads_refused, reads_leased;
    uint64_t rx_frames, rx_bytes, rx_dropped, tx_frames, tx_bytes, tx_dropped;
    uint64_t turns, turns_idle;
    enum spate_durability durability;
    const char *transport;     /* Static: "socket", "dpdk". */
    const char *device;        /* "memif:/run/spate"; "" on sockets. Lives as long as the core. */
    enum spate_poll_mode poll; /* What was decided: never AUTO. */
    bool is_insecure;          /* Frames are not sealed. */
    bool is_loopback_only;     /* Its data was recovered; until spate_recover_finish(). */
    bool is_disk_low;          /* Little free space: it refuses proposals while it leads. */
    bool is_mute; /* It may have forgotten what it promised: it does not vote, and counts for
                     nothing, until the leader has brought it up to date (docs/adr/0015). */
    uint32_t peer_count;
    struct spate_peer_status peers[SPATE_MEMBERS_MAX];
};

/* What the core last published about itself. Thread: any. */
SPATE_API void spate_get_status(const struct spate *spate, struct spate_status *ret_status);

/* Frames dropped by reason: name and count; false behind the last. Thread: any. */
SPATE_API bool spate_get_drop(const struct spate *spate, uint32_t reason, const char **ret_name,
                              uint64_t *ret_count);

/* What the transport counts besides: segmented sends, free buffers, drops of a device. */
struct spate_counter {
    const char *name; /* "mbufs_free", "memif.10.77.0.2.drop.vlan"; lives as long as the core. */
    uint64_t value;
    bool is_level; /* It moves both ways; otherwise it only grows. */
    bool is_drop;  /* Frames lost for the reason that its name says. */
};

/*
 * The counter at `place`, from 0; false behind the last. A counter keeps its place; more may be
 * added behind. Thread: any.
 */
SPATE_API bool spate_get_counter(const struct spate *spate, uint32_t place,
                                 struct spate_counter *ret_counter);

/* Something that the transport wants people to read: a link went down, an address is used twice. */
struct spate_notice {
    bool is_warning;
    char text[232]; /* One line, without its end. */
};

/*
 * Takes the oldest notice; false: there is none. Those that nobody takes are dropped when there are
 * many. Thread: any, one at a time.
 */
SPATE_API bool spate_next_notice(struct spate *spate, struct spate_notice *ret_notice);

/*
 * Takes the oldest sample of where the time of a commit went (spate/sample.h); false: there is
 * none. Those that nobody takes are lost when there are some fifty. Thread: any, but always the
 * same.
 */
SPATE_API bool spate_next_sample(struct spate *spate, struct spate_sample *ret_sample);

/* "0.1.0" */
SPATE_API const char *spate_version(void);

#ifdef __cplusplus
}
#endif

#endif
