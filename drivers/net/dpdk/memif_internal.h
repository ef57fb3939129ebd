/* Shared by the files about memif: links, their sockets, the messages between drivers. */
#ifndef SPATE_DPDK_MEMIF_INTERNAL_H
#define SPATE_DPDK_MEMIF_INTERNAL_H

#include <poll.h>
#include <sys/un.h>

#include "memif.h"

#define SOCKET_PATH_BYTES sizeof(((struct sockaddr_un *)0)->sun_path)

enum phase {
    PHASE_UNMADE,   /* DPDK has no port yet. */
    PHASE_ABSENT,   /* Waiting for the peer. */
    PHASE_PASSING,  /* Both drivers talk to each other. */
    PHASE_STARTING, /* They are done; our driver maps the rings. */
    PHASE_UP,
    PHASE_LEAVING, /* The peer is gone; the owner still polls. */
    PHASE_CLOSING, /* The driver was told, and takes itself down. */
    PHASE_BROKEN,  /* DPDK refuses. */
};

/* Of the control thread, but for `port` and what is said to be of both. */
struct link {
    struct port *port;
    uint32_t address;       /* The peer's. */
    _Atomic bool is_wanted; /* Written by the owner. */
    bool is_server;         /* Our address is the lower one. */
    enum phase phase;
    spate_time_ns retry_at; /* ABSENT, STARTING: when to look again. */
    spate_time_ns give_up_at;
    int listen_fd; /* Server: of the folder's socket. Client: of the driver's. */
    int peer_fd;   /* To the peer's control thread. */
    int driver_fd; /* To our driver. */
    char folder_path[SOCKET_PATH_BYTES];
    char driver_path[SOCKET_PATH_BYTES];
};

struct memif {
    struct endpoint *endpoint;
    char folder[128];
    uint32_t number; /* Of this endpoint in the process: part of the names of its ports. */
    int lock_fd;
    char lock_path[160];
    int wake_fd;
    pthread_t thread;
    bool thread_runs;
    _Atomic bool is_stopping;
    _Atomic uint32_t link_count; /* Written by the owner; only grows. */
    struct link links[PORTS_MAX];
};

/* sockets.c. Descriptors, or -1 with errno. All are non-blocking. */
int spate_dpdk_memif_listen(const char *path);
int spate_dpdk_memif_accept(int listen_fd);
int spate_dpdk_memif_connect(const char *path);
void spate_dpdk_memif_close(int *fd);
bool spate_dpdk_memif_is_ours(int fd);
spate_err spate_dpdk_memif_lock(struct memif *memif, const struct spate_dpdk_line *line);
void spate_dpdk_memif_unlock(struct memif *memif);

/* messages.c */
enum passed {
    PASSED_NOTHING,   /* No message was waiting. */
    PASSED_MESSAGE,   /* One went on. */
    PASSED_CONNECTED, /* The last of a handshake went on. */
    PASSED_END,       /* The sender has ended, or does not keep to the protocol. */
};
/* Passes one message from `from` to `to`; `to` -1: throws it away. */
enum passed spate_dpdk_memif_pass(int from, int to);

/* link.c. Thread: control, but for the first two. */
struct spate_mac spate_dpdk_memif_mac(uint32_t address);
spate_err spate_dpdk_memif_link_init(struct memif *memif, struct link *link, uint32_t address);
/* What the link waits for; returns how many descriptors, at most 3. */
uint32_t spate_dpdk_memif_link_fds(const struct link *link, struct pollfd fds[3],
                                   spate_time_ns *deadline);
/* Does what can be done now. */
void spate_dpdk_memif_link_run(struct memif *memif, struct link *link, spate_time_ns now);
void spate_dpdk_memif_link_destroy(struct link *link);

#endif
