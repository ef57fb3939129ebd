/*
 * Asking the cores of a cluster over HTTP: what `spate status` and `spate kv` have in common.
 * lib/client decides whom to ask and when to ask again; libcurl carries it out.
 */
#ifndef SPATE_APPS_CORES_H
#define SPATE_APPS_CORES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/client.h"

struct cores;

/* --core A[,B,C], -o table|json, --timeout T: the flags that both verbs take. */
struct cores_flags {
    const char *list;
    bool is_json;
    uint64_t timeout_ns;
};

/*
 * Takes the common flags out of the arguments; what is left is moved to the front and counted.
 * False: `message` says what is wrong.
 */
bool cores_read_flags(int *argument_count, char **arguments, struct cores_flags *ret_flags,
                      char *message, size_t message_bytes);

/* NULL: `message` says what is wrong with the list. */
struct cores *cores_open(const struct cores_flags *flags, char *message, size_t message_bytes);
void cores_close(struct cores *cores);

uint32_t cores_count(const struct cores *cores);
const char *cores_address(const struct cores *cores, uint32_t core);

struct cores_answer {
    long status; /* HTTP status; 0: no core answered. */
    char *body;  /* Terminated; the caller frees it. Never NULL. */
    size_t body_bytes;
    uint64_t revision; /* Spate-Revision */
    const char *core;  /* Who answered, or who was tried last. */
};

/* One request to one core, once. */
void cores_ask_one(struct cores *cores, uint32_t core, const char *path,
                   struct cores_answer *ret_answer);

/* As cores_ask_one(), but what is served with status 200 is written to `fd`, and not repeated. 0:
 * no core answered, or not all of it came. */
void cores_fetch(struct cores *cores, uint32_t core, const char *path, int fd,
                 struct cores_answer *ret_answer);

/*
 * One request to whichever core can serve it, repeated until it is served or the time is over.
 * `method` "GET", "PUT", "DELETE"; `body` for PUT. Repeats of a write carry the same session and
 * sequence, so that it takes effect once.
 */
void cores_ask(struct cores *cores, const char *method, const char *path, const char *body,
               size_t body_bytes, struct cores_answer *ret_answer);

/*
 * A POST to the core that leads, whichever it is: each is asked in turn until one does not say that
 * it is another, or the time is over. Not repeated once its outcome is not known.
 */
void cores_ask_leader(struct cores *cores, const char *path, struct cores_answer *ret_answer);

/* Percent-encodes a key into a path. The caller frees it. */
char *cores_key_path(struct cores *cores, const char *key, const char *query);

#endif
