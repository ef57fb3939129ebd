#include "kv/counting.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"

/*
 * What one command adds. Sums of single commands do not wait for each other, where one sum over all
 * of them would cost more than the rest of a commit's bookkeeping. The size goes in too: moving
 * bytes from one command to the next must show.
 */
static uint32_t digest_after(uint32_t digest, const struct spate_command *command)
{
    const uint32_t sum = spate_crc32c(command->size, command->data, command->size);

    /* Odd, so that nothing that was there is lost: the order of commands shows. */
    return (digest ^ sum) * 0x9e3779b1u + 1;
}

static void apply(struct spate_fsm *fsm, const struct spate_command commands[], uint32_t count,
                  uint64_t results[])
{
    struct spate_counting *counting = (struct spate_counting *)fsm;
    const uint64_t before = atomic_load_explicit(&counting->count, memory_order_relaxed);
    uint32_t digest = atomic_load_explicit(&counting->digest, memory_order_relaxed);

    spate_assert(commands != NULL);
    for (uint32_t i = 0; i < count; i++) {
        digest = digest_after(digest, &commands[i]);
        results[i] = before + i + 1;
    }
    atomic_store_explicit(&counting->digest, digest, memory_order_relaxed);
    atomic_store_explicit(&counting->count, before + count, memory_order_release);
}

static spate_index applied(struct spate_fsm *fsm)
{
    (void)fsm;
    return 0;
}

#define SAVED_VERSION 1u

static spate_err save_begin(struct spate_fsm *fsm)
{
    struct spate_counting *counting = (struct spate_counting *)fsm;

    spate_put_u32(counting->saved, SAVED_VERSION);
    spate_put_u32(counting->saved + 4, spate_counting_digest(counting));
    spate_put_u64(counting->saved + 8, spate_counting_count(counting));
    counting->saved_bytes = 0;
    return SPATE_OK;
}

static uint32_t save_read(struct spate_fsm *fsm, uint8_t *to, uint32_t capacity)
{
    struct spate_counting *counting = (struct spate_counting *)fsm;
    const uint32_t left = SPATE_COUNTING_SAVED_BYTES - counting->saved_bytes;
    const uint32_t bytes = left < capacity ? left : capacity;

    memcpy(to, counting->saved + counting->saved_bytes, bytes);
    counting->saved_bytes += bytes;
    spate_assert(counting->saved_bytes <= SPATE_COUNTING_SAVED_BYTES);
    return bytes;
}

static void save_end(struct spate_fsm *fsm)
{
    ((struct spate_counting *)fsm)->saved_bytes = 0;
}

static spate_err restore_begin(struct spate_fsm *fsm, spate_index index)
{
    spate_assert(index >= 1);
    ((struct spate_counting *)fsm)->saved_bytes = 0;
    return SPATE_OK;
}

static spate_err restore_write(struct spate_fsm *fsm, const uint8_t *bytes, uint32_t size)
{
    struct spate_counting *counting = (struct spate_counting *)fsm;

    if (size > SPATE_COUNTING_SAVED_BYTES - counting->saved_bytes) {
        return SPATE_ERR_MALFORMED;
    }
    memcpy(counting->saved + counting->saved_bytes, bytes, size);
    counting->saved_bytes += size;
    return SPATE_OK;
}

static spate_err restore_end(struct spate_fsm *fsm, bool is_complete)
{
    struct spate_counting *counting = (struct spate_counting *)fsm;
    const uint8_t *saved = counting->saved;

    if (!is_complete || counting->saved_bytes != SPATE_COUNTING_SAVED_BYTES) {
        return SPATE_ERR_MALFORMED;
    }
    if (spate_get_u32(saved) != SAVED_VERSION) {
        return SPATE_ERR_MISMATCH;
    }
    atomic_store_explicit(&counting->digest, spate_get_u32(saved + 4), memory_order_relaxed);
    atomic_store_explicit(&counting->count, spate_get_u64(saved + 8), memory_order_release);
    return SPATE_OK;
}

void spate_counting_init(struct spate_counting *counting)
{
    spate_assert(counting != NULL);
    counting->fsm = (struct spate_fsm){
        .apply = apply,
        .applied = applied,
        .save_begin = save_begin,
        .save_read = save_read,
        .save_end = save_end,
        .restore_begin = restore_begin,
        .restore_write = restore_write,
        .restore_end = restore_end,
    };
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
