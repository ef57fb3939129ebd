/* etcd: three processes over loopback; it writes and syncs its log whether asked to or not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/rivals/rivals_internal.h"

#define CONNECTIONS_MAX 16u
#define METRICS_BYTES   (1u << 20)

/* Far apart, so that member 1 leads. */
#define FIRST_ELECTION_MS 1000
#define OTHER_ELECTION_MS 10000

struct members {
    uint16_t ports[2 * RIVAL_NODES_MAX]; /* For clients; then for each other. */
    char cluster[RIVAL_NODES_MAX * 48];
};

static struct process *start_member(const struct rival_options *options,
                                    const struct members *members, uint32_t n)
{
    char name[16], directory[512], client[64], peer[64], election[16], log[512], cluster[512];
    const char *arguments[] = {"etcd",
                               "--name",
                               name,
                               "--data-dir",
                               directory,
                               "--listen-client-urls",
                               client,
                               "--advertise-client-urls",
                               client,
                               "--listen-peer-urls",
                               peer,
                               "--initial-advertise-peer-urls",
                               peer,
                               "--initial-cluster",
                               cluster,
                               "--initial-cluster-state",
                               "new",
                               n == 0 ? "--initial-election-tick-advance=true"
                                      : "--initial-election-tick-advance=false",
                               "--election-timeout",
                               election,
                               "--logger",
                               "zap",
                               "--log-level",
                               "error",
                               "--log-outputs",
                               "stderr",
                               NULL};

    (void)snprintf(name, sizeof name, "m%u", n + 1);
    (void)snprintf(directory, sizeof directory, "%s/%u", options->directory, n + 1);
    (void)snprintf(log, sizeof log, "%s/%u.log", options->directory, n + 1);
    (void)snprintf(client, sizeof client, "http://127.0.0.1:%u", members->ports[n]);
    (void)snprintf(peer, sizeof peer, "http://127.0.0.1:%u", members->ports[options->nodes + n]);
    (void)snprintf(election, sizeof election, "%d", n == 0 ? FIRST_ELECTION_MS : OTHER_ELECTION_MS);
    (void)snprintf(cluster, sizeof cluster, "%s", members->cluster);
    return servers_start(arguments, n == 0 ? options->leader_cpu : options->follower_cpu, log);
}

static struct process *start_members(const struct rival_options *options, struct members *members)
{
    struct process *leader = NULL;
    size_t at = 0;

    if (!servers_choose_ports(members->ports, 2 * options->nodes)) {
        return NULL;
    }
    for (uint32_t n = 0; n < options->nodes; n++) {
        at += (size_t)snprintf(members->cluster + at, sizeof members->cluster - at,
                               "%sm%u=http://127.0.0.1:%u", n == 0 ? "" : ",", n + 1,
                               members->ports[options->nodes + n]);
    }
    for (uint32_t n = 0; n < options->nodes; n++) {
        struct process *member = start_member(options, members, n);
        if (member == NULL) {
            return NULL;
        }
        leader = n == 0 ? member : leader;
    }
    return leader;
}

/* A figure of the member's own metrics; negative: it has none, or does not answer. */
static double read_metric(uint16_t port, const char *name)
{
    static const char question[] = "GET /metrics HTTP/1.0\r\n\r\n";
    static char page[METRICS_BYTES];
    size_t bytes = 0;
    ssize_t got = 0;
    const int fd = servers_connect(port);

    if (fd < 0) {
        return -1;
    }
    (void)send(fd, question, sizeof question - 1, MSG_NOSIGNAL);
    while ((got = recv(fd, page + bytes, sizeof page - 1 - bytes, 0)) > 0) {
        bytes += (size_t)got;
    }
    (void)close(fd);
    page[bytes] = '\0';
    for (const char *line = page; (line = strchr(line, '\n')) != NULL;) {
        line++;
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ' ') {
            return strtod(line + strlen(name), NULL);
        }
    }
    return -1;
}

static bool leads(uint16_t port)
{
    return read_metric(port, "etcd_server_is_leader") > 0;
}

static bool wait_until_leading(const struct process *leader, uint16_t port)
{
    for (int waited = 0; waited < RIVAL_START_TIMEOUT_MS; waited += 50) {
        if (leads(port)) {
            return true;
        }
        if (process_is_interrupted() || !servers_runs(leader)) {
            return false;
        }
        process_pause_ms(50);
    }
    return false;
}

bool rival_etcd(const struct rival_options *options, struct spate_histogram *latency,
                struct rival_result *ret_result, char message[RIVAL_TEXT_BYTES])
{
    struct members members = {0};
    char log[512];
    const struct process *leader = start_members(options, &members);

    if (leader == NULL || !wait_until_leading(leader, members.ports[0])) {
        (void)snprintf(message, RIVAL_TEXT_BYTES, "its first member did not become leader");
        (void)snprintf(log, sizeof log, "%s/1.log", options->directory);
        servers_quote_log(log, message);
        return false;
    }
    const uint32_t connections =
        options->in_flight < CONNECTIONS_MAX ? options->in_flight : CONNECTIONS_MAX;
    if (!requests_run(&grpc_put, options, connections, members.ports[0], leader->pid,
                      options->leader_cpu, latency, ret_result, message)) {
        return false;
    }
    /* Its own word for it: what was counted was proposed, committed and applied, and it leads. */
    const double applied = read_metric(members.ports[0], "etcd_server_proposals_applied_total");
    if (!leads(members.ports[0]) || applied < (double)ret_result->counted) {
        (void)snprintf(message, RIVAL_TEXT_BYTES,
                       "it applied %.0f of %llu puts, or lost its leader", applied,
                       (unsigned long long)ret_result->counted);
        return false;
    }
    return true;
}
