/* usage: spate-log-growth [ENTRIES [PAYLOAD_BYTES]]: append cost at the ends of a long log. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/micro/log_growth.h"

int main(int argument_count, char **arguments)
{
    const uint64_t entries = argument_count > 1 ? strtoull(arguments[1], NULL, 10) : 100000000;
    const uint32_t payload_bytes =
        argument_count > 2 ? (uint32_t)strtoul(arguments[2], NULL, 10) : 64;

    for (uint32_t is_encoded = 0; is_encoded < 2; is_encoded++) {
        struct log_growth growth;
        if (!log_growth_measure(entries, payload_bytes, is_encoded != 0, &growth)) {
            (void)fprintf(stderr, "spate-log-growth: not enough memory, or arguments out of range "
                                  "(64000 entries or more, payload at most 1024)\n");
            return 1;
        }
        (void)printf("%-8s %" PRIu64 " entries of %u bytes: %.1f ns at the start, %.1f at the end, "
                     "%.1f overall; ratio %.3f; %.1f when memory is first touched\n",
                     is_encoded != 0 ? "encoded" : "staged", entries, payload_bytes,
                     growth.start_ns, growth.end_ns, growth.all_ns, growth.end_ns / growth.start_ns,
                     growth.first_touch_ns);
    }
    return 0;
}
