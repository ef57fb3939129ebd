/*
 * How a client talks to a cluster of which it knows some cores: which one to try, when to try
 * again, and under which (session, sequence), so that a repeated write takes effect once.
 *
 * No sockets inside: the caller carries requests out and reports what came of them.
 *
 *   begin -> target -> (send, wait) -> answered -> RETRY: target again, after the delay … DONE
 */
#ifndef SPATE_CLIENT_CLIENT_H
#define SPATE_CLIENT_CLIENT_H

#include "base/prng.h"
#include "base/types.h"

#define SPATE_CLIENT_CORES_MAX 16u

/* What a core answered, as far as it matters for what to do next. */
enum spate_client_answer {
    SPATE_CLIENT_SERVED,      /* The final answer, good or bad. */
    SPATE_CLIENT_NOT_READY,   /* Not proposed: safe to repeat anywhere. */
    SPATE_CLIENT_UNKNOWN,     /* Maybe proposed: repeat under the same sequence only. */
    SPATE_CLIENT_UNREACHABLE, /* No connection: the next core. */
};

enum spate_client_verdict {
    SPATE_CLIENT_DONE,    /* Show the answer. */
    SPATE_CLIENT_RETRY,   /* Ask spate_client_target() again, after the delay. */
    SPATE_CLIENT_GIVE_UP, /* The time is over. */
};

struct spate_client {
    uint32_t core_count;
    uint32_t core; /* Tried now; kept while it serves. */
    uint32_t attempt;
    uint64_t session; /* Of this client; not 0. */
    uint64_t sequence;
    spate_time_ns deadline;
    struct spate_prng prng;
};

/* Requires: 1 <= core_count <= SPATE_CLIENT_CORES_MAX. `seed` must differ between clients. */
void spate_client_init(struct spate_client *client, uint32_t core_count, uint64_t seed);

/* Begins a request that may take until `deadline`: a new sequence number. */
void spate_client_begin(struct spate_client *client, spate_time_ns deadline);

/* Which of the cores to ask. */
uint32_t spate_client_target(const struct spate_client *client);

/* *ret_delay_ns: how long to wait before trying again (exponential, with jitter, up to 500 ms). */
enum spate_client_verdict spate_client_answered(struct spate_client *client,
                                                enum spate_client_answer answer, spate_time_ns now,
                                                spate_time_ns *ret_delay_ns);

#endif
