#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "support/test.h"

#define STEP_NS (20 * US)

static spate_time_ns world_now(struct spate_clock *clock)
{
    struct world *world = (struct world *)clock;
    const spate_time_ns now = world->stalled_at != 0 ? world->stalled_at : world->hub->now;

    world->stalled_at = 0;
    return now;
}

struct world *world_create(uint32_t count, uint64_t seed)
{
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    world->clock.now = world_now;
    world->hub = tiny_hub_create(seed);
    world->hub->now = 1;
    world->count = count;
    world->frame_bytes = 9000;
    world->log_budget_bytes = 64u << 20;
    return world;
}

void world_start(struct world *world, uint32_t i)
{
    struct world_node *self = &world->nodes[i];
    struct spate_link_options link = {
        .net = tiny_hub_open(world->hub, i, world->frame_bytes),
        .self = i + 1,
        .session = 0x1000 + ++world->sessions,
        .insecure_peers = SPATE_INSECURE_PEERS_ANY,
        .peer_count = world->count,
    };
    struct spate_node_options options = {
        .self = i + 1,
        .session = link.session,
        .seed = link.session * 77,
        .clock = &world->clock,
        .reclaim = spate_reclaim_immediate(),
        .fsm = &self->counting.fsm,
        .log_budget_bytes = world->log_budget_bytes,
        .election_timeout_ns_min = 10 * MSEC,
        .election_timeout_ns_max = 20 * MSEC,
        .heartbeat_ns = 2 * MSEC,
        .apply_is_threaded = world->apply_is_threaded,
        .lease_enabled = world->lease_enabled,
        .sample_every = world->sample_every,
    };

    assert_false(self->is_up);
    for (uint32_t p = 0; p < world->count; p++) {
        link.peers[p].id = p + 1;
        options.membership.members[p] = (struct spate_member){.id = p + 1, .is_voter = true};
    }
    options.membership.count = world->count;
    spate_counting_init(&self->counting);
    self->store = tiny_store_open(&self->image, SPATE_DURABILITY_DISK);
    self->store->delay_polls = world->store_delay_polls;
    self->store->busy_ppm = world->store_busy_ppm;
    options.store = &self->store->store;
    assert_int_equal(spate_link_create(&link, &options.link), SPATE_OK);
    assert_int_equal(spate_node_create(&options, &self->node), SPATE_OK);
    free(self->client.seen);
    self->client = (struct world_client){.seen = calloc(1, WORLD_RESULTS_MAX)};
    assert_int_equal(spate_node_open_port(self->node, 0, &self->client.port), SPATE_OK);
    self->is_up = true;
}

void world_start_all(struct world *world)
{
    for (uint32_t i = 0; i < world->count; i++) {
        world_start(world, i);
    }
}

void world_stop(struct world *world, uint32_t i)
{
    spate_node_destroy(world->nodes[i].node);
    world->nodes[i].node = NULL;
    world->nodes[i].is_up = false;
}

void world_destroy(struct world *world)
{
    for (uint32_t i = 0; i < world->count; i++) {
        world_stop(world, i);
        tiny_image_destroy(&world->nodes[i].image);
        free(world->nodes[i].client.seen);
    }
    tiny_hub_destroy(world->hub);
    free(world);
}

static void take_results(struct world_client *client)
{
    struct spate_result results[64];
    uint32_t count;

    while ((count = spate_port_results(client->port, results, 64)) > 0) {
        for (uint32_t r = 0; r < count; r++) {
            assert_in_range(results[r].cookie, 1, client->proposed);
            assert_int_equal(client->seen[results[r].cookie % WORLD_RESULTS_MAX], 0);
            client->seen[results[r].cookie % WORLD_RESULTS_MAX] = 1;
            client->outcomes++;
            client->ok += results[r].status == SPATE_OK;
            client->not_ready += results[r].status == SPATE_ERR_NOT_READY;
            client->unknown += results[r].status == SPATE_ERR_UNKNOWN;
            client->last = results[r];
        }
    }
}

static void turn(struct world_node *self)
{
    uint32_t work = 1;

    for (uint32_t n = 0; work > 0 && n < 8; n++) {
        assert_int_equal(spate_node_poll(self->node, &work), SPATE_OK);
    }
}

