/*
 * How long a sleeping core takes to answer: a client thread that also sleeps proposes one command
 * now and then to a core of one member, with adaptive polling, and blocks until the outcome. Two
 * threads are woken, the core's and then the client's. The limit is the same without a core: two
 * threads that wake each other through eventfds after the same pause.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "bench/harness.h"
#include "clock/monotonic.h"
#include "kv/counting.h"
#include "spate/spate.h"

#define PAUSE_NS  5000000L
#define ANSWERS   100u
#define FIRST_FEW 10u /* Not counted. */

static void pause_a_while(void)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    (void)nanosleep(&pause, NULL);
}

struct echo {
    int to;
    int from;
};

static void *echo_thread(void *context)
{
    const struct echo *echo = context;
    uint64_t value = 0;

    while (read(echo->to, &value, sizeof value) == (ssize_t)sizeof value && value == 1) {
        if (write(echo->from, &value, sizeof value) != (ssize_t)sizeof value) {
            break;
        }
    }
    return NULL;
}

/* Two threads and nothing else. */
static bool measure_raw(struct spate_histogram *latency)
{
    struct echo echo = {.to = eventfd(0, EFD_CLOEXEC), .from = eventfd(0, EFD_CLOEXEC)};
    struct spate_clock *clock = spate_clock_system();
    pthread_t thread;
    uint64_t value = 1;
    const bool is_echoing =
        echo.to >= 0 && echo.from >= 0 && pthread_create(&thread, NULL, echo_thread, &echo) == 0;
    bool is_done = is_echoing;

    for (uint32_t i = 0; is_done && i < ANSWERS; i++) {
        pause_a_while();
        const spate_time_ns began = spate_clock_now(clock);
        is_done = write(echo.to, &value, sizeof value) == (ssize_t)sizeof value &&
                  read(echo.from, &value, sizeof value) == (ssize_t)sizeof value;
        if (i >= FIRST_FEW) {
            spate_histogram_record(latency, spate_clock_now(clock) - began, 1);
        }
    }
    value = 2; /* Ends the thread. */
    if (is_echoing && write(echo.to, &value, sizeof value) == (ssize_t)sizeof value) {
        (void)pthread_join(thread, NULL);
    }
    (void)close(echo.to);
    (void)close(echo.from);
    return is_done;
}

/* One command, there and back. */
static bool ask(struct spate_port *port)
{
    struct pollfd answered = {.fd = spate_port_fd(port), .events = POLLIN};
    struct spate_result result = {.status = SPATE_ERR_BUSY};
    const uint64_t command = 1;

    if (spate_propose(port, 1, &command, sizeof command) != SPATE_OK) {
        return false;
    }
    spate_submit(port);
    while (spate_results(port, &result, 1) == 0) {
        if (poll(&answered, 1, 5000) == 0) {
            return false;
        }
    }
    return result.status == SPATE_OK;
}

static bool measure_core(struct spate_histogram *latency)
{
    const struct spate_member_options member = {.id = 1, .address = "127.0.0.1:0"};
    struct spate_clock *clock = spate_clock_system();
    struct spate_counting counting;
    struct spate *spate = NULL;
    struct spate_port *port = NULL;
    char message[256] = "";

    spate_counting_init(&counting);
    const struct spate_options options = {.id = 1,
                                          .members = &member,
                                          .member_count = 1,
                                          .durability = SPATE_DURABILITY_MEMORY,
                                          .fsm = &counting.fsm};
    bool is_done = spate_open(&options, &spate, message, sizeof message) == SPATE_OK &&
                   spate_open_port(spate, 0, &port) == SPATE_OK && spate_start(spate) == SPATE_OK;
    for (uint32_t tries = 0; is_done && !ask(port) && tries < 1000; tries++) {
        pause_a_while(); /* It elects itself first. */
    }
    for (uint32_t i = 0; is_done && i < ANSWERS; i++) {
        pause_a_while();
        const spate_time_ns began = spate_clock_now(clock);
        is_done = ask(port);
        if (i >= FIRST_FEW) {
            spate_histogram_record(latency, spate_clock_now(clock) - began, 1);
        }
    }
    if (!is_done) {
        (void)fprintf(stderr, "\nspate bench: a core of one did not answer: %s\n", message);
    }
    spate_close(spate);
    return is_done;
}

bool harness_wake(struct harness *harness)
{
    struct bench_row *row = bench_results_add(harness->results, "wake-up p50", "ns");
    struct spate_histogram *latency = NULL;
    double raw[BENCH_RUNS_MAX];
    bool is_done = spate_histogram_create(&latency) == SPATE_OK;

    bench_row_label(row, "polling", "adaptive");
    for (uint32_t run = 0; is_done && run < harness->runs && !process_is_interrupted(); run++) {
        harness_progress("wake-up, run %u of %u", run + 1, harness->runs);
        spate_histogram_reset(latency);
        is_done = measure_raw(latency);
        raw[run] = (double)spate_histogram_percentile(latency, 50);
        spate_histogram_reset(latency);
        is_done = is_done && measure_core(latency);
        bench_row_run(row, (double)spate_histogram_percentile(latency, 50));
        bench_row_limit(row, raw, run + 1);
    }
    spate_histogram_destroy(latency);
    return is_done && !process_is_interrupted();
}
