/* Opening and closing: the socket's options, the probes, the table of functions. */
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "socket_internal.h"

#define RX_SLOTS            128u
#define TX_SLOTS            256u
#define SLOTS_MAX           16384u
#define SOCKET_BUFFER_BYTES (8u << 20)

/* A coalesced datagram, and up to 7 bytes per frame to move the frames apart. */
#define COALESCED_BYTES (65536u + 8u * SEGMENTS_MAX)

static spate_err reserve(struct spate_net *net, spate_peer peer, struct spate_frame frames[],
                         uint32_t frame_count)
{
    struct socket_net *socket = socket_of(net);

    spate_assert(frame_count <= SPATE_BURST_MAX);
    if (socket->tx_pool.free_count < frame_count) {
        return SPATE_ERR_BUSY;
    }
    for (uint32_t i = 0; i < frame_count; i++) {
        struct slot *slot = spate_socket_slot_take(&socket->tx_pool);
        slot->lent = 1;
        frames[i] = (struct spate_frame){
            .peer = peer, .capacity = net->frame_bytes_max, .data = slot->data, .owner = slot};
    }
    return SPATE_OK;
}

static void release(struct spate_net *net, struct spate_frame frames[], uint32_t frame_count)
{
    for (uint32_t i = 0; i < frame_count; i++) {
        spate_socket_frame_return(socket_of(net), &frames[i]);
    }
}

/* The order is a promise: places do not change. */
static bool counter(struct spate_net *net, uint32_t place, struct spate_net_counter *ret_counter)
{
    const struct spate_net_socket_counters *counters = &socket_of(net)->counters;
    const struct {
        const char *name;
        const _Atomic uint64_t *value;
        bool is_drop;
    } all[] = {
        {"tx_segmented", &counters->tx_segmented, false},
        {"tx_fallbacks", &counters->tx_fallbacks, false},
        {"rx_coalesced", &counters->rx_coalesced, false},
        {"errors_swallowed", &counters->errors_swallowed, false},
        {"drop.rx_size", &counters->rx_drops_size, true},
        {"drop.tx_no_peer", &counters->tx_drops_peer, true},
        {"drop.tx_queue_full", &counters->tx_drops_full, true},
        {"drop.tx_refused", &counters->tx_drops_refused, true},
    };

    if (place >= SPATE_ARRAY_COUNT(all)) {
        return false;
    }
    *ret_counter = (struct spate_net_counter){
        .name = all[place].name,
        .value = atomic_load_explicit(all[place].value, memory_order_relaxed),
        .is_drop = all[place].is_drop,
    };
    return true;
}

static void destroy(struct socket_net *socket)
{
    if (socket->fd >= 0) {
        (void)close(socket->fd);
    }
    if (socket->wake_fd >= 0) {
        (void)close(socket->wake_fd);
    }
    spate_socket_slots_destroy(&socket->rx_pool);
    spate_socket_slots_destroy(&socket->tx_pool);
    free(socket);
}

static void close_net(struct spate_net *net)
{
    struct socket_net *socket = socket_of(net);

    if (socket == NULL) {
        return;
    }
    while (socket->received_count > 0) {
        struct slot *slot = socket->received[socket->received_first++].slot;
        socket->received_count--;
        slot->lent--;
        spate_socket_slot_give(&socket->rx_pool, slot);
    }
    spate_assert(socket->rx_pool.free_count == socket->rx_pool.count);
    spate_assert(socket->tx_pool.free_count == socket->tx_pool.count);
    destroy(socket);
}

static const struct spate_net_ops socket_ops = {
    .name = "socket",
    .rx = spate_socket_rx,
    .reserve = reserve,
    .tx = spate_socket_tx,
    .release = release,
    .set_peer = spate_socket_set_peer,
    .wait = spate_socket_wait,
    .wake = spate_socket_wake,
    .counter = counter,
    .close = close_net,
};

static spate_err error_of(int error)
{
    switch (error) {
    case EADDRINUSE:
        return SPATE_ERR_IN_USE;
    case EACCES:
    case EPERM:
        return SPATE_ERR_PERMISSION;
    case EADDRNOTAVAIL:
    case EINVAL:
        return SPATE_ERR_INVALID;
    case EAFNOSUPPORT:
        return SPATE_ERR_UNSUPPORTED;
    case ENOMEM:
    case ENOBUFS:
        return SPATE_ERR_NO_MEMORY;
    default:
        return SPATE_ERR_IO;
    }
}

