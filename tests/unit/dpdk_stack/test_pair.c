/* Several stacks on one wire, in simulated time: they find each other, and again after each loss.
 */
#include "base/prng.h"
#include "station.h"

#define HOSTS      3u
#define STEP       MSEC
#define ADDRESS(i) (IP(10, 77, 0, 10) + (i))

struct host {
    struct spate_stack *stack; /* NULL: not running. */
    struct spate_stack_route routes[HOSTS];
    uint32_t delivered[HOSTS]; /* From each. */
    bool is_hung;
};

struct wire {
    struct spate_prng prng;
    struct host hosts[HOSTS];
    uint32_t loss_ppm;
    uint64_t now;
    uint32_t frames; /* Of ARP. */
};

/* To all but the sender; answers come back over the same wire. */
static void transmit(struct wire *wire, uint32_t from, const uint8_t *frame, uint32_t size)
{
    for (uint32_t i = 0; i < HOSTS; i++) {
        struct host *host = &wire->hosts[i];
        struct spate_stack_received received;
        uint8_t copy[128];
        if (i == from || host->stack == NULL || host->is_hung ||
            spate_prng_chance_ppm(&wire->prng, wire->loss_ppm)) {
            continue;
        }
        memcpy(copy, frame, size);
        switch (receive_with(host->stack, wire->now, copy, size, 0, &received)) {
        case SPATE_STACK_DELIVERED:
            assert_in_range(received.address, ADDRESS(0), ADDRESS(HOSTS - 1));
            assert_memory_equal(received.payload, "payload", 7);
            host->delivered[received.address - ADDRESS(0)]++;
            break;
        case SPATE_STACK_ANSWERED:
            wire->frames++;
            transmit(wire, i, copy, received.size);
            break;
        case SPATE_STACK_DROPPED:
        case SPATE_STACK_TAKEN:
            break;
        }
    }
}

static void start(struct wire *wire, uint32_t i, uint8_t card)
{
    struct host *host = &wire->hosts[i];
    struct spate_stack_options options = plain_options();

    memset(host, 0, sizeof *host);
    options.address = ADDRESS(i);
    options.mac.bytes[4] = card;
    options.mac.bytes[5] = (uint8_t)i;
    options.seed = spate_prng_next(&wire->prng);
    host->stack = stack_with(&options);
    spate_stack_link_up(host->stack, wire->now);
    for (uint32_t to = 0; to < HOSTS; to++) {
        assert_int_equal(to == i ? SPATE_OK
                                 : spate_stack_route_set(host->stack, wire->now, &host->routes[to],
                                                         ADDRESS(to), OUR_PORT),
                         SPATE_OK);
    }
}

static void stop(struct wire *wire, uint32_t i)
{
    spate_stack_destroy(wire->hosts[i].stack);
    wire->hosts[i].stack = NULL;
}

/* Everybody sends to everybody and does what is due, once. */
static void step(struct wire *wire)
{
    wire->now += STEP;
    for (uint32_t i = 0; i < HOSTS; i++) {
        struct host *host = &wire->hosts[i];
        uint8_t frame[64];
        uint32_t size;
        if (host->stack == NULL || host->is_hung) {
            continue;
        }
        while ((size = spate_stack_poll(host->stack, wire->now, frame)) > 0) {
            wire->frames++;
            transmit(wire, i, frame, size);
        }
        for (uint32_t to = 0; to < HOSTS; to++) {
            uint8_t room[128] = {0};
            memcpy(room + 46, "payload", 7);
            if (to != i && spate_stack_send(host->stack, &host->routes[to], room + 46, 7)) {
                transmit(wire, i, room + 4, 42 + 7);
            }
        }
    }
}

