/*
 * A port: how one client thread proposes commands to a node and gets the outcomes. Two bounded
 * rings, one in each direction; wait-free on both sides.
 */
#ifndef SPATE_NODE_PORT_H
#define SPATE_NODE_PORT_H

#include "base/error.h"
#include "base/types.h"
#include "spate/port.h"
#include "store/store.h"

/* Ports that one node serves. */
#define SPATE_PORTS_MAX 16u

/*
 * Proposes a command. It is copied. Nothing is seen by the node before spate_port_submit().
 *
 * Thread:   the port's client.
 * Errors:   SPATE_ERR_BUSY      the ring is full; take results, submit, try again.
 *           SPATE_ERR_INVALID   the command will never fit: too large for an entry, or for the
 * ring.
 */
spate_err spate_port_propose(struct spate_port *port, uint64_t cookie, const void *data,
                             uint32_t size) SPATE_MUST_CHECK;

/*
 * Asks when the state machine of this node may be read so that the read is linearizable: the
 * outcome, with the cookie, comes when it shows everything that was acknowledged to anybody before
 * this call. Nothing is written to the log; a majority vouches for the leader (thesis section 6.4).
 * Its `index` says what the state includes at least. Handed over by spate_port_submit().
 *
 * Thread:   the port's client.
 * Outcome:  OK; NOT_READY: no leader answered in time; always safe to repeat.
 * Errors:   SPATE_ERR_BUSY      take results, submit, try again.
 */
spate_err spate_port_read(struct spate_port *port, uint64_t cookie) SPATE_MUST_CHECK;

/* Hands all that was proposed or asked to the node, and wakes it if it sleeps. Thread: the port's
 * client. */
void spate_port_submit(struct spate_port *port);

/*
 * Takes outcomes that have arrived: at most `count`. Each proposal has exactly one outcome, unless
 * the node is destroyed first. Never blocks. A client must take results, or the node stops serving
 * this port (never others).
 *
 * Thread: the port's client.
 */
uint32_t spate_port_results(struct spate_port *port, struct spate_result results[], uint32_t count);

/*
 * Who is to be woken when outcomes have arrived after spate_port_results() last returned none, for
 * a client that may block: see spate_port_may_block(). NULL, the default: nobody. Requires: before
 * the port is used. The waker outlives the node.
 */
void spate_port_set_waker(struct spate_port *port, struct spate_waker *waker);
struct spate_waker *spate_port_waker(const struct spate_port *port);

/*
 * From now on the client may block until it is woken; before that it polls, and nobody pays for
 * waking it. What has arrived already wakes it at once. Requires: a waker. Thread: the client's.
 */
void spate_port_may_block(struct spate_port *port);

#endif
