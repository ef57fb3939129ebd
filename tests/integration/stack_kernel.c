/*
 * The userspace stack beside the kernel's, over a TAP device in a network namespace of its own:
 * two readings of the same RFCs understand each other. Needs neither root nor DPDK; the device and
 * the namespace are gone with the process.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/dpdk/stack/stack.h"
#include "support/ether.h"
#include "support/test.h"

#define DEVICE         "spate0"
#define OUR_ADDRESS    0x0a4d0001u
#define KERNEL_ADDRESS 0x0a4d00feu
#define OUR_PORT       7209u
#define KERNEL_PORT    7300u
#define MTU            9000u
#define PATIENCE_NS    20000000000u

static const uint32_t sizes[] = {1, 2, 17, 18, 19, 1471, 1472, 8191, MTU - 28};

struct fixture {
    int tap;
    int udp;
    int icmp;
    struct spate_stack *stack;
    struct spate_stack_route route;
    uint8_t room[ETHER_BYTES_MAX + 64];
    struct spate_stack_received received; /* The last datagram, in `room`. */
    uint32_t delivered;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct sockaddr_in address_of(uint32_t address, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(address)}};
}

static void write_text(const char *path, const char *text)
{
    const int file = open(path, O_WRONLY);

    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    (void)close(file);
}

/* Root in a namespace of our own; an ordinary user becomes root in one of its own first. */
static void leave_the_machine(void)
{
    char map[64];
    const unsigned user = getuid();

    if (user == 0) {
        assert_int_equal(unshare(CLONE_NEWNET), 0);
        return;
    }
    assert_int_equal(unshare(CLONE_NEWUSER | CLONE_NEWNET), 0);
    (void)snprintf(map, sizeof map, "0 %u 1", user);
    write_text("/proc/self/uid_map", map);
}

/* Sets one thing of a device; `alias` is DEVICE or DEVICE:n. */
static void set_address(int control, const char *alias, uint32_t address)
{
    struct ifreq request = {0};
    struct sockaddr_in value = address_of(address, 0);

    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", alias);
    memcpy(&request.ifr_addr, &value, sizeof value);
    assert_int_equal(ioctl(control, SIOCSIFADDR, &request), 0);
    value = address_of(0xffffff00u, 0);
    memcpy(&request.ifr_netmask, &value, sizeof value);
    assert_int_equal(ioctl(control, SIOCSIFNETMASK, &request), 0);
}

static int open_tap(int control)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    const int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

    assert_true(tap >= 0);
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, DEVICE);
    assert_int_equal(ioctl(tap, TUNSETIFF, &request), 0);
    request.ifr_mtu = MTU;
    assert_int_equal(ioctl(control, SIOCSIFMTU, &request), 0);
    set_address(control, DEVICE, KERNEL_ADDRESS);
    request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_BROADCAST;
    assert_int_equal(ioctl(control, SIOCSIFFLAGS, &request), 0);
    return tap;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    const struct spate_stack_options options = {
        .mac = {{2, 0, 0, 0, 0, 1}},
        .address = OUR_ADDRESS,
        .prefix_bits = 24,
        .port = OUR_PORT,
        .mtu = MTU,
        .seed = 5,
    };
    const struct sockaddr_in local = address_of(KERNEL_ADDRESS, KERNEL_PORT);

    assert_non_null(fixture);
    leave_the_machine();
    fixture->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    fixture->icmp = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP);
    assert_true(fixture->udp >= 0 && fixture->icmp >= 0);
    fixture->tap = open_tap(fixture->udp);
    assert_int_equal(bind(fixture->udp, (const struct sockaddr *)&local, sizeof local), 0);
    assert_int_equal(spate_stack_create(&options, &fixture->stack), SPATE_OK);
    spate_stack_link_up(fixture->stack, now_ns());
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    spate_stack_destroy(fixture->stack);
    (void)close(fixture->tap);
    (void)close(fixture->udp);
    (void)close(fixture->icmp);
    free(fixture);
    return 0;
}

static void put(const struct fixture *fixture, const uint8_t *frame, uint32_t size)
{
    assert_int_equal(write(fixture->tap, frame, size), size);
}

