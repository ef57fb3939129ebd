#include <math.h>

#include "bench/report/results.h"

/* Lines per halving of the distance to 100 %, as HdrHistogram's own tools write. */
#define TICKS_PER_HALF 5.0

/* The next percentile to report: steps halve as often as the distance to 100 does. */
static double next_tick(double percentile)
{
    const double halvings = floor(log2(100 / (100 - percentile))) + 1;
    return percentile + 100 / (TICKS_PER_HALF * pow(2, halvings));
}

void bench_hgrm_write(const struct spate_histogram *histogram, double scale, FILE *to)
{
    const double total = (double)spate_histogram_count(histogram);
    uint32_t cursor = 0;
    uint64_t value = 0;
    uint64_t count = 0;
    uint64_t seen = 0;
    double tick = 0;

    (void)fprintf(to, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
                  "1/(1-Percentile)");
    while (spate_histogram_next(histogram, &cursor, &value, &count)) {
        seen += count;
        while ((double)seen < total && tick <= 100 * (double)seen / total) {
            (void)fprintf(to, "%12.3f %2.12f %10llu %14.2f\n", (double)value / scale, tick / 100,
                          (unsigned long long)seen, 1 / (1 - tick / 100));
            tick = next_tick(tick);
        }
    }
    if (seen > 0) {
        (void)fprintf(to, "%12.3f %2.12f %10llu\n", (double)value / scale, 1.0,
                      (unsigned long long)seen);
    }
    (void)fprintf(to, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n",
                  spate_histogram_mean(histogram) / scale,
                  spate_histogram_deviation(histogram) / scale);
    (void)fprintf(to, "#[Max     = %12.3f, Total count    = %12llu]\n",
                  (double)spate_histogram_max(histogram) / scale,
                  (unsigned long long)spate_histogram_count(histogram));
    /* The layout of lib/base/histogram: 26 buckets of 2,048. */
    (void)fprintf(to, "#[Buckets = %12u, SubBuckets     = %12u]\n", 26u, 2048u);
}
