#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/idler.h"
#include "bench/children.h"
#include "bench/heap.h"
#include "bench/pairs.h"
#include "bench/process.h"
#include "clock/monotonic.h"
#include "load.h"
#include "machine.h"

/* How often a busy agent looks at its standard input. */
#define CONTROL_INTERVAL_NS 2000000u

/* Adaptive polling, as a started core does it: how long to spin before blocking. */
#define SPIN_NS 50000u

struct agent {
    struct spate_options options;
    struct spate_member_options members[SPATE_MEMBERS_MAX];
    int leader_cpu;
    int follower_cpu;
    struct spate *spate;
    struct machine machine;
    uint64_t keys;
    struct spate_clock *clock;
    struct load *load;
    struct spate_histogram *stages[SPATE_STAGE_COUNT]; /* Of the last load. */
    bool is_loading;
    bool is_stopping;
    bool was_leader;
    bool is_counting; /* The load is warm. */
    uint64_t cpu_before;
    uint64_t work_ns; /* Of turns that found something to do, while the load counts. */
    uint64_t heap_before;
    spate_time_ns idle_until; /* 0: not measuring idleness. */
    spate_time_ns idle_began;
    spate_time_ns next_control;
    char line[1024];
    uint32_t line_bytes;
};

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)putchar('\n');
    (void)fflush(stdout);
}

static void say_status(struct agent *agent)
{
    struct spate_status status;
    spate_get_status(agent->spate, &status);
    say("status %d %llu %u %llu %u %llu %llu %llu %d", (int)status.role,
        (unsigned long long)status.term, status.leader,
        (unsigned long long)machine_applied(&agent->machine), machine_digest(&agent->machine),
        (unsigned long long)process_resident_bytes(),
        (unsigned long long)status.snapshot_bytes_received,
        (unsigned long long)status.snapshots_taken, status.is_mute);
}

/* One line: totals first, then the histogram as VALUE:COUNT pairs. */
static void say_result(struct agent *agent)
{
    const struct load *load = agent->load;
    struct spate_status status;

    spate_get_status(agent->spate, &status);
    (void)printf("result counted=%llu failed=%llu missed=%llu ns=%llu cpu_ns=%llu heap=%llu "
                 "tx_bytes=%llu tx_frames=%llu work_ns=%llu histogram",
                 (unsigned long long)load->counted, (unsigned long long)load->failed,
                 (unsigned long long)load->missed, (unsigned long long)load->options.run_ns,
                 (unsigned long long)(process_cpu_ns() - agent->cpu_before),
                 (unsigned long long)(heap_allocations() - agent->heap_before),
                 (unsigned long long)status.tx_bytes, (unsigned long long)status.tx_frames,
                 (unsigned long long)agent->work_ns);
    bench_pairs_print(load->latency, stdout);
    say("%s", "");
}

/* One line: of each stage how many samples, and their median. */
static void say_stages(struct agent *agent)
{
    (void)printf("stages");
    for (uint32_t s = 0; s < SPATE_STAGE_COUNT; s++) {
        (void)printf(" %llu:%llu", (unsigned long long)spate_histogram_count(agent->stages[s]),
                     (unsigned long long)spate_histogram_percentile(agent->stages[s], 50));
        spate_histogram_reset(agent->stages[s]);
    }
    say("%s", "");
}

static void take_samples(struct agent *agent)
{
    struct spate_sample sample;

    while (spate_next_sample(agent->spate, &sample)) {
        for (uint32_t s = 0; s < SPATE_STAGE_COUNT; s++) {
            if (sample.is_follower == (s == SPATE_STAGE_FOLLOW)) {
                spate_histogram_record(agent->stages[s], sample.ns[s], 1);
            }
        }
    }
}

static void begin_load(struct agent *agent, const struct load_options *options)
{
    agent->cpu_before = process_cpu_ns();
    agent->heap_before = heap_allocations();
    load_begin(agent->load, options, spate_clock_now(agent->clock));
    agent->is_loading = true;
    agent->is_counting = false;
    agent->work_ns = 0;
}

/* A turn that did something ended at `now`. What warming up costs is nobody's. */
static void count_work(struct agent *agent, spate_time_ns began, spate_time_ns now)
{
    const struct load *load = agent->load;

    if (!agent->is_loading || began < load->counted_from || began >= load->counted_until) {
        return;
    }
    if (!agent->is_counting) {
        agent->is_counting = true;
        agent->cpu_before = process_cpu_ns();
    }
    agent->work_ns += now - began;
}

