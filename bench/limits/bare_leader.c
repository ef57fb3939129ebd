#include <errno.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/children.h"
#include "bench/clock.h"
#include "bench/limits/bare_loop.h"
#include "bench/process.h"

/* Datagrams of one send call, the frames that UDP_SEGMENT cuts one into, and their parts. */
#define TX_MESSAGES       32u
#define SEGMENTS_MAX      64u
#define SEGMENT_BYTES_MAX 65000u
#define PARTS_PER_FRAME   3u

/* Unacknowledged bytes of one follower: below the receive buffer that we may ask for. */
#define WINDOW_BYTES   (2u << 20)
#define REPEAT_NS      20000000u
#define REPEAT_SYNC_NS 500000000u

struct outbox {
    uint32_t count;
    uint32_t parts_used;
    uint32_t headers_used;
    struct mmsghdr messages[TX_MESSAGES];
    uint32_t follower[TX_MESSAGES];
    uint64_t first[TX_MESSAGES]; /* Slot that the message begins with. */
    uint8_t control[TX_MESSAGES][CMSG_SPACE(sizeof(uint16_t))] __attribute__((aligned(8)));
    struct iovec parts[TX_MESSAGES * SEGMENTS_MAX * PARTS_PER_FRAME];
    struct bare_header headers[TX_MESSAGES * SEGMENTS_MAX];
};

/* Slots that were created together, so have one time. */
struct creation {
    uint64_t last;
    uint64_t at_ns;
};

/* In slots, as all below. */
struct peer {
    uint64_t match;
    uint64_t sent;
    uint64_t moved_ns; /* When match last grew, or the first unacknowledged slot was sent. */
    bool is_there;
};

struct leader {
    struct bare_setup *setup;
    const struct bench_bare_options *options;
    struct bare_log log;
    struct bare_disk disk;
    bool is_durable;
    struct bench_receiver receiver;
    struct outbox outbox;
    struct peer peers[BENCH_BARE_NODES_MAX];
    uint8_t *payload;
    uint32_t frame_slots;    /* Of a full frame. */
    uint32_t message_frames; /* Frames of a full message. */
    uint64_t last;
    uint64_t commit;
    uint64_t durable;

    struct creation *creations; /* A circle; one for each slot in flight at most. */
    uint64_t creations_mask;
    uint64_t created;
    uint64_t finished;
    uint64_t finished_last;

    struct spate_histogram *latency; /* NULL while warming up. */
    struct bench_bare_result result;
};

/* Slots up to here can be created without overwriting what somebody still needs. */
static uint64_t room_until(const struct leader *leader)
{
    uint64_t needed = leader->is_durable ? leader->durable : leader->last;

    for (uint32_t f = 0; f < leader->setup->followers; f++) {
        const uint64_t match = leader->peers[f].match;
        needed = match < needed ? match : needed;
    }
    return needed + leader->log.mask / 2;
}

static bool create_entries(struct leader *leader, uint64_t now)
{
    const uint64_t slots = leader->log.entry_slots;
    const uint64_t room = room_until(leader);
    uint64_t until = (leader->commit / slots + leader->options->in_flight) * slots;

    until = room < until ? room : until;
    if (leader->last >= until) {
        return false;
    }
    while (leader->last < until) {
        leader->last++;
        uint8_t *slot =
            leader->log.bytes + (leader->last & leader->log.mask) * leader->log.slot_bytes;
        memcpy(slot, leader->payload, leader->log.slot_bytes);
        memcpy(slot, &leader->last, sizeof leader->last);
    }
    leader->creations[leader->created++ & leader->creations_mask] =
        (struct creation){.last = leader->last, .at_ns = now};
    return true;
}