static bool set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/* Best effort all: a smaller buffer or a missing option costs speed, not correctness. */
static void tune(struct socket_net *socket, const struct spate_net_socket_options *options)
{
    const int fd = socket->fd;
    const bool is_v6 = socket->family == AF_INET6;
    const int bytes = (int)(options->socket_buffer_bytes != 0 ? options->socket_buffer_bytes
                                                              : SOCKET_BUFFER_BYTES);

    if (!set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes)) {
        (void)set_int(fd, SOL_SOCKET, SO_RCVBUF, bytes);
    }
    if (!set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes)) {
        (void)set_int(fd, SOL_SOCKET, SO_SNDBUF, bytes);
    }
    if (options->busy_poll_us != 0) {
        (void)set_int(fd, SOL_SOCKET, SO_BUSY_POLL, (int)options->busy_poll_us);
    }
    /* PROBE: don't fragment, and do not believe what routers say about the path: the layer above
     * finds out by itself which frames pass. */
    if (!spate_address_is_loopback(&options->bind)) {
        (void)(is_v6 ? set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE)
                     : set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE));
    }
    /* Two frames must fit into one send for segmentation to mean anything. */
    if (!options->segmentation_avoided && socket->net.frame_bytes_max * 2 <= SEND_BYTES_MAX) {
        int segment = 0;
        socklen_t segment_size = sizeof segment;
        socket->tx_segmentation =
            getsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, &segment_size) == 0;
        socket->rx_coalescing = set_int(fd, SOL_UDP, UDP_GRO, 1);
    }
}

static spate_err open_socket(struct socket_net *net, const struct spate_net_socket_options *options)
{
    struct sockaddr_storage address;
    socklen_t address_bytes = 0;

    spate_socket_address_to(&options->bind, &address, &address_bytes);
    net->family = options->bind.family == 6 ? AF_INET6 : AF_INET;
    net->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    net->fd = socket(net->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (net->wake_fd < 0 || net->fd < 0) {
        return error_of(errno);
    }
    if (net->family == AF_INET6) {
        (void)set_int(net->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    /* Before bind: from then on frames arrive. */
    tune(net, options);
    if (bind(net->fd, (const struct sockaddr *)&address, address_bytes) != 0) {
        return error_of(errno);
    }
    return SPATE_OK;
}

static bool is_valid(const struct spate_net_socket_options *options)
{
    const uint32_t bytes = options->frame_bytes_max;

    return (options->bind.family == 4 || options->bind.family == 6) &&
           (bytes == 0 || (bytes >= SPATE_FRAME_BYTES_MIN && bytes <= SPATE_FRAME_BYTES_MAX)) &&
           options->rx_slots <= SLOTS_MAX && options->tx_slots <= SLOTS_MAX &&
           options->socket_buffer_bytes <= INT32_MAX && options->busy_poll_us <= INT32_MAX;
}

spate_err spate_net_socket_create(const struct spate_net_socket_options *options,
                                  struct spate_net **ret_net)
{
    spate_assert(options != NULL);
    spate_assert(ret_net != NULL);

    if (!is_valid(options)) {
        return SPATE_ERR_INVALID;
    }
    struct socket_net *socket = calloc(1, sizeof *socket);
    if (socket == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    socket->net.ops = &socket_ops;
    socket->net.frame_bytes_max =
        options->frame_bytes_max != 0 ? options->frame_bytes_max : SPATE_FRAME_BYTES_MIN;
    socket->fd = -1;
    socket->wake_fd = -1;
    socket->rx_batch = 1;
    spate_err err = open_socket(socket, options);
    const uint32_t frame_stride = (socket->net.frame_bytes_max + 64u) & ~63u;
    if (err == SPATE_OK) {
        err = spate_socket_slots_create(
            &socket->rx_pool, options->rx_slots != 0 ? options->rx_slots : RX_SLOTS,
            socket->rx_coalescing ? COALESCED_BYTES : frame_stride, true);
    }
    if (err == SPATE_OK) {
        err = spate_socket_slots_create(&socket->tx_pool,
                                        options->tx_slots != 0 ? options->tx_slots : TX_SLOTS,
                                        frame_stride, false);
    }
    if (err != SPATE_OK) {
        destroy(socket);
        return err;
    }
    *ret_net = &socket->net;
    return SPATE_OK;
}

void spate_net_socket_address(struct spate_net *net, struct spate_address *ret_address)
{
    struct sockaddr_storage address = {0};
    socklen_t bytes = sizeof address;
    const int failed = getsockname(socket_of(net)->fd, (struct sockaddr *)&address, &bytes);

    spate_assert(!failed);
    spate_socket_address_from(&address, ret_address);
}

const struct spate_net_socket_counters *spate_net_socket_counters(struct spate_net *net)
{
    return &socket_of(net)->counters;
}
