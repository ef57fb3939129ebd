/*
 * The state machine that an embedder gives to a node. It sees every committed command exactly
 * once per process life, in the order of the log, from one thread.
 */
#ifndef SPATE_FSM_H
#define SPATE_FSM_H

#include "spate/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A committed command. `data` is valid during the call only. */
struct spate_command {
    spate_index index;
    spate_term term;
    uint32_t size;
    const uint8_t *data;
};

/* A state machine: the functions that a core calls, filled in by the embedder. */
struct spate_fsm {
    /*
     * Applies `count` commands in order and sets results[i] to the answer of each, which its
     * proposer gets. The same commands in the same order must give the same state and the same
     * answers on every node: no clock, no random numbers, no pointers' values.
     *
     * Thread: the apply stage (the node thread, or the apply thread when there is one).
     */
    void (*apply)(struct spate_fsm *fsm, const struct spate_command commands[], uint32_t count,
                  uint64_t results[]);

    /* The index up to which the state survives a restart by itself; 0: it lives in memory and is
     * rebuilt by applying the log from its beginning. Called once, before the first apply. */
    spate_index (*applied)(struct spate_fsm *fsm);
};

#ifdef __cplusplus
}
#endif

#endif
