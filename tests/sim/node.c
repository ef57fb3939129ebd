/* The lives of simulated nodes, and the loop that gives them time. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "node/node_internal.h"
#include "sim.h"

#define ELECTION_MIN (150 * SIM_MS)
#define ELECTION_MAX (300 * SIM_MS)

void sim_fail(struct sim *sim, const char *format, ...)
{
    va_list arguments;
    if (sim->has_failed) {
        return;
    }
    sim->has_failed = true;
    va_start(arguments, format);
    (void)vsnprintf(sim->failure, sizeof sim->failure, format, arguments);
    va_end(arguments);
}

spate_time_ns sim_now(struct sim *sim)
{
    return spate_clock_now(&sim->clock.clock);
}

spate_time_ns sim_exponential(struct spate_prng *prng, spate_time_ns mean)
{
    const double uniform = ((double)(spate_prng_next(prng) >> 11) + 1) / 9007199254740993.0;
    return (spate_time_ns)(-log(uniform) * (double)mean) + 1;
}

spate_time_ns sim_clock_now(const struct sim_clock *clock)
{
    return spate_clock_now(&clock->time->clock) * clock->rate_ppm / 1000000u;
}

static spate_time_ns read_clock(struct spate_clock *clock)
{
    struct sim_clock *self = (struct sim_clock *)clock;
    const spate_time_ns stalled_at = self->stalled_at;

    self->stalled_at = 0;
    return stalled_at != 0 ? stalled_at : sim_clock_now(self);
}

/* When it is really `at` by this clock. */
static spate_time_ns real_time(const struct sim_clock *clock, spate_time_ns at)
{
    const spate_time_ns latest = SPATE_TIME_NEVER / 2000000u;
    return at > latest ? SPATE_TIME_NEVER : at * 1000000u / clock->rate_ppm + 1;
}

void sim_clock_init(struct sim_clock *clock, struct spate_clock_sim *time, uint64_t rate_ppm)
{
    *clock = (struct sim_clock){.clock = {.now = read_clock}, .time = time, .rate_ppm = rate_ppm};
}

static void must(struct sim *sim, spate_err err, const char *what)
{
    if (err != SPATE_OK) {
        sim_fail(sim, "%s: %s", what, spate_err_name(err));
    }
}

static struct spate_link *open_link(struct sim *sim, uint32_t i, uint64_t session)
{
    struct sim_node *node = &sim->nodes[i];
    struct spate_link_options options = {
        .net = sim_spy_init(&node->spy, sim, i, spate_net_sim_open(sim->network, i)),
        .self = i + 1,
        .session = session,
        .insecure_peers = SPATE_INSECURE_PEERS_ANY,
        .own_address = spate_net_sim_address(i),
    };
    struct spate_link *link = NULL;

    for (uint32_t p = 0; p < sim->options.founders; p++) {
        if (p != i) {
            options.peers[options.peer_count++] =
                (struct spate_link_peer_options){.id = p + 1, .address = spate_net_sim_address(p)};
        }
    }
    must(sim, spate_link_create(&options, &link), "link");
    return link;
}

void sim_start_node(struct sim *sim, uint32_t i)
{
    struct sim_node *node = &sim->nodes[i];
    const uint64_t session = spate_prng_next(&sim->process) | 1;
    const struct spate_store_fault_options store = {.image = node->image,
                                                    .seed = spate_prng_next(&sim->disk),
                                                    .busy_ppm = sim->options.disk_busy_ppm};
    struct spate_node_options options = {
        .self = i + 1,
        .session = session,
        .seed = spate_prng_next(&sim->process),
        .clock = &node->clock.clock,
        .lease_enabled = sim->options.lease_enabled,
        .reclaim = spate_reclaim_immediate(),
        .fsm = &node->fsm.fsm,
        .log_budget_bytes = 8u << 20,
        .election_timeout_ns_min = ELECTION_MIN,
        .election_timeout_ns_max = ELECTION_MAX,
        .heartbeat_ns = ELECTION_MIN / 5,
        .append_count_max = sim->options.append_count_max,
        .snapshot_entries = sim->options.snapshot_entries,
        .snapshot_bytes = UINT64_MAX,
        .snapshot_keep_entries = sim->options.snapshot_keep_entries,
        .incarnation = node->incarnation,
    };
    const struct spate_snapshots_mem_options snapshots = {.image = &node->snapshot,
                                                          .seed = sim->options.seed,
                                                          .busy_ppm = sim->options.disk_busy_ppm};

    for (uint32_t m = 0; m < sim->options.founders && !node->is_joining; m++) {
        options.membership.members[m] = sim_member(sim, m);
        options.membership.members[m].incarnation = 1;
        options.membership.members[m].is_voter = true;
        options.membership.count++;
    }
    sim_fsm_init(&node->fsm, sim, i);
    must(sim, spate_store_fault_create(&store, &node->store), "store");
    options.store = node->store;
    if (sim->options.snapshot_entries != 0) {
        must(sim, spate_snapshots_mem_create(&snapshots, &options.snapshots), "snapshots");
    }
    options.link = open_link(sim, i, session);
    must(sim, spate_node_create(&options, &node->node), "node");
    if (sim->has_failed) {
        return;
    }
    must(sim, spate_node_open_port(node->node, 1u << 18, &node->port), "port");
    node->is_up = true;
    node->ticket = 0;
    node->life++;
    node->paused_until = 0;
    node->clock.stalled_at = 0;
    node->disk_at = SPATE_TIME_NEVER;
    node->restart_at = SPATE_TIME_NEVER;
    node->seen_commit = 0;
    node->seen_last = 0;
    node->seen_generation = 0;
    node->was_leader = false;
}

