#include "kv/counting.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"

static void apply(struct spate_fsm *fsm, const struct spate_command commands[], uint32_t count,
                  uint64_t results[])
{
    struct spate_counting *counting = (struct spate_counting *)fsm;
    uint64_t total = atomic_load_explicit(&counting->count, memory_order_relaxed);
    uint32_t digest = atomic_load_explicit(&counting->digest, memory_order_relaxed);

    spate_assert(commands != NULL);
    for (uint32_t i = 0; i < count; i++) {
        /* The size goes in too: moving bytes from one command to the next must show. */
        uint8_t size[sizeof(uint32_t)];

        spate_put_u32(size, commands[i].size);
        digest = spate_crc32c(digest, size, sizeof size);
        digest = spate_crc32c(digest, commands[i].data, commands[i].size);
        total++;
        results[i] = total;
    }
    atomic_store_explicit(&counting->digest, digest, memory_order_relaxed);
    atomic_store_explicit(&counting->count, total, memory_order_release);
}

static spate_index applied(struct spate_fsm *fsm)
{
    (void)fsm;
    return 0;
}

void spate_counting_init(struct spate_counting *counting)
{
    spate_assert(counting != NULL);
    counting->fsm = (struct spate_fsm){.apply = apply, .applied = applied};
    atomic_init(&counting->count, 0);
    atomic_init(&counting->digest, 0);
}

uint64_t spate_counting_count(const struct spate_counting *counting)
{
    return atomic_load_explicit(&counting->count, memory_order_acquire);
}

uint32_t spate_counting_digest(const struct spate_counting *counting)
{
    return atomic_load_explicit(&counting->digest, memory_order_acquire);
}
