/*
 * Sending. A burst becomes messages: consecutive frames of one size for one peer share a message
 * (UDP_SEGMENT), the last of which may be smaller. Several messages leave by one sendmmsg. What the
 * kernel has no room for is dropped and counted.
 */
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "base/assert.h"
#include "socket_internal.h"

struct control {
    _Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
};

/* A burst on its way. Message i carries frame_counts[i] frames. */
struct burst {
    struct mmsghdr messages[SPATE_BURST_MAX];
    struct iovec vectors[SPATE_BURST_MAX];
    struct control control[SPATE_BURST_MAX];
    spate_peer peers[SPATE_BURST_MAX];
    uint32_t frame_counts[SPATE_BURST_MAX];
    uint32_t count;
};

/* How many frames from frames[0] on can share a message. */
static uint32_t run_of(const struct socket_net *socket, const struct spate_frame frames[],
                       uint32_t frame_count)
{
    const struct spate_frame *first = &frames[0];
    uint32_t bytes = first->size;
    uint32_t run = 1;

    if (!socket->tx_segmentation || socket->peers[first->peer].segmentation_refused) {
        return 1;
    }
    while (run < frame_count && run < SEGMENTS_MAX && frames[run].peer == first->peer &&
           frames[run].size <= first->size && bytes + frames[run].size <= SEND_BYTES_MAX) {
        bytes += frames[run].size;
        run++;
        if (frames[run - 1].size < first->size) {
            break; /* A smaller frame can only be the last. */
        }
    }
    return run;
}

static void add_message(struct socket_net *socket, struct burst *burst, struct iovec *vectors,
                        const struct spate_frame frames[], uint32_t run)
{
    const uint32_t at = burst->count++;
    struct peer *peer = &socket->peers[frames[0].peer];
    struct msghdr *header = &burst->messages[at].msg_hdr;

    for (uint32_t i = 0; i < run; i++) {
        vectors[i] = (struct iovec){.iov_base = frames[i].data, .iov_len = frames[i].size};
    }
    *header = (struct msghdr){.msg_name = &peer->socket_address,
                              .msg_namelen = peer->socket_address_bytes,
                              .msg_iov = vectors,
                              .msg_iovlen = run};
    burst->peers[at] = frames[0].peer;
    burst->frame_counts[at] = run;
    if (run > 1) {
        const uint16_t segment = (uint16_t)frames[0].size;
        header->msg_control = burst->control[at].bytes;
        header->msg_controllen = sizeof burst->control[at].bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(header);
        c->cmsg_level = SOL_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof segment);
        memcpy(CMSG_DATA(c), &segment, sizeof segment);
    }
}

static void gather(struct socket_net *socket, struct burst *burst,
                   const struct spate_frame frames[], uint32_t frame_count)
{
    uint32_t run = 1;

    burst->count = 0;
    for (uint32_t i = 0; i < frame_count; i += run) {
        run = 1;
        if (frames[i].peer >= SPATE_PEERS_MAX || frames[i].size == 0 ||
            socket->peers[frames[i].peer].address.family == 0) {
            count(&socket->net.stats.tx_dropped, 1);
            count(&socket->counters.tx_drops_peer, 1);
            continue;
        }
        run = run_of(socket, &frames[i], frame_count - i);
        add_message(socket, burst, &burst->vectors[i], &frames[i], run);
    }
}

static uint64_t message_bytes(const struct msghdr *header)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < header->msg_iovlen; i++) {
        bytes += header->msg_iov[i].iov_len;
    }
    return bytes;
}

static void count_sent(struct socket_net *socket, const struct burst *burst, uint32_t first,
                       uint32_t sent)
{
    for (uint32_t i = first; i < first + sent; i++) {
        count(&socket->net.stats.tx_frames, burst->frame_counts[i]);
        count(&socket->net.stats.tx_bytes, message_bytes(&burst->messages[i].msg_hdr));
        if (burst->frame_counts[i] > 1) {
            count(&socket->counters.tx_segmented, 1);
        }
    }
}

