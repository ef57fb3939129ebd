#include "bench/limits/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench/clock.h"

#define BUFFER_BYTES (16 << 20)
#define NAP_NS       5000

/* As much as we may have: beyond the limit as root, up to it otherwise. */
static void enlarge(int fd, int forced, int asked)
{
    const int bytes = BUFFER_BYTES;
    if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) != 0) {
        (void)setsockopt(fd, SOL_SOCKET, asked, &bytes, sizeof bytes);
    }
}

/* A socket belongs to the namespace it was made in, whoever uses it later. */
static int socket_in(const char *space)
{
    char path[64];
    const int ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

    (void)snprintf(path, sizeof path, "/run/netns/%s", space);
    const int theirs = open(path, O_RDONLY | O_CLOEXEC);
    int fd = -1;
    if (ours >= 0 && theirs >= 0 && setns(theirs, CLONE_NEWNET) == 0) {
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (setns(ours, CLONE_NEWNET) != 0) {
            abort(); /* Nothing that follows would be where it should. */
        }
    }
    (void)close(ours);
    (void)close(theirs);
    return fd;
}

/* "10.78.0.1:7209" without its port: several sockets of a run may share an address. */
static in_addr_t address_of(const struct transport_node *node)
{
    char text[sizeof node->address];

    memcpy(text, node->address, sizeof text);
    text[strcspn(text, ":")] = '\0';
    return inet_addr(text);
}

int bench_socket_open(const struct transport_node *node, struct sockaddr_in *ret_address)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr =
                                      node != NULL ? address_of(node) : htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int on = 1;

    const int fd = node != NULL ? socket_in(node->network_space)
                                : socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        (void)close(fd);
        return -1;
    }
    enlarge(fd, SO_RCVBUFFORCE, SO_RCVBUF);
    enlarge(fd, SO_SNDBUFFORCE, SO_SNDBUF);
    /* Where the kernel has no UDP_GRO, segments arrive one by one, and that works too. */
    (void)setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    *ret_address = address;
    return fd;
}

static uint32_t send_messages(struct bench_port *port, struct mmsghdr messages[], uint32_t count)
{
    const int sent = sendmmsg(port->fd, messages, count, MSG_DONTWAIT);

    return sent > 0 ? (uint32_t)sent : 0;
}

static uint32_t receive_messages(struct bench_port *port, struct bench_receiver *receiver)
{
    return bench_receive(receiver, port->fd);
}

struct bench_port bench_socket_port(int fd)
{
    return (struct bench_port){
        .send = send_messages, .receive = receive_messages, .fd = fd, .is_segmented = true};
}

static spate_time_ns clock_now(struct spate_clock *clock)
{
    (void)clock;
    return bench_now_ns();
}

/* Bare ports wake nobody. Naps are shorter than a core's wake-up, so that they stay a limit. */
static void nap(int other_fd)
{
    const struct timespec limit = {.tv_nsec = NAP_NS};
    struct pollfd other = {.fd = other_fd, .events = POLLIN};

    (void)prctl(PR_SET_TIMERSLACK, 1);
    (void)ppoll(&other, 1, &limit, NULL);
}

void bench_socket_idle(enum bench_polling polling, int fd, int other_fd, struct bench_idle *idle)
{
    const bool is_busy = polling == BENCH_POLLING_BUSY;

    if (is_busy || polling == BENCH_POLLING_ADAPTIVE) {
        struct spate_clock clock = {.now = clock_now};
        const uint64_t now = bench_now_ns();
        idle->since = idle->since == 0 ? now : idle->since;
        if (is_busy || now - idle->since < BENCH_SPIN_NS) {
            (void)spate_idler_turn(&idle->idler, now, &clock);
            return;
        }
    }
    if (fd < 0) {
        nap(other_fd);
        return;
    }
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = other_fd, .events = POLLIN}};
    (void)poll(fds, other_fd < 0 ? 1 : 2, BENCH_BLOCK_MS);
    idle->since = 0;
}

bool bench_receiver_create(struct bench_receiver *receiver)
{
    memset(receiver, 0, sizeof *receiver);
    receiver->bytes = malloc((size_t)BENCH_RX_FRAMES * BENCH_RX_BYTES);
    if (receiver->bytes == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < BENCH_RX_FRAMES; i++) {
        receiver->parts[i].iov_base = receiver->bytes + (size_t)i * BENCH_RX_BYTES;
        receiver->parts[i].iov_len = BENCH_RX_BYTES;
        receiver->messages[i].msg_hdr.msg_iov = &receiver->parts[i];
        receiver->messages[i].msg_hdr.msg_iovlen = 1;
        receiver->messages[i].msg_hdr.msg_control = receiver->control[i];
    }
    return true;
}

uint32_t bench_receive(struct bench_receiver *receiver, int fd)
{
    for (uint32_t i = 0; i < BENCH_RX_FRAMES; i++) {
        receiver->messages[i].msg_hdr.msg_controllen = sizeof receiver->control[i];
    }
    const int count = recvmmsg(fd, receiver->messages, BENCH_RX_FRAMES, MSG_DONTWAIT, NULL);
    return count > 0 ? (uint32_t)count : 0;
}

uint32_t bench_received_frame_bytes(const struct bench_receiver *receiver, uint32_t index)
{
    struct msghdr *header = (struct msghdr *)(uintptr_t)&receiver->messages[index].msg_hdr;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int bytes = 0;
            memcpy(&bytes, CMSG_DATA(c), sizeof bytes);
            return (uint32_t)bytes;
        }
    }
    return receiver->messages[index].msg_len;
}
