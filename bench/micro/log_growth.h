/* Does an append cost more when the log is long? (target P17) */
#ifndef SPATE_BENCH_MICRO_LOG_GROWTH_H
#define SPATE_BENCH_MICRO_LOG_GROWTH_H

#include <stdbool.h>
#include <stdint.h>

struct log_growth {
    double start_ns;       /* Per append, median over the first hundredth of the log … */
    double end_ns;         /* … and over the last … */
    double all_ns;         /* … and over all of it, in memory that was used before. */
    double first_touch_ns; /* The same over all of it while the kernel hands out the pages. */
};

/*
 * Appends `entries` entries of `payload_bytes` to a log that keeps all of them, published in
 * batches of 64; then five times resets it, appends as many again and compares the two ends. The
 * first time is not compared: what a page costs when it is first touched depends on the kernel and
 * on the machine below it. `is_encoded`: as blocks of encoded entries.
 * False: no memory (entries * (payload + 12 bytes)), fewer than 64,000 entries, payload > 1024.
 */
bool log_growth_measure(uint64_t entries, uint32_t payload_bytes, bool is_encoded,
                        struct log_growth *ret_growth);

#endif
