/* The checksum without instructions that only some processors have: for its tests. */
#ifndef SPATE_NET_DPDK_STACK_CHECKSUM_INTERNAL_H
#define SPATE_NET_DPDK_STACK_CHECKSUM_INTERNAL_H

#include "checksum.h"

uint64_t spate_sum_bytes_portable(uint64_t sum, const uint8_t *bytes, uint32_t size);

#endif
