/* Two endpoints of the driver under test, and frames whose bytes can be recognized. */
#ifndef SPATE_CONTRACT_NET_FIXTURE_H
#define SPATE_CONTRACT_NET_FIXTURE_H

#include "net/net.h"
#include "support/test.h"

struct pair {
    struct spate_net *net[2];
    struct spate_net_sim *network; /* NULL: not the simulator. */
    spate_time_ns now;
};

/* "socket4", "socket6", "large" (65,000 bytes), "plain" (no segments), "sim", "memif"; then
 * ",checked". */
bool pair_choose(const char *name);
struct pair *pair_create(void);
void pair_destroy(struct pair *pair);

/* Whether endpoints hear nobody but their peers. */
bool pair_is_point_to_point(void);

/* fixture_memif.c */
bool pair_open_memif(struct pair *pair, struct spate_address addresses[2]);

/* Every byte follows from the mark and its place; the first is the mark itself. */
void fill(struct spate_frame *frame, uint32_t size, uint32_t mark);
bool has_pattern(const struct spate_frame *frame, uint32_t mark);

/* Sends one frame from endpoint `from` to the other. */
void send_pattern(struct pair *pair, uint32_t from, uint32_t size, uint32_t mark);

/* Waits until `count` frames are there, in as many bursts as it takes. */
uint32_t receive(struct pair *pair, uint32_t at, struct spate_frame frames[], uint32_t count);

#endif
