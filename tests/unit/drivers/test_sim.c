/* Each kind of weather of the simulated network, seen from its ends; and that a seed is a fate. */
#include "support/test.h"

#include <string.h>

#include "net/sim/sim.h"

#define SENT 2000u
#define US   1000u
#define MS   1000000u

/* What arrived of SENT numbered frames. */
struct arrivals {
    uint32_t count;
    uint32_t times[SENT];     /* How often each came. */
    uint32_t order[2 * SENT]; /* Which came when. */
    spate_time_ns at[2 * SENT];
    uint64_t trace; /* A hash of all that. */
};

static struct spate_net_sim *open_network(uint64_t seed, struct spate_net *nets[2])
{
    const struct spate_net_sim_options options = {.seed = seed, .endpoints = 2};
    struct spate_net_sim *network = NULL;

    assert_int_equal(spate_net_sim_create(&options, &network), SPATE_OK);
    for (uint32_t i = 0; i < 2; i++) {
        const struct spate_address other = spate_net_sim_address(1 - i);
        nets[i] = spate_net_sim_open(network, i);
        assert_int_equal(nets[i]->ops->set_peer(nets[i], 1 - i, &other), SPATE_OK);
    }
    return network;
}

static void close_network(struct spate_net_sim *network, struct spate_net *nets[2])
{
    nets[0]->ops->close(nets[0]);
    nets[1]->ops->close(nets[1]);
    spate_net_sim_destroy(network);
}

static void send_number(struct spate_net *net, uint32_t number)
{
    struct spate_frame frame;

    assert_int_equal(net->ops->reserve(net, 1, &frame, 1), SPATE_OK);
    frame.size = 1000;
    memset(frame.data, 0, 1000);
    memcpy(frame.data, &number, sizeof number);
    net->ops->tx(net, &frame, 1);
}

static void note_arrivals(struct spate_net *net, spate_time_ns now, struct arrivals *arrivals)
{
    struct spate_frame frames[SPATE_BURST_MAX];
    uint32_t got = 0;

    while ((got = net->ops->rx(net, frames, SPATE_BURST_MAX)) > 0) {
        for (uint32_t i = 0; i < got; i++) {
            uint32_t number = 0;
            memcpy(&number, frames[i].data, sizeof number);
            assert_true(number < SENT);
            assert_true(arrivals->count < 2 * SENT);
            arrivals->times[number]++;
            arrivals->order[arrivals->count] = number;
            arrivals->at[arrivals->count++] = now;
            arrivals->trace = (arrivals->trace ^ number ^ (now << 20)) * 0x100000001b3u;
        }
        net->ops->release(net, frames, got);
    }
}

/* Up to `until`, stopping whenever something is due. */
static void run_until(struct spate_net_sim *network, spate_time_ns until, struct spate_net *to,
                      struct arrivals *arrivals)
{
    while (spate_net_sim_next_run_at(network) <= until) {
        const spate_time_ns now = spate_net_sim_next_run_at(network);
        spate_net_sim_run(network, now);
        note_arrivals(to, now, arrivals);
    }
    spate_net_sim_run(network, until);
}

static void run_to_the_end(struct spate_net_sim *network, struct spate_net *to,
                           struct arrivals *arrivals)
{
    run_until(network, SPATE_TIME_NEVER - 1, to, arrivals);
}

/* One frame each 10 us from 0 to 1 through `weather`. */
static struct arrivals travel(uint64_t seed, const struct spate_net_sim_link *weather)
{
    struct arrivals arrivals = {0};
    struct spate_net *nets[2];
    struct spate_net_sim *network = open_network(seed, nets);

    spate_net_sim_set_link(network, 0, 1, weather);
    for (uint32_t number = 0; number < SENT; number++) {
        const spate_time_ns now = number * 10u * US;
        run_until(network, now, nets[1], &arrivals);
        send_number(nets[0], number);
    }
    run_to_the_end(network, nets[1], &arrivals);
    close_network(network, nets);
    return arrivals;
}

