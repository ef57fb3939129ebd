/*
 * Three cores in one process, over loopback: each holds a copy of a counter. Commands are added to
 * it through whichever core we like; in the end all three copies say the same.
 */
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <spate/spate.h>

#define CORES 3
#define ADDS  10000u

/* The state machine. Every core applies the same commands in the same order. */
struct counter {
    struct spate_fsm fsm; /* First, so that a pointer to it is a pointer to the counter. */
    _Atomic uint64_t sum;
};

static void counter_apply(struct spate_fsm *fsm, const struct spate_command commands[],
                          uint32_t count, uint64_t results[])
{
    struct counter *counter = (struct counter *)fsm;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t amount = 0;
        memcpy(&amount, commands[i].data, sizeof amount);
        results[i] = atomic_fetch_add(&counter->sum, amount) + amount;
    }
}

static spate_index counter_applied(struct spate_fsm *fsm)
{
    (void)fsm;
    return 0; /* It lives in memory: apply from the first entry. */
}

static struct spate *cores[CORES];
static struct spate_port *ports[CORES];
static struct counter counters[CORES];

static int open_cores(void)
{
    static const struct spate_member_options members[CORES] = {
        {.id = 1, .address = "127.0.0.1:17221"},
        {.id = 2, .address = "127.0.0.1:17222"},
        {.id = 3, .address = "127.0.0.1:17223"},
    };
    char message[256];

    for (int i = 0; i < CORES; i++) {
        counters[i].fsm = (struct spate_fsm){.apply = counter_apply, .applied = counter_applied};
        const struct spate_options options = {
            .id = members[i].id,
            .members = members,
            .member_count = CORES,
            .cluster_id = "counter example",
            .transport = SPATE_TRANSPORT_SOCKET,
            .insecure_peers = SPATE_INSECURE_LOCAL,
            .durability = SPATE_DURABILITY_MEMORY,
            .fsm = &counters[i].fsm,
        };
        if (spate_open(&options, &cores[i], message, sizeof message) ||
            spate_open_port(cores[i], 0, &ports[i]) || spate_start(cores[i])) {
            printf("core %d: %s\n", i + 1, message);
            return -1;
        }
    }
    return 0;
}

/* Adds one through `port` and waits for the outcome; repeats what was certainly not done. */
static spate_err add_one(struct spate_port *port, uint64_t *sum)
{
    const uint32_t amount = 1;
    struct spate_result result = {.status = SPATE_ERR_NOT_READY};

    for (int tries = 0; tries < 1000 && result.status == SPATE_ERR_NOT_READY; tries++) {
        struct pollfd readable = {.fd = spate_port_fd(port), .events = POLLIN};

        if (tries > 0) { /* No leader yet: the first election takes part of a second. */
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        }
        if (spate_propose(port, 0, &amount, sizeof amount)) {
            return SPATE_ERR_BUSY;
        }
        spate_submit(port);
        while (spate_results(port, &result, 1) == 0) {
            (void)poll(&readable, 1, -1);
        }
    }
    *sum = result.value;
    return result.status;
}

int main(void)
{
    uint64_t sum = 0;
    int failed = open_cores();

    for (unsigned i = 0; i < ADDS && !failed; i++) {
        const spate_err err = add_one(ports[i % CORES], &sum);
        if (err != SPATE_OK) {
            printf("add %u: %s\n", i + 1, spate_err_text(err));
            failed = 1;
        }
    }
    for (int i = 0; i < CORES && !failed; i++) {
        while (atomic_load(&counters[i].sum) < sum) { /* Followers learn of the last one at once. */
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        printf("core %d counts %llu\n", i + 1, (unsigned long long)counters[i].sum);
        failed = counters[i].sum != ADDS;
    }
    for (int i = 0; i < CORES; i++) {
        spate_close(cores[i]);
    }
    return failed ? 1 : 0;
}
