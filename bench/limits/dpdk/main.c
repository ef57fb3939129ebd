/*
 * spate-limits-dpdk: one process of the bare loop, or of the round trip, over bare ports of DPDK.
 * The harness starts all of them (bench/limits/dpdk_run.c) and reads the leader's line:
 *
 *   spate-limits-dpdk bare|trip NODE NODES PAYLOAD IN_FLIGHT FRAME WARMUP_S SECONDS CPU
 *                     busy|adaptive FOLDER|- DEVICE...
 *
 * Each says "ready" when its ports are there: an interface that it made can be joined to others
 * now.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/children.h"
#include "bench/clock.h"
#include "bench/limits/bare_loop.h"
#include "bench/pairs.h"
#include "bench/process.h"
#include "port.h"

#define ARGUMENTS_FIXED 12

static _Atomic bool is_over;

static void end_run(int signal_number)
{
    (void)signal_number;
    atomic_store(&is_over, true);
}

static void print_result(const struct bench_bare_result *result,
                         const struct spate_histogram *latency)
{
    (void)printf("result seconds=%f committed=%llu per_s=%f leader=%f repeats=%llu histogram",
                 result->seconds, (unsigned long long)result->committed, result->entries_per_s,
                 result->leader_cores, (unsigned long long)result->repeats);
    bench_pairs_print(latency, stdout);
    (void)puts("");
    (void)fflush(stdout);
}

static bool run_bare(struct bench_port *port, uint32_t node,
                     const struct bench_bare_options *options, struct spate_histogram *latency)
{
    static struct bare_setup setup;
    struct bench_bare_result result = {0};

    setup.options = options;
    setup.is_over = &is_over;
    setup.followers = options->nodes - 1;
    setup.leader_port = port;
    for (uint32_t f = 0; f < setup.followers; f++) {
        setup.follower_addresses[f].sin_port = (in_port_t)(f + 1);
        setup.follower_ports[f] = port;
    }
    if (node != 0) {
        struct bare_follower follower = {.setup = &setup, .index = node - 1};
        return bare_follow(&follower) == 0;
    }
    const bool is_good = bare_lead(&setup, latency, &result);
    if (is_good) {
        print_result(&result, latency);
    }
    return is_good;
}

static bool send_frame(struct bench_port *port, uint8_t *bytes, uint32_t size, uint32_t node)
{
    struct sockaddr_in to = {.sin_port = (in_port_t)node};
    struct iovec part = {.iov_base = bytes, .iov_len = size};
    struct mmsghdr message = {
        .msg_hdr = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &part, .msg_iovlen = 1}};

    return port->send(port, &message, 1) == 1;
}

/* Node 1 echoes, node 0 asks. Lost frames are asked for again and counted as the time they took. */
static bool run_trip(struct bench_port *port, uint32_t node,
                     const struct bench_bare_options *options, struct spate_histogram *latency)
{
    static struct bench_receiver receiver;
    uint8_t *frame = calloc(1, options->frame_bytes);
    const uint64_t began = bench_now_ns();
    const uint64_t counted_from = began + (uint64_t)(options->warmup_seconds * 1e9);
    const uint64_t until = counted_from + (uint64_t)(options->seconds * 1e9);
    struct bench_bare_result result = {.seconds = options->seconds};

    if (frame == NULL || !bench_receiver_create(&receiver)) {
        return false;
    }
    while (node != 0 && !atomic_load_explicit(&is_over, memory_order_relaxed)) {
        for (uint32_t m = port->receive(port, &receiver); m > 0; m--) {
            (void)send_frame(port, receiver.parts[m - 1].iov_base, receiver.messages[m - 1].msg_len,
                             0);
        }
    }
    for (uint64_t now = began; node == 0 && now < until;) {
        const uint64_t asked = now;
        (void)send_frame(port, frame, options->frame_bytes, 1);
        while (port->receive(port, &receiver) == 0 && now < until && now - asked < 20000000u) {
            now = bench_now_ns();
        }
        now = bench_now_ns();
        if (asked >= counted_from) {
            spate_histogram_record(latency, now - asked, 1);
        }
    }
    if (node == 0) {
        print_result(&result, latency);
    }
    free(frame);
    return true;
}

static bool read_options(char **argv, uint32_t *ret_node, int *ret_cpu,
                         struct bench_bare_options *options)
{
    char *end = NULL;

    options->polling =
        strcmp(argv[10], "adaptive") == 0 ? BENCH_POLLING_ADAPTIVE : BENCH_POLLING_BUSY;
    options->durable_directory = strcmp(argv[11], "-") == 0 ? NULL : argv[11];
    *ret_node = (uint32_t)strtoul(argv[2], NULL, 10);
    options->nodes = (uint32_t)strtoul(argv[3], NULL, 10);
    options->payload_bytes = (uint32_t)strtoul(argv[4], NULL, 10);
    options->in_flight = (uint32_t)strtoul(argv[5], NULL, 10);
    options->frame_bytes = (uint32_t)strtoul(argv[6], NULL, 10);
    options->warmup_seconds = strtod(argv[7], NULL);
    options->seconds = strtod(argv[8], NULL);
    *ret_cpu = (int)strtol(argv[9], &end, 10);
    return *end == '\0' && *ret_node < options->nodes && options->payload_bytes >= 8 &&
           options->in_flight >= 1 && options->frame_bytes >= 64;
}

int main(int argc, char **argv)
{
    struct bench_bare_options options = {.nodes = 0};
    struct spate_histogram *latency = NULL;
    struct bench_port *port = NULL;
    uint32_t node = 0;
    int cpu = 0;

    if (argc <= ARGUMENTS_FIXED || !read_options(argv, &node, &cpu, &options)) {
        (void)fprintf(stderr, "spate-limits-dpdk is run by spate bench\n");
        return 2;
    }
    (void)signal(SIGTERM, end_run);
    (void)bench_pin(cpu);
    if (spate_histogram_create(&latency) != SPATE_OK ||
        !dpdk_port_open(node, (uint32_t)(argc - ARGUMENTS_FIXED), argv + ARGUMENTS_FIXED, &port)) {
        return 1;
    }
    (void)puts("ready");
    (void)fflush(stdout);
    const bool is_good = strcmp(argv[1], "bare") == 0 ? run_bare(port, node, &options, latency)
                                                      : run_trip(port, node, &options, latency);
    dpdk_port_close();
    spate_histogram_destroy(latency);
    return is_good ? 0 : 1;
}