/* Adds a frame of `count` slots to the message that is being built. */
static void add_frame(struct leader *leader, struct msghdr *message, uint64_t first, uint32_t count)
{
    struct outbox *outbox = &leader->outbox;
    struct bare_header *header = &outbox->headers[outbox->headers_used++];
    struct iovec *parts = &outbox->parts[outbox->parts_used];

    *header = (struct bare_header){.first = first, .count = count};
    parts[0] = (struct iovec){.iov_base = header, .iov_len = sizeof *header};
    const uint32_t used = 1 + bare_log_parts(&leader->log, first, count, parts + 1);
    outbox->parts_used += used;
    message->msg_iovlen += used;
}

static void add_segmentation(struct leader *leader, struct msghdr *message, uint8_t *control)
{
    const uint16_t bytes =
        (uint16_t)(sizeof(struct bare_header) + leader->frame_slots * leader->log.slot_bytes);

    message->msg_control = control;
    message->msg_controllen = CMSG_SPACE(sizeof bytes);
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof bytes);
    memcpy(CMSG_DATA(c), &bytes, sizeof bytes);
}

/* The next message for a follower: full frames, then perhaps a shorter one. False: nothing to do.
 */
static bool add_message(struct leader *leader, uint32_t follower)
{
    struct peer *peer = &leader->peers[follower];
    struct outbox *outbox = &leader->outbox;
    const uint64_t window = WINDOW_BYTES / leader->log.slot_bytes + leader->frame_slots;

    if (!peer->is_there || peer->sent == leader->last || peer->sent - peer->match >= window) {
        return false;
    }
    const uint32_t m = outbox->count++;
    struct msghdr *message = &outbox->messages[m].msg_hdr;
    *message =
        (struct msghdr){.msg_name = (void *)(uintptr_t)&leader->setup->follower_addresses[follower],
                        .msg_namelen = sizeof leader->setup->follower_addresses[follower],
                        .msg_iov = &outbox->parts[outbox->parts_used]};
    outbox->follower[m] = follower;
    outbox->first[m] = peer->sent + 1;
    uint32_t frames = 0;
    while (frames < leader->message_frames && peer->sent < leader->last) {
        const uint64_t left = leader->last - peer->sent;
        const uint32_t count = left < leader->frame_slots ? (uint32_t)left : leader->frame_slots;
        add_frame(leader, message, peer->sent + 1, count);
        peer->sent += count;
        frames++;
    }
    if (frames > 1) {
        add_segmentation(leader, message, outbox->control[m]);
    }
    leader->result.datagrams += frames;
    return true;
}

/* Fills the outbox, followers taking turns. */
static void gather(struct leader *leader, uint64_t now)
{
    struct outbox *outbox = &leader->outbox;
    bool has_added = true;

    outbox->count = 0;
    outbox->parts_used = 0;
    outbox->headers_used = 0;
    while (has_added) {
        has_added = false;
        for (uint32_t f = 0; f < leader->setup->followers && outbox->count < TX_MESSAGES; f++) {
            struct peer *peer = &leader->peers[f];
            if (peer->sent == peer->match) {
                peer->moved_ns = now;
            }
            has_added = add_message(leader, f) || has_added;
        }
        has_added = has_added && outbox->count < TX_MESSAGES;
    }
}

static bool send_entries(struct leader *leader, uint64_t now)
{
    struct outbox *outbox = &leader->outbox;
    uint32_t done = 0;

    gather(leader, now);
    while (done < outbox->count) {
        struct bench_port *port = leader->setup->leader_port;
        const uint32_t sent = port->send(port, outbox->messages + done, outbox->count - done);
        if (sent == 0) {
            break;
        }
        done += sent;
    }
    /* What there was no room for goes again next turn. */
    for (uint32_t m = outbox->count; m > done; m--) {
        leader->peers[outbox->follower[m - 1]].sent = outbox->first[m - 1] - 1;
    }
    return done > 0;
}

