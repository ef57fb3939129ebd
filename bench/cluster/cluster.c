#include "cluster.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/pairs.h"

#define READY_TIMEOUT_MS 20000

/* Ports that are free now: all are bound at once, so that they differ, then let go. */
static bool choose_members(struct cluster *cluster)
{
    int sockets[CLUSTER_NODES_MAX];
    uint32_t count = 0;
    size_t at = 0;

    for (; count < cluster->options.nodes; count++) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t bytes = sizeof address;
        sockets[count] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (sockets[count] < 0) {
            break;
        }
        if (bind(sockets[count], (struct sockaddr *)&address, sizeof address) != 0 ||
            getsockname(sockets[count], (struct sockaddr *)&address, &bytes) != 0) {
            (void)close(sockets[count]);
            break;
        }
        at += (size_t)snprintf(cluster->members + at, sizeof cluster->members - at,
                               "%s%u@127.0.0.1:%u", count == 0 ? "" : ",", count + 1,
                               ntohs(address.sin_port));
    }
    for (uint32_t s = 0; s < count; s++) {
        (void)close(sockets[s]);
    }
    return count == cluster->options.nodes;
}

/* The transport knows where cores are, unless they share loopback. */
static bool name_members(struct cluster *cluster)
{
    const struct transport *transport = cluster->options.transport;
    size_t at = 0;

    if (transport->kind == TRANSPORT_SOCKET) {
        return choose_members(cluster);
    }
    for (uint32_t n = 0; n < cluster->options.nodes; n++) {
        at += (size_t)snprintf(cluster->members + at, sizeof cluster->members - at, "%s%u@%s",
                               n == 0 ? "" : ",", n + 1, transport->node[n].address);
    }
    return at < sizeof cluster->members;
}

static bool start_agent(struct cluster *cluster, uint32_t agent)
{
    const struct cluster_options *options = &cluster->options;
    char texts[10][64];
    char directory[512] = "memory";
    char program[512];
    char polling[] = "adaptive";
    char verb[] = "agent";

    if (options->directory != NULL) {
        (void)snprintf(directory, sizeof directory, "%s/%u", options->directory, agent + 1);
    }
    if (options->is_busy) {
        (void)snprintf(polling, sizeof polling, "busy");
    }
    (void)snprintf(program, sizeof program, "%s", options->program);
    (void)snprintf(texts[0], sizeof texts[0], "%u", agent + 1);
    (void)snprintf(texts[1], sizeof texts[1], "%u", options->frame_bytes);
    (void)snprintf(texts[2], sizeof texts[2], "%d", options->leader_cpu);
    (void)snprintf(texts[3], sizeof texts[3], "%d", options->follower_cpu);
    (void)snprintf(texts[4], sizeof texts[4], "%llu",
                   (unsigned long long)options->log_budget_bytes);
    (void)snprintf(texts[5], sizeof texts[5], "%u", options->election_timeout_ms);
    (void)snprintf(texts[6], sizeof texts[6], "%u", options->sample_every);
    (void)snprintf(texts[7], sizeof texts[7], "%d", (int)options->disk);
    (void)snprintf(texts[8], sizeof texts[8], "%llu", (unsigned long long)options->keys);
    (void)snprintf(texts[9], sizeof texts[9], "%llu", (unsigned long long)options->snapshot_bytes);
    struct transport_node node = options->transport->node[agent];
    char ip[] = "ip", netns[] = "netns", exec[] = "exec";
    char *arguments[] = {ip,       netns,     exec,     node.network_space,
                         program,  verb,      texts[0], cluster->members,
                         polling,  directory, texts[1], texts[2],
                         texts[3], texts[4],  texts[5], node.device,
                         texts[6], texts[7],  texts[8], texts[9],
                         NULL};
    /* `ip netns exec` becomes the program: its process id is the core's. */
    if (!process_start(&cluster->agents[agent],
                       node.network_space[0] != '\0' ? arguments : arguments + 4)) {
        return false;
    }
    const char *line = process_hear(&cluster->agents[agent], READY_TIMEOUT_MS);
    return line != NULL && strcmp(line, "ready") == 0 &&
           transport_attach(options->transport, agent);
}

