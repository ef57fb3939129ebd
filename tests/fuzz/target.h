/* What every fuzz target defines. libFuzzer calls it, or replay.c does. */
#ifndef SPATE_FUZZ_TARGET_H
#define SPATE_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