/* One turn of what a driver does: at most one frame in, whatever is due out. */
static void turn(struct fixture *fixture)
{
    struct pollfd ready = {.fd = fixture->tap, .events = POLLIN};
    uint8_t own[SPATE_STACK_OWN_FRAME_BYTES_MAX];
    uint32_t size;

    (void)poll(&ready, 1, 1);
    while ((size = spate_stack_poll(fixture->stack, now_ns(), own)) > 0) {
        put(fixture, own, size);
    }
    const ssize_t bytes = read(fixture->tap, fixture->room, sizeof fixture->room);

    if (bytes <= 0) {
        assert_int_equal(errno, EAGAIN);
        return;
    }
    switch (spate_stack_receive(fixture->stack, now_ns(), fixture->room, (uint32_t)bytes, 0,
                                &fixture->received)) {
    case SPATE_STACK_DELIVERED:
        fixture->delivered++;
        break;
    case SPATE_STACK_ANSWERED:
        put(fixture, fixture->room, fixture->received.size);
        break;
    case SPATE_STACK_DROPPED:
    case SPATE_STACK_TAKEN:
        break;
    }
}

static void fill(uint8_t *bytes, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(i * 13 + size);
    }
}

static void what_the_kernel_sends_is_delivered(void **state)
{
    struct fixture *fixture = *state;
    const struct sockaddr_in us = address_of(OUR_ADDRESS, OUR_PORT);
    uint8_t sent[MTU];

    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(sizes); i++) {
        const uint32_t before = fixture->delivered;
        const uint64_t until = now_ns() + PATIENCE_NS;
        fill(sent, sizes[i]);
        assert_int_equal(
            sendto(fixture->udp, sent, sizes[i], 0, (const struct sockaddr *)&us, sizeof us),
            sizes[i]);
        while (fixture->delivered == before && now_ns() < until) {
            turn(fixture);
        }
        assert_int_equal(fixture->delivered, before + 1);
        assert_int_equal(fixture->received.address, KERNEL_ADDRESS);
        assert_int_equal(fixture->received.port, KERNEL_PORT);
        assert_int_equal(fixture->received.size, sizes[i]);
        assert_memory_equal(fixture->received.payload, sent, sizes[i]);
    }
}

static void the_kernel_takes_what_we_send(void **state)
{
    struct fixture *fixture = *state;
    uint8_t room[SPATE_STACK_HEADER_BYTES_MAX + MTU];
    uint8_t *payload = room + SPATE_STACK_HEADER_BYTES_MAX;
    uint8_t got[MTU];
    uint64_t until = now_ns() + PATIENCE_NS;

    assert_int_equal(spate_stack_route_set(fixture->stack, now_ns(), &fixture->route,
                                           KERNEL_ADDRESS, KERNEL_PORT),
                     SPATE_OK);
    fill(payload, 1);
    while (!spate_stack_send(fixture->stack, &fixture->route, payload, 1) && now_ns() < until) {
        turn(fixture);
    }
    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(sizes); i++) {
        const uint32_t header = spate_stack_header_bytes(fixture->stack);
        ssize_t bytes = -1;
        fill(payload, sizes[i]);
        assert_true(spate_stack_send(fixture->stack, &fixture->route, payload, sizes[i]));
        put(fixture, payload - header, header + sizes[i]);
        until = now_ns() + PATIENCE_NS;
        while (bytes < 0 && now_ns() < until) {
            bytes = recv(fixture->udp, got, sizeof got, 0);
        }
        assert_int_equal(bytes, sizes[i]);
        assert_memory_equal(got, payload, sizes[i]);
    }
}

static void we_can_be_pinged(void **state)
{
    struct fixture *fixture = *state;
    const struct sockaddr_in us = address_of(OUR_ADDRESS, 0);

    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(sizes); i++) {
        uint8_t echo[MTU] = {8, 0, 0, 0, 0x77, 0x01, 0, (uint8_t)i};
        uint8_t got[MTU + 64];
        const uint32_t size = sizes[i] < 8 ? 8 : sizes[i];
        const uint64_t until = now_ns() + PATIENCE_NS;
        ssize_t bytes = -1;
        fill(echo + 8, size - 8);
        ether_put16(echo + 2, ether_checksum(echo, size));
        assert_int_equal(
            sendto(fixture->icmp, echo, size, 0, (const struct sockaddr *)&us, sizeof us), size);
        while (bytes < 0 && now_ns() < until) {
            turn(fixture);
            bytes = recv(fixture->icmp, got, sizeof got, 0);
        }
        assert_int_equal(bytes, 20 + size);
        assert_int_equal(got[20], 0);
        assert_memory_equal(got + 24, echo + 4, size - 4);
    }
}

