/*
 * The processes of a benchmark: started with pipes to talk through, pinned, and ended, whatever
 * happens. A child dies with its parent, so that nothing is left behind after a kill -9 either.
 */
#ifndef SPATE_BENCH_PROCESS_H
#define SPATE_BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
    pid_t pid;          /* 0: not running. */
    int to;             /* Its standard input. */
    int from;           /* Its standard output. */
    char line[1 << 20]; /* What has arrived of its next line. */
    uint32_t line_bytes;
};

/*
 * Starts `arguments[0]` (looked up in PATH when it has no slash) with the given arguments (NULL at
 * the end). Returns false with errno. Its standard error is ours.
 */
bool process_start(struct process *process, char *const arguments[]);

/* Writes one line. False: it is gone. */
__attribute__((format(printf, 2, 3))) bool process_say(struct process *process, const char *format,
                                                       ...);

/* Waits for its next line and returns it, without the newline, valid until the next call. NULL:
 * it is gone, or said nothing for `timeout_ms`. */
const char *process_hear(struct process *process, int timeout_ms);

/* Ends it with `signal_number`, waits until it is gone (kills it after `grace_ms`). Returns its
 * wait status; 0 when it did not run. */
int process_end(struct process *process, int signal_number, int grace_ms);

void process_pause_ms(long ms);

/* CPU time used by the calling process, all threads. */
uint64_t process_cpu_ns(void);

/* Resident memory of the calling process, in bytes. */
uint64_t process_resident_bytes(void);

/* From now on SIGINT, SIGTERM and SIGHUP only set a flag, which the second returns. */
void process_catch_signals(void);
bool process_is_interrupted(void);

#endif