bool cluster_status(struct cluster *cluster, uint32_t agent,
                    struct cluster_agent_status *ret_status)
{
    int role = 0;
    unsigned leader = 0;
    unsigned long long term = 0;
    unsigned long long applied = 0;
    unsigned digest = 0;
    unsigned long long resident = 0;
    unsigned long long snapshot_bytes_in = 0;
    unsigned long long snapshots_taken = 0;
    int is_mute = 0;

    if (!process_say(&cluster->agents[agent], "status")) {
        return false;
    }
    const char *line = process_hear(&cluster->agents[agent], 5000);
    if (line == NULL ||
        sscanf(line, "status %d %llu %u %llu %u %llu %llu %llu %d", &role, &term, &leader, &applied,
               &digest, &resident, &snapshot_bytes_in, &snapshots_taken, &is_mute) != 9) {
        return false;
    }
    *ret_status = (struct cluster_agent_status){.is_leader = role == SPATE_ROLE_LEADER,
                                                .term = term,
                                                .applied = applied,
                                                .digest = digest,
                                                .resident_bytes = resident,
                                                .snapshot_bytes_in = snapshot_bytes_in,
                                                .snapshots_taken = snapshots_taken,
                                                .is_mute = is_mute != 0};
    return true;
}

bool cluster_find_leader(struct cluster *cluster, int timeout_ms)
{
    for (int waited = 0; waited <= timeout_ms && !process_is_interrupted(); waited += 5) {
        uint64_t best = 0;
        for (uint32_t a = 0; a < cluster->options.nodes; a++) {
            struct cluster_agent_status status;
            if (cluster->agents[a].pid != 0 && cluster_status(cluster, a, &status) &&
                status.is_leader && status.term > best) {
                best = status.term;
                cluster->leader = a;
            }
        }
        if (best > 0) {
            return true;
        }
        process_pause_ms(5);
    }
    return false;
}

bool cluster_start(struct cluster *cluster, const struct cluster_options *options, char *message,
                   uint32_t message_bytes)
{
    *cluster = (struct cluster){.options = *options};
    if (!name_members(cluster)) {
        (void)snprintf(message, message_bytes, "no free UDP ports on 127.0.0.1");
        return false;
    }
    for (uint32_t a = 0; a < options->nodes - options->absent; a++) {
        if (!start_agent(cluster, a)) {
            (void)snprintf(message, message_bytes, "core %u of %u did not start", a + 1,
                           options->nodes);
            return false;
        }
    }
    if (!cluster_find_leader(cluster, READY_TIMEOUT_MS)) {
        (void)snprintf(message, message_bytes, "no core became leader within 20 s");
        return false;
    }
    process_pause_ms(20); /* The leader moves to its CPU. */
    return true;
}

bool cluster_begin_load(struct cluster *cluster, const struct cluster_load *load)
{
    const unsigned long long warm = (unsigned long long)(load->warm_s * 1e9);
    const unsigned long long run = (unsigned long long)(load->run_s * 1e9);
    struct process *leader = &cluster->agents[cluster->leader];

    return load->in_flight != 0
               ? process_say(leader, "closed %u %u %llu %llu", load->in_flight, load->payload_bytes,
                             warm, run)
               : process_say(leader, "open %f %u %llu %llu %s", load->rate, load->payload_bytes,
                             warm, run, load->is_poisson ? "poisson" : "constant");
}

