#include <string.h>

#include "bench/clock.h"
#include "bench/limits/bare_loop.h"

/* Receive calls before what came is made durable and acknowledged. */
#define ROUNDS_MAX 4u

#define HELLO_NS 10000000u

struct follower {
    const struct bench_bare_options *options;
    struct bench_receiver receiver;
    struct bare_log log;
    struct bench_journal journal;
    uint64_t last;   /* Slot held. */
    uint64_t synced; /* On the disk. */
    uint32_t index;
    struct bench_port *port;
    const struct sockaddr_in *leader_address;
};

/* Copies the slots of one frame that continue the log. */
static void accept_frame(struct follower *follower, const uint8_t *frame, uint32_t bytes)
{
    struct bare_header header;
    struct iovec parts[2];
    const uint32_t slot = follower->log.slot_bytes;

    if (bytes < sizeof header) {
        return;
    }
    memcpy(&header, frame, sizeof header);
    const uint64_t frame_last = header.first + header.count - 1;
    if (header.count == 0 || bytes != sizeof header + (uint64_t)header.count * slot ||
        header.first > follower->last + 1 || frame_last <= follower->last) {
        return;
    }
    const uint64_t known = follower->last + 1 - header.first;
    const uint8_t *from = frame + sizeof header + known * slot;
    const uint32_t count =
        bare_log_parts(&follower->log, follower->last + 1, header.count - known, parts);
    for (uint32_t p = 0; p < count; p++) {
        memcpy(parts[p].iov_base, from, parts[p].iov_len);
        from += parts[p].iov_len;
    }
    follower->last = frame_last;
}

/* Whether anything came. */
static bool receive(struct follower *follower)
{
    struct bench_receiver *receiver = &follower->receiver;
    uint32_t count = BENCH_RX_FRAMES;
    bool has_received = false;

    for (uint32_t round = 0; round < ROUNDS_MAX && count == BENCH_RX_FRAMES; round++) {
        count = follower->port->receive(follower->port, receiver);
        for (uint32_t m = 0; m < count; m++) {
            const uint8_t *bytes = receiver->parts[m].iov_base;
            const uint32_t total = receiver->messages[m].msg_len;
            const uint32_t step = bench_received_frame_bytes(receiver, m);
            for (uint32_t at = 0; at < total; at += step) {
                const uint32_t left = total - at;
                accept_frame(follower, bytes + at, left < step ? left : step);
            }
        }
        has_received = has_received || count > 0;
    }
    return has_received;
}

static void sync_received(struct follower *follower)
{
    const uint64_t most = BENCH_JOURNAL_APPEND_MAX / follower->log.slot_bytes;

    while (follower->synced < follower->last) {
        struct iovec parts[2];
        const uint64_t left = follower->last - follower->synced;
        const uint64_t count = left < most ? left : most;
        bench_journal_append(&follower->journal, parts,
                             bare_log_parts(&follower->log, follower->synced + 1, count, parts));
        follower->synced += count;
    }
}

static bool set_up(struct follower *follower, struct bare_setup *setup, uint32_t index)
{
    const struct bench_bare_options *options = setup->options;

    follower->options = options;
    follower->leader_address = &setup->leader_address;
    follower->index = index;
    follower->port = setup->follower_ports[index];
    return bench_receiver_create(&follower->receiver) && bare_log_create(&follower->log, options) &&
           (options->durable_directory == NULL ||
            bench_journal_open(options->durable_directory, &follower->journal));
}

static void acknowledge(struct follower *follower, struct bare_header *ack)
{
    struct iovec part = {.iov_base = ack, .iov_len = sizeof *ack};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &part,
                                          .msg_iovlen = 1,
                                          .msg_name = (void *)(uintptr_t)follower->leader_address,
                                          .msg_namelen = sizeof *follower->leader_address}};

    ack->first = follower->last;
    /* A lost one is made good by the next: the leader goes back. */
    (void)follower->port->send(follower->port, &message, 1);
}

int bare_follow(void *argument)
{
    const struct bare_follower *self = argument;
    static struct follower follower;

    if (!set_up(&follower, self->setup, self->index)) {
        return 1;
    }
    /* The first acknowledgement says that this follower is there. */
    struct bare_header ack = {.from = self->index};
    uint64_t said_at = bench_now_ns();
    struct bench_idle idle = {0};
    bool has_news = true;
    while (!atomic_load_explicit(self->setup->is_over, memory_order_relaxed)) {
        if (has_news) {
            if (follower.options->durable_directory != NULL) {
                sync_received(&follower);
            }
            acknowledge(&follower, &ack);
            idle.since = 0;
        } else {
            bench_socket_idle(follower.options->polling, follower.port->fd, -1, &idle);
        }
        has_news = receive(&follower);
        if (follower.last == 0 && !has_news) {
            /* The leader may not have been there for the first one. */
            const uint64_t now = bench_now_ns();
            has_news = now - said_at > HELLO_NS;
            said_at = has_news ? now : said_at;
        }
    }
    return 0;
}
