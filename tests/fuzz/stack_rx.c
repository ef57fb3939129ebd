/*
 * Frames from the network into a stack that has one route. The input is a byte of options and a row
 * of { how u8, time u8, size u16, bytes }: raw frames, or ones whose checksums are made right, so
 * that what stands behind the first checks is reached as well. A plain second reading of the RFCs
 * says which frames are datagrams for us, and the stack must agree about each.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "net/dpdk/stack/stack.h"
#include "support/ether.h"
#include "target.h"

#define OUR_ADDRESS  0x0a4d0001u
#define PEER_ADDRESS 0x0a4d0002u
#define OUR_PORT     7209u
#define PEER_PORT    7210u

/* `how` of a row. */
#define HOW_GOOD_MASK 3u /* What the port has verified. */
#define HOW_FIX       4u
#define HOW_TO_US     8u

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 2};

struct host {
    struct spate_stack_options options;
    struct spate_stack *stack;
    struct spate_stack_route route;
    spate_time_ns now;
};

/* A datagram for us, by a second reading. */
struct datagram {
    bool is_ours;
    uint32_t at, size, address;
    uint16_t port;
};

static bool is_host(const struct host *host, uint32_t address)
{
    const uint32_t mask = 0xffffffffu << (32 - host->options.prefix_bits);
    const bool is_near = (address & mask) == (OUR_ADDRESS & mask);
    const bool is_special = (address & ~mask) == 0 || (address & ~mask) == ~mask;

    return address >= 0x01000000u && address < 0xe0000000u && address >> 24 != 127 &&
           !(is_near && is_special && host->options.prefix_bits < 31);
}

static bool is_ip_for_us(const struct host *host, const uint8_t *ip, uint32_t room, uint32_t good)
{
    const uint32_t header = room >= 20 ? (ip[0] & 15u) * 4u : 0;

    return header >= 20 && ip[0] >> 4 == 4 && ether_get16(ip + 2) >= header &&
           ether_get16(ip + 2) <= room && ether_get16(ip + 2) <= host->options.mtu &&
           ((good & SPATE_STACK_IP_CHECKSUM_GOOD) != 0 || ether_is_ip_right(ip)) &&
           (ether_get16(ip + 6) & 0x3fff) == 0 && ether_get32(ip + 16) == OUR_ADDRESS &&
           ether_get32(ip + 12) != OUR_ADDRESS && is_host(host, ether_get32(ip + 12));
}

static struct datagram judge(const struct host *host, const uint8_t *frame, uint32_t size,
                             uint32_t good)
{
    struct datagram result = {0};
    const bool is_tagged = size >= 18 && ether_get16(frame + 12) == 0x8100;
    const uint32_t at = is_tagged ? 18 : 14;
    const uint32_t vlan = is_tagged ? ether_get16(frame + 14) & 0xfffu : 0;

    if (size < at || memcmp(frame, our_mac, 6) != 0 || vlan != host->options.vlan ||
        ether_get16(frame + at - 2) != 0x0800 || !is_ip_for_us(host, frame + at, size - at, good)) {
        return result;
    }
    const uint8_t *ip = frame + at;
    const uint32_t header = (ip[0] & 15u) * 4u;
    const uint32_t room = ether_get16(ip + 2) - header;
    const uint8_t *udp = ip + header;

    if (ip[9] != 17 || room < 8 || ether_get16(udp + 4) <= 8 || ether_get16(udp + 4) > room ||
        ether_get16(udp + 2) != OUR_PORT || ether_get16(udp + 6) == 0 ||
        ((good & SPATE_STACK_UDP_CHECKSUM_GOOD) == 0 && !ether_is_udp_right(ip))) {
        return result;
    }
    return (struct datagram){.is_ours = true,
                             .at = at + header + 8,
                             .size = ether_get16(udp + 4) - 8u,
                             .address = ether_get32(ip + 12),
                             .port = ether_get16(udp)};
}

/* Makes checksums right where the lengths allow it. */
static void fix(uint8_t *frame, uint32_t size)
{
    const uint32_t at = size >= 14 ? ether_packet_at(frame) : size;

    if (size < at + 20) {
        return;
    }
    uint8_t *ip = frame + at;
    const uint32_t header = (ip[0] & 15u) * 4u;
    const uint32_t total = ether_get16(ip + 2);

    if (header < 20 || total < header || total > size - at) {
        return;
    }
    ether_fix_ip(ip);
    if (ip[9] == 17 && total - header >= 8 && ether_get16(ip + header + 4) >= 8 &&
        ether_get16(ip + header + 4) <= total - header) {
        ether_fix_udp(ip);
    } else if (ip[9] == 1 && total - header >= 8) {
        ether_put16(ip + header + 2, 0);
        ether_put16(ip + header + 2, ether_checksum(ip + header, total - header));
    }
}

static uint64_t all_drops(const struct host *host)
{
    const struct spate_stack_counters *counters = spate_stack_counters(host->stack);
    uint64_t sum = 0;

    for (uint32_t i = 0; i < SPATE_STACK_DROP_COUNT; i++) {
        sum += counters->drops[i];
    }
    return sum;
}

