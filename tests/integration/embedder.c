/*
 * A program that embeds three cores on DPDK, as one that is linked with the installed library does:
 * they share one EAL, are driven by one thread, and add to a counter through each of them.
 * usage: embedder DIRECTORY
 */
#include <stdio.h>
#include <string.h>

#include <spate/spate.h>

#define CORES 3
#define ADDS  300u

struct counter {
    struct spate_fsm fsm;
    uint64_t sum;
};

static void apply(struct spate_fsm *fsm, const struct spate_command commands[], uint32_t count,
                  uint64_t results[])
{
    struct counter *counter = (struct counter *)fsm;

    for (uint32_t i = 0; i < count; i++) {
        counter->sum += commands[i].size;
        results[i] = counter->sum;
    }
}

static spate_index applied(struct spate_fsm *fsm)
{
    (void)fsm;
    return 0;
}

static struct spate *cores[CORES];
static struct spate_port *ports[CORES];
static struct counter counters[CORES];

static int open_cores(const char *device)
{
    static const struct spate_member_options members[CORES] = {
        {.id = 1, .address = "10.77.0.1:7209"},
        {.id = 2, .address = "10.77.0.2:7209"},
        {.id = 3, .address = "10.77.0.3:7209"},
    };
    char message[512];

    for (unsigned i = 0; i < CORES; i++) {
        counters[i].fsm = (struct spate_fsm){.apply = apply, .applied = applied};
        const struct spate_options options = {
            .id = members[i].id,
            .members = members,
            .member_count = CORES,
            .cluster_id = "embedder",
            .dpdk = {.device = device},
            .insecure_peers = SPATE_INSECURE_LOCAL,
            .durability = SPATE_DURABILITY_MEMORY,
            .fsm = &counters[i].fsm,
        };
        if (spate_open(&options, &cores[i], message, sizeof message) ||
            spate_open_port(cores[i], 0, &ports[i])) {
            printf("core %u: %s\n", i + 1, message);
            return -1;
        }
    }
    return 0;
}

static void poll_all(void)
{
    for (unsigned i = 0; i < CORES; i++) {
        if (spate_poll(cores[i], NULL)) {
            printf("core %u failed\n", i + 1);
        }
    }
}

/* Repeats what was certainly not done, until there is a leader. */
static spate_err add_one(struct spate_port *port)
{
    struct spate_result result = {.status = SPATE_ERR_NOT_READY};

    while (result.status == SPATE_ERR_NOT_READY) {
        if (spate_propose(port, 0, "x", 1)) {
            return SPATE_ERR_BUSY;
        }
        spate_submit(port);
        while (spate_results(port, &result, 1) == 0) {
            poll_all();
        }
    }
    return result.status;
}

static void print_status(unsigned core)
{
    struct spate_status status;
    struct spate_notice notice;

    spate_get_status(cores[core], &status);
    printf("core %u on %s %s counts %llu\n", core + 1, status.transport, status.device,
           (unsigned long long)counters[core].sum);
    while (spate_next_notice(cores[core], &notice)) {
        printf("core %u: %s\n", core + 1, notice.text);
    }
}

int main(int argument_count, char **arguments)
{
    char device[256];
    int failed = argument_count != 2;

    (void)snprintf(device, sizeof device, "memif:%s", failed ? "" : arguments[1]);
    failed = failed || open_cores(device);
    for (unsigned i = 0; i < ADDS && !failed; i++) {
        failed = add_one(ports[i % CORES]) != SPATE_OK;
    }
    for (unsigned i = 0; i < CORES && !failed; i++) {
        while (counters[i].sum < ADDS) {
            poll_all();
        }
        print_status(i);
    }
    for (unsigned i = 0; i < CORES; i++) {
        spate_close(cores[i]);
    }
    return failed ? 1 : 0;
}
