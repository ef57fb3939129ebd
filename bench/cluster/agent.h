/*
 * One process of a measured cluster: a core with its state machine, driven on one thread, with a
 * load generator beside it that only the leader uses. The thread pins itself: the leader to one
 * CPU, followers to another.
 *
 * It is told what to do by lines on standard input, and answers by lines on standard output:
 *
 *   status                               -> status ROLE TERM LEADER APPLIED DIGEST RSS_BYTES
 * SNAPSHOT_BYTES_IN SNAPSHOTS_TAKEN IS_MUTE closed IN_FLIGHT PAYLOAD WARM NS     -> result … (see
 * load.h) open RATE PAYLOAD WARM NS poisson|constant -> result … idle NS -> idle CPU_NS NS stop ->
 * (ends)
 */
#ifndef SPATE_BENCH_AGENT_H
#define SPATE_BENCH_AGENT_H

/* The whole process. Returns its exit code. */
int agent_run(int argument_count, char **arguments);

#endif
