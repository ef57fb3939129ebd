/* The buffers: allocated at creation, lent as frames, returned in any order. */
#include <stdlib.h>

#include "base/assert.h"
#include "socket_internal.h"

spate_err spate_socket_slots_create(struct slot_pool *pool, uint32_t count, uint32_t stride,
                                    bool is_rx)
{
    spate_assert(stride % 64 == 0);
    *pool = (struct slot_pool){.count = count, .stride = stride};
    pool->bytes = aligned_alloc(64, (size_t)count * stride);
    pool->slots = calloc(count, sizeof *pool->slots);
    pool->free = calloc(count, sizeof(struct slot *));
    if (pool->bytes == NULL || pool->slots == NULL || pool->free == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        pool->slots[i] = (struct slot){.data = pool->bytes + (size_t)i * stride, .is_rx = is_rx};
        pool->free[count - 1 - i] = &pool->slots[i];
    }
    pool->free_count = count;
    return SPATE_OK;
}

void spate_socket_slots_destroy(struct slot_pool *pool)
{
    free(pool->bytes);
    free(pool->slots);
    free(pool->free);
    *pool = (struct slot_pool){0};
}

struct slot *spate_socket_slot_take(struct slot_pool *pool)
{
    spate_assert(pool->free_count > 0);
    struct slot *slot = pool->free[--pool->free_count];
    spate_assert(slot->lent == 0);
    return slot;
}

void spate_socket_slot_give(struct slot_pool *pool, struct slot *slot)
{
    spate_assert(slot->lent == 0);
    spate_assert(pool->free_count < pool->count);
    pool->free[pool->free_count++] = slot;
}

void spate_socket_frame_return(struct socket_net *socket, const struct spate_frame *frame)
{
    struct slot *slot = frame->owner;

    spate_assert(slot->lent > 0);
    if (--slot->lent == 0) {
        spate_socket_slot_give(slot->is_rx ? &socket->rx_pool : &socket->tx_pool, slot);
    }
}
