/* Messages between memif's drivers: what passes, what ends a link, and that no descriptor leaks. */
#include <dirent.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/dpdk/memif_internal.h"
#include "support/test.h"

#define MESSAGE_BYTES 128u

struct world {
    int a[2]; /* We write to a[0]; what passes is read from a[1]. */
    int b[2]; /* It is passed on to b[0]; b[1] receives. */
};

static int open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count_of = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL) {
        count_of++;
    }
    (void)closedir(folder);
    return count_of;
}

static int set_up(void **state)
{
    static struct world world;
    const int kind = SOCK_SEQPACKET | SOCK_NONBLOCK;

    *state = &world;
    return socketpair(AF_UNIX, kind, 0, world.a) != 0 || socketpair(AF_UNIX, kind, 0, world.b) != 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    for (int i = 0; i < 2; i++) {
        spate_dpdk_memif_close(&world->a[i]);
        spate_dpdk_memif_close(&world->b[i]);
    }
    return 0;
}

/* Sends a message of `bytes` with `fds` descriptors of the standard output. */
static void send_message(int to, uint16_t type, size_t bytes, size_t fds)
{
    uint8_t message[2 * MESSAGE_BYTES] = {0};
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(8 * sizeof(int))] = {0};
    struct iovec vector = {.iov_base = message, .iov_len = bytes};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
    const int fd = STDOUT_FILENO;

    memcpy(message, &type, sizeof type);
    if (fds > 0) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(fds * sizeof fd);
        struct cmsghdr *c = (struct cmsghdr *)(void *)control;
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds * sizeof fd);
        for (size_t i = 0; i < fds; i++) {
            memcpy(CMSG_DATA(c) + i * sizeof fd, &fd, sizeof fd);
        }
    }
    assert_int_equal(sendmsg(to, &header, 0), bytes);
}

static void a_message_passes_with_its_descriptor(void **state)
{
    struct world *world = *state;
    uint8_t message[MESSAGE_BYTES];
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))];
    struct iovec vector = {.iov_base = message, .iov_len = sizeof message};
    struct msghdr header = {.msg_iov = &vector,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof control};
    const int before = open_descriptors();

    send_message(world->a[0], 5, MESSAGE_BYTES, 1);
    assert_int_equal(spate_dpdk_memif_pass(world->a[1], world->b[0]), PASSED_MESSAGE);
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(recvmsg(world->b[1], &header, 0), MESSAGE_BYTES);
    assert_int_equal(message[0], 5);
    assert_true(header.msg_controllen >= CMSG_LEN(sizeof(int)));
    int fd;
    memcpy(&fd, CMSG_DATA((struct cmsghdr *)(void *)control), sizeof fd);
    assert_int_equal(close(fd), 0);
    assert_int_equal(spate_dpdk_memif_pass(world->a[1], world->b[0]), PASSED_NOTHING);
}

static void the_last_message_of_a_handshake_is_told(void **state)
{
    struct world *world = *state;

    send_message(world->a[0], 7, MESSAGE_BYTES, 0);
    assert_int_equal(spate_dpdk_memif_pass(world->a[1], world->b[0]), PASSED_CONNECTED);
}

/* The driver would unmap the rings under the poll loop. */
static void a_disconnect_never_reaches_the_driver(void **state)
{
    struct world *world = *state;
    uint8_t message[MESSAGE_BYTES];

    send_message(world->a[0], 8, MESSAGE_BYTES, 0);
    assert_int_equal(spate_dpdk_memif_pass(world->a[1], world->b[0]), PASSED_END);
    assert_int_equal(recv(world->b[1], message, sizeof message, MSG_DONTWAIT), -1);
}

static void what_breaks_the_protocol_ends_the_link_and_leaks_nothing(void **state)
{
    static const struct {
        uint16_t type;
        size_t bytes;
        size_t fds;
    } cases[] = {
        {9, MESSAGE_BYTES, 0},
        {65535, MESSAGE_BYTES, 1},
        {4, MESSAGE_BYTES - 1, 1},
        {4, MESSAGE_BYTES + 1, 1},
        {4, 2, 0},
        {4, MESSAGE_BYTES, 8},
    };

    for (size_t i = 0; i < SPATE_ARRAY_COUNT(cases); i++) {
        struct world *world = *state;
        const int before = open_descriptors();
        send_message(world->a[0], cases[i].type, cases[i].bytes, cases[i].fds);
        assert_int_equal(spate_dpdk_memif_pass(world->a[1], world->b[0]), PASSED_END);
        assert_int_equal(open_descriptors(), before);
        uint8_t message[MESSAGE_BYTES];
        assert_int_equal(recv(world->b[1], message, sizeof message, MSG_DONTWAIT), -1);
    }
}

static void an_end_is_an_end_on_both_sides(void **state)
{
    struct world *world = *state;

    spate_dpdk_memif_close(&world->a[0]);
    assert_int_equal(spate_dpdk_memif_pass(world->a[1], world->b[0]), PASSED_END);
    spate_dpdk_memif_close(&world->a[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, world->a), 0);
    send_message(world->a[0], 4, MESSAGE_BYTES, 0);
    spate_dpdk_memif_close(&world->b[1]);
    assert_int_equal(spate_dpdk_memif_pass(world->a[1], world->b[0]), PASSED_END);
}

static void messages_can_be_thrown_away(void **state)
{
    struct world *world = *state;
    const int before = open_descriptors();

    send_message(world->a[0], 4, MESSAGE_BYTES, 1);
    assert_int_equal(spate_dpdk_memif_pass(world->a[1], -1), PASSED_MESSAGE);
    assert_int_equal(open_descriptors(), before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_passes_with_its_descriptor),
        TEST(the_last_message_of_a_handshake_is_told),
        TEST(a_disconnect_never_reaches_the_driver),
        TEST(what_breaks_the_protocol_ends_the_link_and_leaks_nothing),
        TEST(an_end_is_an_end_on_both_sides),
        TEST(messages_can_be_thrown_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
