/*
 * What only the kernel's socket can do wrong. sendmsg and sendmmsg are wrapped, so that a test can
 * refuse segmented sends the way some network cards and paths do.
 */
#include "support/test.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/socket/socket.h"

static int refusal; /* The errno for segmented sends; 0: they pass. */
static int report;  /* The errno of the next send whatever it is; then 0. */

ssize_t __real_sendmsg(int fd, const struct msghdr *header, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *header, int flags);
int __real_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);

static bool fails(const struct msghdr *header)
{
    if (report != 0) {
        errno = report;
        report = 0;
        return true;
    }
    if (refusal != 0 && header->msg_control != NULL) {
        errno = refusal;
        return true;
    }
    return false;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *header, int flags)
{
    return fails(header) ? -1 : __real_sendmsg(fd, header, flags);
}

/* As the kernel does: what comes before the message that fails is sent and counted. */
int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    unsigned sent = 0;

    while (sent < count && !fails(&messages[sent].msg_hdr)) {
        const int one = __real_sendmmsg(fd, &messages[sent], 1, flags);
        if (one != 1) {
            break;
        }
        sent++;
    }
    return sent > 0 ? (int)sent : -1;
}

struct fixture {
    struct spate_net *from;
    struct spate_net *to;
};

static struct spate_net *open_loopback(uint32_t frame_bytes_max, bool segmentation_avoided)
{
    struct spate_net_socket_options options = {.frame_bytes_max = frame_bytes_max,
                                               .segmentation_avoided = segmentation_avoided};
    struct spate_net *net = NULL;

    assert_int_equal(spate_address_parse("127.0.0.1:0", &options.bind), SPATE_OK);
    assert_int_equal(spate_net_socket_create(&options, &net), SPATE_OK);
    return net;
}

static void connect_to(struct spate_net *from, struct spate_net *to)
{
    struct spate_address address;
    spate_net_socket_address(to, &address);
    assert_int_equal(from->ops->set_peer(from, 1, &address), SPATE_OK);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    refusal = 0;
    report = 0;
    fixture.from = open_loopback(0, false);
    fixture.to = open_loopback(0, false);
    connect_to(fixture.from, fixture.to);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    fixture->from->ops->close(fixture->from);
    fixture->to->ops->close(fixture->to);
    return 0;
}

/* Frame i holds `bytes` times the number first + i. */
static void send_numbered(struct spate_net *net, uint32_t first, uint32_t count, uint32_t bytes)
{
    struct spate_frame frames[SPATE_BURST_MAX];

    assert_int_equal(net->ops->reserve(net, 1, frames, count), SPATE_OK);
    for (uint32_t i = 0; i < count; i++) {
        frames[i].size = bytes;
        memset(frames[i].data, (int)(first + i), bytes);
    }
    net->ops->tx(net, frames, count);
}

static void receive_numbered(struct spate_net *net, uint32_t first, uint32_t count, uint32_t bytes)
{
    struct spate_frame frames[SPATE_BURST_MAX];
    uint32_t next = first;

    while (next < first + count) {
        const uint32_t got = net->ops->rx(net, frames, SPATE_BURST_MAX);
        for (uint32_t i = 0; i < got; i++, next++) {
            assert_int_equal(frames[i].size, bytes);
            assert_int_equal(frames[i].data[0], next);
            assert_int_equal(frames[i].data[bytes - 1], next);
        }
        net->ops->release(net, frames, got);
        if (got == 0) {
            net->ops->wait(net, 1000000);
        }
    }
}

/* Every way in which kernels say that this path cannot segment; not one frame may be missing. */
static void refused_segments_are_sent_apart_and_none_is_lost(void **state)
{
    (void)state;
    static const int refusals[] = {EIO, EINVAL, EMSGSIZE, ENOPROTOOPT, EOPNOTSUPP};

    for (size_t r = 0; r < sizeof refusals / sizeof refusals[0]; r++) {
        void *fresh = NULL;
        (void)set_up(&fresh);
        const struct fixture *fixture = fresh;
        const struct spate_net_socket_counters *counters = spate_net_socket_counters(fixture->from);

        refusal = refusals[r];
        send_numbered(fixture->from, 0, 32, 1000);
        receive_numbered(fixture->to, 0, 32, 1000);
        assert_int_equal(counters->tx_fallbacks, 1);
        assert_int_equal(counters->tx_segmented, 0);
        /* It remembers: the next burst does not even try. */
        send_numbered(fixture->from, 32, 32, 1000);
        receive_numbered(fixture->to, 32, 32, 1000);
        assert_int_equal(counters->tx_fallbacks, 1);
        assert_int_equal(fixture->from->stats.tx_frames, 64);
        assert_int_equal(fixture->from->stats.tx_dropped, 0);
        (void)tear_down(&fresh);
    }
}

