/* Options that are right, for tests that make one of them wrong. */
#ifndef SPATE_TESTS_UNIT_API_FIXTURE_H
#define SPATE_TESTS_UNIT_API_FIXTURE_H

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "spate/spate.h"

struct tally {
    struct spate_fsm fsm;
    _Atomic uint64_t count;
};

static void tally_apply(struct spate_fsm *fsm, const struct spate_command commands[],
                        uint32_t count, uint64_t results[])
{
    struct tally *tally = (struct tally *)fsm;

    (void)commands;
    for (uint32_t i = 0; i < count; i++) {
        results[i] = atomic_fetch_add(&tally->count, 1) + 1;
    }
}

static spate_index tally_applied(struct spate_fsm *fsm)
{
    (void)fsm;
    return 0;
}

static struct tally tally = {.fsm = {.apply = tally_apply, .applied = tally_applied}};

/* Loopback addresses of this process's own, so that tests may run beside each other. */
static char addresses[3][32];
static struct spate_member_options members[3];

static inline void name_members(void)
{
    const unsigned pid = (unsigned)getpid();

    for (uint32_t i = 0; i < 3; i++) {
        (void)snprintf(addresses[i], sizeof addresses[i], "127.%u.%u.1:%u", 1 + pid / 250 % 250,
                       pid % 250, 17471 + i);
        members[i] = (struct spate_member_options){.id = i + 1, .address = addresses[i]};
    }
}

static inline struct spate_options right_options(uint32_t member_count)
{
    atomic_store(&tally.count, 0);
    name_members();
    return (struct spate_options){
        .id = 1,
        .members = members,
        .member_count = member_count,
        .cluster_id = "unit test",
        .insecure_peers = SPATE_INSECURE_LOCAL,
        .durability = SPATE_DURABILITY_MEMORY,
        .election_timeout_ns_min = 20000000,
        .election_timeout_ns_max = 40000000,
        .heartbeat_ns = 5000000,
        .fsm = &tally.fsm,
    };
}

#endif
