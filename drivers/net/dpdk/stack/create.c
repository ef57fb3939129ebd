/* Options, names, creation. */
#include <stdlib.h>

#include "base/assert.h"
#include "stack_internal.h"

const char *spate_stack_drop_text(enum spate_stack_drop drop)
{
    static const char *const texts[] = {
#define DROP_TEXT(name, text) text,
        SPATE_STACK_DROPS(DROP_TEXT)
#undef DROP_TEXT
    };

    spate_assert((uint32_t)drop < SPATE_ARRAY_COUNT(texts));
    return texts[drop];
}

static bool is_valid(const struct spate_stack *stack)
{
    return is_station(stack->mac48) && is_host(stack, stack->address) && stack->port != 0 &&
           stack->vlan < TAG_VID_MASK && stack->mtu >= SPATE_STACK_MTU_MIN &&
           stack->mtu <= SPATE_STACK_MTU_MAX &&
           (stack->gateway == 0 ||
            (is_on_subnet(stack, stack->gateway) && is_host(stack, stack->gateway) &&
             stack->gateway != stack->address));
}

spate_err spate_stack_create(const struct spate_stack_options *options,
                             struct spate_stack **ret_stack)
{
    if (options->prefix_bits < 1 || options->prefix_bits > 31) {
        return SPATE_ERR_INVALID;
    }
    struct spate_stack *stack = calloc(1, sizeof *stack);

    if (stack == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    stack->mac = options->mac;
    stack->mac48 = mac48(options->mac.bytes);
    stack->address = options->address;
    stack->mask = ~(UINT32_MAX >> options->prefix_bits);
    stack->gateway = options->gateway;
    stack->port = options->port;
    stack->vlan = options->vlan;
    stack->mtu = options->mtu;
    stack->header_bytes =
        (uint8_t)(ETHERNET_BYTES + (options->vlan != 0 ? TAG_BYTES : 0) + IP_BYTES + UDP_BYTES);
    stack->is_ip_checksum_offloaded = options->tx_ip_checksum_offloaded;
    stack->is_udp_checksum_offloaded = options->tx_udp_checksum_offloaded;
    stack->echo_credit = ICMP_BURST;
    stack->own.next_at = SPATE_TIME_NEVER;
    stack->deadline = SPATE_TIME_NEVER;
    spate_prng_seed(&stack->prng, options->seed, stack->mac48);
    if (!is_valid(stack)) {
        free(stack);
        return SPATE_ERR_INVALID;
    }
    *ret_stack = stack;
    return SPATE_OK;
}

void spate_stack_destroy(struct spate_stack *stack)
{
    free(stack);
}

uint32_t spate_stack_header_bytes(const struct spate_stack *stack)
{
    return stack->header_bytes;
}

spate_time_ns spate_stack_deadline(const struct spate_stack *stack)
{
    return stack->deadline;
}

const struct spate_stack_counters *spate_stack_counters(const struct spate_stack *stack)
{
    return &stack->counters;
}

struct spate_mac spate_stack_conflicting_mac(const struct spate_stack *stack)
{
    const uint64_t number = atomic_load_explicit(&stack->own.conflicting_mac, memory_order_relaxed);
    struct spate_mac mac;

    memcpy(mac.bytes, &number, sizeof mac.bytes);
    return mac;
}
