/* UDP sockets for the limits: as few system calls for as many frames as possible. */
#ifndef SPATE_BENCH_LIMITS_SOCKET_H
#define SPATE_BENCH_LIMITS_SOCKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/idler.h"
#include "bench/limits/limits.h"

/* How long an adaptive loop polls before it blocks, and how long a block may last. */
#define BENCH_SPIN_NS  50000u
#define BENCH_BLOCK_MS 20

/* A bound socket with large buffers, at a node's address in its namespace, or on 127.0.0.1 (NULL);
 * -1 when it cannot be had. */
int bench_socket_open(const struct transport_node *node, struct sockaddr_in *ret_address);

struct bench_receiver;

/*
 * What carries the bare loop: a socket, or bare ports of DPDK (dpdk/). Of messages only one frame
 * each may be asked for where `is_segmented` is false.
 */
struct bench_port {
    /* Sends messages as sendmmsg() takes them; returns how many were taken. */
    uint32_t (*send)(struct bench_port *port, struct mmsghdr messages[], uint32_t count);
    /* Receives what is there, without blocking; what came before is gone then. */
    uint32_t (*receive)(struct bench_port *port, struct bench_receiver *receiver);
    int fd; /* To block on; -1: nothing to block on. */
    bool is_segmented;
};

/* Over a socket. */
struct bench_port bench_socket_port(int fd);

/* Zeroed at the start; `since` is 0 after work. */
struct bench_idle {
    uint64_t since;
    struct spate_idler idler; /* As cores do it, or the limit would not be one. */
};

/*
 * What to do when there was nothing to do. May block until `fd` is readable, `other_fd` (-1: none)
 * is, or BENCH_BLOCK_MS passed; without an `fd` (-1) it naps for some microseconds instead.
 */
void bench_socket_idle(enum bench_polling polling, int fd, int other_fd, struct bench_idle *idle);

/* Datagrams of one receive call. */
#define BENCH_RX_FRAMES 16u
#define BENCH_RX_BYTES  65536u

struct bench_receiver {
    struct mmsghdr messages[BENCH_RX_FRAMES];
    struct iovec parts[BENCH_RX_FRAMES];
    uint8_t control[BENCH_RX_FRAMES][64];
    uint8_t *bytes; /* BENCH_RX_FRAMES * BENCH_RX_BYTES */
};

/* Buffers live as long as the process. */
bool bench_receiver_create(struct bench_receiver *receiver);

/* Receives what is there, without blocking. */
uint32_t bench_receive(struct bench_receiver *receiver, int fd);

/* The size of the frames that stand one after the other in message `index` (UDP_GRO). */
uint32_t bench_received_frame_bytes(const struct bench_receiver *receiver, uint32_t index);

#endif
