#include "statistics.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

struct statistics statistics_of(double values[], uint32_t count)
{
    double sum = 0;
    double squares = 0;

    qsort(values, count, sizeof *values, by_value);
    for (uint32_t i = 0; i < count; i++) {
        sum += values[i];
    }
    const double mean = sum / count;
    for (uint32_t i = 0; i < count; i++) {
        squares += (values[i] - mean) * (values[i] - mean);
    }
    const double deviation = count > 1 ? sqrt(squares / (count - 1)) : 0;
    return (struct statistics){
        .min = values[0],
        .median =
            count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2,
        .max = values[count - 1],
        .mean = mean,
        .variation = mean != 0 ? deviation / mean : 0,
    };
}

bool statistics_is_noisy(const struct statistics *statistics)
{
    return statistics->variation > NOISY_VARIATION;
}
