/* Where the time of a commit goes: one command in some hundreds is timed stage by stage. */
#ifndef SPATE_SAMPLE_H
#define SPATE_SAMPLE_H

#include "spate/types.h"

/* Commands of a port between two that are timed, when the options say nothing. */
#define SPATE_SAMPLE_EVERY_DEFAULT 256u
/* For the options: nothing is timed. */
#define SPATE_SAMPLE_NEVER UINT32_MAX

/* In the order in which they happen; one ends where the next begins. */
enum spate_stage {
    SPATE_STAGE_QUEUE,  /* In the port, until the core takes the command. */
    SPATE_STAGE_APPEND, /* Until it is in the log. */
    SPATE_STAGE_ENCODE, /* Until its message stands in a frame. */
    SPATE_STAGE_SEND,   /* Until the frame is sealed and handed to the network. */
    SPATE_STAGE_AWAY,   /* Wire, followers, own disk, wire: until the turn that completes it. */
    SPATE_STAGE_COMMIT, /* In that turn: frames opened and decoded, the engine's decision. */
    SPATE_STAGE_APPLY,  /* State machine, and outcomes published. */
    /* On a follower, and so a part of its leader's AWAY: from the message to its answer, sent. */
    SPATE_STAGE_FOLLOW,
    SPATE_STAGE_COUNT
};

/* One command; or, on a follower, one message: then only FOLLOW is measured. */
struct spate_sample {
    spate_index index;
    bool is_follower;
    uint64_t ns[SPATE_STAGE_COUNT];
};

#endif