static uint32_t overtakings(const struct arrivals *arrivals)
{
    uint32_t found = 0;
    for (uint32_t i = 1; i < arrivals->count; i++) {
        found += arrivals->order[i] < arrivals->order[i - 1];
    }
    return found;
}

static void good_weather_delivers_each_once_in_order(void **state)
{
    (void)state;
    const struct arrivals arrivals = travel(1, &(struct spate_net_sim_link){0});

    assert_int_equal(arrivals.count, SENT);
    for (uint32_t i = 0; i < SENT; i++) {
        assert_int_equal(arrivals.order[i], i);
    }
}

/* 2,000 frames at 20 %: 400 are expected with a deviation of 18; the seeds are fixed. */
static void loss_loses_about_its_share(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        const struct arrivals arrivals =
            travel(seed, &(struct spate_net_sim_link){.loss_ppm = 200000});
        assert_in_range(SENT - arrivals.count, 310, 490);
        assert_int_equal(overtakings(&arrivals), 0);
    }
}

static void duplication_delivers_about_its_share_twice(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        const struct arrivals arrivals =
            travel(seed, &(struct spate_net_sim_link){.duplicate_ppm = 200000});
        assert_in_range(arrivals.count - SENT, 310, 490);
        for (uint32_t i = 0; i < SENT; i++) {
            assert_in_range(arrivals.times[i], 1, 2);
        }
    }
}

static void a_replay_comes_later_and_within_its_bound(void **state)
{
    (void)state;
    const struct spate_net_sim_link weather = {.replay_ppm = 100000, .replay_ns_max = 5 * MS};
    const struct arrivals arrivals = travel(1, &weather);
    uint32_t late = 0;

    assert_in_range(arrivals.count - SENT, 120, 280);
    for (uint32_t i = 0; i < arrivals.count; i++) {
        const spate_time_ns sent_at = arrivals.order[i] * 10u * US;
        assert_true(arrivals.at[i] <= sent_at + 5 * MS);
        late += arrivals.at[i] > sent_at + 10 * US;
    }
    assert_true(late > 100);
}

static void delay_has_a_least_and_a_mean(void **state)
{
    (void)state;
    const struct spate_net_sim_link weather = {
        .delay_ns_min = 100 * US, .delay_ns_mean = 50 * US, .reorder_ppm = 1000000};
    const struct arrivals arrivals = travel(1, &weather);
    uint64_t sum = 0;

    assert_int_equal(arrivals.count, SENT);
    for (uint32_t i = 0; i < arrivals.count; i++) {
        const spate_time_ns delay = arrivals.at[i] - arrivals.order[i] * 10u * US;
        assert_true(delay >= 100 * US);
        assert_true(delay <= 500 * US); /* Eight means are the end. */
        sum += delay;
    }
    /* The mean of 2,000 exponential parts deviates by 1.1 us. */
    assert_in_range(sum / SENT, 144 * US, 156 * US);
    assert_true(overtakings(&arrivals) > 100);
}

static void without_reordering_delay_keeps_the_order(void **state)
{
    (void)state;
    const struct arrivals arrivals =
        travel(1, &(struct spate_net_sim_link){.delay_ns_mean = 200 * US});
    assert_int_equal(arrivals.count, SENT);
    assert_int_equal(overtakings(&arrivals), 0);
}

/* 1,000 bytes each 10 us are 100 MB/s; half of that passes 50 MB/s, one frame in 20 us. */
static void capacity_spaces_frames_and_a_full_queue_drops_the_tail(void **state)
{
    (void)state;
    const struct spate_net_sim_link endless = {.bytes_per_s = 50000000};
    const struct spate_net_sim_link bounded = {.bytes_per_s = 50000000, .queue_ns_max = MS};
    struct arrivals arrivals = travel(1, &endless);

    assert_int_equal(arrivals.count, SENT);
    for (uint32_t i = 1; i < arrivals.count; i++) {
        assert_int_equal(arrivals.at[i] - arrivals.at[i - 1], 20 * US);
    }
    arrivals = travel(1, &bounded);
    assert_in_range(arrivals.count, SENT / 2, SENT / 2 + 60);
    for (uint32_t i = 0; i < arrivals.count; i++) {
        assert_true(arrivals.at[i] - arrivals.order[i] * 10u * US <= MS + 20 * US);
    }
}

