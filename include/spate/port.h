/* The outcome of a proposal, and the port that it comes back through. */
#ifndef SPATE_PORT_H
#define SPATE_PORT_H

#include "spate/error.h"
#include "spate/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct spate_port; /* One client thread's way into a core. */

/* What became of one proposal. */
struct spate_result {
    uint64_t cookie; /* As given with the proposal. */
    spate_err
        status; /* OK: applied. NOT_READY, BUSY: not proposed, safe to repeat. UNKNOWN: maybe. */
    spate_index index; /* Where the command stands in the log; 0 when not OK. */
    uint64_t value;    /* The state machine's answer. */
};

#ifdef __cplusplus
}
#endif

#endif
