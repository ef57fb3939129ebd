/*
 * Receiving. One recvmmsg asks for a few datagrams, more when the last one got all it asked for.
 * With UDP_GRO the kernel may hand over several frames of one sender and size in one buffer; they
 * are lent one by one from that slot, moved apart where their size would break the alignment.
 */
#include <netinet/udp.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "socket_internal.h"

#define RX_BATCH_MIN 2u

struct control {
    _Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

/* The size of each frame in a coalesced datagram; 0: it is one frame. */
static uint32_t segment_bytes(struct msghdr *header)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int bytes = 0;
            memcpy(&bytes, CMSG_DATA(c), sizeof bytes);
            return bytes > 0 ? (uint32_t)bytes : 0;
        }
    }
    return 0;
}

/* Moves frames apart, the last first, so that each starts at a multiple of 8. */
static void spread(uint8_t *data, uint32_t bytes, uint32_t frame_bytes, uint32_t stride)
{
    for (uint32_t i = (bytes - 1) / frame_bytes; i > 0; i--) {
        const uint32_t left = bytes - i * frame_bytes;
        memmove(data + (size_t)i * stride, data + (size_t)i * frame_bytes,
                left < frame_bytes ? left : frame_bytes);
    }
}

/* Keeps one datagram in hand. False: it was dropped and its slot is free again. */
static bool keep(struct socket_net *socket, struct mmsghdr *message, struct slot *slot)
{
    const uint32_t bytes = message->msg_len;
    const uint32_t segment = segment_bytes(&message->msg_hdr);
    const uint32_t frame_bytes = segment != 0 && segment < bytes ? segment : bytes;
    const uint32_t stride = spate_round_up_8(frame_bytes);

    if (bytes == 0 || (message->msg_hdr.msg_flags & MSG_TRUNC) != 0 ||
        frame_bytes > socket->net.frame_bytes_max ||
        (uint64_t)stride * ((bytes - 1) / frame_bytes + 1) > socket->rx_pool.stride) {
        const uint32_t frame_count = bytes == 0 ? 1 : (bytes - 1) / frame_bytes + 1;
        count(&socket->net.stats.rx_dropped, frame_count);
        count(&socket->counters.rx_drops_size, frame_count);
        spate_socket_slot_give(&socket->rx_pool, slot);
        return false;
    }
    if (frame_bytes < bytes) {
        count(&socket->counters.rx_coalesced, 1);
        if (stride != frame_bytes) {
            spread(slot->data, bytes, frame_bytes, stride);
        }
    }
    slot->lent = 1; /* Ours, until its last frame is lent: early returns must not free it. */
    socket->received[socket->received_count++] = (struct received){
        .slot = slot,
        .peer = spate_socket_peer_of(socket, message->msg_hdr.msg_name),
        .bytes = bytes,
        .frame_bytes = frame_bytes,
        .stride = stride,
    };
    return true;
}

/* Asks the kernel once. Returns whether it may have more. */
static bool receive(struct socket_net *socket)
{
    struct mmsghdr messages[RX_BATCH_MAX];
    struct iovec vectors[RX_BATCH_MAX];
    struct sockaddr_storage from[RX_BATCH_MAX];
    struct control control[RX_BATCH_MAX];
    struct slot *slots[RX_BATCH_MAX];
    const uint32_t room = socket->rx_pool.free_count;
    const uint32_t asked = room < socket->rx_batch ? room : socket->rx_batch;

    spate_assert(socket->received_count == 0);
    if (asked == 0) {
        return false;
    }
    for (uint32_t i = 0; i < asked; i++) {
        slots[i] = spate_socket_slot_take(&socket->rx_pool);
        vectors[i] = (struct iovec){.iov_base = slots[i]->data, .iov_len = socket->rx_pool.stride};
        messages[i] = (struct mmsghdr){
            .msg_hdr = {.msg_name = &from[i],
                        .msg_namelen = sizeof from[i],
                        .msg_iov = &vectors[i],
                        .msg_iovlen = 1,
                        .msg_control = socket->rx_coalescing ? control[i].bytes : NULL,
                        .msg_controllen = socket->rx_coalescing ? sizeof control[i].bytes : 0}};
    }
    const int result = recvmmsg(socket->fd, messages, asked, MSG_DONTWAIT, NULL);
    const uint32_t got = result > 0 ? (uint32_t)result : 0;
    spate_assert(got <= asked);
    /* The slots that stayed empty first, in the order that makes the next take the same ones. */
    for (uint32_t i = asked; i > got; i--) {
        spate_socket_slot_give(&socket->rx_pool, slots[i - 1]);
    }
    socket->received_first = 0;
    for (uint32_t i = 0; i < got; i++) {
        (void)keep(socket, &messages[i], slots[i]);
    }
    const uint32_t next = got == asked ? asked * 2 : got + 1;
    socket->rx_batch = next < RX_BATCH_MIN   ? RX_BATCH_MIN
                       : next > RX_BATCH_MAX ? RX_BATCH_MAX
                                             : next;
    return got == asked;
}

/* Lends what is in hand. */
static uint32_t lend(struct socket_net *socket, struct spate_frame frames[], uint32_t room)
{
    uint32_t lent = 0;

    while (lent < room && socket->received_count > 0) {
        struct received *in_hand = &socket->received[socket->received_first];
        const bool is_alone = in_hand->offset == 0 && in_hand->bytes <= in_hand->frame_bytes;
        const uint32_t size =
            in_hand->bytes < in_hand->frame_bytes ? in_hand->bytes : in_hand->frame_bytes;

        in_hand->slot->lent++;
        frames[lent++] = (struct spate_frame){
            .peer = in_hand->peer,
            .size = size,
            /* Neighbours lie close behind: such a frame cannot grow. */
            .capacity = is_alone ? socket->net.frame_bytes_max : size,
            .data = in_hand->slot->data + in_hand->offset,
            .owner = in_hand->slot,
        };
        in_hand->offset += in_hand->stride;
        in_hand->bytes -= size;
        count(&socket->net.stats.rx_bytes, size);
        if (in_hand->bytes == 0) {
            in_hand->slot->lent--;
            socket->received_first++;
            socket->received_count--;
        }
    }
    return lent;
}

uint32_t spate_socket_rx(struct spate_net *net, struct spate_frame frames[], uint32_t room)
{
    struct socket_net *socket = socket_of(net);
    uint32_t lent = lend(socket, frames, room);
    bool has_more = true;

    while (lent < room && has_more) {
        has_more = receive(socket);
        lent += lend(socket, frames + lent, room - lent);
    }
    if (lent > 0) {
        count(&net->stats.rx_frames, lent);
        count(&net->stats.rx_bursts, 1);
    }
    return lent;
}
