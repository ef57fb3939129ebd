/* Starting the processes of the limits over DPDK, and reading what the leader found. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/limits/dpdk.h"
#include "bench/pairs.h"
#include "bench/process.h"

#define WORDS_MAX (18 + TRANSPORT_NODES_MAX)
#define TEXT_MAX  600 /* A folder may have a long name. */

#define START_MS_MAX 20000

struct command {
    int count;
    char text[WORDS_MAX][TEXT_MAX];
    char *words[WORDS_MAX + 1];
};

__attribute__((format(printf, 2, 3))) static void add(struct command *command, const char *format,
                                                      ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(command->text[command->count], TEXT_MAX, format, arguments);
    va_end(arguments);
    command->words[command->count] = command->text[command->count];
    command->words[++command->count] = NULL;
}

/* memif joins two: the leader has a device for each follower. */
static void add_devices(struct command *command, const struct bench_bare_options *options,
                        uint32_t node)
{
    const struct transport *transport = options->transport;

    if (transport->kind == TRANSPORT_PCI) {
        add(command, "%s", transport->node[node].device);
        return;
    }
    if (transport->kind == TRANSPORT_TAP) {
        add(command, "net_tap0,iface=" TRANSPORT_TAP_NAME);
        return;
    }
    if (transport->kind != TRANSPORT_MEMIF) {
        add(command, "net_%s0,iface=eth0%s", transport_name(transport->kind),
            transport->kind == TRANSPORT_AF_PACKET ? ",framesz=2048,blocksz=4096,framecnt=1024"
                                                   : "");
        return;
    }
    const uint32_t first = node == 0 ? 1 : node;
    const uint32_t last = node == 0 ? options->nodes - 1 : node;
    for (uint32_t f = first; f <= last; f++) {
        add(command, "net_memif%u,role=%s,socket=%s/limit%u,socket-abstract=no,bsize=9216",
            f - first, node == 0 ? "client" : "server", transport->folder, f);
    }
}

/* What a killed server left: memif makes none where there is one. */
static void remove_sockets(const struct transport *transport)
{
    char path[TEXT_MAX];

    for (uint32_t f = 1; f < transport->nodes && transport->kind == TRANSPORT_MEMIF; f++) {
        (void)snprintf(path, sizeof path, "%s/limit%u", transport->folder, f);
        (void)unlink(path);
    }
}

static bool start(const char *program, const char *kind, const struct bench_bare_options *options,
                  uint32_t node, struct process *process)
{
    const struct transport *transport = options->transport;
    struct command command = {.count = 0};

    if (transport->node[node].network_space[0] != '\0') {
        add(&command, "ip");
        add(&command, "netns");
        add(&command, "exec");
        add(&command, "%s", transport->node[node].network_space);
    }
    add(&command, "%s", program);
    add(&command, "%s", kind);
    add(&command, "%u", node);
    add(&command, "%u", options->nodes);
    add(&command, "%u", options->payload_bytes);
    add(&command, "%u", options->in_flight);
    add(&command, "%u", options->frame_bytes);
    add(&command, "%f", options->warmup_seconds);
    add(&command, "%f", options->seconds);
    add(&command, "%d", node == 0 ? options->leader_cpu : options->follower_cpu);
    add(&command, "%s", options->polling == BENCH_POLLING_BUSY ? "busy" : "adaptive");
    add(&command, "%s", options->durable_directory != NULL ? options->durable_directory : "-");
    add_devices(&command, options, node);
    return process_start(process, command.words);
}

static bool read_result(const char *line, struct spate_histogram *latency,
                        struct bench_bare_result *result)
{
    unsigned long long committed = 0, repeats = 0;
    int used = 0;

    if (line == NULL ||
        sscanf(line,
               "result seconds=%lf committed=%llu per_s=%lf leader=%lf repeats=%llu "
               "histogram%n",
               &result->seconds, &committed, &result->entries_per_s, &result->leader_cores,
               &repeats, &used) != 5 ||
        used == 0) {
        return false;
    }
    result->committed = committed;
    result->repeats = repeats;
    return bench_pairs_read(line + used, latency);
}

/* All are there, and joined: nobody has begun before the others can hear it. */
static bool attach(const struct bench_bare_options *options, struct process processes[])
{
    bool is_good = true;

    for (uint32_t n = 0; n < options->nodes && is_good; n++) {
        const char *line = process_hear(&processes[n], START_MS_MAX);
        is_good =
            line != NULL && strcmp(line, "ready") == 0 && transport_attach(options->transport, n);
    }
    return is_good;
}

static bool run(const char *program, const char *kind, const struct bench_bare_options *options,
                struct spate_histogram *latency, struct bench_bare_result *ret_result)
{
    static struct process processes[TRANSPORT_NODES_MAX];
    const int timeout_ms = (int)((options->warmup_seconds + options->seconds) * 1000) + 20000;
    uint32_t started = 0;
    bool is_good = true;

    *ret_result = (struct bench_bare_result){0};
    remove_sockets(options->transport);
    for (uint32_t n = options->nodes; n > 0 && is_good; n--, started++) {
        is_good = start(program, kind, options, n - 1, &processes[n - 1]);
    }
    is_good = is_good && attach(options, processes) &&
              read_result(process_hear(&processes[0], timeout_ms), latency, ret_result);
    for (uint32_t n = options->nodes - started; n < options->nodes; n++) {
        (void)process_end(&processes[n], SIGTERM, 1000);
    }
    if (!is_good && !process_is_interrupted()) {
        (void)fprintf(stderr, "spate bench: the limit over %s gave no result\n",
                      transport_name(options->transport->kind));
    }
    return is_good;
}

bool bench_dpdk_bare_run(const char *program, const struct bench_bare_options *options,
                         struct spate_histogram *latency, struct bench_bare_result *ret_result)
{
    return run(program, "bare", options, latency, ret_result);
}

bool bench_dpdk_round_trip_run(const char *program, const struct bench_bare_options *options,
                               struct spate_histogram *latency)
{
    struct bench_bare_options pair = *options;
    struct bench_bare_result result;

    pair.nodes = 2;
    return run(program, "trip", &pair, latency, &result);
}