static void obey(struct agent *agent, const char *line)
{
    struct load_options load = {0};
    unsigned long long warm = 0;
    unsigned long long run = 0;
    char kind[16] = "";

    if (strcmp(line, "status") == 0) {
        say_status(agent);
    } else if (strcmp(line, "stages") == 0) {
        say_stages(agent);
    } else if (strcmp(line, "stop") == 0) {
        agent->is_stopping = true;
    } else if (sscanf(line, "closed %u %u %llu %llu", &load.in_flight, &load.payload_bytes, &warm,
                      &run) == 4 ||
               sscanf(line, "open %lf %u %llu %llu %15s", &load.rate, &load.payload_bytes, &warm,
                      &run, kind) == 5) {
        load.warm_ns = warm;
        load.run_ns = run;
        load.is_poisson = strcmp(kind, "poisson") == 0;
        begin_load(agent, &load);
    } else if (sscanf(line, "idle %llu", &run) == 1) {
        agent->cpu_before = process_cpu_ns();
        agent->idle_began = spate_clock_now(agent->clock);
        agent->idle_until = agent->idle_began + run;
    } else {
        say("what? %s", line);
    }
}

static void listen_to_control(struct agent *agent)
{
    const ssize_t got = read(STDIN_FILENO, agent->line + agent->line_bytes,
                             sizeof agent->line - 1 - agent->line_bytes);

    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        agent->is_stopping = true; /* Nobody is left to talk to. */
        return;
    }
    agent->line_bytes += got > 0 ? (uint32_t)got : 0;
    agent->line[agent->line_bytes] = '\0';
    char *end = NULL;
    while ((end = strchr(agent->line, '\n')) != NULL) {
        *end = '\0';
        obey(agent, agent->line);
        agent->line_bytes -= (uint32_t)(end + 1 - agent->line);
        memmove(agent->line, end + 1, agent->line_bytes + 1);
    }
}

static void follow_role(struct agent *agent)
{
    struct spate_status status;
    spate_get_status(agent->spate, &status);
    const bool is_leader = status.role == SPATE_ROLE_LEADER;
    if (is_leader != agent->was_leader) {
        agent->was_leader = is_leader;
        (void)bench_pin(is_leader ? agent->leader_cpu : agent->follower_cpu);
    }
}

static void look_around(struct agent *agent, spate_time_ns now)
{
    agent->next_control = now + CONTROL_INTERVAL_NS;
    follow_role(agent);
    take_samples(agent);
    listen_to_control(agent);
    if (agent->idle_until != 0 && now >= agent->idle_until) {
        agent->idle_until = 0;
        say("idle %llu %llu", (unsigned long long)(process_cpu_ns() - agent->cpu_before),
            (unsigned long long)(now - agent->idle_began));
    }
}

/* The loop of the core and its generator. Returns the core's final error. */
static spate_err drive(struct agent *agent)
{
    const bool is_busy = agent->options.poll == SPATE_POLL_BUSY;
    spate_time_ns now = spate_clock_now(agent->clock); /* One reading a turn. */
    spate_time_ns worked_at = 0;
    struct spate_idler idler = {0};

    while (!agent->is_stopping) {
        const spate_time_ns began = now;
        uint32_t work = 0;
        if (agent->is_loading && !load_turn(agent->load, now)) {
            agent->is_loading = false;
            say_result(agent);
        }
        const spate_err err = spate_poll(agent->spate, &work);
        if (err != SPATE_OK) {
            return err;
        }
        now = spate_clock_now(agent->clock);
        if (now >= agent->next_control) {
            look_around(agent, now);
        }
        if (work > 0) {
            worked_at = now;
            count_work(agent, began, now);
        }
        if (work == 0 && (is_busy || now - worked_at < SPIN_NS)) {
            now = spate_idler_turn(&idler, now, agent->clock);
        } else if (work == 0) {
            spate_wait(agent->spate);
            now = spate_clock_now(agent->clock);
        }
    }
    return SPATE_OK;
}

/* ID MEMBERS busy|adaptive memory|DIRECTORY FRAME_BYTES LEADER_CPU FOLLOWER_CPU BUDGET ELECTION_MS
 * DEVICE (of DPDK; empty: sockets) SAMPLE_EVERY DISK KEYS SNAPSHOT_BYTES */
