/* The kernel's interface below a port of af_packet, af_xdp or tap: asked and set up by its name. */
#ifndef SPATE_DPDK_INTERFACE_H
#define SPATE_DPDK_INTERFACE_H

#include <stdbool.h>
#include <stdint.h>

/* A descriptor to ask with, or -1. */
int spate_dpdk_interface_open(void);

/* 0: there is none of that name. */
uint16_t spate_dpdk_interface_mtu(int fd, const char *name);

/* It is up, and so is its carrier. */
bool spate_dpdk_interface_is_up(int fd, const char *name);

/*
 * Claims the interface's queue for this process, until the descriptor is closed. -1: another of our
 * processes has it.
 */
int spate_dpdk_interface_claim(const char *name);

/* What stands on an interface's receive path. */
enum interface_program {
    INTERFACE_PROGRAM_NONE,
    INTERFACE_PROGRAM_OURS,    /* What libxdp loads for AF_XDP sockets: left by a killed process. */
    INTERFACE_PROGRAM_FOREIGN, /* Somebody else's. */
};

enum interface_program spate_dpdk_interface_program(const char *name);

/* Takes the XDP program off. */
bool spate_dpdk_interface_program_remove(const char *name);

#endif