/* One call. Returns how many messages the kernel took, or -1 with errno. */
static int send_some(struct socket_net *socket, struct burst *burst, uint32_t first)
{
    const uint32_t left = burst->count - first;

    if (left == 1) {
        return sendmsg(socket->fd, &burst->messages[first].msg_hdr, MSG_DONTWAIT) < 0 ? -1 : 1;
    }
    return sendmmsg(socket->fd, &burst->messages[first], left, MSG_DONTWAIT);
}

static bool is_full(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM;
}

static void count_dropped(struct socket_net *socket, int error, uint32_t frame_count)
{
    struct spate_net_socket_counters *counters = &socket->counters;

    count(&socket->net.stats.tx_dropped, frame_count);
    count(is_full(error) ? &counters->tx_drops_full : &counters->tx_drops_refused, frame_count);
}

/* The frames of a refused message, each on its own. */
static void send_apart(struct socket_net *socket, const struct burst *burst, uint32_t at)
{
    struct msghdr header = burst->messages[at].msg_hdr;
    struct iovec *vectors = header.msg_iov;

    header.msg_control = NULL;
    header.msg_controllen = 0;
    header.msg_iovlen = 1;
    for (uint32_t i = 0; i < burst->frame_counts[at]; i++) {
        header.msg_iov = &vectors[i];
        if (sendmsg(socket->fd, &header, MSG_DONTWAIT) < 0) {
            count_dropped(socket, errno, 1);
        } else {
            count(&socket->net.stats.tx_frames, 1);
            count(&socket->net.stats.tx_bytes, vectors[i].iov_len);
        }
    }
}

static bool is_refusal_of_segments(int error)
{
    return error == EIO || error == EINVAL || error == EMSGSIZE || error == ENOPROTOOPT ||
           error == EOPNOTSUPP;
}

static void drop(struct socket_net *socket, int error, const struct burst *burst, uint32_t first,
                 uint32_t message_count)
{
    for (uint32_t i = first; i < first + message_count; i++) {
        count_dropped(socket, error, burst->frame_counts[i]);
    }
}

/*
 * Deals with the message that failed. Returns how many messages are done with. `was_retried` says
 * that this message failed before: a report about an earlier frame is gone by the second time.
 */
static uint32_t after_error(struct socket_net *socket, const struct burst *burst, uint32_t at,
                            bool was_retried)
{
    const int error = errno;

    if (is_full(error)) {
        drop(socket, error, burst, at, burst->count - at);
        return burst->count - at;
    }
    if (burst->frame_counts[at] > 1 && is_refusal_of_segments(error)) {
        socket->peers[burst->peers[at]].segmentation_refused = true;
        count(&socket->counters.tx_fallbacks, 1);
        send_apart(socket, burst, at);
        return 1;
    }
    count(&socket->counters.errors_swallowed, 1);
    if (!was_retried) {
        return 0;
    }
    drop(socket, error, burst, at, 1);
    return 1;
}

void spate_socket_tx(struct spate_net *net, struct spate_frame frames[], uint32_t frame_count)
{
    struct socket_net *socket = socket_of(net);
    struct burst burst;
    bool was_retried = false;

    spate_assert(frame_count <= SPATE_BURST_MAX);
    gather(socket, &burst, frames, frame_count);
    for (uint32_t done = 0; done < burst.count;) {
        const int sent = send_some(socket, &burst, done);
        if (sent > 0) {
            count_sent(socket, &burst, done, (uint32_t)sent);
            done += (uint32_t)sent;
            was_retried = false;
            continue;
        }
        const uint32_t finished = after_error(socket, &burst, done, was_retried);
        was_retried = finished == 0;
        done += finished;
    }
    if (frame_count > 0) {
        count(&net->stats.tx_bursts, 1);
    }
    /* The kernel has copied the bytes. */
    for (uint32_t i = 0; i < frame_count; i++) {
        spate_socket_frame_return(socket, &frames[i]);
    }
}
