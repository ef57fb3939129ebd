#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/children.h"
#include "bench/limits/bare_loop.h"
#include "bench/process.h"

static bool is_possible(const struct bench_bare_options *options)
{
    if (options->nodes < 1 || options->nodes > BENCH_BARE_NODES_MAX || options->in_flight < 1 ||
        options->payload_bytes < 8 || options->payload_bytes % 8 != 0 ||
        options->frame_bytes < 64 || options->frame_bytes > 65000 ||
        options->payload_bytes > SPATE_ENTRY_BYTES_MAX) {
        (void)fprintf(stderr,
                      "bare loop: nodes 1 to %u, payload 8 to %u in eights, frame 64 to 65000\n",
                      BENCH_BARE_NODES_MAX, SPATE_ENTRY_BYTES_MAX);
        return false;
    }
    return true;
}

/* NULL on loopback. */
static const struct transport_node *node_of(const struct bare_setup *setup, uint32_t node)
{
    const struct transport *transport = setup->options->transport;

    return transport == NULL || transport->kind == TRANSPORT_SOCKET ? NULL : &transport->node[node];
}

static bool open_sockets(struct bare_setup *setup)
{
    bool is_good = true;

    for (uint32_t n = 0; n <= setup->followers; n++) {
        struct sockaddr_in *address =
            n == 0 ? &setup->leader_address : &setup->follower_addresses[n - 1];
        setup->sockets[n] = bench_socket_port(bench_socket_open(node_of(setup, n), address));
        is_good = is_good && setup->sockets[n].fd >= 0;
    }
    setup->leader_port = &setup->sockets[0];
    for (uint32_t f = 0; f < setup->followers; f++) {
        setup->follower_ports[f] = &setup->sockets[f + 1];
    }
    if (!is_good) {
        (void)fprintf(stderr, "bare loop: cannot open UDP sockets: %s\n", strerror(errno));
    }
    return is_good;
}

static void close_sockets(const struct bare_setup *setup)
{
    for (uint32_t n = 0; n <= setup->followers; n++) {
        (void)close(setup->sockets[n].fd);
    }
}

bool bench_bare_run(const struct bench_bare_options *options, struct spate_histogram *latency,
                    struct bench_bare_result *ret_result)
{
    struct bare_setup setup = {.options = options, .followers = options->nodes - 1};
    struct bare_follower followers[BENCH_BARE_NODES_MAX];
    struct bench_children children = {0};

    if (!is_possible(options)) {
        return false;
    }
    setup.is_over = mmap(NULL, sizeof *setup.is_over, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (setup.is_over == MAP_FAILED) {
        (void)fprintf(stderr, "bare loop: %s\n", strerror(errno));
        return false;
    }
    bool is_good = open_sockets(&setup);
    for (uint32_t f = 0; is_good && f < setup.followers; f++) {
        followers[f] = (struct bare_follower){.setup = &setup, .index = f};
        is_good = bench_child_fork(&children, options->follower_cpu, bare_follow, &followers[f]);
    }
    is_good = is_good && bench_pin(options->leader_cpu) && bare_lead(&setup, latency, ret_result);
    (void)bench_pin(BENCH_CPU_ANY);
    atomic_store(setup.is_over, true);
    double cpu = 0;
    for (uint32_t f = 0; f < children.count; f++) {
        (void)bench_child_wait(&children, f, 2000);
    }
    bench_children_stop(&children, 100);
    for (uint32_t f = 0; f < children.count; f++) {
        cpu += children.items[f].cpu_seconds;
    }
    if (is_good) {
        /* Of the children's whole life, warm-up included. */
        ret_result->followers_cores = cpu / (ret_result->seconds + options->warmup_seconds);
    }
    close_sockets(&setup);
    (void)munmap((void *)(uintptr_t)setup.is_over, sizeof *setup.is_over);
    return is_good;
}
