#include "client/client.h"

#include "base/assert.h"

#define DELAY_NS_MIN 5000000u
#define DELAY_NS_MAX 500000000u

void spate_client_init(struct spate_client *client, uint32_t core_count, uint64_t seed)
{
    spate_assert(core_count >= 1);
    spate_assert(core_count <= SPATE_CLIENT_CORES_MAX);

    *client = (struct spate_client){.core_count = core_count};
    spate_prng_seed(&client->prng, seed, 1);
    client->session = spate_prng_next(&client->prng) | 1;
}

void spate_client_begin(struct spate_client *client, spate_time_ns deadline)
{
    client->sequence++;
    client->attempt = 0;
    client->deadline = deadline;
}

uint32_t spate_client_target(const struct spate_client *client)
{
    spate_assert(client->core < client->core_count);
    return client->core;
}

/* Doubles from attempt to attempt; half of it is drawn, so that clients do not come in step. */
static spate_time_ns delay_of(struct spate_client *client)
{
    uint64_t delay = DELAY_NS_MIN;
    for (uint32_t a = 1; a < client->attempt && delay < DELAY_NS_MAX; a++) {
        delay *= 2;
    }
    delay = delay < DELAY_NS_MAX ? delay : DELAY_NS_MAX;
    return delay / 2 + spate_prng_below(&client->prng, delay / 2 + 1);
}

enum spate_client_verdict spate_client_answered(struct spate_client *client,
                                                enum spate_client_answer answer, spate_time_ns now,
                                                spate_time_ns *ret_delay_ns)
{
    spate_assert(client->core < client->core_count);
    spate_assert(client->sequence >= 1);

    if (answer == SPATE_CLIENT_SERVED) {
        return SPATE_CLIENT_DONE;
    }
    /* Any other answer is a reason to look elsewhere: a core without a leader may be cut off. */
    client->core = (client->core + 1) % client->core_count;
    client->attempt++;
    const bool is_first_round =
        answer == SPATE_CLIENT_UNREACHABLE && client->attempt < client->core_count;
    const spate_time_ns delay = is_first_round ? 0 : delay_of(client);
    if (now >= client->deadline || delay > client->deadline - now) {
        return SPATE_CLIENT_GIVE_UP;
    }
    *ret_delay_ns = delay;
    return SPATE_CLIENT_RETRY;
}