static bool read_result(const char *line, struct cluster_result *ret_result)
{
    unsigned long long v[9] = {0};
    int used = 0;

    if (line == NULL ||
        sscanf(line,
               "result counted=%llu failed=%llu missed=%llu ns=%llu cpu_ns=%llu heap=%llu "
               "tx_bytes=%llu tx_frames=%llu work_ns=%llu histogram%n",
               &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &used) != 9 ||
        used == 0) {
        return false;
    }
    ret_result->counted = v[0];
    ret_result->failed = v[1];
    ret_result->missed = v[2];
    ret_result->seconds = (double)v[3] / 1e9;
    ret_result->cpu_ns = v[4];
    ret_result->heap = v[5];
    ret_result->tx_bytes = v[6];
    ret_result->tx_frames = v[7];
    ret_result->work_ns = v[8];
    ret_result->per_s = (double)v[0] / ret_result->seconds;
    return bench_pairs_read(line + used, ret_result->latency);
}

bool cluster_load(struct cluster *cluster, const struct cluster_load *load,
                  struct cluster_result *ret_result, char *message, uint32_t message_bytes)
{
    const int timeout_ms = (int)((load->warm_s + load->run_s) * 1000) + 15000;

    if (!cluster_begin_load(cluster, load) ||
        !read_result(process_hear(&cluster->agents[cluster->leader], timeout_ms), ret_result)) {
        (void)snprintf(message, message_bytes, "the leader gave no result");
        return false;
    }
    return true;
}

bool cluster_stages(struct cluster *cluster, uint32_t agent, double ret_ns[SPATE_STAGE_COUNT])
{
    if (!process_say(&cluster->agents[agent], "stages")) {
        return false;
    }
    const char *line = process_hear(&cluster->agents[agent], 5000);
    if (line == NULL || strncmp(line, "stages ", 7) != 0) {
        return false;
    }
    const char *at = line + 6;
    for (uint32_t s = 0; s < SPATE_STAGE_COUNT; s++) {
        char *rest = NULL;
        const uint64_t count = strtoull(at, &rest, 10);
        if (*rest != ':') {
            return false;
        }
        const uint64_t median = strtoull(rest + 1, &rest, 10);
        ret_ns[s] = count > 0 ? (double)median : 0;
        at = rest;
    }
    return true;
}

bool cluster_idle(struct cluster *cluster, uint32_t agent, double seconds, double *ret_share)
{
    unsigned long long cpu = 0;
    unsigned long long ns = 0;

    if (!process_say(&cluster->agents[agent], "idle %llu", (unsigned long long)(seconds * 1e9))) {
        return false;
    }
    const char *line = process_hear(&cluster->agents[agent], (int)(seconds * 1000) + 5000);
    if (line == NULL || sscanf(line, "idle %llu %llu", &cpu, &ns) != 2 || ns == 0) {
        return false;
    }
    *ret_share = (double)cpu / (double)ns;
    return true;
}

bool cluster_is_equal(struct cluster *cluster, int timeout_ms)
{
    for (int waited = 0; waited <= timeout_ms && !process_is_interrupted(); waited += 10) {
        struct cluster_agent_status first = {0};
        bool is_equal = true;
        bool is_first = true;
        for (uint32_t a = 0; a < cluster->options.nodes && is_equal; a++) {
            struct cluster_agent_status status;
            if (cluster->agents[a].pid == 0) {
                continue;
            }
            is_equal =
                cluster_status(cluster, a, &status) &&
                (is_first || (status.applied == first.applied && status.digest == first.digest));
            first = is_first ? status : first;
            is_first = false;
        }
        if (is_equal) {
            return true;
        }
        process_pause_ms(10);
    }
    return false;
}

void cluster_kill(struct cluster *cluster, uint32_t agent)
{
    (void)process_end(&cluster->agents[agent], SIGKILL, 5000);
}

bool cluster_restart(struct cluster *cluster, uint32_t agent)
{
    return start_agent(cluster, agent);
}

void cluster_stop(struct cluster *cluster)
{
    for (uint32_t a = 0; a < cluster->options.nodes; a++) {
        (void)process_say(&cluster->agents[a], "stop");
    }
    for (uint32_t a = 0; a < cluster->options.nodes; a++) {
        (void)process_end(&cluster->agents[a], SIGTERM, 3000);
    }
}