/* A number of /proc/net/snmp, by the names of its line and its column. */
static long kernel_counter(const char *line, const char *column)
{
    char names[2048];
    char values[2048];
    long result = -1;
    FILE *file = fopen("/proc/thread-self/net/snmp", "r");

    assert_non_null(file);
    while (fgets(names, sizeof names, file) != NULL && fgets(values, sizeof values, file) != NULL) {
        char *name_rest = NULL;
        char *value_rest = NULL;
        char *name = strtok_r(names, " \n", &name_rest);
        const char *value = strtok_r(values, " \n", &value_rest);
        const bool is_line = strcmp(name, line) == 0;
        while (is_line && name != NULL && value != NULL) {
            if (strcmp(name, column) == 0) {
                result = strtol(value, NULL, 10);
            }
            name = strtok_r(NULL, " \n", &name_rest);
            value = strtok_r(NULL, " \n", &value_rest);
        }
    }
    (void)fclose(file);
    return result;
}

static void neither_side_saw_an_error(void **state)
{
    struct fixture *fixture = *state;
    static const enum spate_stack_drop reasons[] = {
        SPATE_STACK_DROP_TRUNCATED,    SPATE_STACK_DROP_ARP,
        SPATE_STACK_DROP_IP_HEADER,    SPATE_STACK_DROP_IP_CHECKSUM,
        SPATE_STACK_DROP_ICMP,         SPATE_STACK_DROP_UDP_LENGTH,
        SPATE_STACK_DROP_UDP_CHECKSUM, SPATE_STACK_DROP_UDP_CHECKSUM_ABSENT,
    };

    assert_int_equal(kernel_counter("Ip:", "InHdrErrors"), 0);
    assert_int_equal(kernel_counter("Ip:", "InDiscards"), 0);
    assert_int_equal(kernel_counter("Udp:", "InErrors"), 0);
    assert_int_equal(kernel_counter("Udp:", "InCsumErrors"), 0);
    assert_int_equal(kernel_counter("Icmp:", "InErrors"), 0);
    assert_int_equal(kernel_counter("Icmp:", "InCsumErrors"), 0);
    assert_true(kernel_counter("Udp:", "InDatagrams") >= (long)SPATE_ARRAY_COUNT(sizes));
    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(reasons); i++) {
        assert_int_equal(spate_stack_counters(fixture->stack)->drops[reasons[i]], 0);
    }
    assert_int_equal(spate_stack_counters(fixture->stack)->address_conflicts, 0);
}

static void the_kernel_taking_our_address_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    const struct spate_stack_counters *counters = spate_stack_counters(fixture->stack);
    const uint64_t until = now_ns() + PATIENCE_NS;
    struct ifreq card = {0};

    set_address(fixture->udp, DEVICE ":1", OUR_ADDRESS);
    spate_stack_link_up(fixture->stack, now_ns()); /* Probes, which it answers. */
    while (counters->address_conflicts == 0 && now_ns() < until) {
        turn(fixture);
    }
    assert_true(counters->address_conflicts > 0);
    (void)snprintf(card.ifr_name, sizeof card.ifr_name, DEVICE);
    assert_int_equal(ioctl(fixture->udp, SIOCGIFHWADDR, &card), 0);
    assert_memory_equal(spate_stack_conflicting_mac(fixture->stack).bytes, card.ifr_hwaddr.sa_data,
                        6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_kernel_sends_is_delivered),
        cmocka_unit_test(the_kernel_takes_what_we_send),
        cmocka_unit_test(we_can_be_pinged),
        cmocka_unit_test(neither_side_saw_an_error),
        cmocka_unit_test(the_kernel_taking_our_address_is_noticed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
