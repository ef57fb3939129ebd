/* CRC-32C (Castagnoli, RFC 3720 appendix B.4), with the processor's instruction where it has one.
 */
#ifndef SPATE_BASE_CRC32C_H
#define SPATE_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * Extends `crc` (0 to begin with) by `size` bytes. The empty extension returns `crc`.
 *
 * Thread: any.
 */
uint32_t spate_crc32c(uint32_t crc, const void *data, size_t size);

/* The portable version, for tests that compare the two. */
uint32_t spate_crc32c_portable(uint32_t crc, const void *data, size_t size);

#endif
