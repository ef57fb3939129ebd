/* Sleeping until a frame or a wake comes; the rule that loses neither is in base/waiter.h. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "socket_internal.h"

#define NS_PER_S 1000000000u

static void sleep_until_ready(struct socket_net *socket, spate_time_ns timeout_ns)
{
    /* With every receive slot lent, a readable socket is no reason to return. */
    const bool has_room = socket->rx_pool.free_count > 0;
    struct pollfd fds[2] = {
        {.fd = socket->wake_fd, .events = POLLIN},
        {.fd = has_room ? socket->fd : -1, .events = POLLIN},
    };
    const struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / NS_PER_S),
                                     .tv_nsec = (long)(timeout_ns % NS_PER_S)};

    /* Interrupted is as good as woken: returning early does no harm. */
    (void)ppoll(fds, 2, timeout_ns == SPATE_TIME_NEVER ? NULL : &timeout, NULL);
    socket->wake_is_raised = (fds[0].revents & POLLIN) != 0;
}

/*
 * Who was woken has something to do, so the event is taken back before the next sleep and not after
 * this one. That must be done with: an event raised for a sleep that has begun would be lost.
 */
static void lower_wake(struct socket_net *socket)
{
    uint64_t events = 0;

    if (socket->wake_is_raised) {
        socket->wake_is_raised = false;
        (void)!read(socket->wake_fd, &events, sizeof events);
    }
}

void spate_socket_wait(struct spate_net *net, spate_time_ns timeout_ns)
{
    struct socket_net *socket = socket_of(net);

    if (socket->received_count > 0 || timeout_ns == 0) {
        spate_waiter_end(&socket->waiter);
        (void)sched_yield();
        return;
    }
    lower_wake(socket);
    if (!spate_waiter_begin(&socket->waiter)) {
        (void)sched_yield();
        return;
    }
    sleep_until_ready(socket, timeout_ns);
    spate_waiter_end(&socket->waiter);
}

void spate_socket_wake(struct spate_net *net)
{
    struct socket_net *socket = socket_of(net);

    if (spate_waiter_wake(&socket->waiter)) {
        const uint64_t one = 1;
        /* Fails only when the counter is full, and then the sleeper is awake already. */
        (void)!write(socket->wake_fd, &one, sizeof one);
    }
}
