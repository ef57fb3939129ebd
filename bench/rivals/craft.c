/* Canonical's C raft: a process of spate-rival-craft for each member. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/pairs.h"
#include "bench/rivals/rivals_internal.h"

/* How long its end may be behind the end of the counted time. */
#define LATE_MS 15000

static bool read_result(const char *line, const struct rival_options *options,
                        struct spate_histogram *latency, struct rival_result *ret_result)
{
    unsigned long long counted = 0;
    unsigned long long cpu = 0;
    int used = 0;

    if (line == NULL ||
        sscanf(line, "result counted=%llu cpu_ns=%llu histogram%n", &counted, &cpu, &used) != 2 ||
        used == 0) {
        return false;
    }
    *ret_result = (struct rival_result){
        .per_s = (double)counted / options->seconds, .counted = counted, .leader_cpu_ns = cpu};
    return bench_pairs_read(line + used, latency);
}

/* Member 1 first: it leads. */
static struct process *start_members(const struct rival_options *options)
{
    uint16_t ports[RIVAL_NODES_MAX];
    char port_texts[RIVAL_NODES_MAX][8];
    char id[16], directory[512], cpu[16], log[512];
    struct process *leader = NULL;

    if (!servers_choose_ports(ports, options->nodes)) {
        return NULL;
    }
    const char *arguments[4 + RIVAL_NODES_MAX + 1] = {options->craft, id, directory, cpu};
    for (uint32_t n = 0; n < options->nodes; n++) {
        (void)snprintf(port_texts[n], sizeof port_texts[n], "%u", ports[n]);
        arguments[4 + n] = port_texts[n];
    }
    for (uint32_t n = 0; n < options->nodes; n++) {
        const int on = n == 0 ? options->leader_cpu : options->follower_cpu;
        (void)snprintf(id, sizeof id, "%u", n + 1);
        (void)snprintf(cpu, sizeof cpu, "%d", on);
        (void)snprintf(directory, sizeof directory, "%s/%u", options->directory, n + 1);
        (void)snprintf(log, sizeof log, "%s/log", options->directory);
        struct process *member = NULL;
        if (mkdir(directory, 0700) != 0 || (member = servers_start(arguments, on, log)) == NULL) {
            return NULL;
        }
        leader = n == 0 ? member : leader;
    }
    return leader;
}

bool rival_craft(const struct rival_options *options, bool is_batched,
                 struct spate_histogram *latency, struct rival_result *ret_result,
                 char message[RIVAL_TEXT_BYTES])
{
    const double seconds = options->warmup_seconds + options->seconds;
    char log[512];
    struct process *leader = start_members(options);
    const char *line = leader == NULL ? NULL : process_hear(leader, RIVAL_START_TIMEOUT_MS);

    (void)snprintf(log, sizeof log, "%s/log", options->directory);
    if (line == NULL || strcmp(line, "leading") != 0) {
        (void)snprintf(message, RIVAL_TEXT_BYTES, "its first member did not become leader");
        servers_quote_log(log, message);
        return false;
    }
    if (!process_say(leader, "closed %u %u %.0f %.0f %s", options->in_flight,
                     options->payload_bytes, options->warmup_seconds * 1e9, options->seconds * 1e9,
                     is_batched ? "batched" : "single") ||
        !read_result(process_hear(leader, (int)(seconds * 1000) + LATE_MS), options, latency,
                     ret_result)) {
        (void)snprintf(message, RIVAL_TEXT_BYTES, "its leader gave no result");
        servers_quote_log(log, message);
        return false;
    }
    return true;
}
