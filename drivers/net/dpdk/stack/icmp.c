/* ICMP echo (RFC 792): a request becomes its reply where it lies, at a bounded rate. */
#include "checksum.h"
#include "stack_internal.h"

static bool take_credit(struct spate_stack *stack, spate_time_ns now)
{
    const uint64_t earned = (now - stack->echo_at) / ICMP_INTERVAL_NS;

    stack->echo_credit = earned < ICMP_BURST - stack->echo_credit
                             ? stack->echo_credit + (uint32_t)earned
                             : ICMP_BURST;
    stack->echo_at += earned * ICMP_INTERVAL_NS;
    if (stack->echo_credit == 0) {
        return false;
    }
    stack->echo_credit--;
    return true;
}

/* The way back: addresses exchanged, a fresh life time, no options. */
static void answer_ip(uint8_t *ip, uint32_t header_bytes)
{
    uint8_t source[4];

    memcpy(source, ip + IP_SOURCE_AT, sizeof source);
    memcpy(ip + IP_SOURCE_AT, ip + IP_TARGET_AT, sizeof source);
    memcpy(ip + IP_TARGET_AT, source, sizeof source);
    /* Options are not for us to return; zeros end the list. */
    memset(ip + IP_BYTES, 0, header_bytes - IP_BYTES);
    put_be16(ip + IP_FLAGS_AT, IP_DONT_FRAGMENT);
    ip[IP_TTL_AT] = IP_TTL;
    spate_put_u16(ip + IP_CHECKSUM_AT, 0);
    spate_put_u16(ip + IP_CHECKSUM_AT, spate_sum_checksum(spate_sum_bytes(0, ip, header_bytes)));
}

enum spate_stack_verdict spate_stack_receive_echo(struct spate_stack *stack, spate_time_ns now,
                                                  uint8_t *frame, uint32_t at,
                                                  struct spate_stack_received *received)
{
    uint8_t *ip = frame + at;
    const uint32_t header_bytes = (ip[0] & 0xfu) * 4;
    const uint32_t total = get_be16(ip + IP_LENGTH_AT);
    uint8_t *icmp = ip + header_bytes;
    const uint32_t icmp_bytes = total - header_bytes;
    const uint8_t *station = frame + MAC_BYTES;

    if (icmp_bytes < ICMP_BYTES || icmp[0] != ICMP_ECHO || icmp[1] != 0 ||
        !is_station(mac48(station)) ||
        spate_sum_fold(spate_sum_bytes(0, icmp, icmp_bytes)) != 0xffff ||
        !take_credit(stack, now)) {
        return drop(stack, SPATE_STACK_DROP_ICMP);
    }
    answer_ip(ip, header_bytes);
    icmp[0] = ICMP_ECHO_REPLY;
    spate_put_u16(icmp + ICMP_CHECKSUM_AT, 0);
    spate_put_u16(icmp + ICMP_CHECKSUM_AT,
                  spate_sum_checksum(spate_sum_bytes(0, icmp, icmp_bytes)));
    received->size = spate_stack_turn(stack, frame, received->size, station, at + total);
    count(&stack->counters.echo_replies);
    return SPATE_STACK_ANSWERED;
}
