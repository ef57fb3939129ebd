/*
 * AF_XDP's program stays on the interface when its process is killed, and swallows every frame from
 * then on: the next start finds it by its name and takes it off (rtnetlink(7), IFLA_XDP; bpf(2)).
 */
#include "interface.h"

#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* libxdp's, for AF_XDP sockets. */
#define AF_XDP_PROGRAM "xsk_def_prog"

#define ANSWER_BYTES 32768

int spate_dpdk_interface_open(void)
{
    return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static bool ask(int fd, unsigned long what, const char *name, struct ifreq *request)
{
    memset(request, 0, sizeof *request);
    memcpy(request->ifr_name, name, strnlen(name, IFNAMSIZ - 1));
    return fd >= 0 && ioctl(fd, what, request) == 0;
}

uint16_t spate_dpdk_interface_mtu(int fd, const char *name)
{
    struct ifreq request;

    if (!ask(fd, SIOCGIFMTU, name, &request)) {
        return 0;
    }
    return request.ifr_mtu < UINT16_MAX ? (uint16_t)request.ifr_mtu : UINT16_MAX;
}

bool spate_dpdk_interface_is_up(int fd, const char *name)
{
    struct ifreq request;

    return ask(fd, SIOCGIFFLAGS, name, &request) && (request.ifr_flags & IFF_UP) != 0 &&
           (request.ifr_flags & IFF_RUNNING) != 0;
}

/* An abstract name of the network namespace: it goes with its process, and no file is left. */
int spate_dpdk_interface_claim(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1,
                                "spate-af_xdp-%u", if_nametoindex(name));
    const socklen_t bytes =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);

    if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, bytes) == 0) {
        return fd;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return -1;
}

struct request {
    struct nlmsghdr header;
    struct ifinfomsg info;
    uint8_t attributes[64];
};

/* Sends a request about `name` and reads the one answer. Returns its bytes, or -1. */
static ssize_t talk(struct request *request, const char *name, uint8_t *answer)
{
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    ssize_t bytes = -1;

    request->info.ifi_family = AF_UNSPEC;
    request->info.ifi_index = (int)if_nametoindex(name);
    if (fd >= 0 && request->info.ifi_index != 0 &&
        send(fd, request, request->header.nlmsg_len, 0) == (ssize_t)request->header.nlmsg_len) {
        bytes = recv(fd, answer, ANSWER_BYTES, 0);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return bytes;
}

static const struct rtattr *find(const struct rtattr *at, size_t bytes, uint16_t type)
{
    for (; RTA_OK(at, bytes); at = RTA_NEXT(at, bytes)) {
        if ((at->rta_type & NLA_TYPE_MASK) == type) {
            return at;
        }
    }
    return NULL;
}

/* The number of the XDP program on the interface; 0: none. */
static uint32_t program_of(const char *name)
{
    struct request request = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof request.info),
                                         .nlmsg_type = RTM_GETLINK,
                                         .nlmsg_flags = NLM_F_REQUEST}};
    _Alignas(struct nlmsghdr) static _Thread_local uint8_t answer[ANSWER_BYTES];
    const ssize_t bytes = talk(&request, name, answer);
    const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)answer;
    uint32_t id = 0;

    if (bytes < 0 || !NLMSG_OK(header, (size_t)bytes) || header->nlmsg_type != RTM_NEWLINK) {
        return 0;
    }
    const struct rtattr *xdp =
        find(IFLA_RTA((struct ifinfomsg *)NLMSG_DATA(header)), IFLA_PAYLOAD(header), IFLA_XDP);
    const struct rtattr *number =
        xdp != NULL ? find(RTA_DATA(xdp), RTA_PAYLOAD(xdp), IFLA_XDP_PROG_ID) : NULL;
    if (number != NULL && RTA_PAYLOAD(number) >= sizeof id) {
        memcpy(&id, RTA_DATA(number), sizeof id);
    }
    return id;
}

static bool is_named(uint32_t id, const char *wanted)
{
    struct bpf_prog_info info = {0};
    union bpf_attr attributes = {.prog_id = id};
    const int fd = (int)syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &attributes, sizeof attributes);

    if (fd < 0) {
        return false;
    }
    attributes = (union bpf_attr){
        .info = {.bpf_fd = (uint32_t)fd, .info_len = sizeof info, .info = (uintptr_t)&info}};
    const bool is_known =
        syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attributes, sizeof attributes) == 0;
    (void)close(fd);
    return is_known && strncmp(info.name, wanted, sizeof info.name) == 0;
}

enum interface_program spate_dpdk_interface_program(const char *name)
{
    const uint32_t id = program_of(name);

    return id == 0                        ? INTERFACE_PROGRAM_NONE
           : is_named(id, AF_XDP_PROGRAM) ? INTERFACE_PROGRAM_OURS
                                          : INTERFACE_PROGRAM_FOREIGN;
}

bool spate_dpdk_interface_program_remove(const char *name)
{
    const int32_t none = -1;
    struct request request = {
        .header = {.nlmsg_type = RTM_SETLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};
    _Alignas(struct nlmsghdr) static _Thread_local uint8_t answer[ANSWER_BYTES];
    struct rtattr *xdp = (struct rtattr *)(void *)request.attributes;
    struct rtattr *descriptor = (struct rtattr *)RTA_DATA(xdp);

    descriptor->rta_type = IFLA_XDP_FD;
    descriptor->rta_len = RTA_LENGTH(sizeof none);
    memcpy(RTA_DATA(descriptor), &none, sizeof none);
    xdp->rta_type = IFLA_XDP | NLA_F_NESTED;
    xdp->rta_len = (uint16_t)RTA_LENGTH(descriptor->rta_len);
    request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.info) + xdp->rta_len;

    const ssize_t bytes = talk(&request, name, answer);
    const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)answer;
    int error = -1;
    if (bytes > 0 && NLMSG_OK(header, (size_t)bytes) && header->nlmsg_type == NLMSG_ERROR) {
        memcpy(&error, NLMSG_DATA(header), sizeof error);
    }
    return error == 0;
}