void sim_crash_node(struct sim *sim, uint32_t i)
{
    struct sim_node *node = &sim->nodes[i];

    sim_take_outcomes(sim, i); /* What its client has not heard of by now, it never will. */
    struct spate_node_status status;
    spate_node_status(node->node, &status);
    sim->snapshots_taken += status.snapshots_taken;
    sim->snapshots_installed += status.snapshots_installed;
    /* What was submitted and not completed is lost: destroying would finish it. */
    spate_store_fault_lose(node->store);
    spate_node_destroy(node->node);
    node->node = NULL;
    node->store = NULL;
    node->is_up = false;
    sim->crashes++;
}

/* A batch takes its time on the disk; one after the other becomes durable. */
static void run_disk(struct sim *sim, uint32_t i)
{
    struct sim_node *node = &sim->nodes[i];

    if (spate_store_fault_pending(node->store) == 0) {
        node->disk_at = SPATE_TIME_NEVER;
    } else if (node->disk_at == SPATE_TIME_NEVER) {
        node->disk_at = sim_now(sim) + sim_exponential(&sim->disk, sim->options.disk_ns_mean);
    } else if (node->disk_at <= sim_now(sim)) {
        const uint64_t pending = spate_store_fault_pending(node->store);
        spate_store_fault_complete(node->store, spate_prng_between(&sim->disk, 1, pending));
        node->disk_at = SPATE_TIME_NEVER;
        run_disk(sim, i);
    }
}

/* Lets a node do all that it can do now. */
static void turn(struct sim *sim, uint32_t i)
{
    struct sim_node *node = &sim->nodes[i];
    uint32_t work = 1;

    if (!node->is_up || node->paused_until > sim_now(sim)) {
        return;
    }
    for (uint32_t round = 0; round < 50 && work > 0 && !sim->has_failed; round++) {
        run_disk(sim, i);
        const spate_err err = spate_node_poll(node->node, &work);
        if (err == SPATE_ERR_FORGOTTEN && node->is_forgetful) {
            /* It stops, and somebody starts it again: it knows by then. */
            sim_crash_node(sim, i);
            node->restart_at = sim_now(sim) + 10 * SIM_MS;
            sim->stopped++;
            return;
        }
        must(sim, err, "poll");
        sim_check(sim);
        sim_take_outcomes(sim, i);
    }
    run_disk(sim, i);
}

static spate_time_ns earlier(spate_time_ns a, spate_time_ns b)
{
    return a < b ? a : b;
}

static spate_time_ns next_event(struct sim *sim)
{
    spate_time_ns next = earlier(spate_net_sim_next_run_at(sim->network), sim_next_fault(sim));

    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (!node->is_up) {
            next = earlier(next, node->restart_at);
        } else if (node->paused_until > sim_now(sim)) {
            next = earlier(next, node->paused_until);
        } else {
            const spate_time_ns deadline = spate_node_deadline(node->node);
            next = earlier(next, earlier(real_time(&node->clock, deadline), node->disk_at));
        }
    }
    return next;
}

