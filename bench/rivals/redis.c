/* redis: one process, one thread that serves, everything from memory; durable: fsync always. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/rivals/rivals_internal.h"

/* Enough to keep it busy; more of them only cost it system calls. */
#define CONNECTIONS_MAX 4u
#define KEYS            1000u
#define KEY_BYTES       8u

static bool ask_set(struct connection *connection, const struct rival_options *options)
{
    const uint32_t value_bytes = options->payload_bytes - KEY_BYTES;
    char head[96];
    const int head_bytes =
        snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$8\r\nkey%05u\r\n$%u\r\n",
                 (unsigned)(connection->asked % KEYS), value_bytes);
    uint8_t *room = requests_room(connection, (uint32_t)head_bytes + value_bytes + 2);
    if (room == NULL) {
        return false;
    }
    memcpy(room, head, (size_t)head_bytes);
    memset(room + head_bytes, 'v', value_bytes);
    memcpy(room + (size_t)head_bytes + value_bytes, "\r\n", 2);
    return true;
}

static int64_t hear_ok(struct requests *requests, struct connection *connection)
{
    uint32_t at = 0;

    for (; connection->in_bytes - at >= 5; at += 5) {
        if (memcmp(connection->in + at, "+OK\r\n", 5) != 0 ||
            !requests_answered(requests, connection, connection->answered)) {
            return -1;
        }
    }
    return at;
}

static const struct protocol redis_set = {.ask = ask_set, .hear = hear_ok};

static bool is_serving(uint16_t port)
{
    char answer[8] = "";
    const int fd = servers_connect(port);
    if (fd < 0) {
        return false;
    }
    const bool is_serving = send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 &&
                            recv(fd, answer, 7, MSG_WAITALL) == 7 &&
                            memcmp(answer, "+PONG\r\n", 7) == 0;
    (void)close(fd);
    return is_serving;
}

static bool wait_until_serving(const struct process *server, uint16_t port)
{
    for (int waited = 0; waited < RIVAL_START_TIMEOUT_MS; waited += 20) {
        if (is_serving(port)) {
            return true;
        }
        if (process_is_interrupted() || !servers_runs(server)) {
            return false;
        }
        process_pause_ms(20);
    }
    return false;
}

bool rival_redis(const struct rival_options *options, struct spate_histogram *latency,
                 struct rival_result *ret_result, char message[RIVAL_TEXT_BYTES])
{
    uint16_t port = 0;
    char port_text[8], log[512], directory[512];
    const char *arguments[] = {"redis-server",
                               "--port",
                               port_text,
                               "--bind",
                               "127.0.0.1",
                               "--dir",
                               directory,
                               "--logfile",
                               log,
                               "--daemonize",
                               "no",
                               "--save",
                               "",
                               "--appendonly",
                               options->is_durable ? "yes" : "no",
                               "--appendfsync",
                               "always",
                               "--auto-aof-rewrite-percentage",
                               "0",
                               NULL};

    (void)snprintf(directory, sizeof directory, "%s", options->directory);
    (void)snprintf(log, sizeof log, "%s/redis.log", options->directory);
    if (!servers_choose_ports(&port, 1)) {
        (void)snprintf(message, RIVAL_TEXT_BYTES, "no free TCP port on 127.0.0.1");
        return false;
    }
    (void)snprintf(port_text, sizeof port_text, "%u", port);
    const struct process *server = servers_start(arguments, options->leader_cpu, log);
    if (server == NULL || !wait_until_serving(server, port)) {
        (void)snprintf(message, RIVAL_TEXT_BYTES, "redis-server did not start");
        servers_quote_log(log, message);
        return false;
    }
    const uint32_t connections =
        options->in_flight < CONNECTIONS_MAX ? options->in_flight : CONNECTIONS_MAX;
    /* It replicates nothing: the followers' processor is free for the client. */
    return requests_run(&redis_set, options, connections, port, server->pid, options->follower_cpu,
                        latency, ret_result, message);
}
