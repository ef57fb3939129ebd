/* The state machine of a measured core: one that counts, or the key-value machine with its data. */
#ifndef SPATE_BENCH_MACHINE_H
#define SPATE_BENCH_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "kv/counting.h"
#include "kv/kv.h"

struct machine {
    struct spate_counting counting;
    struct spate_kv *kv; /* NULL: the other one. */
    uint64_t keys;       /* That a load goes through in turn; 0: commands are arbitrary bytes. */
};

/* keys: 0 for the one that counts. False: out of memory. */
bool machine_open(struct machine *machine, uint64_t keys);
void machine_close(struct machine *machine);

struct spate_fsm *machine_fsm(struct machine *machine);

/* What was applied, to be compared between cores: how far, and a digest. */
uint64_t machine_applied(const struct machine *machine);
uint32_t machine_digest(const struct machine *machine);

/*
 * Makes a command with `payload_bytes` of contents in `to`, and returns its size. *ret_number_at:
 * where eight bytes tell one command from the other: of keys they are the key.
 */
uint32_t machine_command(const struct machine *machine, uint32_t payload_bytes, uint8_t *to,
                         uint32_t *ret_number_at);

#endif