static bool read_arguments(struct agent *agent, int argument_count, char **arguments)
{
    struct spate_options *options = &agent->options;

    if (argument_count != 14) {
        return false;
    }
    options->id = (spate_node_id)strtoul(arguments[0], NULL, 10);
    char *rest = arguments[1];
    char *item = NULL;
    while ((item = strsep(&rest, ",")) != NULL && options->member_count < SPATE_MEMBERS_MAX) {
        char *at = strchr(item, '@');
        if (at == NULL) {
            return false;
        }
        agent->members[options->member_count++] = (struct spate_member_options){
            .id = (spate_node_id)strtoul(item, NULL, 10), .address = at + 1};
    }
    options->members = agent->members;
    options->poll = strcmp(arguments[2], "busy") == 0 ? SPATE_POLL_BUSY : SPATE_POLL_ADAPTIVE;
    options->durability =
        strcmp(arguments[3], "memory") == 0 ? SPATE_DURABILITY_MEMORY : SPATE_DURABILITY_DISK;
    options->directory = options->durability == SPATE_DURABILITY_DISK ? arguments[3] : NULL;
    options->disk = (enum spate_disk)strtoul(arguments[11], NULL, 10);
    agent->keys = strtoull(arguments[12], NULL, 10);
    options->snapshot_bytes = strtoull(arguments[13], NULL, 10);
    options->frame_bytes_max = (uint32_t)strtoul(arguments[4], NULL, 10);
    agent->leader_cpu = (int)strtol(arguments[5], NULL, 10);
    agent->follower_cpu = (int)strtol(arguments[6], NULL, 10);
    options->log_budget_bytes = strtoull(arguments[7], NULL, 10);
    options->election_timeout_ns_min = strtoull(arguments[8], NULL, 10) * 1000000u;
    options->sample_every = (uint32_t)strtoul(arguments[10], NULL, 10);
    options->election_timeout_ns_max = 2 * options->election_timeout_ns_min;
    options->heartbeat_ns = options->election_timeout_ns_min / 6;
    options->insecure_peers = SPATE_INSECURE_ANY;
    options->dpdk.device = arguments[9];
    options->transport = arguments[9][0] != '\0' ? SPATE_TRANSPORT_DPDK : SPATE_TRANSPORT_SOCKET;
    return true;
}

int agent_run(int argument_count, char **arguments)
{
    static struct agent agent;
    char message[512] = "";
    const int flags = fcntl(STDIN_FILENO, F_GETFL);

    if (!read_arguments(&agent, argument_count, arguments) ||
        fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK) != 0) {
        (void)fprintf(stderr, "spate bench: an agent was started with wrong arguments\n");
        return 2;
    }
    /* The end of standard input and `stop` end it in order; a port left open would leave a trace.
     */
    (void)signal(SIGTERM, SIG_IGN);
    agent.clock = spate_clock_fast_create();
    agent.load = calloc(1, sizeof *agent.load);
    if (!machine_open(&agent.machine, agent.keys) || agent.load == NULL) {
        (void)fprintf(stderr, "spate bench: out of memory\n");
        return 1;
    }
    agent.options.fsm = machine_fsm(&agent.machine);
    agent.load->machine = &agent.machine;
    (void)bench_pin(agent.follower_cpu);

    spate_err err = spate_open(&agent.options, &agent.spate, message, sizeof message);
    if (err == SPATE_OK) {
        err = spate_open_port(agent.spate, 8u << 20, &agent.load->port);
    }
    if (err == SPATE_OK) {
        err = spate_histogram_create(&agent.load->latency);
    }
    for (uint32_t s = 0; s < SPATE_STAGE_COUNT && err == SPATE_OK; s++) {
        err = spate_histogram_create(&agent.stages[s]);
    }
    if (err == SPATE_OK) {
        say("ready");
        err = drive(&agent);
    }
    if (err != SPATE_OK) {
        (void)fprintf(stderr, "spate bench: a core failed: %s\n",
                      message[0] != '\0' ? message : spate_err_text(err));
    }
    spate_close(agent.spate);
    spate_clock_fast_destroy(agent.clock);
    machine_close(&agent.machine);
    spate_histogram_destroy(agent.load->latency);
    for (uint32_t s = 0; s < SPATE_STAGE_COUNT; s++) {
        spate_histogram_destroy(agent.stages[s]);
    }
    free(agent.load);
    return err == SPATE_OK ? 0 : 1;
}
