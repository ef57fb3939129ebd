/*
 * Ethernet frames for tests of the userspace stack, written and read one byte at a time from the
 * RFCs' pictures: nothing here is shared with the code under test.
 */
#ifndef SPATE_SUPPORT_ETHER_H
#define SPATE_SUPPORT_ETHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ETHER_UNTAGGED  0xffffu
#define ETHER_BYTES_MAX 9300u

/* RFC 1071 as it is told there: 16-bit words, most significant byte first, one at a time. */
uint16_t ether_checksum(const uint8_t *bytes, size_t size);

uint16_t ether_get16(const uint8_t *at);
uint32_t ether_get32(const uint8_t *at);
void ether_put16(uint8_t *at, uint32_t value);
void ether_put32(uint8_t *at, uint32_t value);

/* An IPv4 packet in its frame. What is not set is what an honest sender would write. */
struct ether_packet {
    const uint8_t *target_mac, *source_mac;
    uint16_t tag; /* The 16 bits behind 0x8100, or ETHER_UNTAGGED. */
    uint32_t source, target;
    uint8_t protocol;
    uint32_t option_bytes; /* Of the IPv4 header; filled with "no operation". */
    const uint8_t *body;   /* What stands behind the IPv4 header. */
    uint32_t body_bytes;
};

/* Returns the size of the frame. */
uint32_t ether_write_ip(uint8_t *frame, const struct ether_packet *packet);

/* A UDP datagram; `packet->body` is its payload, `protocol` is not looked at. */
uint32_t ether_write_udp(uint8_t *frame, const struct ether_packet *packet, uint16_t source_port,
                         uint16_t target_port);

/* An ARP packet. */
struct ether_arp {
    const uint8_t *target_mac, *source_mac; /* Of the frame. */
    uint16_t tag;
    uint16_t op;
    const uint8_t *sha, *tha;
    uint32_t spa, tpa;
};

/* Returns 42 or 46, unpadded. */
uint32_t ether_write_arp(uint8_t *frame, const struct ether_arp *arp);

/* Where the packet begins: 14 or 18. */
uint32_t ether_packet_at(const uint8_t *frame);

/* Writes the right IPv4 checksum again after a change of the header. */
void ether_fix_ip(uint8_t *ip);

/* Writes the right UDP checksum again. Requires: all lengths are right. */
void ether_fix_udp(uint8_t *ip);

/* Whether the checksums of a whole IPv4 packet and of the UDP or ICMP message in it are right. */
bool ether_is_ip_right(const uint8_t *ip);
bool ether_is_udp_right(const uint8_t *ip);
bool ether_is_icmp_right(const uint8_t *ip);

#endif
