/* Clients and the state machine: each command has a number of its own, so that every outcome can be
 * held against what was applied. */
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mix.h"
#include "node/node_internal.h"
#include "sim.h"

#define COMMAND_BYTES_MAX 20000u

/* Never 0. */
static uint64_t hash_of(const uint8_t *data, uint32_t size)
{
    uint64_t id = 0;
    memcpy(&id, data, size < sizeof id ? size : sizeof id);
    return (uint64_t)spate_crc32c(0, data, size) << 32 | (id + 1);
}

void sim_propose(struct sim *sim, uint32_t i)
{
    static uint8_t command[COMMAND_BYTES_MAX];
    struct sim_node *node = &sim->nodes[i];
    const uint64_t id = sim->proposal_count;
    const bool is_large = spate_prng_chance_ppm(&sim->load, sim->options.large_ppm);
    const uint32_t size =
        is_large ? COMMAND_BYTES_MAX : (uint32_t)spate_prng_between(&sim->load, sizeof id, 200);

    if (!node->is_up) {
        return;
    }
    memset(command, (int)(id & 0xff), size);
    memcpy(command, &id, sizeof id);
    if (spate_port_propose(node->port, id, command, size) == SPATE_OK) {
        sim->proposals[id] = (struct sim_proposal){.outcome = SIM_OPEN};
        sim->proposal_count++;
        spate_port_submit(node->port);
    }
}

void sim_read(struct sim *sim, uint32_t i)
{
    struct sim_node *node = &sim->nodes[i];

    if (!node->is_up || sim->read_count == SIM_READS_MAX) {
        return;
    }
    if (spate_port_read(node->port, SIM_READ_COOKIE + sim->read_count) == SPATE_OK) {
        sim->read_floors[sim->read_count] = sim->committed_last;
        sim->read_count++;
        spate_port_submit(node->port);
    }
}

/* Linearizability: what was committed anywhere before a read was asked is seen by it. (That is more
 * than what was acknowledged to a client by then.) */
static void take_read(struct sim *sim, uint32_t i, const struct spate_result *result)
{
    const uint64_t number = result->cookie - SIM_READ_COOKIE;

    if (result->status != SPATE_OK) {
        return;
    }
    sim->reads_ok++;
    if (result->index < sim->read_floors[number] ||
        sim->nodes[i].node->apply.applied < result->index) {
        sim_fail(sim, "node %u reads at %llu, but %llu was committed before", i + 1,
                 (unsigned long long)result->index, (unsigned long long)sim->read_floors[number]);
    }
}

static void take_outcome(struct sim *sim, const struct spate_result *result)
{
    struct sim_proposal *proposal = &sim->proposals[result->cookie];

    if (proposal->outcome != SIM_OPEN) {
        sim_fail(sim, "proposal %llu has two outcomes", (unsigned long long)result->cookie);
        return;
    }
    if (result->status == SPATE_OK) {
        proposal->outcome = SIM_OK;
        sim->outcomes_ok++;
        if (proposal->applied_at != result->index || sim->committed[result->index] == 0) {
            sim_fail(sim, "proposal %llu was acknowledged at %llu, but applied at %llu",
                     (unsigned long long)result->cookie, (unsigned long long)result->index,
                     (unsigned long long)proposal->applied_at);
        }
        return;
    }
    proposal->outcome = result->status == SPATE_ERR_UNKNOWN ? SIM_MAYBE : SIM_REFUSED;
    if (proposal->outcome == SIM_REFUSED && proposal->applied_at != 0) {
        sim_fail(sim, "proposal %llu was refused, but is applied at %llu",
                 (unsigned long long)result->cookie, (unsigned long long)proposal->applied_at);
    }
}

void sim_take_outcomes(struct sim *sim, uint32_t i)
{
    struct spate_result results[32];
    uint32_t count = 0;

    while ((count = spate_port_results(sim->nodes[i].port, results, 32)) > 0) {
        for (uint32_t r = 0; r < count; r++) {
            if (results[r].cookie >= SIM_READ_COOKIE) {
                take_read(sim, i, &results[r]);
            } else {
                take_outcome(sim, &results[r]);
            }
        }
    }
}

