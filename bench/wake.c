/*
 * How long a sleeping core takes to answer: a client thread that also sleeps proposes one command
 * now and then to a core of one member, with adaptive polling, and blocks until the outcome. Two
 * threads are woken, the core's and then the client's. The limit is the same without a core: two
 * threads that wake each other through eventfds after the same pause, in turns with it.
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
    pthread_t thread;
    bool is_running;
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
static bool begin_raw(struct echo *echo)
{
    echo->to = eventfd(0, EFD_CLOEXEC);
    echo->from = eventfd(0, EFD_CLOEXEC);
    echo->is_running = echo->to >= 0 && echo->from >= 0 &&
                       pthread_create(&echo->thread, NULL, echo_thread, echo) == 0;
    return echo->is_running;
}

static bool ask_raw(const struct echo *echo)
{
    uint64_t value = 1;

    return write(echo->to, &value, sizeof value) == (ssize_t)sizeof value &&
           read(echo->from, &value, sizeof value) == (ssize_t)sizeof value;
}

static void end_raw(const struct echo *echo)
{
    const uint64_t last = 2;

    if (echo->is_running && write(echo->to, &last, sizeof last) == (ssize_t)sizeof last) {
        (void)pthread_join(echo->thread, NULL);
    }
    (void)close(echo->to);
    (void)close(echo->from);
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

struct core {
    struct spate_counting counting;
    struct spate *spate;
    struct spate_port *port;
};

static bool begin_core(struct core *core)
{
    const struct spate_member_options member = {.id = 1, .address = "127.0.0.1:0"};
    char message[256] = "";

    spate_counting_init(&core->counting);
    const struct spate_options options = {.id = 1,
                                          .members = &member,
                                          .member_count = 1,
                                          .durability = SPATE_DURABILITY_MEMORY,
                                          .fsm = &core->counting.fsm};
    bool is_done = spate_open(&options, &core->spate, message, sizeof message) == SPATE_OK &&
                   spate_open_port(core->spate, 0, &core->port) == SPATE_OK &&
                   spate_start(core->spate) == SPATE_OK;
    for (uint32_t tries = 0; is_done && !ask(core->port); tries++) {
        pause_a_while(); /* It elects itself first. */
        is_done = tries < 1000;
    }
    if (!is_done) {
        (void)fprintf(stderr, "\nspate bench: a core of one did not answer: %s\n", message);
    }
    return is_done;
}

/* In turns, 5 ms apart: whatever the machine does, it does to both. */
static bool measure(struct spate_histogram *raw, struct spate_histogram *cored)
{
    struct spate_clock *clock = spate_clock_system();
    struct echo echo = {.to = -1, .from = -1};
    struct core core = {.spate = NULL};
    bool is_done = begin_raw(&echo) && begin_core(&core);

    for (uint32_t i = 0; is_done && i < ANSWERS; i++) {
        pause_a_while();
        const spate_time_ns raw_began = spate_clock_now(clock);
        is_done = ask_raw(&echo);
        const spate_time_ns raw_ns = spate_clock_now(clock) - raw_began;
        pause_a_while();
        const spate_time_ns began = spate_clock_now(clock);
        is_done = is_done && ask(core.port);
        if (i >= FIRST_FEW) {
            spate_histogram_record(raw, raw_ns, 1);
            spate_histogram_record(cored, spate_clock_now(clock) - began, 1);
        }
    }
    spate_close(core.spate);
    end_raw(&echo);
    return is_done;
}

bool harness_wake(struct harness *harness)
{
    struct bench_row *row = bench_results_add(harness->results, "wake-up p50", "ns");
    struct spate_histogram *raw = NULL;
    struct spate_histogram *cored = NULL;
    double limits[BENCH_RUNS_MAX];
    bool is_done =
        spate_histogram_create(&raw) == SPATE_OK && spate_histogram_create(&cored) == SPATE_OK;

    bench_row_label(row, "polling", "adaptive");
    for (uint32_t run = 0; is_done && run < harness->runs && !process_is_interrupted(); run++) {
        harness_progress("wake-up, run %u of %u", run + 1, harness->runs);
        spate_histogram_reset(raw);
        spate_histogram_reset(cored);
        is_done = measure(raw, cored);
        if (is_done) {
            limits[run] = (double)spate_histogram_percentile(raw, 50);
            bench_row_run(row, (double)spate_histogram_percentile(cored, 50));
            bench_row_limit(row, limits, run + 1);
        }
    }
    spate_histogram_destroy(raw);
    spate_histogram_destroy(cored);
    return is_done && !process_is_interrupted();
}
