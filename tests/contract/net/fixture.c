#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#include "net/sim/sim.h"
#include "net/socket/socket.h"

static const char *driver;
static bool is_checked;

bool pair_choose(const char *name)
{
    static const char *const known[] = {"socket4", "socket6", "large", "plain", "sim", "memif"};
    static char copy[16];
    const char *comma = strchr(name, ',');
    const size_t bytes = comma != NULL ? (size_t)(comma - name) : strlen(name);

    is_checked = comma != NULL && strcmp(comma, ",checked") == 0;
    if (bytes >= sizeof copy) {
        return false;
    }
    memcpy(copy, name, bytes);
    for (size_t i = 0; i < SPATE_ARRAY_COUNT(known); i++) {
        if (strcmp(copy, known[i]) == 0) {
            driver = known[i];
        }
    }
    return driver != NULL;
}

static bool open_sockets(struct pair *pair, struct spate_address addresses[2])
{
    struct spate_net_socket_options options = {
        .frame_bytes_max = strcmp(driver, "large") == 0 ? SPATE_FRAME_BYTES_MAX : 0,
        .segmentation_avoided = strcmp(driver, "plain") == 0,
    };
    const char *any = strcmp(driver, "socket6") == 0 ? "[::1]:0" : "127.0.0.1:0";

    for (uint32_t i = 0; i < 2; i++) {
        if (spate_address_parse(any, &options.bind) != SPATE_OK ||
            spate_net_socket_create(&options, &pair->net[i]) != SPATE_OK) {
            return false;
        }
        spate_net_socket_address(pair->net[i], &addresses[i]);
    }
    return true;
}

static bool open_sim(struct pair *pair, struct spate_address addresses[2])
{
    const struct spate_net_sim_options options = {.seed = 1, .endpoints = 2};

    if (spate_net_sim_create(&options, &pair->network) != SPATE_OK) {
        return false;
    }
    for (uint32_t i = 0; i < 2; i++) {
        pair->net[i] = spate_net_sim_open(pair->network, i);
        addresses[i] = spate_net_sim_address(i);
    }
    return true;
}

bool pair_is_point_to_point(void)
{
    return strcmp(driver, "memif") == 0;
}

static bool open_pair(struct pair *pair, struct spate_address addresses[2])
{
    return strcmp(driver, "sim") == 0     ? open_sim(pair, addresses)
           : strcmp(driver, "memif") == 0 ? pair_open_memif(pair, addresses)
                                          : open_sockets(pair, addresses);
}

static uint32_t throw_away(struct spate_net *net)
{
    struct spate_frame frames[SPATE_BURST_MAX];
    const uint32_t got = net->ops->rx(net, frames, SPATE_BURST_MAX);

    net->ops->release(net, frames, got);
    return got;
}

/* Until a frame has come through each way: links come up and addresses are resolved by themselves.
 */
static void meet(struct pair *pair)
{
    uint32_t got[2] = {0, 0};

    while (got[0] == 0 || got[1] == 0) {
        for (uint32_t at = 0; at < 2; at++) {
            send_pattern(pair, at, 1, 0);
            got[1 - at] += throw_away(pair->net[1 - at]);
            pair->net[at]->ops->wait(pair->net[at], 1000000);
        }
    }
    while (throw_away(pair->net[0]) + throw_away(pair->net[1]) > 0) {
    }
}

struct pair *pair_create(void)
{
    struct pair *pair = calloc(1, sizeof *pair);
    struct spate_address addresses[2];

    if (pair == NULL || !open_pair(pair, addresses)) {
        return NULL;
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (is_checked && spate_net_checked_create(pair->net[i], &pair->net[i]) != SPATE_OK) {
            return NULL;
        }
        if (pair->net[i]->ops->set_peer(pair->net[i], 1 - i, &addresses[1 - i]) != SPATE_OK) {
            return NULL;
        }
    }
    if (pair_is_point_to_point()) {
        meet(pair);
    }
    return pair;
}

void pair_destroy(struct pair *pair)
{
    for (uint32_t i = 0; i < 2; i++) {
        pair->net[i]->ops->close(pair->net[i]);
    }
    spate_net_sim_destroy(pair->network);
    free(pair);
}

void fill(struct spate_frame *frame, uint32_t size, uint32_t mark)
{
    assert_true(size <= frame->capacity);
    frame->size = size;
    for (uint32_t i = 0; i < size; i++) {
        frame->data[i] = (uint8_t)(mark + i * 7);
    }
}

bool has_pattern(const struct spate_frame *frame, uint32_t mark)
{
    for (uint32_t i = 0; i < frame->size; i++) {
        if (frame->data[i] != (uint8_t)(mark + i * 7)) {
            return false;
        }
    }
    return true;
}

void send_pattern(struct pair *pair, uint32_t from, uint32_t size, uint32_t mark)
{
    struct spate_net *net = pair->net[from];
    struct spate_frame frame;

    assert_int_equal(net->ops->reserve(net, 1 - from, &frame, 1), SPATE_OK);
    fill(&frame, size, mark);
    net->ops->tx(net, &frame, 1);
}

uint32_t receive(struct pair *pair, uint32_t at, struct spate_frame frames[], uint32_t count)
{
    struct spate_net *net = pair->net[at];
    uint32_t got = 0;

    while (got < count) {
        if (pair->network != NULL) {
            spate_net_sim_run(pair->network, ++pair->now);
        }
        got += net->ops->rx(net, frames + got, count - got);
        if (got < count) {
            net->ops->wait(net, 1000000);
        }
    }
    return got;
}
