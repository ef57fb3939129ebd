/*
 * Frames into a link with one connected peer and one that is not. The input is a row of
 * { how u8, type u8, size u16, bytes }: raw frames, or payloads behind a header that passes, so
 * that what stands behind the first checks is reached as well.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "link/link.h"
#include "support/tiny_net.h"
#include "target.h"

#define MSEC (1000u * 1000u)

struct pair {
    struct tiny_hub *hub;
    struct spate_link *links[2];
    uint8_t header[SPATE_LINK_HEADER_BYTES]; /* Of a frame from place 1. */
};

static bool keep_header(void *context, uint32_t from, uint32_t to, uint8_t *data, uint32_t size)
{
    (void)size;
    if (from == 1 && to == 0) {
        memcpy(context, data, SPATE_LINK_HEADER_BYTES);
    }
    return true;
}

static void turn(struct pair *pair, uint32_t i)
{
    struct spate_link_payload payloads[SPATE_BURST_MAX];
    const uint32_t count = spate_link_rx(pair->links[i], pair->hub->now, payloads, SPATE_BURST_MAX);

    for (uint32_t p = 0; p < count; p++) {
        spate_assert(payloads[p].from == 2 - i);
        spate_assert(payloads[p].size > 0);
        spate_assert(payloads[p].size <= SPATE_LINK_LARGE_BYTES_MAX);
    }
    spate_link_release(pair->links[i]);
    (void)spate_link_tick(pair->links[i], pair->hub->now);
    spate_link_flush(pair->links[i], pair->hub->now);
}

static void run(struct pair *pair, uint32_t turns)
{
    for (uint32_t i = 0; i < turns; i++) {
        turn(pair, 0);
        turn(pair, 1);
        pair->hub->now += MSEC / 50;
    }
}

static void start(struct pair *pair)
{
    pair->hub = tiny_hub_create(1);
    pair->hub->tap = keep_header;
    pair->hub->tap_context = pair->header;
    for (uint32_t i = 0; i < 2; i++) {
        struct spate_link_options options = {
            .net = tiny_hub_open(pair->hub, i, 2048),
            .self = i + 1,
            .session = 7 + i,
            .insecure_peers = SPATE_INSECURE_PEERS_LOCAL,
            .peer_count = 3,
            .peers = {{.id = 1}, {.id = 2}, {.id = 3}},
        };
        if (spate_link_create(&options, &pair->links[i]) != SPATE_OK) {
            abort();
        }
    }
    run(pair, 20);
}

/* One frame out of the input. Returns the bytes that it took up. */
static size_t inject(struct pair *pair, const uint8_t *data, size_t size)
{
    uint8_t frame[SPATE_LINK_OVERHEAD_BYTES + 2048] = {0};
    const uint8_t how = data[0];
    uint32_t bytes = spate_get_u16(data + 2) % 2048u;

    if (bytes > size - 4) {
        bytes = (uint32_t)size - 4;
    }
    if (how % 4 == 0) {
        tiny_hub_inject(pair->hub, how / 4 % 2 == 0 ? 1 : SPATE_PEER_NONE, 0, data + 4, bytes);
    } else {
        memcpy(frame, pair->header, SPATE_LINK_HEADER_BYTES);
        frame[5] = data[1];
        spate_put_u16(frame + 6, (uint16_t)bytes);
        memcpy(frame + SPATE_LINK_HEADER_BYTES, data + 4, bytes);
        tiny_hub_inject(pair->hub, 1, 0, frame, bytes + SPATE_LINK_OVERHEAD_BYTES);
    }
    return 4 + (size_t)bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pair pair;
    uint32_t frames = 0;

    start(&pair);
    uint8_t *large = spate_link_large_reserve(pair.links[0], 2, 20000);

    spate_assert(large != NULL);
    memset(large, 1, 20000);
    spate_link_large_wrote(pair.links[0], 2, 20000, pair.hub->now);
    while (size > 4 && frames < 64) {
        const size_t used = inject(&pair, data, size);

        data += used;
        size -= used;
        frames++;
        pair.hub->now += 10 * 1000;
        turn(&pair, 0);
    }
    /* Whatever came in, the true peer is served again. */
    run(&pair, 40);
    spate_link_destroy(pair.links[0]);
    spate_link_destroy(pair.links[1]);
    tiny_hub_destroy(pair.hub);
    return 0;
}
