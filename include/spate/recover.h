/*
 * The way out when a majority of the members is gone for good: the data of one survivor becomes
 * that of a new cluster, with a new id and this core as its only member.
 *
 * It is an act of force: what the lost members had acknowledged and this one never received is
 * gone, and what this one had received and nobody acknowledged is kept. docs/operating.md says
 * which survivor to take.
 */
#ifndef SPATE_RECOVER_H
#define SPATE_RECOVER_H

#include "spate/error.h"
#include "spate/members.h"
#include "spate/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What to recover, and how. */
struct spate_recover_options {
    const char *directory;  /* The survivor's. No core may run on it. */
    uint8_t cluster_id[16]; /* Of the new cluster; not the old one. */
    const char *address;    /* Of this core in the new cluster. NULL: as the data has it. */
    bool is_dry_run;        /* Only says what it would do. */
};

/* What there is, and what becomes of it. */
struct spate_recovery {
    uint8_t cluster_id[16]; /* The old one. */
    spate_node_id id;
    uint64_t incarnation;       /* Stays: the new cluster id makes all that is old a stranger. */
    enum spate_disk disk;       /* Never AUTO. */
    spate_term term;            /* The highest that this core has heard of. */
    spate_index first;          /* Of the log that is kept. */
    struct spate_entry_id last; /* What survivors are compared by: the higher term, then index. */
    spate_index commit;         /* Known to be committed; what lies behind may have been, or not. */
    spate_index snapshot_index; /* 0: there is none. */
    spate_index membership_index;     /* 0: the founders', which are in the settings only. */
    struct spate_members before;      /* count 0: not known here. */
    struct spate_member_status after; /* The only member of the new cluster. */
    bool is_mute;      /* It had lost a part of its data, and not got all of it back. */
    bool is_done;      /* The directory is the new cluster's, now or since an earlier call. */
    char backup[1088]; /* Where the directory as it was lies, or will lie. */
};

/*
 * Recovers, or says what it would do. The new data is built beside the old, made durable, read back
 * and compared, and then takes the directory's name in one step; the old directory stays as the
 * backup. A crash leaves the one or the other; calling again completes it. The core then listens on
 * loopback addresses only, until spate_recover_finish().
 *
 * Errors: IN_USE (a core runs on it, or the backup's name is taken), NOT_FOUND (no core's data),
 *         INVALID (options; no address known; a mount point), CORRUPT, MISMATCH, PERMISSION, IO,
 *         UNSUPPORTED (the file system), NO_MEMORY. `message`, if not NULL, gets one line.
 */
SPATE_API spate_err spate_recover(const struct spate_recover_options *options,
                                  struct spate_recovery *ret_recovery, char *message,
                                  size_t message_bytes) SPATE_MUST_CHECK;

/* The operator has looked at the contents: from its next start on the core listens where it is told
 * to. Errors: IN_USE (a core runs on it), NOT_FOUND (nothing to finish), IO, PERMISSION. */
SPATE_API spate_err spate_recover_finish(const char *directory, char *message,
                                         size_t message_bytes) SPATE_MUST_CHECK;

/* Whether the directory was recovered and that is not finished: loopback addresses only. */
SPATE_API bool spate_recover_is_unfinished(const char *directory);

#ifdef __cplusplus
}
#endif

#endif