/* A connection refused by an earlier frame is reported by a later send, which did not happen. */
static void a_report_about_an_earlier_frame_costs_none(void **state)
{
    const struct fixture *fixture = *state;

    report = ECONNREFUSED;
    send_numbered(fixture->from, 0, 8, 100);
    receive_numbered(fixture->to, 0, 8, 100);
    assert_int_equal(spate_net_socket_counters(fixture->from)->errors_swallowed, 1);
    assert_int_equal(fixture->from->stats.tx_dropped, 0);
}

static void a_full_queue_drops_and_counts(void **state)
{
    const struct fixture *fixture = *state;

    report = EAGAIN;
    send_numbered(fixture->from, 0, 8, 100);
    assert_int_equal(fixture->from->stats.tx_dropped, 8);
    assert_int_equal(spate_net_socket_counters(fixture->from)->tx_drops_full, 8);
    assert_int_equal(fixture->from->stats.tx_frames, 0);
    send_numbered(fixture->from, 8, 8, 100);
    receive_numbered(fixture->to, 8, 8, 100);
}

/* The sender is configured for larger frames than the receiver. */
static void a_frame_larger_than_ours_is_dropped_and_counted(void **state)
{
    (void)state;
    for (uint32_t avoided = 0; avoided <= 1; avoided++) {
        struct spate_net *large = open_loopback(9000, true);
        struct spate_net *small = open_loopback(0, avoided == 1);
        struct spate_frame frame;

        connect_to(large, small);
        send_numbered(large, 0, 1, 9000);
        send_numbered(large, 1, 1, SPATE_FRAME_BYTES_MIN + 1);
        send_numbered(large, 2, 1, SPATE_FRAME_BYTES_MIN);
        receive_numbered(small, 2, 1, SPATE_FRAME_BYTES_MIN);
        assert_int_equal(small->stats.rx_dropped, 2);
        assert_int_equal(spate_net_socket_counters(small)->rx_drops_size, 2);
        assert_int_equal(small->ops->rx(small, &frame, 1), 0);
        large->ops->close(large);
        small->ops->close(small);
    }
}

static spate_err bind_error(const char *address, uint16_t port)
{
    struct spate_net_socket_options options = {0};
    struct spate_net *net = NULL;

    assert_int_equal(spate_address_parse(address, &options.bind), SPATE_OK);
    options.bind.port = port;
    const spate_err err = spate_net_socket_create(&options, &net);
    if (err == SPATE_OK) {
        net->ops->close(net);
    }
    return err;
}

static void binding_twice_is_in_use(void **state)
{
    const struct fixture *fixture = *state;
    struct spate_address address;

    spate_net_socket_address(fixture->to, &address);
    assert_int_equal(bind_error("127.0.0.1:1", address.port), SPATE_ERR_IN_USE);
}

/* 192.0.2.0/24 is reserved for documentation: no machine has it. */
static void binding_to_anothers_address_is_invalid(void **state)
{
    (void)state;
    assert_int_equal(bind_error("192.0.2.1:1", 0), SPATE_ERR_INVALID);
}

int __real_bind(int fd, const struct sockaddr *address, socklen_t bytes);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t bytes);
static int bind_refusal;

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
    if (bind_refusal != 0) {
        errno = bind_refusal;
        return -1;
    }
    return __real_bind(fd, address, bytes);
}

static void the_systems_refusals_keep_their_meaning(void **state)
{
    (void)state;
    static const struct {
        int number;
        spate_err err;
    } refusals[] = {
        {EACCES, SPATE_ERR_PERMISSION}, {EPERM, SPATE_ERR_PERMISSION},
        {EADDRINUSE, SPATE_ERR_IN_USE}, {EADDRNOTAVAIL, SPATE_ERR_INVALID},
        {ENOBUFS, SPATE_ERR_NO_MEMORY}, {EAFNOSUPPORT, SPATE_ERR_UNSUPPORTED},
        {ENETDOWN, SPATE_ERR_IO},
    };

    for (size_t r = 0; r < sizeof refusals / sizeof refusals[0]; r++) {
        bind_refusal = refusals[r].number;
        const spate_err err = bind_error("127.0.0.1:1", 0);
        bind_refusal = 0;
        assert_int_equal(err, refusals[r].err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_segments_are_sent_apart_and_none_is_lost),
        cmocka_unit_test_setup_teardown(a_report_about_an_earlier_frame_costs_none, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_queue_drops_and_counts, set_up, tear_down),
        cmocka_unit_test(a_frame_larger_than_ours_is_dropped_and_counted),
        cmocka_unit_test_setup_teardown(binding_twice_is_in_use, set_up, tear_down),
        cmocka_unit_test(binding_to_anothers_address_is_invalid),
        cmocka_unit_test(the_systems_refusals_keep_their_meaning),
    };
    return cmocka_run_group_tests_name("drivers/socket", tests, NULL, NULL);
}
