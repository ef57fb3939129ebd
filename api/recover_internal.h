/* What recover.c and recover_build.c share: a survivor's data, and its successor. */
#ifndef SPATE_API_RECOVER_INTERNAL_H
#define SPATE_API_RECOVER_INTERNAL_H

#include "data_internal.h"

struct spate_survivor {
    char path[SPATE_DATA_PATH_BYTES];
    struct spate_store_identity identity;
    enum spate_disk disk;
    struct spate_data data;
    /* The log that counts, once the snapshot had its say: (base, last]. */
    struct spate_entry_id base, last;
    spate_index commit;
    spate_term term;
    struct spate_configs configs; /* now.count 0: not known here. */
};

/* Opens the data (which locks it), reads all of it, and finds out where it stands. */
spate_err spate_survivor_open(struct spate_survivor *survivor,
                              const struct spate_message_line *line);

/* The only member of the new cluster. */
spate_err spate_survivor_heir(const struct spate_survivor *survivor, const char *address,
                              const struct spate_message_line *line,
                              struct spate_member *ret_member);

/* Builds the new cluster's data in `path`: durable, and read back. */
spate_err spate_survivor_build(struct spate_survivor *survivor, const char *path,
                               const uint8_t cluster_id[16], const struct spate_member *heir,
                               const struct spate_message_line *line);

#endif