void world_run(struct world *world, uint64_t ns)
{
    const spate_time_ns until = world->hub->now + ns;

    while (world->hub->now < until) {
        for (uint32_t i = 0; i < world->count; i++) {
            if (world->nodes[i].is_up) {
                turn(&world->nodes[i]);
                if (world->apply_is_threaded) {
                    (void)spate_node_apply(world->nodes[i].node);
                }
                take_results(&world->nodes[i].client);
            }
        }
        world->hub->now += STEP_NS;
    }
}

struct spate_node_status world_status(struct world *world, uint32_t i)
{
    struct spate_node_status status;

    spate_node_status(world->nodes[i].node, &status);
    return status;
}

/* For people, when a test fails. */
static void describe(struct world *world)
{
    for (uint32_t i = 0; i < world->count; i++) {
        if (world->nodes[i].is_up) {
            const struct spate_node_status status = world_status(world, i);
            print_message(
                "# node %u: role %d term %llu leader %u received %llu durable %llu commit "
                "%llu applied %llu first %llu used %llu fetches %llu missed %llu\n",
                i + 1, (int)status.raft.role, (unsigned long long)status.raft.term,
                status.raft.leader, (unsigned long long)status.raft.received,
                (unsigned long long)status.raft.durable, (unsigned long long)status.raft.commit,
                (unsigned long long)status.applied, (unsigned long long)status.log_first,
                (unsigned long long)status.log_used_bytes, (unsigned long long)status.fetches,
                (unsigned long long)status.fetches_missed);
        }
    }
}

uint32_t world_elect(struct world *world)
{
    for (uint32_t round = 0; round < 1000; round++) {
        world_run(world, 2 * MSEC);
        for (uint32_t i = 0; i < world->count; i++) {
            uint32_t followers = 0;
            if (!world->nodes[i].is_up || world_status(world, i).raft.role != SPATE_ROLE_LEADER) {
                continue;
            }
            for (uint32_t j = 0; j < world->count; j++) {
                followers += world->nodes[j].is_up && world_status(world, j).raft.leader == i + 1 &&
                             world_status(world, j).raft.term == world_status(world, i).raft.term;
            }
            if (followers > world->count / 2) {
                return i;
            }
        }
    }
    describe(world);
    fail_msg("no leader within two seconds");
    return 0;
}

bool world_propose(struct world *world, uint32_t i, uint32_t size)
{
    static uint8_t bytes[SPATE_ENTRY_BYTES_MAX];
    struct world_client *client = &world->nodes[i].client;

    for (uint32_t b = 0; b < 16 && b < size; b++) {
        bytes[b] = (uint8_t)(client->proposed >> (b % 8));
    }
    if (spate_port_propose(client->port, client->proposed + 1, bytes, size)) {
        return false;
    }
    client->proposed++;
    return true;
}

void world_submit(struct world *world, uint32_t i)
{
    spate_port_submit(world->nodes[i].client.port);
}

bool world_settle(struct world *world, uint32_t i, uint64_t ns)
{
    const struct world_client *client = &world->nodes[i].client;

    for (uint64_t passed = 0; passed < ns && client->outcomes < client->proposed; passed += MSEC) {
        world_run(world, MSEC);
    }
    return client->outcomes == client->proposed;
}

void world_converge(struct world *world)
{
    uint64_t most = 0;

    for (uint32_t round = 0; round < 2000; round++) {
        bool is_equal = true;
        world_run(world, 2 * MSEC);
        for (uint32_t i = 0; i < world->count; i++) {
            const uint64_t count = spate_counting_count(&world->nodes[i].counting);
            most = world->nodes[i].is_up && count > most ? count : most;
        }
        for (uint32_t i = 0; i < world->count; i++) {
            is_equal &=
                !world->nodes[i].is_up || spate_counting_count(&world->nodes[i].counting) == most;
        }
        if (is_equal) {
            break;
        }
        if (round == 1999) {
            describe(world);
        }
    }
    for (uint32_t i = 0; i < world->count; i++) {
        if (world->nodes[i].is_up) {
            assert_int_equal(spate_counting_count(&world->nodes[i].counting), most);
            for (uint32_t j = 0; j < i; j++) {
                if (world->nodes[j].is_up) {
                    assert_int_equal(spate_counting_digest(&world->nodes[i].counting),
                                     spate_counting_digest(&world->nodes[j].counting));
                }
            }
        }
    }
}
