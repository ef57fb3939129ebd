/* spate: one program, a verb for each thing to do. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "spate/spate.h"
#include "verbs.h"

struct verb {
    const char *name;
    const char *meaning;
    int (*run)(int argument_count, char **arguments);
    void (*help)(void);
};

static const struct verb verbs[] = {
    {"core", "run a core in the foreground", verb_core, verb_core_help},
    {"status", "show what a core knows of itself and its peers", verb_status, verb_status_help},
    {"kv", "put, get and delete keys", verb_kv, verb_kv_help},
    {"members", "show and change the members of a running cluster", verb_members,
     verb_members_help},
    {"transfer-leader", "make another core the leader", verb_transfer, verb_transfer_help},
    {"snapshot", "save, inspect and restore the state", verb_snapshot, verb_snapshot_help},
    {"recover", "make one survivor a new cluster when the quorum is gone for good", verb_recover,
     verb_recover_help},
    {"bench", "measure clusters on this machine beside its limits", verb_bench, verb_bench_help},
    {"help", "help, or help VERB", verb_help, NULL},
};

enum exit_code exit_code_of(spate_err err)
{
    switch ((int)err) {
    case SPATE_OK:
        return EXIT_DONE;
    case SPATE_ERR_INVALID:
    case SPATE_ERR_UNSUPPORTED:
        return EXIT_USAGE;
    case SPATE_ERR_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case SPATE_ERR_NOT_READY:
    case SPATE_ERR_BUSY:
        return EXIT_NOT_READY;
    case SPATE_ERR_UNKNOWN:
        return EXIT_UNKNOWN;
    case SPATE_ERR_IN_USE:
        return EXIT_IN_USE;
    case SPATE_ERR_MISMATCH:
        return EXIT_MISMATCH;
    case SPATE_ERR_CORRUPT:
        return EXIT_CORRUPT;
    case SPATE_ERR_FORGOTTEN:
        return EXIT_FORGOTTEN;
    case SPATE_ERR_IO:
    case SPATE_ERR_NO_SPACE:
        return EXIT_IO;
    case SPATE_ERR_PERMISSION:
        return EXIT_PERMISSION;
    default:
        return EXIT_FAILED;
    }
}

int verb_fail(const char *verb, enum exit_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "spate %s: ", verb);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    return (int)code;
}

static const struct verb *find(const char *name)
{
    for (unsigned v = 0; v < sizeof verbs / sizeof verbs[0]; v++) {
        if (strcmp(verbs[v].name, name) == 0) {
            return &verbs[v];
        }
    }
    return NULL;
}

static void print_verbs(FILE *out)
{
    (void)fprintf(out,
                  "spate %s: replicates a service's state between machines\n\n"
                  "usage: spate VERB [ARGUMENTS]\n\n",
                  spate_version());
    for (unsigned v = 0; v < sizeof verbs / sizeof verbs[0]; v++) {
        (void)fprintf(out, "  %-16s %s\n", verbs[v].name, verbs[v].meaning);
    }
}

int verb_help(int argument_count, char **arguments)
{
    const struct verb *verb = argument_count >= 1 ? find(arguments[0]) : NULL;

    if (argument_count >= 1 && verb == NULL) {
        return verb_fail("help", EXIT_USAGE, "no verb '%s'; 'spate help' lists them", arguments[0]);
    }
    if (verb == NULL || verb->help == NULL) {
        print_verbs(stdout);
    } else {
        verb->help();
    }
    return EXIT_DONE;
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 2) {
        print_verbs(stderr);
        return EXIT_USAGE;
    }
    const char *name = arguments[1];
    if (strcmp(name, "--version") == 0) {
        (void)printf("spate %s\n", spate_version());
        return EXIT_DONE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        name = "help";
    }
    const struct verb *verb = find(name);
    if (verb == NULL) {
        (void)fprintf(stderr, "spate: no verb '%s'; 'spate help' lists them\n", name);
        return EXIT_USAGE;
    }
    for (int i = 2; verb->help != NULL && i < argument_count; i++) {
        if (strcmp(arguments[i], "--help") == 0) {
            verb->help();
            return EXIT_DONE;
        }
    }
    return verb->run(argument_count - 2, arguments + 2);
}
