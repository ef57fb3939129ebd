/*
 * What goes wrong, and when. Each seed turns about half of the kinds of trouble off, because some
 * bugs show only where another trouble is absent, and draws the strength of the others.
 */
#include "sim.h"

static bool coin(struct spate_prng *prng)
{
    return spate_prng_below(prng, 2) == 0;
}

/* Between min and max, each order of magnitude as likely as the next. */
static uint64_t log_uniform(struct spate_prng *prng, uint64_t min, uint64_t max)
{
    uint64_t bound = min;
    while (bound < max && spate_prng_below(prng, 4) != 0) {
        bound *= 2;
    }
    bound = bound < max ? bound : max;
    return spate_prng_between(prng, min, bound);
}

static void draw_weather(struct spate_net_sim_link *weather, struct spate_prng *prng)
{
    weather->delay_ns_min = log_uniform(prng, 10 * SIM_US, 5 * SIM_MS);
    weather->delay_ns_mean = log_uniform(prng, 10 * SIM_US, 10 * SIM_MS);
    weather->loss_ppm = coin(prng) ? (uint32_t)log_uniform(prng, 1000, 200000) : 0;
    weather->duplicate_ppm = coin(prng) ? (uint32_t)log_uniform(prng, 1000, 300000) : 0;
    weather->replay_ppm = coin(prng) ? (uint32_t)log_uniform(prng, 1000, 50000) : 0;
    weather->replay_ns_max = log_uniform(prng, 50 * SIM_MS, 5 * SIM_S);
    weather->reorder_ppm = coin(prng) ? (uint32_t)log_uniform(prng, 1000, 1000000) : 0;
}

/* The members change: five nodes, of which some found the cluster. */
static void draw_churn(struct sim *sim)
{
    static const uint32_t founders[] = {1, 1, 3, 3, 3, 5};
    struct sim_options *options = &sim->options;
    struct spate_prng *churn = &sim->churn;

    spate_prng_seed(churn, options->seed, 7);
    sim->churn_at = SPATE_TIME_NEVER;
    if (!options->has_churn) {
        return;
    }
    options->founders = founders[spate_prng_below(churn, SPATE_ARRAY_COUNT(founders))];
    options->nodes = SIM_NODES_MAX;
    options->churn_every_ns = log_uniform(churn, 20 * SIM_MS, 2 * SIM_S);
    sim->churn_at = 2 * SIM_S;
}

/* What leases have to fear: clocks that run apart, nodes that stall, links that are cut. */
static void draw_leases(struct sim *sim)
{
    struct sim_options *options = &sim->options;

    if (!options->has_leases) {
        return;
    }
    spate_prng_seed(&sim->leases, options->seed, 9);
    options->lease_enabled = true;
    options->drift_ppm = 100000;
    options->pause_every_ns = log_uniform(&sim->leases, 200 * SIM_MS, 2 * SIM_S);
    options->cut_every_ns = log_uniform(&sim->leases, 200 * SIM_MS, 2 * SIM_S);
    options->propose_every_ns = log_uniform(&sim->leases, 5 * SIM_MS, 100 * SIM_MS);
}