/* Milliseconds until everyone who runs has heard everyone else who runs, anew. */
static uint32_t time_to_meet(struct wire *wire, uint32_t most)
{
    for (uint32_t i = 0; i < HOSTS; i++) {
        memset(wire->hosts[i].delivered, 0, sizeof wire->hosts[i].delivered);
    }
    for (uint32_t took = 1; took <= most; took++) {
        bool is_met = true;
        step(wire);
        for (uint32_t i = 0; i < HOSTS * HOSTS; i++) {
            const struct host *to = &wire->hosts[i / HOSTS];
            const struct host *from = &wire->hosts[i % HOSTS];
            is_met = is_met && (to == from || to->stack == NULL || from->stack == NULL ||
                                to->delivered[i % HOSTS] > 0);
        }
        if (is_met) {
            return took;
        }
    }
    return most + 1;
}

static void open_wire(struct wire *wire, uint64_t seed)
{
    memset(wire, 0, sizeof *wire);
    spate_prng_seed(&wire->prng, seed, 0);
    wire->now = SEC;
    for (uint32_t i = 0; i < HOSTS; i++) {
        start(wire, i, 0);
    }
}

static void close_wire(struct wire *wire)
{
    for (uint32_t i = 0; i < HOSTS; i++) {
        stop(wire, i);
    }
}

static void hosts_meet_at_their_first_request(void **state)
{
    struct wire wire;

    (void)state;
    open_wire(&wire, 1);
    assert_in_range(time_to_meet(&wire, 10), 1, 2);
    for (uint32_t i = 0; i < HOSTS; i++) {
        assert_int_equal(atomic_load(&spate_stack_counters(wire.hosts[i].stack)->address_conflicts),
                         0);
    }
    close_wire(&wire);
}

static void hosts_meet_although_half_of_all_frames_are_lost(void **state)
{
    struct wire wire;

    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        open_wire(&wire, seed);
        wire.loss_ppm = 500000;
        assert_in_range(time_to_meet(&wire, 20000), 1, 20000);
        close_wire(&wire);
    }
}

static void a_host_that_starts_again_with_another_card_is_heard_at_once(void **state)
{
    struct wire wire;

    (void)state;
    open_wire(&wire, 2);
    (void)time_to_meet(&wire, 10);
    for (uint32_t absent = 0; absent < 100; absent += 7) {
        stop(&wire, 1);
        for (uint32_t i = 0; i < absent * 1000; i++) {
            step(&wire);
        }
        start(&wire, 1, (uint8_t)(absent + 1));
        assert_in_range(time_to_meet(&wire, 10), 1, 2);
    }
    close_wire(&wire);
}

static void a_hung_host_is_found_when_it_goes_on(void **state)
{
    struct wire wire;

    (void)state;
    open_wire(&wire, 3);
    (void)time_to_meet(&wire, 10);
    for (uint32_t seconds = 1; seconds < 200; seconds *= 2) {
        wire.hosts[2].is_hung = true;
        for (uint32_t i = 0; i < seconds * 1000; i++) {
            step(&wire);
        }
        wire.hosts[2].is_hung = false;
        assert_in_range(time_to_meet(&wire, 1100), 1, 1001);
    }
    close_wire(&wire);
}

static void a_quiet_wire_carries_little_of_our_own(void **state)
{
    struct wire wire;

    (void)state;
    open_wire(&wire, 4);
    for (uint32_t i = 0; i < 60000; i++) {
        step(&wire);
    }
    /* A minute: 5 frames each at the start; six pairs, of which each needs a request and an answer
     * all 13 s or less often, since the request of one refreshes the other. */
    assert_in_range(wire.frames, 15, 100);
    for (uint32_t i = 0; i < HOSTS; i++) {
        assert_int_equal(atomic_load(&spate_stack_counters(wire.hosts[i].stack)->arp_lost), 0);
        assert_int_equal(atomic_load(&spate_stack_counters(wire.hosts[i].stack)->arp_learned), 2);
    }
    close_wire(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_meet_at_their_first_request),
        cmocka_unit_test(hosts_meet_although_half_of_all_frames_are_lost),
        cmocka_unit_test(a_host_that_starts_again_with_another_card_is_heard_at_once),
        cmocka_unit_test(a_hung_host_is_found_when_it_goes_on),
        cmocka_unit_test(a_quiet_wire_carries_little_of_our_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
