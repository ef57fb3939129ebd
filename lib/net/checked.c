/*
 * The checking decorator lends shadows: buffers of its own, each standing for one frame of the
 * inner driver. So it may overwrite a shadow the moment it is returned, while the inner driver
 * still owns the frame's bytes, and it sees whoever writes behind a frame's end or after its
 * return.
 *
 *     borrower <-- shadow (poisoned when free) -- copy --> inner frame --> driver
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "net/net.h"

#define SHADOWS     512u
#define GUARD_BYTES 8u
#define POISON      0xdb
#define GUARD       0xa5

struct shadow {
    bool is_lent;
    uint32_t poisoned_bytes; /* Of a free shadow: how much of it must still read as poison. */
    uint8_t *data;
    struct spate_frame inner;
};

struct checked {
    struct spate_net net;
    struct spate_net *inner;
    uint8_t *bytes;
    uint32_t free_count;
    struct shadow *free[SHADOWS];
    struct shadow shadows[SHADOWS];
};

static struct checked *checked_of(struct spate_net *net)
{
    return (struct checked *)net;
}

static void mirror_stats(struct checked *checked)
{
    struct spate_net_stats *to = &checked->net.stats;
    const struct spate_net_stats *from = &checked->inner->stats;

#define MIRROR(field)                                                                           \
    atomic_store_explicit(&to->field, atomic_load_explicit(&from->field, memory_order_relaxed), \
                          memory_order_relaxed)
    MIRROR(rx_frames);
    MIRROR(rx_bytes);
    MIRROR(rx_bursts);
    MIRROR(tx_frames);
    MIRROR(tx_bytes);
    MIRROR(tx_bursts);
    MIRROR(rx_dropped);
    MIRROR(tx_dropped);
#undef MIRROR
}

static bool is_filled(const uint8_t *bytes, uint32_t count, uint8_t with)
{
    return count == 0 || (bytes[0] == with && memcmp(bytes, bytes + 1, count - 1) == 0);
}

/* Gives out a shadow for `inner` as `frame`. */
static void lend(struct checked *checked, const struct spate_frame *inner,
                 struct spate_frame *frame)
{
    spate_assert(checked->free_count > 0);
    spate_assert(inner->capacity <= checked->net.frame_bytes_max);

    struct shadow *shadow = checked->free[--checked->free_count];
    spate_assert(!shadow->is_lent);
    /* Somebody wrote to a frame after returning it. */
    spate_assert(is_filled(shadow->data, shadow->poisoned_bytes, POISON));
    shadow->is_lent = true;
    shadow->inner = *inner;
    memset(shadow->data + inner->capacity, GUARD, GUARD_BYTES);
    *frame = *inner;
    frame->data = shadow->data;
    frame->owner = shadow;
}

/* Proves that `frame` is one that we lent and that it comes back for the first time. */
static struct shadow *take_back(struct checked *checked, const struct spate_frame *frame)
{
    const uintptr_t first = (uintptr_t)checked->shadows;
    const uintptr_t at = (uintptr_t)frame->owner;

    spate_assert(at >= first && at < first + sizeof checked->shadows);
    spate_assert((at - first) % sizeof(struct shadow) == 0);
    struct shadow *shadow = &checked->shadows[(at - first) / sizeof(struct shadow)];
    spate_assert(shadow->is_lent);
    spate_assert(frame->data == shadow->data);
    spate_assert(frame->capacity == shadow->inner.capacity);
    spate_assert(is_filled(shadow->data + frame->capacity, GUARD_BYTES, GUARD));
    return shadow;
}

static void bury(struct checked *checked, struct shadow *shadow)
{
    spate_assert(checked->free_count < SHADOWS);
    shadow->is_lent = false;
    shadow->poisoned_bytes = shadow->inner.capacity;
    memset(shadow->data, POISON, shadow->poisoned_bytes);
    checked->free[checked->free_count++] = shadow;
}

static uint32_t checked_rx(struct spate_net *net, struct spate_frame frames[], uint32_t count)
{
    struct checked *checked = checked_of(net);
    struct spate_frame inner[SPATE_BURST_MAX];

    spate_assert(count >= 1);
    spate_assert(count <= SPATE_BURST_MAX);
    const uint32_t room = checked->free_count < count ? checked->free_count : count;
    if (room == 0) {
        return 0;
    }
    const uint32_t taken = checked->inner->ops->rx(checked->inner, inner, room);
    spate_assert(taken <= room);
    for (uint32_t i = 0; i < taken; i++) {
        spate_assert(inner[i].size >= 1);
        spate_assert(inner[i].size <= inner[i].capacity);
        spate_assert(inner[i].peer < SPATE_PEERS_MAX || inner[i].peer == SPATE_PEER_NONE);
        lend(checked, &inner[i], &frames[i]);
        memcpy(frames[i].data, inner[i].data, inner[i].size);
    }
    mirror_stats(checked);
    return taken;
}

