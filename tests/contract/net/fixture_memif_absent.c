/* This build has no DPDK: nobody asks for memif. */
#include "fixture.h"

bool pair_open_memif(struct pair *pair, struct spate_address addresses[2])
{
    (void)pair;
    (void)addresses;
    return false;
}