static bool receive_acks(struct leader *leader, uint64_t now)
{
    struct bench_port *port = leader->setup->leader_port;
    const uint32_t count = port->receive(port, &leader->receiver);

    for (uint32_t m = 0; m < count; m++) {
        struct bare_header ack;
        const uint8_t *bytes = leader->receiver.parts[m].iov_base;
        const uint32_t total = leader->receiver.messages[m].msg_len;
        /* UDP_GRO joins acknowledgements of one sender as well. */
        for (uint32_t at = 0; at + sizeof ack <= total; at += (uint32_t)sizeof ack) {
            memcpy(&ack, bytes + at, sizeof ack);
            struct peer *peer = &leader->peers[ack.from % BENCH_BARE_NODES_MAX];
            peer->is_there = true;
            if (ack.first > peer->match && ack.first <= leader->last) {
                peer->match = ack.first;
                peer->sent = peer->sent > peer->match ? peer->sent : peer->match;
                peer->moved_ns = now;
            }
        }
    }
    return count > 0;
}

/* The highest index that a majority, the leader included, holds. */
static uint64_t held_by_majority(const struct leader *leader)
{
    uint64_t held[BENCH_BARE_NODES_MAX];
    const uint32_t nodes = leader->setup->followers + 1;

    held[0] = leader->is_durable ? leader->durable : leader->last;
    for (uint32_t n = 1; n < nodes; n++) {
        uint32_t at = n;
        const uint64_t match = leader->peers[n - 1].match;
        for (; at > 0 && held[at - 1] < match; at--) {
            held[at] = held[at - 1];
        }
        held[at] = match;
    }
    return held[nodes / 2];
}

static void commit_entries(struct leader *leader)
{
    const uint64_t slots = leader->log.entry_slots;
    const uint64_t commit = held_by_majority(leader);
    if (commit <= leader->commit) {
        return;
    }
    const uint64_t now = bench_now_ns();
    while (leader->finished_last < commit) {
        const struct creation *creation =
            &leader->creations[leader->finished & leader->creations_mask];
        const uint64_t last = creation->last < commit ? creation->last : commit;
        const uint64_t entries = last / slots - leader->finished_last / slots;
        if (leader->latency != NULL && entries > 0) {
            spate_histogram_record(leader->latency, now - creation->at_ns, entries);
        }
        leader->finished_last = last;
        leader->finished += last == creation->last;
    }
    leader->commit = commit;
}

static void go_back_after_loss(struct leader *leader, uint64_t now)
{
    const uint64_t patience = leader->is_durable ? REPEAT_SYNC_NS : REPEAT_NS;

    for (uint32_t f = 0; f < leader->setup->followers; f++) {
        struct peer *peer = &leader->peers[f];
        if (peer->sent > peer->match && now - peer->moved_ns > patience) {
            peer->sent = peer->match;
            peer->moved_ns = now;
            leader->result.repeats++;
        }
    }
}

/* One turn. False: there was nothing to do. */
static bool turn(struct leader *leader, uint64_t now)
{
    bool has_worked = receive_acks(leader, now);

    if (leader->is_durable) {
        const uint64_t durable = bare_disk_durable(&leader->disk);
        has_worked = has_worked || durable != leader->durable;
        leader->durable = durable;
    }
    commit_entries(leader);
    has_worked = create_entries(leader, now) || has_worked;
    has_worked = send_entries(leader, now) || has_worked;
    if (leader->is_durable) {
        bare_disk_stage(&leader->disk, leader->last);
    }
    go_back_after_loss(leader, now);
    return has_worked;
}

/* Turns until `end_ns`. Returns the time. */
static uint64_t run_until(struct leader *leader, uint64_t end_ns)
{
    const int disk_fd = leader->is_durable ? leader->disk.done_fd : -1;
    struct bench_idle idle = {0};
    uint64_t now = bench_now_ns();

    while (now < end_ns && !process_is_interrupted()) {
        if (turn(leader, now)) {
            idle.since = 0;
        } else {
            bench_socket_idle(leader->options->polling, leader->setup->leader_port->fd, disk_fd,
                              &idle);
        }
        now = bench_now_ns();
    }
    return now;
}

