#include "bench/pairs.h"

#include <stdlib.h>

void bench_pairs_print(const struct spate_histogram *histogram, FILE *to)
{
    uint32_t cursor = 0;
    uint64_t value = 0;
    uint64_t count = 0;

    while (spate_histogram_next(histogram, &cursor, &value, &count)) {
        (void)fprintf(to, " %llu:%llu", (unsigned long long)value, (unsigned long long)count);
    }
}

bool bench_pairs_read(const char *text, struct spate_histogram *histogram)
{
    while (text[0] == ' ' && text[1] != '\0') {
        char *rest = NULL;
        const uint64_t value = strtoull(text + 1, &rest, 10);
        if (*rest != ':' || rest == text + 1) {
            return false;
        }
        const char *count = rest + 1;
        spate_histogram_record(histogram, value, strtoull(count, &rest, 10));
        if (rest == count) {
            return false;
        }
        text = rest;
    }
    return text[0] == '\0' || (text[0] == ' ' && text[1] == '\0');
}
