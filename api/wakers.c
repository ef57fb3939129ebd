/* Wakers: how one thread ends the sleep of another. */
#include "core_internal.h"

#include <sys/eventfd.h>
#include <unistd.h>

static void wake_eventfd(struct spate_waker *waker)
{
    struct spate_eventfd_waker *self = (struct spate_eventfd_waker *)waker;
    const uint64_t one = 1;

    /* It fails only when the counter is full, and then it is readable anyway. */
    const ssize_t written = write(self->fd, &one, sizeof one);
    (void)written;
    atomic_store_explicit(&self->is_readable, true, memory_order_release);
}

spate_err spate_eventfd_waker_open(struct spate_eventfd_waker *waker)
{
    waker->waker.wake = wake_eventfd;
    waker->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return waker->fd < 0 ? SPATE_ERR_NO_MEMORY : SPATE_OK;
}

void spate_eventfd_waker_close(struct spate_eventfd_waker *waker)
{
    if (waker->fd >= 0) {
        (void)close(waker->fd);
        waker->fd = -1;
    }
}

/* Costs a system call only when there was a wake. */
void spate_eventfd_waker_drain(struct spate_eventfd_waker *waker)
{
    uint64_t count;

    if (!atomic_load_explicit(&waker->is_readable, memory_order_acquire)) {
        return;
    }
    atomic_store_explicit(&waker->is_readable, false, memory_order_relaxed);
    const ssize_t got = read(waker->fd, &count, sizeof count);

    (void)got;
}