/* Goes from event to event until `until`, or until `is_enough` says so. */
static bool run_until(struct sim *sim, spate_time_ns until, bool (*is_enough)(struct sim *))
{
    while (!sim->has_failed) {
        const spate_time_ns next = next_event(sim);
        if (next >= until || sim->proposal_count >= SIM_PROPOSALS_MAX - 8) {
            spate_clock_sim_set(&sim->clock, until > sim_now(sim) ? until : sim_now(sim));
            return is_enough == NULL;
        }
        /* A deadline in the past means now; time moves at least a little, or nothing would end. */
        spate_clock_sim_set(&sim->clock, next > sim_now(sim) ? next : sim_now(sim) + 1000);
        sim->events++;
        spate_net_sim_run(sim->network, sim_now(sim));
        sim_do_faults(sim);
        const uint32_t first = (uint32_t)spate_prng_below(&sim->process, sim->options.nodes);
        for (uint32_t n = 0; n < sim->options.nodes; n++) {
            turn(sim, (first + n) % sim->options.nodes);
        }
        if (is_enough != NULL && is_enough(sim)) {
            return true;
        }
    }
    return false;
}

static bool has_leader(struct sim *sim)
{
    return sim_leader(sim) < SIM_NODES_MAX;
}

static bool last_is_decided(struct sim *sim)
{
    return sim->proposals[sim->proposal_count - 1].outcome != SIM_OPEN;
}

static bool is_converged(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (node->is_up && sim_is_member(sim, i) &&
            node->node->apply.applied != sim->committed_last) {
            return false;
        }
    }
    return true;
}

/* All is well again: somebody must lead, a write must succeed, all must become equal. */
static void check_liveness(struct sim *sim)
{
    sim_heal(sim);
    if (!run_until(sim, sim_now(sim) + 20 * ELECTION_MAX, has_leader)) {
        sim_fail(sim, "liveness: no leader within 20 election timeouts");
        return;
    }
    for (uint32_t tries = 0; tries < 40 && !sim->has_failed; tries++) {
        const uint32_t leader = sim_leader(sim);
        sim_propose(sim, leader < SIM_NODES_MAX ? leader : 0);
        (void)run_until(sim, sim_now(sim) + SIM_S, last_is_decided);
        if (sim->proposals[sim->proposal_count - 1].outcome == SIM_OK) {
            break;
        }
        /* A refusal is immediate: without a pause forty of them pass before any election. */
        (void)run_until(sim, sim_now(sim) + ELECTION_MAX, NULL);
    }
    if (sim->proposals[sim->proposal_count - 1].outcome != SIM_OK) {
        sim_fail(sim, "liveness: no write succeeds on a healed cluster");
    } else if (!run_until(sim, sim_now(sim) + 60 * SIM_S, is_converged)) {
        sim_fail(sim, "liveness: the nodes do not become equal");
    }
}

bool sim_run(struct sim *sim, const struct sim_options *options)
{
    sim_draw_options(sim, options);
    spate_clock_sim_init(&sim->clock, SIM_S);
    const struct spate_net_sim_options network = {
        .seed = sim->options.seed, .endpoints = sim->options.nodes, .frames_max = 8192};
    must(sim, spate_net_sim_create(&network, &sim->network), "network");
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        sim->nodes[i].incarnation = 1;
        sim->nodes[i].is_joining = i >= sim->options.founders;
        must(sim, spate_store_image_create(&sim->nodes[i].image), "image");
        sim_clock_init(&sim->nodes[i].clock, &sim->clock,
                       spate_prng_between(&sim->process, 1000000 - sim->options.drift_ppm,
                                          1000000 + sim->options.drift_ppm));
        for (uint32_t j = 0; j < sim->options.nodes; j++) {
            spate_net_sim_set_link(sim->network, i, j, &sim->options.weather);
        }
    }
    for (uint32_t i = 0; i < sim->options.nodes && !sim->has_failed; i++) {
        sim_start_node(sim, i);
    }
    (void)run_until(sim, sim_now(sim) + sim->options.duration_ns, NULL);
    check_liveness(sim);
    sim_check_end(sim);
    if (sim->has_failed) {
        return false; /* Left as it is: taking broken nodes apart could hide what was found. */
    }
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        spate_node_destroy(sim->nodes[i].node);
        spate_store_image_destroy(sim->nodes[i].image);
        spate_snapshots_image_clear(&sim->nodes[i].snapshot);
    }
    spate_net_sim_destroy(sim->network);
    return true;
}
