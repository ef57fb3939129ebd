/* The verbs of the program, a file each, and what they share. */
#ifndef SPATE_APPS_VERBS_H
#define SPATE_APPS_VERBS_H

#include "spate/error.h"

/* Exit codes: part of the interface, never renumbered. */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,      /* Anything not listed here. */
    EXIT_USAGE = 2,       /* Wrong flags, unreadable or wrong configuration. */
    EXIT_NOT_FOUND = 3,   /* No such key, file, or data. */
    EXIT_NOT_READY = 4,   /* No leader, or no core reachable: nothing was proposed. */
    EXIT_UNKNOWN = 5,     /* The outcome of a write is not known. */
    EXIT_IN_USE = 6,      /* Port or directory taken. */
    EXIT_MISMATCH = 7,    /* Data of another node or cluster. */
    EXIT_CORRUPT = 8,     /* Stored data fails its check. */
    EXIT_IO = 9,          /* Disk or device failed. */
    EXIT_PERMISSION = 10, /* Not allowed, by the system or by the settings. */
    EXIT_REFUSED = 11,    /* members, transfer-leader: the cluster does not do that. */
    EXIT_FORGOTTEN = 12,  /* Stored data lacks what this core acknowledged. */
};

enum exit_code exit_code_of(spate_err err);

/* Each takes the arguments behind its own name and returns the exit code. */
int verb_core(int argument_count, char **arguments);
int verb_status(int argument_count, char **arguments);
int verb_kv(int argument_count, char **arguments);
int verb_members(int argument_count, char **arguments);
int verb_transfer(int argument_count, char **arguments);
int verb_snapshot(int argument_count, char **arguments);
int verb_recover(int argument_count, char **arguments);
int verb_bench(int argument_count, char **arguments);
int verb_help(int argument_count, char **arguments);

/* Prints "spate VERB: message" to stderr and returns `code`. */
__attribute__((format(printf, 3, 4))) int verb_fail(const char *verb, enum exit_code code,
                                                    const char *format, ...);

/* What `spate help VERB` prints. */
void verb_core_help(void);
void verb_status_help(void);
void verb_kv_help(void);
void verb_members_help(void);
void verb_transfer_help(void);
void verb_snapshot_help(void);
void verb_recover_help(void);
void verb_bench_help(void);

#endif
