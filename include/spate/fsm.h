/*
 * The state machine that an embedder gives to a node. It sees every committed command exactly
 * once per process life, in the order of the log, from one thread.
 */
#ifndef SPATE_FSM_H
#define SPATE_FSM_H

#include "spate/error.h"
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

    /*
     * Snapshots: all six functions, or none of them. Without them a core keeps its whole log, and
     * a core that has lost what the others no longer keep cannot be brought in.
     *
     * Thread: all of them on the apply stage, like apply(), and never two at once. A save goes on
     * between calls of apply(): what save_read() hands out is the state as it was at save_begin(),
     * however much has been applied since. One save or one restore at a time.
     */

    /* Freezes the present state for reading. Must be quick, whatever the size of the state.
     * SPATE_ERR_BUSY: not now; any other error ends the core. */
    spate_err (*save_begin)(struct spate_fsm *fsm);

    /* Writes up to `capacity` bytes of the frozen state to `to`, going on where the last call
     * stopped, and returns how many; 0: that was all. Must be quick. Equal states may be saved as
     * different bytes; the bytes are kept for later versions of the program, so version them. */
    uint32_t (*save_read)(struct spate_fsm *fsm, uint8_t *to, uint32_t capacity);

    /* The frozen state is no longer needed, whether all of it was read or not. */
    void (*save_end)(struct spate_fsm *fsm);

    /*
     * Begins to build the state that a save made at `index`. Until restore_end() the present state
     * stays as it is. An error from this or the next two ends the core: they mean that the bytes
     * are not what save_read() wrote (SPATE_ERR_MALFORMED), or do not fit this state machine as it
     * is configured here (SPATE_ERR_MISMATCH).
     */
    spate_err (*restore_begin)(struct spate_fsm *fsm, spate_index index);

    /* Takes the next `size` bytes; borders have nothing to do with those of save_read(). */
    spate_err (*restore_write)(struct spate_fsm *fsm, const uint8_t *bytes, uint32_t size);

    /* All bytes were given: the restored state takes the place of the present one as a whole.
     * With is_complete false what was built is thrown away, and the answer does not matter. */
    spate_err (*restore_end)(struct spate_fsm *fsm, bool is_complete);
};

#ifdef __cplusplus
}
#endif

#endif
