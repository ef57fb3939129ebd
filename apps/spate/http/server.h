/*
 * The HTTP front end of a core: one thread, two listeners.
 *
 *   health (7208)  GET /livez /readyz /leaderz /metrics /status
 *   API    (7220)  GET /v1/status, GET | PUT | DELETE /v1/kv/KEY, GET | POST /v1/members,
 *                  POST /v1/transfer-leader, GET /v1/snapshot
 *
 * The thread owns one port of the core: writes are proposed through it, and a request waits for
 * its outcome suspended, so one slow write holds up nobody. Reads come from the state machine
 * directly: linearizable ones when the core says that they may (spate_read), stale ones at once.
 */
#ifndef SPATE_APPS_HTTP_SERVER_H
#define SPATE_APPS_HTTP_SERVER_H

#include "base/clock.h"
#include "kv/kv.h"
#include "spate/spate.h"

struct http_server;

struct http_options {
    struct spate *spate;       /* Outlives the server. */
    struct spate_kv *kv;       /* NULL: no key-value state machine; /v1/kv answers 404. */
    struct spate_port *port;   /* The server's thread is its client. */
    struct spate_clock *clock; /* Outlives the server. */
    const char *health_listen; /* "ADDRESS:PORT"; "" for none */
    const char *api_listen;    /* Likewise. */
    bool follower_redirects;   /* A follower answers writes with 307 instead of forwarding. */
    const char *api_members;   /* For that: "1@HOST:PORT,2@HOST:PORT" */
    uint64_t seed;             /* Of the sessions that requests without one are given. */
};

/*
 * Binds both listeners. On failure `message` gets one line with the remedy.
 *
 * Errors: SPATE_ERR_IN_USE, SPATE_ERR_INVALID, SPATE_ERR_PERMISSION, SPATE_ERR_NO_MEMORY
 */
spate_err http_server_open(const struct http_options *options, struct http_server **ret_server,
                           char *message, size_t message_bytes) SPATE_MUST_CHECK;

/* Starts the thread. Errors: SPATE_ERR_NO_MEMORY */
spate_err http_server_start(struct http_server *server) SPATE_MUST_CHECK;

/* New requests are refused with 503 from now on; running ones go on. Thread: any. */
void http_server_drain(struct http_server *server);

/* Ends the thread, answers what is still waiting, closes. Accepts NULL. */
void http_server_close(struct http_server *server);

#endif
