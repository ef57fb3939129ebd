#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/children.h"
#include "bench/clock.h"
#include "bench/limits/journal_internal.h"
#include "bench/limits/socket.h"
#include "bench/process.h"

#define WARMUP_TRIPS 1000u

struct end {
    int fd;
    enum bench_polling polling;
    uint32_t frame_bytes;
    struct sockaddr_in other;
    uint8_t *frame;
    _Atomic bool *is_over;
    struct bench_idle idle;
};

/* Blocks in recv itself: one call less than poll and recv. */
static bool prepare(struct end *end)
{
    const struct timeval limit = {.tv_usec = BENCH_BLOCK_MS * 1000};

    end->frame = calloc(1, 65536);
    return end->frame != NULL &&
           setsockopt(end->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
           connect(end->fd, (const struct sockaddr *)&end->other, sizeof end->other) == 0;
}

/* The next frame; false when the run is over. */
static bool receive(struct end *end)
{
    const int flags = end->polling == BENCH_POLLING_BLOCKING ? 0 : MSG_DONTWAIT;

    while (!atomic_load_explicit(end->is_over, memory_order_relaxed)) {
        if (recv(end->fd, end->frame, 65536, flags) > 0) {
            end->idle.since = 0;
            return true;
        }
        if (flags != 0) {
            bench_socket_idle(end->polling, end->fd, -1, &end->idle);
        }
    }
    return false;
}

static int echo(void *argument)
{
    struct end *end = argument;

    if (!prepare(end)) {
        return 1;
    }
    while (receive(end)) {
        (void)send(end->fd, end->frame, end->frame_bytes, 0);
    }
    return 0;
}

static void ask(struct end *end, double seconds, struct spate_histogram *latency)
{
    uint64_t before = bench_now_ns();
    const uint64_t last = before + (uint64_t)(seconds * 1e9);

    for (uint64_t trips = 0; before < last && !process_is_interrupted(); trips++) {
        if (send(end->fd, end->frame, end->frame_bytes, 0) < 0 || !receive(end)) {
            break;
        }
        const uint64_t after = bench_now_ns();
        if (trips >= WARMUP_TRIPS) {
            spate_histogram_record(latency, after - before, 1);
        }
        before = after;
    }
}

bool bench_round_trip_run(const struct bench_round_trip_options *options,
                          struct spate_histogram *latency)
{
    struct bench_children children = {0};
    struct end ends[2];
    _Atomic bool *is_over =
        mmap(NULL, sizeof *is_over, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (is_over == MAP_FAILED) {
        return false;
    }
    for (uint32_t e = 0; e < 2; e++) {
        ends[e] = (struct end){
            .polling = options->polling, .frame_bytes = options->frame_bytes, .is_over = is_over};
    }
    const struct transport *over = options->transport;
    const bool is_loopback = over == NULL || over->kind == TRANSPORT_SOCKET;
    ends[0].fd = bench_socket_open(is_loopback ? NULL : &over->node[0], &ends[1].other);
    ends[1].fd = bench_socket_open(is_loopback ? NULL : &over->node[1], &ends[0].other);
    bool is_good = ends[0].fd >= 0 && ends[1].fd >= 0 && prepare(&ends[0]) &&
                   bench_pin(options->client_cpu) &&
                   bench_child_fork(&children, options->server_cpu, echo, &ends[1]);
    if (is_good) {
        ask(&ends[0], options->seconds, latency);
    } else {
        (void)fprintf(stderr, "round trip: %s\n", strerror(errno));
    }
    (void)bench_pin(BENCH_CPU_ANY);
    atomic_store(is_over, true);
    if (children.count > 0) {
        (void)bench_child_wait(&children, 0, 1000);
    }
    bench_children_stop(&children, 100);
    for (uint32_t e = 0; e < 2; e++) {
        (void)close(ends[e].fd);
    }
    free(ends[0].frame);
    (void)munmap((void *)(uintptr_t)is_over, sizeof *is_over);
    return is_good;
}

bool bench_sync_run(const char *directory, uint32_t bytes, double seconds,
                    struct spate_histogram *latency)
{
    struct bench_journal journal;
    uint8_t *data = calloc(1, bytes);

    if (data == NULL || !bench_journal_open(directory, &journal)) {
        free(data);
        return false;
    }
    const struct iovec part = {.iov_base = data, .iov_len = bytes};
    uint64_t before = bench_now_ns();
    const uint64_t last = before + (uint64_t)(seconds * 1e9);
    while (before < last && !process_is_interrupted()) {
        bench_journal_append(&journal, &part, 1);
        const uint64_t after = bench_now_ns();
        spate_histogram_record(latency, after - before, 1);
        before = after;
    }
    bench_journal_close(&journal);
    free(data);
    return true;
}