static bool wait_for_followers(struct leader *leader)
{
    const uint64_t end = bench_now_ns() + 10000000000u;
    uint32_t there = 0;

    while (there < leader->setup->followers) {
        struct bench_idle idle = {0};
        if (bench_now_ns() > end || process_is_interrupted()) {
            (void)fprintf(stderr, "bare loop: a follower did not start\n");
            return false;
        }
        if (!receive_acks(leader, 0)) {
            bench_socket_idle(BENCH_POLLING_BLOCKING, leader->setup->leader_port->fd, -1, &idle);
        }
        there = 0;
        for (uint32_t f = 0; f < leader->setup->followers; f++) {
            there += leader->peers[f].is_there;
        }
    }
    return true;
}

static bool set_up(struct leader *leader, struct bare_setup *setup)
{
    const struct bench_bare_options *options = setup->options;
    uint64_t creations = 1;

    *leader = (struct leader){
        .setup = setup, .options = options, .is_durable = options->durable_directory != NULL};
    if (!bare_log_create(&leader->log, options) || !bench_receiver_create(&leader->receiver)) {
        return false;
    }
    while (creations <= (uint64_t)options->in_flight * leader->log.entry_slots) {
        creations *= 2;
    }
    const uint32_t room = options->frame_bytes - (uint32_t)sizeof(struct bare_header);
    leader->frame_slots = room / leader->log.slot_bytes;
    const uint32_t frame =
        leader->frame_slots * leader->log.slot_bytes + (uint32_t)sizeof(struct bare_header);
    const uint32_t fitting = SEGMENT_BYTES_MAX / frame;
    leader->message_frames = fitting < 1 ? 1 : fitting < SEGMENTS_MAX ? fitting : SEGMENTS_MAX;
    leader->message_frames = setup->leader_port->is_segmented ? leader->message_frames : 1;
    leader->creations_mask = creations - 1;
    leader->creations = calloc(creations, sizeof *leader->creations);
    leader->payload = calloc(1, leader->log.slot_bytes);
    return leader->creations != NULL && leader->payload != NULL;
}

static void measure(struct leader *leader, struct spate_histogram *latency)
{
    const struct bench_bare_options *options = leader->options;
    (void)run_until(leader, bench_now_ns() + (uint64_t)(options->warmup_seconds * 1e9));
    const uint64_t commit = leader->commit;
    const uint64_t syncs = atomic_load(&leader->disk.syncs);
    const double cpu = (double)process_cpu_ns() / 1e9;

    leader->latency = latency;
    leader->result = (struct bench_bare_result){0};
    const uint64_t start = bench_now_ns();
    const uint64_t end = run_until(leader, start + (uint64_t)(options->seconds * 1e9));
    const uint64_t synced = atomic_load(&leader->disk.syncs) - syncs;

    leader->result.seconds = (double)(end - start) / 1e9;
    leader->result.committed =
        leader->commit / leader->log.entry_slots - commit / leader->log.entry_slots;
    leader->result.entries_per_s = (double)leader->result.committed / leader->result.seconds;
    leader->result.entries_per_sync =
        synced == 0 ? 0 : (double)leader->result.committed / (double)synced;
    leader->result.leader_cores = ((double)process_cpu_ns() / 1e9 - cpu) / leader->result.seconds;
}

bool bare_lead(struct bare_setup *setup, struct spate_histogram *latency,
               struct bench_bare_result *ret_result)
{
    struct leader *leader = malloc(sizeof *leader);
    const char *directory = setup->options->durable_directory;
    bool is_good = leader != NULL && set_up(leader, setup);

    if (is_good && directory != NULL) {
        is_good = bare_disk_start(&leader->disk, directory, &leader->log);
    }
    if (is_good) {
        is_good = wait_for_followers(leader);
        if (is_good) {
            measure(leader, latency);
            *ret_result = leader->result;
        }
        if (directory != NULL) {
            bare_disk_stop(&leader->disk);
        }
    }
    if (leader != NULL) {
        free(leader->creations);
        free(leader->payload);
        free(leader->receiver.bytes);
        bare_log_destroy(&leader->log);
        free(leader);
    }
    return is_good;
}