static spate_err checked_reserve(struct spate_net *net, spate_peer peer,
                                 struct spate_frame frames[], uint32_t count)
{
    struct checked *checked = checked_of(net);
    struct spate_frame inner[SPATE_BURST_MAX];

    spate_assert(peer < SPATE_PEERS_MAX);
    spate_assert(count >= 1);
    spate_assert(count <= SPATE_BURST_MAX);
    if (checked->free_count < count) {
        return SPATE_ERR_BUSY;
    }
    const spate_err err = checked->inner->ops->reserve(checked->inner, peer, inner, count);
    for (uint32_t i = 0; err == SPATE_OK && i < count; i++) {
        spate_assert(inner[i].capacity >= SPATE_FRAME_BYTES_MIN);
        spate_assert(inner[i].peer == peer);
        spate_assert(((uintptr_t)inner[i].data & 7) == 0);
        lend(checked, &inner[i], &frames[i]);
    }
    return err;
}

static void checked_tx(struct spate_net *net, struct spate_frame frames[], uint32_t count)
{
    struct checked *checked = checked_of(net);
    struct spate_frame inner[SPATE_BURST_MAX];

    spate_assert(count <= SPATE_BURST_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct shadow *shadow = take_back(checked, &frames[i]);
        spate_assert(frames[i].peer < SPATE_PEERS_MAX);
        spate_assert(frames[i].size >= 1);
        spate_assert(frames[i].size <= frames[i].capacity);
        inner[i] = shadow->inner;
        inner[i].peer = frames[i].peer;
        inner[i].size = frames[i].size;
        memcpy(inner[i].data, shadow->data, inner[i].size);
        bury(checked, shadow);
    }
    checked->inner->ops->tx(checked->inner, inner, count);
    mirror_stats(checked);
}

static void checked_release(struct spate_net *net, struct spate_frame frames[], uint32_t count)
{
    struct checked *checked = checked_of(net);
    struct spate_frame inner[SPATE_BURST_MAX];

    spate_assert(count <= SPATE_BURST_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct shadow *shadow = take_back(checked, &frames[i]);
        inner[i] = shadow->inner;
        bury(checked, shadow);
    }
    checked->inner->ops->release(checked->inner, inner, count);
}

static spate_err checked_set_peer(struct spate_net *net, spate_peer peer,
                                  const struct spate_address *address)
{
    struct checked *checked = checked_of(net);

    spate_assert(address != NULL);
    return checked->inner->ops->set_peer(checked->inner, peer, address);
}

static void checked_wait(struct spate_net *net, spate_time_ns timeout_ns)
{
    struct checked *checked = checked_of(net);

    checked->inner->ops->wait(checked->inner, timeout_ns);
}

static void checked_wake(struct spate_net *net)
{
    struct checked *checked = checked_of(net);

    checked->inner->ops->wake(checked->inner);
}

static bool checked_counter(struct spate_net *net, uint32_t place,
                            struct spate_net_counter *ret_counter)
{
    struct checked *checked = checked_of(net);

    return spate_net_counter(checked->inner, place, ret_counter);
}

static bool checked_notice(struct spate_net *net, struct spate_net_notice *ret_notice)
{
    struct checked *checked = checked_of(net);

    return spate_net_notice(checked->inner, ret_notice);
}

static void checked_close(struct spate_net *net)
{
    struct checked *checked = checked_of(net);

    if (checked == NULL) {
        return;
    }
    spate_assert(checked->free_count == SHADOWS); /* No frame is lent. */
    checked->inner->ops->close(checked->inner);
    free(checked->bytes);
    free(checked);
}

static const struct spate_net_ops checked_ops = {
    .name = "checked",
    .rx = checked_rx,
    .reserve = checked_reserve,
    .tx = checked_tx,
    .release = checked_release,
    .set_peer = checked_set_peer,
    .wait = checked_wait,
    .wake = checked_wake,
    .counter = checked_counter,
    .notice = checked_notice,
    .close = checked_close,
};

spate_err spate_net_checked_create(struct spate_net *inner, struct spate_net **ret_net)
{
    spate_assert(inner != NULL);
    spate_assert(inner->frame_bytes_max >= SPATE_FRAME_BYTES_MIN);
    spate_assert(inner->frame_bytes_max <= SPATE_FRAME_BYTES_MAX);

    const size_t stride = spate_round_up_8(inner->frame_bytes_max) + GUARD_BYTES;
    struct checked *checked = calloc(1, sizeof *checked);
    uint8_t *bytes = malloc(stride * SHADOWS);
    if (checked == NULL || bytes == NULL) {
        free(checked);
        free(bytes);
        return SPATE_ERR_NO_MEMORY;
    }
    checked->net.ops = &checked_ops;
    checked->net.frame_bytes_max = inner->frame_bytes_max;
    checked->inner = inner;
    checked->bytes = bytes;
    for (uint32_t i = 0; i < SHADOWS; i++) {
        checked->shadows[i].data = bytes + stride * i;
        checked->free[checked->free_count++] = &checked->shadows[i];
    }
    *ret_net = &checked->net;
    return SPATE_OK;
}
