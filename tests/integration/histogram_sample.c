/*
 * Writes FOLDER/sample.hgrm and sample.hlog as the harness does, and sample.txt, which says what
 * was recorded: a line "VALUE COUNT" for each value, and an empty line after each interval.
 */
#include <stdio.h>

#include "base/prng.h"
#include "bench/report/recorder.h"

#define INTERVALS 4u

static void record(struct spate_histogram *histogram, uint64_t value, uint64_t count, FILE *said)
{
    spate_histogram_record(histogram, value, count);
    (void)fprintf(said, "%llu %llu\n", (unsigned long long)value, (unsigned long long)count);
}

/* The first interval holds the edges of buckets, the second nothing, the others what looks like
 * latencies; the last also a count that needs more than 32 bits. */
static void fill(struct spate_histogram *histogram, uint32_t interval, FILE *said)
{
    struct spate_prng prng;

    spate_prng_seed(&prng, interval, 1);
    if (interval == 0) {
        record(histogram, 0, 1, said);
        for (uint32_t power = 0; power < 36; power++) {
            record(histogram, 1ull << power, power + 1, said);
            record(histogram, (1ull << power) - 1, 1, said);
        }
        record(histogram, (1ull << 36) - 1, 1, said);
    }
    for (uint32_t i = 0; interval > 1 && i < 20000; i++) {
        const uint64_t word = spate_prng_next(&prng);
        record(histogram, 4000 + (word >> 40 >> (word & 15)), 1 + (word >> 20 & 3), said);
    }
    if (interval == INTERVALS - 1) {
        record(histogram, 5000, 5000000000u, said);
    }
    (void)fputc('\n', said);
}

int main(int argument_count, char **arguments)
{
    struct bench_recorder recorder = {0};
    struct spate_histogram *histogram = NULL;
    char path[1024];

    if (argument_count != 2 || spate_histogram_create(&histogram) != SPATE_OK) {
        return 2;
    }
    (void)snprintf(path, sizeof path, "%s/sample.txt", arguments[1]);
    FILE *said = fopen(path, "we");
    bool is_done = said != NULL && bench_recorder_open(&recorder, arguments[1], "sample");
    for (uint32_t i = 0; is_done && i < INTERVALS; i++) {
        spate_histogram_reset(histogram);
        fill(histogram, i, said);
        bench_recorder_add(&recorder, histogram, 1.5);
    }
    is_done = bench_recorder_close(&recorder) && is_done;
    is_done = said != NULL && fclose(said) == 0 && is_done;
    spate_histogram_destroy(histogram);
    return is_done ? 0 : 1;
}
