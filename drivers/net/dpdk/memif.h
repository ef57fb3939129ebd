/*
 * memif: a point-to-point port per peer over shared memory, and what DPDK's driver lacks to live
 * with peers that come and go.
 *
 * The driver's control channel (a SOCK_SEQPACKET socket) never reaches the peer directly. A control
 * thread of ours stands between and passes messages on. When the peer is gone the driver is told
 * only after the owner of the endpoint has left the port, because on that message the driver unmaps
 * the rings under whoever polls them. The control thread also waits for peers that are not there
 * yet and starts the port again for those that come back; the driver does neither.
 *
 *     driver <--private--> control thread <==FOLDER/10.0.0.1-10.0.0.2==> control thread <--> driver
 *
 * Of two peers the one with the lower address listens; its port has the role of the server.
 */
#ifndef SPATE_DPDK_MEMIF_H
#define SPATE_DPDK_MEMIF_H

#include "dpdk_internal.h"

/*
 * Locks the folder for our address and starts the control thread.
 * Errors: PERMISSION (the folder), IN_USE (another process has our address there), NO_MEMORY, IO
 */
spate_err spate_dpdk_memif_create(struct endpoint *endpoint, struct memif **ret_memif,
                                  const struct spate_dpdk_line *line);

/* Stops the thread and its ports. Accepts NULL. Ports' memory is the endpoint's. */
void spate_dpdk_memif_destroy(struct memif *memif);

/*
 * The port to that peer, new or known from before; it comes UP when the peer is there.
 * Thread: the owner. Errors: INVALID (our own address), BUSY (too many peers so far), NO_MEMORY
 */
spate_err spate_dpdk_memif_want(struct memif *memif, uint32_t address, struct port **ret_port);

/* The peer is none any more. Thread: the owner. */
void spate_dpdk_memif_dismiss(struct memif *memif, struct port *port);

/* The owner left a port that was LEAVING. Thread: the owner. */
void spate_dpdk_memif_left(struct memif *memif);

#endif
