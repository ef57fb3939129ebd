/* What the files of the HTTP front end share. */
#ifndef SPATE_APPS_HTTP_INTERNAL_H
#define SPATE_APPS_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/prng.h"
#include "server.h"

struct json_t; /* jansson's. */

/* Requests that may wait for their outcome at once. */
#define HTTP_WAITING_MAX 1024u

/* How long a request waits for its outcome before the client hears "unknown". */
#define HTTP_OUTCOME_TIMEOUT_NS 5000000000ull

enum request_state {
    REQUEST_READING, /* The body is arriving. */
    REQUEST_WAITING, /* Proposed or asked; the connection is suspended. */
    REQUEST_DECIDED, /* The outcome is there; the connection was resumed. */
};

/* Changes of the membership that may wait at once. */
#define HTTP_ORDERS_MAX 8u

/* One HTTP request on /v1/kv/KEY, for a change of members, or for a copy of the state, from its
 * first header to its answer.
 */
struct request {
    struct MHD_Connection *connection;
    enum request_state state;
    bool is_read;
    enum spate_kv_op op; /* Of a write. */
    uint8_t *body;       /* Grows with what arrives. */
    uint32_t body_bytes;
    uint32_t body_capacity;
    bool is_too_large;
    uint32_t slot; /* In waiting[]. */
    uint32_t generation;
    spate_time_ns deadline;
    struct spate_result result;
    bool is_order; /* For members.c, with what follows. */
    uint64_t ticket;
    struct spate_members_answer answer;
    bool is_copy;    /* For snapshot.c, with what follows. */
    bool is_resting; /* Suspended until there is a next piece. */
    spate_err copy_err;
    struct http_server *server;
};

/* Outcomes name a slot and its generation, so a late one cannot reach a later request. */
struct waiting_slot {
    struct request *request; /* NULL: free. */
    uint32_t generation;
};

struct http_server {
    struct http_options options;
    struct MHD_Daemon *health;
    struct MHD_Daemon *api;
    pthread_t thread;
    bool is_started;
    int stop_fd;
    _Atomic bool is_stopping;
    _Atomic bool is_draining;
    struct spate_prng prng;
    uint32_t waiting_count;
    uint32_t slot_hint;
    struct waiting_slot waiting[HTTP_WAITING_MAX];
    uint32_t order_count;
    struct request *orders[HTTP_ORDERS_MAX];
    struct request *copy; /* The one that copies the state. */
};

/* answer.c: every answer goes through one of these. They return what MHD wants. */
enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status, const char *text);
enum MHD_Result answer_json(struct http_server *server, struct MHD_Connection *connection,
                            unsigned status, struct json_t *json);
enum MHD_Result answer_error(struct http_server *server, struct MHD_Connection *connection,
                             unsigned status, const char *code, const char *text);
enum MHD_Result answer_value(struct http_server *server, struct MHD_Connection *connection,
                             uint8_t *value, uint32_t size, spate_index revision);
enum MHD_Result answer_redirect(struct http_server *server, struct MHD_Connection *connection,
                                const char *path);

/* health.c */
enum MHD_Result health_handle(struct http_server *server, struct MHD_Connection *connection,
                              const char *path);
struct json_t *health_status(struct http_server *server);
const char *health_role_text(enum spate_role role);

/* metrics.c: Prometheus's text format, version 0.0.4. */
void metrics_write(const struct spate *spate, FILE *out);

/* "memif.10.77.0.2.drop.vlan" taken apart: memif.10.77.0.2 and vlan. Points into the name. */
struct metrics_name {
    const char *device;
    int device_bytes; /* 0: of no device in particular. */
    const char *what;
};
struct metrics_name metrics_split(const struct spate_counter *counter);

/* members.c: /v1/members, /v1/transfer-leader. */
enum MHD_Result members_handle(struct http_server *server, struct MHD_Connection *connection,
                               const char *path, const char *method, size_t *upload_size,
                               struct request **request_of);
struct json_t *members_json(struct http_server *server);
/* Hands out answers. Returns when to come back. */
spate_time_ns members_look(struct http_server *server, spate_time_ns now);
void members_forget(struct http_server *server, struct request *request);

/* snapshot.c: /v1/snapshot. */
enum MHD_Result copy_handle(struct http_server *server, struct MHD_Connection *connection,
                            const char *method, size_t *upload_size, struct request **request_of);
/* Sees whether there is a next piece. Returns when to come back. */
spate_time_ns copy_look(struct http_server *server, spate_time_ns now);
void copy_forget(struct http_server *server, struct request *request);

/* keys.c: GET, PUT and DELETE of /v1/kv/KEY. */
enum MHD_Result keys_handle(struct http_server *server, struct MHD_Connection *connection,
                            const char *path, const char *method, const char *upload,
                            size_t *upload_size, void **request);
void keys_take_results(struct http_server *server);
/* Gives up on what has waited too long. Returns when to come back. */
spate_time_ns keys_expire(struct http_server *server, spate_time_ns now);
void keys_forget(struct http_server *server, struct request *request);

#endif
