/*
 * The limits over DPDK: the bare loop and the round trip on bare ports (rte_ethdev), without our
 * stack. They run as a program of their own, spate-limits-dpdk, because EAL starts once per process
 * and the harness does without it.
 */
#ifndef SPATE_BENCH_LIMITS_DPDK_H
#define SPATE_BENCH_LIMITS_DPDK_H

#include "bench/limits/limits.h"

/* Like bench_bare_run(), over a transport of DPDK; memory only. `program` is this program. */
bool bench_dpdk_bare_run(const char *program, const struct bench_bare_options *options,
                         struct spate_histogram *latency, struct bench_bare_result *ret_result);

/* One frame of `frame_bytes` there and back, between nodes 1 and 2 of the transport. */
bool bench_dpdk_round_trip_run(const char *program, const struct bench_bare_options *options,
                               struct spate_histogram *latency);

#endif
