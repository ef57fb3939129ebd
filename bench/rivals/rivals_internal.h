/* What the rivals share: their processes, and a closed loop of requests over TCP. */
#ifndef SPATE_BENCH_RIVALS_INTERNAL_H
#define SPATE_BENCH_RIVALS_INTERNAL_H

#include <sys/types.h>

#include "bench/process.h"
#include "bench/rivals/rivals.h"

/* ---- servers.c: the processes of a rival ---- */

#define RIVAL_START_TIMEOUT_MS 20000

/* Ports of 127.0.0.1 that nobody has now, all different. */
bool servers_choose_ports(uint16_t ports[], uint32_t count);

/* Starts the next process, pinned, its standard error in a log; at most RIVAL_NODES_MAX. */
struct process *servers_start(const char *const arguments[], int cpu, const char *log);

/* Ends all, in order of their start. Accepts that none runs. */
void servers_stop(void);

/* Whether it has not ended by itself. */
bool servers_runs(const struct process *server);

/* Appends the last line of a log to a message, to say what a server died of. */
void servers_quote_log(const char *path, char message[RIVAL_TEXT_BYTES]);

/* CPU time that a process has used, all threads. */
uint64_t servers_cpu_ns(pid_t pid);

/* Connects to 127.0.0.1. -1: nobody listens. */
int servers_connect(uint16_t port);

bool rival_craft(const struct rival_options *options, bool is_batched,
                 struct spate_histogram *latency, struct rival_result *ret_result,
                 char message[RIVAL_TEXT_BYTES]);
bool rival_etcd(const struct rival_options *options, struct spate_histogram *latency,
                struct rival_result *ret_result, char message[RIVAL_TEXT_BYTES]);
bool rival_redis(const struct rival_options *options, struct spate_histogram *latency,
                 struct rival_result *ret_result, char message[RIVAL_TEXT_BYTES]);

/* ---- requests.c: a closed loop of requests ---- */

#define REQUESTS_CONNECTIONS_MAX 32u
#define REQUESTS_SLOTS           65536u /* Not yet answered, of one connection. */
#define REQUESTS_OUT_BYTES       (1u << 20)
#define REQUESTS_IN_BYTES        (1u << 18)

struct requests;

/* Requests of a connection are numbered from 0. */
struct connection {
    int fd;
    uint32_t depth; /* How many may be in flight. */
    uint64_t asked;
    uint64_t answered;
    uint64_t made_ns[REQUESTS_SLOTS]; /* 0: answered. */
    uint8_t out[REQUESTS_OUT_BYTES];
    uint32_t out_bytes;
    uint8_t in[REQUESTS_IN_BYTES];
    uint32_t in_bytes;
    int64_t send_window; /* HTTP/2: bytes that the server still takes. */
    uint64_t received;   /* HTTP/2: bytes of data that it may be told of. */
};

struct protocol {
    /* What is sent before the first request; NULL: nothing. */
    void (*greet)(struct connection *connection);
    /* Appends request `asked` to `out`. False: not now. */
    bool (*ask)(struct connection *connection, const struct rival_options *options);
    /* Takes the whole answers from `in` and returns the bytes that they had; -1: one of them is
     * an error. */
    int64_t (*hear)(struct requests *requests, struct connection *connection);
};

struct requests {
    const struct protocol *protocol;
    const struct rival_options *options;
    struct spate_histogram *latency;
    pid_t leader;
    uint32_t connection_count;
    struct connection *connections[REQUESTS_CONNECTIONS_MAX];
    uint64_t began_ns; /* The warm-up is over. */
    uint64_t end_ns;
    uint64_t now_ns; /* When what is handled arrived. */
    uint64_t heard_ns;
    uint64_t leader_cpu_ns; /* When the warm-up was over; 0: it is not. */
    uint64_t client_cpu_ns;
    uint64_t counted;
};

/* For protocols: whether this request waits for its answer. */
bool requests_is_asked(const struct connection *connection, uint64_t number);

/* For protocols: the answer to this request has come. False: it was not asked. */
bool requests_answered(struct requests *requests, struct connection *connection, uint64_t number);

/* For protocols: room in `out`; NULL: there is none. */
uint8_t *requests_room(struct connection *connection, uint32_t bytes);

/*
 * Runs the loop of options->in_flight requests over so many connections to the port, whose process
 * is `leader`, pinned to `cpu`.
 */
bool requests_run(const struct protocol *protocol, const struct rival_options *options,
                  uint32_t connections, uint16_t port, pid_t leader, int cpu,
                  struct spate_histogram *latency, struct rival_result *ret_result,
                  char message[RIVAL_TEXT_BYTES]);

/* ---- grpc.c: HTTP/2 as far as a unary call needs it ---- */

/* etcdserverpb.KV/Put of 8 bytes of key and the rest of the payload. */
extern const struct protocol grpc_put;

#endif
