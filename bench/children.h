/*
 * Functions of ours that run as processes of a measurement: forked and pinned, reaped by their ids,
 * never outliving the harness. (Programs are started by bench/process.h.)
 */
#ifndef SPATE_BENCH_CHILDREN_H
#define SPATE_BENCH_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_CHILDREN_MAX 32u
#define BENCH_CPU_ANY      (-1)

struct bench_child {
    pid_t pid;
    bool is_running;
    int status;         /* As wait4() gives it, once not running. */
    double cpu_seconds; /* User and system, once not running. */
};

/* Zero to begin with. */
struct bench_children {
    uint32_t count;
    struct bench_child items[BENCH_CHILDREN_MAX];
};

/* Pins the calling thread, or lets it run anywhere again. */
bool bench_pin(int cpu);

/* Runs `run(argument)` in a child; its result is the child's exit status. False: fork failed. */
bool bench_child_fork(struct bench_children *children, int cpu, int (*run)(void *), void *argument);

/* Waits up to `timeout_ms` for the end, and reaps it. False: it still runs. */
bool bench_child_wait(struct bench_children *children, uint32_t index, uint32_t timeout_ms);

/* SIGTERM to all that run, SIGKILL to those that still do after `grace_ms`, and reaps them all. */
void bench_children_stop(struct bench_children *children, uint32_t grace_ms);

#endif
