#include "support/ether.h"

#include <string.h>

uint16_t ether_checksum(const uint8_t *bytes, size_t size)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < size; i++) {
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
        sum = (sum & 0xffffu) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

uint16_t ether_get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t ether_get32(const uint8_t *at)
{
    return (uint32_t)ether_get16(at) << 16 | ether_get16(at + 2);
}

void ether_put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

void ether_put32(uint8_t *at, uint32_t value)
{
    ether_put16(at, value >> 16);
    ether_put16(at + 2, value & 0xffffu);
}

/* Returns the size of the Ethernet header. */
static uint32_t write_ethernet(uint8_t *frame, const uint8_t *target, const uint8_t *source,
                               uint16_t tag, uint16_t type)
{
    memcpy(frame, target, 6);
    memcpy(frame + 6, source, 6);
    if (tag == ETHER_UNTAGGED) {
        ether_put16(frame + 12, type);
        return 14;
    }
    ether_put16(frame + 12, 0x8100);
    ether_put16(frame + 14, tag);
    ether_put16(frame + 16, type);
    return 18;
}

static uint32_t header_bytes_of(const uint8_t *ip)
{
    return (ip[0] & 15u) * 4u;
}

void ether_fix_ip(uint8_t *ip)
{
    ether_put16(ip + 10, 0);
    ether_put16(ip + 10, ether_checksum(ip, header_bytes_of(ip)));
}

/* The checksum of pseudo header and datagram (RFC 768), 0 when it is right already. */
static uint16_t udp_checksum(const uint8_t *ip)
{
    const uint8_t *udp = ip + header_bytes_of(ip);
    const uint16_t size = ether_get16(udp + 4);
    uint8_t all[12 + 65536];

    memcpy(all, ip + 12, 8);
    all[8] = 0;
    all[9] = 17;
    ether_put16(all + 10, size);
    memcpy(all + 12, udp, size);
    return ether_checksum(all, 12u + size);
}

void ether_fix_udp(uint8_t *ip)
{
    uint8_t *udp = ip + header_bytes_of(ip);

    ether_put16(udp + 6, 0);
    const uint16_t checksum = udp_checksum(ip);
    ether_put16(udp + 6, checksum != 0 ? checksum : 0xffff);
}

uint32_t ether_write_ip(uint8_t *frame, const struct ether_packet *packet)
{
    const uint32_t at =
        write_ethernet(frame, packet->target_mac, packet->source_mac, packet->tag, 0x0800);
    const uint32_t header = 20 + packet->option_bytes;
    uint8_t *ip = frame + at;

    memset(ip, 0, 20);
    ip[0] = (uint8_t)(0x40 | header / 4);
    ether_put16(ip + 2, header + packet->body_bytes);
    ether_put16(ip + 4, 0xbeef);
    ip[6] = 0x40;
    ip[8] = 17;
    ip[9] = packet->protocol;
    ether_put32(ip + 12, packet->source);
    ether_put32(ip + 16, packet->target);
    memset(ip + 20, 1, packet->option_bytes);
    memcpy(ip + header, packet->body, packet->body_bytes);
    ether_fix_ip(ip);
    return at + header + packet->body_bytes;
}

uint32_t ether_write_udp(uint8_t *frame, const struct ether_packet *packet, uint16_t source_port,
                         uint16_t target_port)
{
    uint8_t datagram[ETHER_BYTES_MAX];
    struct ether_packet with_udp = *packet;

    ether_put16(datagram, source_port);
    ether_put16(datagram + 2, target_port);
    ether_put16(datagram + 4, 8 + packet->body_bytes);
    ether_put16(datagram + 6, 0);
    memcpy(datagram + 8, packet->body, packet->body_bytes);
    with_udp.protocol = 17;
    with_udp.body = datagram;
    with_udp.body_bytes = 8 + packet->body_bytes;
    const uint32_t size = ether_write_ip(frame, &with_udp);

    ether_fix_udp(frame + ether_packet_at(frame));
    return size;
}

uint32_t ether_write_arp(uint8_t *frame, const struct ether_arp *arp)
{
    static const uint8_t kind[] = {0, 1, 8, 0, 6, 4};
    const uint32_t at = write_ethernet(frame, arp->target_mac, arp->source_mac, arp->tag, 0x0806);
    uint8_t *to = frame + at;

    memcpy(to, kind, sizeof kind);
    ether_put16(to + 6, arp->op);
    memcpy(to + 8, arp->sha, 6);
    ether_put32(to + 14, arp->spa);
    memcpy(to + 18, arp->tha, 6);
    ether_put32(to + 24, arp->tpa);
    return at + 28;
}

uint32_t ether_packet_at(const uint8_t *frame)
{
    return ether_get16(frame + 12) == 0x8100 ? 18 : 14;
}

bool ether_is_ip_right(const uint8_t *ip)
{
    return ether_checksum(ip, header_bytes_of(ip)) == 0;
}

bool ether_is_udp_right(const uint8_t *ip)
{
    return udp_checksum(ip) == 0;
}

bool ether_is_icmp_right(const uint8_t *ip)
{
    const uint32_t header = header_bytes_of(ip);

    return ether_checksum(ip + header, ether_get16(ip + 2) - header) == 0;
}
