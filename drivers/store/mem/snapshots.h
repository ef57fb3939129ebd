/* Snapshots in memory: for cores in memory mode, for the simulator and for tests. */
#ifndef SPATE_DRIVERS_STORE_MEM_SNAPSHOTS_H
#define SPATE_DRIVERS_STORE_MEM_SNAPSHOTS_H

#include "store/snapshots.h"

/* What outlives the driver, as a disk would. */
struct spate_snapshots_image {
    uint8_t *bytes; /* The newest image. NULL: none. */
    uint64_t size;
    struct spate_entry_id last; /* Of its manifest. */
};

struct spate_snapshots_mem_options {
    uint8_t cluster_id[16];
    struct spate_snapshots_image *image; /* Outlives the driver. NULL: nothing outlives it. */
    uint64_t seed;
    uint32_t busy_ppm; /* How often begin, write and commit find no room. */
};

/* Errors: SPATE_ERR_NO_MEMORY; SPATE_ERR_CORRUPT: the image is damaged. */
spate_err spate_snapshots_mem_create(const struct spate_snapshots_mem_options *options,
                                     struct spate_snapshots **ret_snapshots) SPATE_MUST_CHECK;

/* Frees what is in an image. */
void spate_snapshots_image_clear(struct spate_snapshots_image *image);

#endif
