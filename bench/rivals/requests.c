/*
 * A closed loop of requests over TCP, on one thread: a client that costs little beside the server
 * that it measures, and whose cost is measured too.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/children.h"
#include "bench/clock.h"
#include "bench/rivals/rivals_internal.h"

#define SILENCE_NS 10000000000u
#define POLL_MS    100

uint8_t *requests_room(struct connection *connection, uint32_t bytes)
{
    if (bytes > REQUESTS_OUT_BYTES - connection->out_bytes) {
        return NULL;
    }
    uint8_t *room = connection->out + connection->out_bytes;
    connection->out_bytes += bytes;
    return room;
}

bool requests_is_asked(const struct connection *connection, uint64_t number)
{
    return number < connection->asked && number + REQUESTS_SLOTS >= connection->asked &&
           connection->made_ns[number % REQUESTS_SLOTS] != 0;
}

bool requests_answered(struct requests *requests, struct connection *connection, uint64_t number)
{
    const uint64_t now = requests->now_ns;
    uint64_t *made = &connection->made_ns[number % REQUESTS_SLOTS];

    if (!requests_is_asked(connection, number)) {
        return false;
    }
    if (now >= requests->began_ns && now < requests->end_ns) {
        spate_histogram_record(requests->latency, now - *made, 1);
        requests->counted++;
    }
    *made = 0;
    connection->answered++;
    return true;
}

static bool flush(struct connection *connection)
{
    if (connection->out_bytes == 0) {
        return true;
    }
    const ssize_t sent =
        send(connection->fd, connection->out, connection->out_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    connection->out_bytes -= (uint32_t)sent;
    memmove(connection->out, connection->out + sent, connection->out_bytes);
    return true;
}

/* As many requests as may be in flight and find room. */
static bool ask(struct requests *requests, struct connection *connection)
{
    while (connection->asked - connection->answered < connection->depth) {
        uint64_t *made = &connection->made_ns[connection->asked % REQUESTS_SLOTS];
        if (*made != 0 || !requests->protocol->ask(connection, requests->options)) {
            break;
        }
        *made = bench_now_ns();
        connection->asked++;
    }
    return flush(connection);
}

static bool hear(struct requests *requests, struct connection *connection)
{
    const ssize_t got = recv(connection->fd, connection->in + connection->in_bytes,
                             REQUESTS_IN_BYTES - connection->in_bytes, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (got <= 0) {
        return false;
    }
    connection->in_bytes += (uint32_t)got;
    requests->now_ns = bench_now_ns();
    requests->heard_ns = requests->now_ns;
    const int64_t used = requests->protocol->hear(requests, connection);
    if (used < 0) {
        return false;
    }
    connection->in_bytes -= (uint32_t)used;
    memmove(connection->in, connection->in + used, connection->in_bytes);
    return true;
}

/* One turn. False: a connection is gone or answered an error. */
static bool turn(struct requests *requests)
{
    struct pollfd waiting[REQUESTS_CONNECTIONS_MAX];

    for (uint32_t c = 0; c < requests->connection_count; c++) {
        struct connection *connection = requests->connections[c];
        if (!ask(requests, connection)) {
            return false;
        }
        const short wanted = connection->out_bytes > 0 ? POLLIN | POLLOUT : POLLIN;
        waiting[c] = (struct pollfd){.fd = connection->fd, .events = wanted};
    }
    const int ready = poll(waiting, requests->connection_count, POLL_MS);
    for (uint32_t c = 0; ready > 0 && c < requests->connection_count; c++) {
        if ((waiting[c].revents & ~POLLOUT) != 0 && !hear(requests, requests->connections[c])) {
            return false;
        }
    }
    return true;
}

static bool loop(struct requests *requests, char message[RIVAL_TEXT_BYTES])
{
    for (;;) {
        if (!turn(requests)) {
            (void)snprintf(message, RIVAL_TEXT_BYTES, "the server refused a request or hung up");
            return false;
        }
        const uint64_t now = bench_now_ns();
        if (now >= requests->end_ns) {
            return true;
        }
        if (now >= requests->began_ns && requests->leader_cpu_ns == 0) {
            requests->leader_cpu_ns = servers_cpu_ns(requests->leader);
            requests->client_cpu_ns = process_cpu_ns();
        }
        if (now - requests->heard_ns > SILENCE_NS) {
            (void)snprintf(message, RIVAL_TEXT_BYTES, "the server said nothing for 10 s");
            return false;
        }
        if (process_is_interrupted()) {
            (void)snprintf(message, RIVAL_TEXT_BYTES, "interrupted");
            return false;
        }
    }
}

static bool open_connections(struct requests *requests, uint32_t count, uint16_t port)
{
    for (uint32_t c = 0; c < count; c++) {
        struct connection *connection = calloc(1, sizeof *connection);
        if (connection == NULL) {
            return false;
        }
        requests->connections[requests->connection_count++] = connection;
        connection->fd = servers_connect(port);
        if (connection->fd < 0) {
            return false;
        }
        const uint32_t in_flight = requests->options->in_flight;
        connection->depth = in_flight / count + (c < in_flight % count);
        if (requests->protocol->greet != NULL) {
            requests->protocol->greet(connection);
        }
    }
    return true;
}

bool requests_run(const struct protocol *protocol, const struct rival_options *options,
                  uint32_t connections, uint16_t port, pid_t leader, int cpu,
                  struct spate_histogram *latency, struct rival_result *ret_result,
                  char message[RIVAL_TEXT_BYTES])
{
    struct requests requests = {
        .protocol = protocol, .options = options, .latency = latency, .leader = leader};

    bool is_done = bench_pin(cpu) && open_connections(&requests, connections, port);
    if (!is_done) {
        (void)snprintf(message, RIVAL_TEXT_BYTES, "cannot connect to 127.0.0.1:%u", port);
    }
    requests.heard_ns = bench_now_ns();
    requests.began_ns = requests.heard_ns + (uint64_t)(options->warmup_seconds * 1e9);
    requests.end_ns = requests.began_ns + (uint64_t)(options->seconds * 1e9);
    is_done = is_done && loop(&requests, message);
    *ret_result = (struct rival_result){
        .per_s = (double)requests.counted / options->seconds,
        .counted = requests.counted,
        .leader_cpu_ns = servers_cpu_ns(leader) - requests.leader_cpu_ns,
        .client_cpu_ns = process_cpu_ns() - requests.client_cpu_ns,
    };
    while (requests.connection_count > 0) {
        struct connection *connection = requests.connections[--requests.connection_count];
        if (connection->fd >= 0) {
            (void)close(connection->fd);
        }
        free(connection);
    }
    return bench_pin(BENCH_CPU_ANY) && is_done;
}