void sim_draw_options(struct sim *sim, const struct sim_options *wanted)
{
    static const uint32_t sizes[] = {3, 3, 3, 5, 5, 1};
    struct sim_options *options = &sim->options;
    struct spate_prng draw;

    *options = *wanted;
    spate_prng_seed(&draw, wanted->seed, 1);
    spate_prng_seed(&sim->weather, wanted->seed, 2);
    spate_prng_seed(&sim->disk, wanted->seed, 3);
    spate_prng_seed(&sim->process, wanted->seed, 4);
    spate_prng_seed(&sim->load, wanted->seed, 5);
    const uint32_t drawn_nodes = sizes[spate_prng_below(&draw, 6)];
    options->nodes = wanted->nodes != 0 ? wanted->nodes : drawn_nodes;
    options->founders = options->nodes;
    options->propose_every_ns = log_uniform(&draw, 2 * SIM_MS, 50 * SIM_MS);
    options->large_ppm = coin(&draw) ? 20000 : 0;
    options->append_count_max = coin(&draw) ? (uint32_t)spate_prng_between(&draw, 1, 5) : 0;
    options->lease_enabled = coin(&draw);
    options->drift_ppm = coin(&draw) ? 100000 : 0;
    if (wanted->duration_ns == 0) {
        options->duration_ns = spate_prng_between(&draw, 5, 20) * SIM_S;
    }
    /* Tables have an end: long runs propose more rarely. */
    const spate_time_ns rarest = options->duration_ns / (SIM_PROPOSALS_MAX / 4);
    options->propose_every_ns =
        options->propose_every_ns > rarest ? options->propose_every_ns : rarest;
    options->disk_ns_mean = log_uniform(&draw, 20 * SIM_US, 20 * SIM_MS);
    if (wanted->is_calm) {
        options->weather.delay_ns_min = 50 * SIM_US;
    } else {
        draw_weather(&options->weather, &draw);
        options->disk_busy_ppm = coin(&draw) ? (uint32_t)log_uniform(&draw, 1000, 300000) : 0;
        options->crash_every_ns = coin(&draw) ? log_uniform(&draw, 300 * SIM_MS, 5 * SIM_S) : 0;
        options->cut_every_ns = coin(&draw) ? log_uniform(&draw, 300 * SIM_MS, 5 * SIM_S) : 0;
        options->pause_every_ns = coin(&draw) ? log_uniform(&draw, 300 * SIM_MS, 5 * SIM_S) : 0;
        options->clog_every_ns = coin(&draw) ? log_uniform(&draw, 100 * SIM_MS, 5 * SIM_S) : 0;
    }
    /* A stream of its own, so that older seeds still mean what they meant. */
    spate_prng_seed(&draw, wanted->seed, 6);
    if (!wanted->is_calm && coin(&draw)) {
        options->snapshot_entries = log_uniform(&draw, 1, 300);
        options->snapshot_keep_entries = log_uniform(&draw, 1, 100);
    }
    draw_churn(sim);
    draw_leases(sim);
    sim_draw_forgetting(sim);
    const spate_time_ns begin = SIM_S;
    sim->crash_at = options->crash_every_ns != 0 ? begin : SPATE_TIME_NEVER;
    sim->cut_at = options->cut_every_ns != 0 ? begin : SPATE_TIME_NEVER;
    sim->pause_at = options->pause_every_ns != 0 ? begin : SPATE_TIME_NEVER;
    sim->clog_at = options->clog_every_ns != 0 ? begin : SPATE_TIME_NEVER;
    sim->heal_at = SPATE_TIME_NEVER;
    sim->propose_at = begin;
}

static uint32_t any_node(struct sim *sim)
{
    return (uint32_t)spate_prng_below(&sim->process, sim->options.nodes);
}

/* A leader half of the time, if there is one: what happens to it matters most. */
static uint32_t victim(struct sim *sim)
{
    const uint32_t drawn = any_node(sim);
    const bool wants_leader = coin(&sim->process);
    for (uint32_t i = 0; i < sim->options.nodes && wants_leader; i++) {
        if (sim->nodes[i].is_up && sim->nodes[i].was_leader) {
            return i;
        }
    }
    return drawn;
}

static void crash(struct sim *sim)
{
    const uint32_t i = victim(sim);
    if (!sim->nodes[i].is_up || !sim_may_crash(sim, i)) {
        return;
    }
    sim_crash_node(sim, i);
    sim_forget(sim, i);
    sim->nodes[i].restart_at =
        sim_now(sim) + sim_exponential(&sim->process, coin(&sim->process) ? 20 * SIM_MS : SIM_S);
}

/* For a while a node gets no time: between two turns or, where leases are at stake, half of the
 * time within one, behind its look at the clock. */
static void pause_node(struct sim *sim)
{
    const spate_time_ns pause_ns = sim_exponential(&sim->process, 300 * SIM_MS);
    struct sim_node *node = &sim->nodes[victim(sim)];

    if (sim->options.has_leases && node->paused_until <= sim_now(sim) && coin(&sim->leases)) {
        node->clock.stalled_at = sim_clock_now(&node->clock);
    }
    node->paused_until = sim_now(sim) + pause_ns;
}

