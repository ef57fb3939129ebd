/* The tables of the portable CRC-32C. */
#ifndef SPATE_BASE_CRC32C_INTERNAL_H
#define SPATE_BASE_CRC32C_INTERNAL_H

#include <stdint.h>

extern const uint32_t spate_crc32c_tables[8][256];

#endif
