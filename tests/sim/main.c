/*
 * spate-sim: runs seeds through the simulator.
 *
 *   spate-sim [--seed N] [--seeds COUNT] [--nodes 1|3|5] [--calm] [--seconds SIMULATED]
 *             [--churn] [--leases] [--twice]
 *
 * Without --seed the first one is drawn and printed. A failure, be it of the checker, an assertion
 * or a sanitizer, prints the revision and the command that repeats it.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"
#include "sim_build.h"

struct totals {
    uint64_t seeds, valid, events, proposals, acknowledged, leader_changes, crashes, cuts, changes,
        wipes, forgotten, reinstated, stopped;
    double simulated_s;
};

/* How to repeat the seed that runs: written before it runs, since an assertion leaves no time. */
static char repeat[256];

/* Only in a build with a sanitizer, which ends the process without a signal. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void say_repeat(void)
{
    /* Nobody is left to tell when this fails. */
    const ssize_t written = write(STDOUT_FILENO, repeat, strlen(repeat));
    (void)written;
}

static void die(int signal_number)
{
    say_repeat();
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

static void write_repeat(const struct sim_options *options)
{
    char nodes[32] = "";
    char duration[48] = "";

    if (options->nodes != 0) {
        (void)snprintf(nodes, sizeof nodes, " --nodes %u", options->nodes);
    }
    if (options->duration_ns != 0) {
        (void)snprintf(duration, sizeof duration, " --seconds %llu",
                       (unsigned long long)(options->duration_ns / SIM_S));
    }
    (void)snprintf(repeat, sizeof repeat,
                   "revision %s; repeat it with: spate-sim --seed %llu%s%s%s%s%s\n", SIM_REVISION,
                   (unsigned long long)options->seed, options->is_calm ? " --calm" : "",
                   options->has_churn ? " --churn" : "", options->has_leases ? " --leases" : "",
                   nodes, duration);
}

static double seconds_of(clockid_t id)
{
    struct timespec now;
    (void)clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void add(struct totals *totals, const struct sim *sim)
{
    /* A run counts only if there was something to go wrong: work, and a change of leader. */
    totals->valid +=
        sim->outcomes_ok >= 20 && (sim->leader_changes >= 2 || sim->options.nodes == 1);
    totals->seeds++;
    totals->events += sim->events;
    totals->proposals += sim->proposal_count;
    totals->acknowledged += sim->outcomes_ok;
    totals->leader_changes += sim->leader_changes;
    totals->crashes += sim->crashes;
    totals->cuts += sim->cuts;
    totals->changes += sim->changes;
    totals->wipes += sim->wipes;
    totals->forgotten += sim->forgotten;
    totals->reinstated += sim->reinstated;
    totals->stopped += sim->stopped;
    totals->simulated_s += (double)sim->options.duration_ns / 1e9;
}

/* Runs one seed in fresh memory. Returns its trace; 0 when it failed. */
static uint64_t run_seed(const struct sim_options *options, struct totals *totals)
{
    struct sim *sim = calloc(1, sizeof *sim);
    uint64_t trace = 0;

    write_repeat(options);
    if (sim != NULL) {
        sim->entries = calloc(SIM_ENTRIES_MAX, sizeof *sim->entries);
    }
    if (sim == NULL || sim->entries == NULL) {
        (void)printf("out of memory\n");
        free(sim);
        return 0;
    }
    if (sim_run(sim, options)) {
        trace = sim->trace | 1;
        add(totals, sim);
    } else {
        (void)printf("FAILED at %.6f s, event %llu: %s\n%s",
                     (double)(spate_clock_now(&sim->clock.clock) - SIM_S) / 1e9,
                     (unsigned long long)sim->events, sim->failure, repeat);
    }
    free(sim->entries);
    free(sim);
    return trace;
}

static bool run_seeds(struct sim_options options, uint64_t count, bool is_twice,
                      struct totals *totals)
{
    for (uint64_t s = 0; s < count; s++, options.seed++) {
        const uint64_t trace = run_seed(&options, totals);
        if (trace == 0) {
            return false;
        }
        if (is_twice && run_seed(&options, totals) != trace) {
            (void)printf("FAILED: seed %llu runs differently the second time\n",
                         (unsigned long long)options.seed);
            return false;
        }
    }
    return true;
}

static void report(const struct totals *totals, double used)
{
    (void)printf("%llu seeds passed, %llu of them with work and a change of leader; %llu events, "
                 "%llu proposals, %llu acknowledged, %llu leaders, %llu crashes, %llu cuts, %llu "
                 "changes of members, "
                 "%llu losses of data; %llu times a node forgot, %llu were noticed by the "
                 "leader, %llu reinstated\n"
                 "%.0f simulated seconds in %.1f CPU seconds: %.1f cluster-hours per CPU-minute, "
                 "%.1f seeds/s\n",
                 (unsigned long long)totals->seeds, (unsigned long long)totals->valid,
                 (unsigned long long)totals->events, (unsigned long long)totals->proposals,
                 (unsigned long long)totals->acknowledged,
                 (unsigned long long)totals->leader_changes, (unsigned long long)totals->crashes,
                 (unsigned long long)totals->cuts, (unsigned long long)totals->changes,
                 (unsigned long long)totals->wipes, (unsigned long long)totals->forgotten,
                 (unsigned long long)totals->stopped, (unsigned long long)totals->reinstated,
                 totals->simulated_s, used, totals->simulated_s / 3600 / (used / 60),
                 (double)totals->seeds / used);
}

static uint64_t draw_seed(void)
{
    uint32_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        abort();
    }
    return seed;
}

int main(int argument_count, char **arguments)
{
    static const struct option table[] = {
        {"seed", required_argument, NULL, 's'},
        {"seeds", required_argument, NULL, 'n'},
        {"nodes", required_argument, NULL, 'k'},
        {"seconds", required_argument, NULL, 'd'},
        {"calm", no_argument, NULL, 'c'},
        {"churn", no_argument, NULL, 'm'},
        {"leases", no_argument, NULL, 'l'},
        {"twice", no_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    struct sim_options options = {.seed = draw_seed()};
    struct totals totals = {0};
    uint64_t count = 1;
    bool is_twice = false;
    int id = 0;

    while ((id = getopt_long(argument_count, arguments, "", table, NULL)) != -1) {
        const uint64_t number = optarg != NULL ? strtoull(optarg, NULL, 10) : 0;
        switch (id) {
        case 's':
            options.seed = number;
            break;
        case 'n':
            count = number;
            break;
        case 'k':
            options.nodes = (uint32_t)number;
            break;
        case 'd':
            options.duration_ns = number * SIM_S;
            break;
        case 'c':
            options.is_calm = true;
            break;
        case 'm':
            options.has_churn = true;
            break;
        case 'l':
            options.has_leases = true;
            break;
        case 't':
            is_twice = true;
            break;
        default:
            return 2;
        }
    }
    if (options.nodes > SIM_NODES_MAX) {
        (void)fprintf(stderr, "spate-sim: --nodes takes 1 to %u\n", SIM_NODES_MAX);
        return 2;
    }
    (void)printf("seeds from %llu on: %llu\n", (unsigned long long)options.seed,
                 (unsigned long long)count);
    (void)fflush(stdout);
    (void)signal(SIGABRT, die);
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(say_repeat);
    }
    const double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    const bool is_good = run_seeds(options, count, is_twice, &totals);
    const double used = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    report(&totals, used);
    return is_good ? 0 : 1;
}