/* A cut loses what is sent while it lasts, in its direction, and nothing that is in flight. */
static void a_cut_is_one_way_and_ends(void **state)
{
    (void)state;
    struct arrivals there = {0};
    struct arrivals back = {0};
    struct spate_net *nets[2];
    struct spate_net_sim *network = open_network(1, nets);
    struct spate_frame frame;

    spate_net_sim_set_link(network, 0, 1, &(struct spate_net_sim_link){.delay_ns_min = MS});
    send_number(nets[0], 0);
    spate_net_sim_cut(network, 0, 1, true);
    send_number(nets[0], 1);
    assert_int_equal(nets[1]->ops->reserve(nets[1], 0, &frame, 1), SPATE_OK);
    frame.size = 8;
    memset(frame.data, 0, 8);
    nets[1]->ops->tx(nets[1], &frame, 1);
    spate_net_sim_cut(network, 0, 1, false);
    send_number(nets[0], 2);
    run_to_the_end(network, nets[1], &there);
    note_arrivals(nets[0], MS, &back);
    assert_int_equal(there.count, 2);
    assert_int_equal(there.order[0], 0);
    assert_int_equal(there.order[1], 2);
    assert_int_equal(back.count, 1);
    close_network(network, nets);
}

static void a_clog_keeps_everything_until_its_end(void **state)
{
    (void)state;
    struct arrivals arrivals = {0};
    struct spate_net *nets[2];
    struct spate_net_sim *network = open_network(1, nets);

    spate_net_sim_clog(network, 0, 1, 50 * MS);
    for (uint32_t number = 0; number < 10; number++) {
        send_number(nets[0], number);
    }
    spate_net_sim_run(network, 50 * MS - 1);
    note_arrivals(nets[1], 50 * MS - 1, &arrivals);
    assert_int_equal(arrivals.count, 0);
    spate_net_sim_run(network, 50 * MS);
    note_arrivals(nets[1], 50 * MS, &arrivals);
    assert_int_equal(arrivals.count, 10);
    assert_int_equal(overtakings(&arrivals), 0);
    close_network(network, nets);
}

static void a_seed_is_a_fate(void **state)
{
    (void)state;
    const struct spate_net_sim_link storm = {
        .delay_ns_min = 20 * US,
        .delay_ns_mean = 100 * US,
        .loss_ppm = 50000,
        .duplicate_ppm = 50000,
        .replay_ppm = 20000,
        .replay_ns_max = 3 * MS,
        .reorder_ppm = 100000,
        .bytes_per_s = 200000000,
        .queue_ns_max = 2 * MS,
    };
    uint64_t before = 0;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        const uint64_t once = travel(seed, &storm).trace;
        assert_int_equal(travel(seed, &storm).trace, once);
        assert_int_not_equal(once, before);
        before = once;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_weather_delivers_each_once_in_order),
        cmocka_unit_test(loss_loses_about_its_share),
        cmocka_unit_test(duplication_delivers_about_its_share_twice),
        cmocka_unit_test(a_replay_comes_later_and_within_its_bound),
        cmocka_unit_test(delay_has_a_least_and_a_mean),
        cmocka_unit_test(without_reordering_delay_keeps_the_order),
        cmocka_unit_test(capacity_spaces_frames_and_a_full_queue_drops_the_tail),
        cmocka_unit_test(a_cut_is_one_way_and_ends),
        cmocka_unit_test(a_clog_keeps_everything_until_its_end),
        cmocka_unit_test(a_seed_is_a_fate),
    };
    return cmocka_run_group_tests_name("drivers/sim", tests, NULL, NULL);
}