static void apply(struct spate_fsm *fsm, const struct spate_command commands[], uint32_t count,
                  uint64_t results[])
{
    struct sim_fsm *self = (struct sim_fsm *)fsm;
    struct sim *sim = self->sim;

    for (uint32_t c = 0; c < count && !sim->has_failed; c++) {
        const spate_index index = commands[c].index;
        const uint64_t hash = hash_of(commands[c].data, commands[c].size);
        const uint64_t id = (hash & UINT32_MAX) - 1;
        struct sim_proposal *proposal = &sim->proposals[id % SIM_PROPOSALS_MAX];

        results[c] = index;
        if (index <= self->applied || id >= sim->proposal_count) {
            sim_fail(sim, "node %u applies %llu after %llu", self->node + 1,
                     (unsigned long long)index, (unsigned long long)self->applied);
        } else if (sim->applied[index] != 0 && sim->applied[index] != hash) {
            sim_fail(sim, "node %u applies another command at %llu than others did", self->node + 1,
                     (unsigned long long)index);
        } else if (proposal->applied_at != 0 && proposal->applied_at != index) {
            sim_fail(sim, "proposal %llu is applied at %llu and at %llu", (unsigned long long)id,
                     (unsigned long long)proposal->applied_at, (unsigned long long)index);
        } else if (proposal->outcome == SIM_REFUSED) {
            sim_fail(sim, "proposal %llu is applied at %llu, but was refused",
                     (unsigned long long)id, (unsigned long long)index);
        }
        self->digest = spate_mix64(self->digest ^ hash ^ spate_mix64(index));
        if (sim->digests[index] != 0 && sim->digests[index] != self->digest) {
            sim_fail(sim, "node %u has another state at %llu than others had", self->node + 1,
                     (unsigned long long)index);
        }
        sim->digests[index] = self->digest;
        sim->applied[index] = hash;
        proposal->applied_at = index;
        self->applied = index;
    }
}

static spate_index applied(struct spate_fsm *fsm)
{
    (void)fsm;
    return 0;
}

static spate_err save_begin(struct spate_fsm *fsm)
{
    struct sim_fsm *self = (struct sim_fsm *)fsm;

    spate_put_u64(self->saved, self->applied);
    spate_put_u64(self->saved + 8, self->digest);
    self->saved_bytes = 0;
    return SPATE_OK;
}

/* In two pieces: a save is seldom done before the next command comes. */
static uint32_t save_read(struct spate_fsm *fsm, uint8_t *to, uint32_t capacity)
{
    struct sim_fsm *self = (struct sim_fsm *)fsm;

    if (self->saved_bytes == sizeof self->saved || capacity < 8) {
        return 0;
    }
    memcpy(to, self->saved + self->saved_bytes, 8);
    self->saved_bytes += 8;
    return 8;
}

static void save_end(struct spate_fsm *fsm)
{
    ((struct sim_fsm *)fsm)->saved_bytes = 0;
}

static spate_err restore_begin(struct spate_fsm *fsm, spate_index index)
{
    (void)index;
    ((struct sim_fsm *)fsm)->saved_bytes = 0;
    return SPATE_OK;
}

static spate_err restore_write(struct spate_fsm *fsm, const uint8_t *bytes, uint32_t size)
{
    struct sim_fsm *self = (struct sim_fsm *)fsm;

    if (size > sizeof self->saved - self->saved_bytes) {
        return SPATE_ERR_MALFORMED;
    }
    memcpy(self->saved + self->saved_bytes, bytes, size);
    self->saved_bytes += size;
    return SPATE_OK;
}

static spate_err restore_end(struct spate_fsm *fsm, bool is_complete)
{
    struct sim_fsm *self = (struct sim_fsm *)fsm;

    if (!is_complete || self->saved_bytes != sizeof self->saved) {
        return SPATE_ERR_MALFORMED;
    }
    self->applied = spate_get_u64(self->saved);
    self->digest = spate_get_u64(self->saved + 8);
    if (self->applied != 0 && self->sim->digests[self->applied] != self->digest) {
        sim_fail(self->sim, "node %u restores another state at %llu than others had",
                 self->node + 1, (unsigned long long)self->applied);
    }
    return SPATE_OK;
}

void sim_fsm_init(struct sim_fsm *fsm, struct sim *sim, uint32_t node)
{
    *fsm = (struct sim_fsm){.fsm = {.apply = apply,
                                    .applied = applied,
                                    .save_begin = save_begin,
                                    .save_read = save_read,
                                    .save_end = save_end,
                                    .restore_begin = restore_begin,
                                    .restore_write = restore_write,
                                    .restore_end = restore_end},
                            .sim = sim,
                            .node = node};
}
