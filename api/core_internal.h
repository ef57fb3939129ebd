/* What the files of api/ share: a core is a node, the drivers that it was given, and its threads.
 */
#ifndef SPATE_API_CORE_INTERNAL_H
#define SPATE_API_CORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "node/node.h"
#include "spate/spate.h"

/* A waker that makes a descriptor readable. */
struct spate_eventfd_waker {
    struct spate_waker waker;
    int fd;                   /* -1: none. */
    _Atomic bool is_readable; /* Set after the descriptor became so. */
};

/* Ends the node's wait: what the store calls from its own thread. */
struct spate_node_waker {
    struct spate_waker waker;
    struct spate *spate;
};

struct spate {
    struct spate_node *node;
    struct spate_net *net; /* The link's; for its counters and notices. */
    struct spate_clock *clock;
    enum spate_poll_mode poll; /* Never AUTO. */
    char *device;              /* What DPDK drives; "" on sockets. */
    bool is_insecure;
    enum spate_insecure insecure_peers;
    bool net_is_local;
    uint64_t incarnation;
    bool is_loopback_only; /* Its data was recovered, and that is not finished. */
    bool is_polled;        /* By spate_poll(); then it cannot be started any more. */
    uint64_t spin_ns;
    int cpu;
    bool apply_is_threaded;
    spate_node_id id;

    struct spate_node_waker store_waker;
    _Atomic(struct spate_link *) link_to_wake; /* NULL until there is one. */
    struct spate_eventfd_waker apply_waker;
    struct spate_eventfd_waker port_wakers[SPATE_PORTS_MAX];
    uint32_t port_count;

    /* threads.c */
    pthread_t node_thread, apply_thread;
    bool node_runs, apply_runs;
    _Atomic bool is_stopping;
    _Atomic int failure; /* spate_err */
};

/* Where spate_open() writes its one line for people. */
struct spate_message_line {
    char *text; /* NULL: nobody wants it. */
    size_t bytes;
};

/* Writes the line and returns `err`. */
spate_err spate_explain(const struct spate_message_line *line, spate_err err, const char *format,
                        ...) __attribute__((format(printf, 3, 4)));

/*
 * options.c: checks what can be checked without touching anything, and fills in the defaults:
 * afterwards transport and poll are decided.
 */
spate_err spate_options_complete(struct spate_options *options,
                                 struct spate_address addresses[SPATE_MEMBERS_MAX],
                                 const struct spate_message_line *line);

/* dpdk.c: what is particular to this transport. */
struct spate_net_dpdk_options;
struct spate_net_dpdk_module;

/* Checks device, addresses and numbers, and translates them. Strings stay the caller's. */
spate_err spate_core_dpdk_options(const struct spate_options *options,
                                  const struct spate_address addresses[],
                                  const struct spate_message_line *line,
                                  struct spate_net_dpdk_options *ret_dpdk);

/* Shared memory reaches processes of this machine only. */
bool spate_core_dpdk_is_local(const struct spate_options *options);

/* module.c, or module_disabled.c in a build with -Ddpdk=disabled. Loaded once, never unloaded. */
spate_err spate_core_load_dpdk(const struct spate_message_line *line,
                               const struct spate_net_dpdk_module **ret_module);

/* drivers.c: which drivers a core runs on. On failure nothing is left open. */
spate_err spate_core_open_net(const struct spate *spate, const struct spate_options *options,
                              const struct spate_address addresses[],
                              const struct spate_message_line *line, struct spate_net **ret_net);
spate_err spate_core_open_store(struct spate *spate, const struct spate_options *options,
                                const struct spate_message_line *line,
                                struct spate_store **ret_store);
spate_err spate_core_open_snapshots(struct spate *spate, const struct spate_options *options,
                                    const struct spate_message_line *line,
                                    struct spate_snapshots **ret_snapshots);
struct spate_clock *spate_core_open_clock(void);
void spate_core_close_clock(struct spate_clock *clock);

/* members.c */
void spate_core_show_member(const struct spate_member *from, struct spate_member_status *to);

/* wakers.c */
spate_err spate_eventfd_waker_open(struct spate_eventfd_waker *waker);
void spate_eventfd_waker_close(struct spate_eventfd_waker *waker);
void spate_eventfd_waker_drain(struct spate_eventfd_waker *waker);

/* threads.c */
void spate_core_stop(struct spate *spate);

#endif
