/* The public names of ports, each with a descriptor that a client can block on. */
#include "core_internal.h"

spate_err spate_open_port(struct spate *spate, uint32_t ring_bytes, struct spate_port **ret_port)
{
    if (spate == NULL || ret_port == NULL || spate->node_runs || spate->is_polled ||
        (ring_bytes & (ring_bytes - 1)) != 0 || (ring_bytes != 0 && ring_bytes < 4096)) {
        return SPATE_ERR_INVALID;
    }
    if (spate->port_count == SPATE_PORTS_MAX) {
        return SPATE_ERR_BUSY;
    }
    struct spate_eventfd_waker *waker = &spate->port_wakers[spate->port_count];
    spate_err err = spate_eventfd_waker_open(waker);
    if (err != SPATE_OK) {
        return err;
    }
    err = spate_node_open_port(spate->node, ring_bytes, ret_port);
    if (err != SPATE_OK) {
        spate_eventfd_waker_close(waker);
        return err;
    }
    spate_port_set_waker(*ret_port, &waker->waker);
    spate->port_count++;
    return SPATE_OK;
}

spate_err spate_propose(struct spate_port *port, uint64_t cookie, const void *data, uint32_t size)
{
    return spate_port_propose(port, cookie, data, size);
}

spate_err spate_read(struct spate_port *port, uint64_t cookie)
{
    return spate_port_read(port, cookie);
}

void spate_submit(struct spate_port *port)
{
    spate_port_submit(port);
}

uint32_t spate_results(struct spate_port *port, struct spate_result results[], uint32_t count)
{
    /* Before the look at the rings: outcomes that come after it make the descriptor readable again.
     */
    spate_eventfd_waker_drain((struct spate_eventfd_waker *)spate_port_waker(port));
    return spate_port_results(port, results, count);
}

int spate_port_fd(struct spate_port *port)
{
    const struct spate_eventfd_waker *waker =
        (const struct spate_eventfd_waker *)spate_port_waker(port);

    spate_port_may_block(port);
    return waker->fd;
}