/* Cuts some directions: a node off, halves, one direction only, or any matrix. */
static void cut(struct sim *sim)
{
    const uint32_t kind = (uint32_t)spate_prng_below(&sim->process, 4);
    const uint32_t who = victim(sim);
    const uint64_t sides = spate_prng_next(&sim->process);

    for (uint32_t a = 0; a < sim->options.nodes; a++) {
        for (uint32_t b = 0; b < sim->options.nodes; b++) {
            const bool is_cut = kind == 0   ? (a == who) != (b == who)
                                : kind == 1 ? ((sides >> a ^ sides >> b) & 1) != 0
                                : kind == 2 ? a == who && b != who
                                            : spate_prng_below(&sim->process, 3) == 0;
            spate_net_sim_cut(sim->network, a, b, is_cut && a != b);
        }
    }
    sim->cuts++;
    sim->heal_at = sim_now(sim) +
                   sim_exponential(&sim->process, sim->options.has_leases ? 300 * SIM_MS : SIM_S);
}

static void mend_cuts(struct sim *sim)
{
    for (uint32_t a = 0; a < sim->options.nodes; a++) {
        for (uint32_t b = 0; b < sim->options.nodes; b++) {
            spate_net_sim_cut(sim->network, a, b, false);
        }
    }
    sim->heal_at = SPATE_TIME_NEVER;
}

/* Whether it is time; if so draws the next one. */
static bool is_due(struct sim *sim, spate_time_ns *at, spate_time_ns mean)
{
    if (*at > sim_now(sim)) {
        return false;
    }
    *at = sim_now(sim) + sim_exponential(&sim->process, mean);
    return true;
}

void sim_do_faults(struct sim *sim)
{
    const struct sim_options *options = &sim->options;

    for (uint32_t i = 0; i < options->nodes; i++) {
        if (!sim->nodes[i].is_up && sim->nodes[i].restart_at <= sim_now(sim)) {
            sim_start_node(sim, i);
        }
    }
    if (sim->heal_at <= sim_now(sim)) {
        mend_cuts(sim);
    }
    if (is_due(sim, &sim->crash_at, options->crash_every_ns)) {
        crash(sim);
    }
    if (is_due(sim, &sim->cut_at, options->cut_every_ns)) {
        cut(sim);
    }
    if (is_due(sim, &sim->pause_at, options->pause_every_ns)) {
        pause_node(sim);
    }
    if (is_due(sim, &sim->clog_at, options->clog_every_ns)) {
        spate_net_sim_clog(sim->network, any_node(sim), any_node(sim),
                           sim_now(sim) + sim_exponential(&sim->process, 500 * SIM_MS));
    }
    if (is_due(sim, &sim->churn_at, options->churn_every_ns)) {
        sim_churn(sim);
    }
    if (is_due(sim, &sim->propose_at, options->propose_every_ns)) {
        sim_propose(sim, (uint32_t)spate_prng_below(&sim->load, options->nodes));
        sim_read(sim, (uint32_t)spate_prng_below(&sim->load, options->nodes));
    }
}

spate_time_ns sim_next_fault(const struct sim *sim)
{
    const spate_time_ns all[] = {sim->heal_at, sim->crash_at,   sim->cut_at,  sim->pause_at,
                                 sim->clog_at, sim->propose_at, sim->churn_at};
    spate_time_ns next = SPATE_TIME_NEVER;
    for (unsigned f = 0; f < sizeof all / sizeof all[0]; f++) {
        next = all[f] < next ? all[f] : next;
    }
    return next;
}

void sim_heal(struct sim *sim)
{
    const struct spate_net_sim_link fair = {.delay_ns_min = 100 * SIM_US,
                                            .delay_ns_mean = 100 * SIM_US};

    mend_cuts(sim);
    sim->crash_at = SPATE_TIME_NEVER;
    sim->cut_at = SPATE_TIME_NEVER;
    sim->pause_at = SPATE_TIME_NEVER;
    sim->clog_at = SPATE_TIME_NEVER;
    sim->propose_at = SPATE_TIME_NEVER;
    sim->churn_at = SPATE_TIME_NEVER;
    sim->options.disk_ns_mean = 200 * SIM_US;
    for (uint32_t i = 0; i < sim->options.nodes; i++) {
        sim->nodes[i].paused_until = 0;
        for (uint32_t j = 0; j < sim->options.nodes; j++) {
            spate_net_sim_set_link(sim->network, i, j, &fair);
            spate_net_sim_clog(sim->network, i, j, 0);
        }
        if (!sim->nodes[i].is_up) {
            sim_start_node(sim, i);
        }
    }
}