static void check_answer(const uint8_t *frame, uint32_t before, uint32_t size)
{
    const uint32_t at = ether_packet_at(frame);

    spate_assert(size <= before && size >= at + 28);
    spate_assert((frame[0] & 1) == 0);
    spate_assert(memcmp(frame + 6, our_mac, 6) == 0);
    if (ether_get16(frame + at - 2) == 0x0806) {
        spate_assert(ether_get16(frame + at + 6) == 2);
        spate_assert(memcmp(frame + at + 8, our_mac, 6) == 0);
        spate_assert(ether_get32(frame + at + 14) == OUR_ADDRESS);
    } else {
        spate_assert(ether_get32(frame + at + 12) == OUR_ADDRESS);
        spate_assert(ether_is_ip_right(frame + at));
        spate_assert(ether_is_icmp_right(frame + at));
    }
}

static void poll(struct host *host)
{
    uint8_t frame[SPATE_STACK_OWN_FRAME_BYTES_MAX];
    uint32_t count = 0;
    uint32_t size;

    while ((size = spate_stack_poll(host->stack, host->now, frame)) > 0) {
        spate_assert(size == (host->options.vlan != 0 ? 64 : 60));
        count++;
        spate_assert(count < 8);
    }
    spate_assert(spate_stack_deadline(host->stack) > host->now);
}

static void receive(struct host *host, uint8_t how, const uint8_t *data, uint32_t size)
{
    const uint32_t good = how & HOW_GOOD_MASK;
    struct spate_stack_received received;
    /* A block of exactly the size: the sanitizers see a byte too many. */
    uint8_t *frame = malloc(size + 1u);

    if (frame == NULL) {
        abort();
    }
    memcpy(frame, data, size);
    if ((how & HOW_TO_US) != 0 && size >= 6) {
        memcpy(frame, our_mac, 6);
    }
    if ((how & HOW_FIX) != 0) {
        fix(frame, size);
    }
    frame = realloc(frame, size > 0 ? size : 1u);
    if (frame == NULL) {
        abort();
    }
    const struct datagram expected = judge(host, frame, size, good);
    const uint64_t before = all_drops(host);
    const enum spate_stack_verdict verdict =
        spate_stack_receive(host->stack, host->now, frame, size, good, &received);

    spate_assert((verdict == SPATE_STACK_DELIVERED) == expected.is_ours);
    spate_assert(all_drops(host) == before + (verdict == SPATE_STACK_DROPPED ? 1 : 0));
    if (verdict == SPATE_STACK_DELIVERED) {
        spate_assert(received.payload == frame + expected.at);
        spate_assert(received.size == expected.size);
        spate_assert(received.address == expected.address);
        spate_assert(received.port == expected.port);
    } else if (verdict == SPATE_STACK_ANSWERED) {
        check_answer(frame, size, received.size);
    }
    free(frame);
}

static void start(struct host *host, uint8_t how)
{
    host->options = (struct spate_stack_options){
        .address = OUR_ADDRESS,
        .prefix_bits = (how & 4) != 0 ? 31 - how / 16 : 24,
        .port = OUR_PORT,
        .vlan = (how & 1) != 0 ? 5 : 0,
        .mtu = (how & 2) != 0 ? 9000 : 1500,
        .seed = how,
    };
    memcpy(host->options.mac.bytes, our_mac, 6);
    if (spate_stack_create(&host->options, &host->stack) != SPATE_OK) {
        abort();
    }
    host->now = 1;
    host->route = (struct spate_stack_route){0};
    spate_stack_link_up(host->stack, host->now);
    poll(host);
}

/* Whatever came in, a true answer of the peer is believed and what we send to it is right. */
static void check_peer(struct host *host)
{
    uint8_t frame[64];
    uint8_t room[SPATE_STACK_HEADER_BYTES_MAX + 4] = {0};
    const uint8_t *end = room + sizeof room;
    const struct ether_arp reply = {
        .target_mac = our_mac,
        .source_mac = peer_mac,
        .tag = host->options.vlan != 0 ? host->options.vlan : ETHER_UNTAGGED,
        .op = 2,
        .sha = peer_mac,
        .tha = our_mac,
        .spa = PEER_ADDRESS,
        .tpa = OUR_ADDRESS,
    };

    if (!host->route.is_set) {
        return;
    }
    receive(host, 0, frame, ether_write_arp(frame, &reply));
    spate_assert(
        spate_stack_send(host->stack, &host->route, room + SPATE_STACK_HEADER_BYTES_MAX, 4));
    const uint8_t *ip = end - 4 - 28;

    spate_assert(memcmp(end - 4 - spate_stack_header_bytes(host->stack), peer_mac, 6) == 0);
    spate_assert(ether_is_ip_right(ip));
    spate_assert(ether_is_udp_right(ip));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct host host;

    if (size < 1) {
        return 0;
    }
    start(&host, data[0]);
    data++;
    size--;
    /* Too small a subnet has no such peer: then there is no route. */
    (void)!spate_stack_route_set(host.stack, host.now, &host.route, PEER_ADDRESS, PEER_PORT);
    for (uint32_t frames = 0; size >= 4 && frames < 64; frames++) {
        uint32_t bytes = spate_get_u16(data + 2);
        if (bytes > size - 4) {
            bytes = (uint32_t)size - 4;
        }
        host.now += 1ull << (data[1] & 31);
        poll(&host);
        receive(&host, data[0], data + 4, bytes);
        data += 4 + bytes;
        size -= 4 + bytes;
    }
    check_peer(&host);
    spate_stack_destroy(host.stack);
    return 0;
}
