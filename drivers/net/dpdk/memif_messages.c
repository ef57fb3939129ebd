/*
 * The messages of memif's control channel (doc/guides/nics/memif of DPDK): 128 bytes each, with at
 * most one descriptor. They pass as they are; only their type is looked at.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "memif_internal.h"

#define MESSAGE_BYTES   128u
#define TYPE_MAX        8u
#define TYPE_CONNECTED  7u
#define TYPE_DISCONNECT 8u

struct control {
    _Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(4 * sizeof(int))];
};

/* The descriptors that came along; closes all but the first. Returns the first, or -1. */
static int take_descriptors(struct msghdr *header)
{
    int first = -1;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const size_t fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < fds; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (first < 0) {
                first = fd;
            } else {
                (void)close(fd);
            }
        }
    }
    return first;
}

static bool send_on(int to, uint8_t message[MESSAGE_BYTES], int fd)
{
    struct iovec vector = {.iov_base = message, .iov_len = MESSAGE_BYTES};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
    struct control control = {0};

    if (fd >= 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof fd);
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    return sendmsg(to, &header, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)MESSAGE_BYTES;
}

enum passed spate_dpdk_memif_pass(int from, int to)
{
    uint8_t message[MESSAGE_BYTES];
    struct control control;
    uint16_t type;
    struct iovec vector = {.iov_base = message, .iov_len = sizeof message};
    struct msghdr header = {.msg_iov = &vector,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes};

    const ssize_t bytes = recvmsg(from, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (bytes < 0) {
        return errno == EAGAIN || errno == EINTR ? PASSED_NOTHING : PASSED_END;
    }
    const int fd = take_descriptors(&header);
    enum passed passed = PASSED_END;
    memcpy(&type, message, sizeof type);
    if (bytes == (ssize_t)MESSAGE_BYTES && (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
        type <= TYPE_MAX && type != TYPE_DISCONNECT && (to < 0 || send_on(to, message, fd))) {
        passed = type == TYPE_CONNECTED ? PASSED_CONNECTED : PASSED_MESSAGE;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return passed;
}
