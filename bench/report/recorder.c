#include "bench/report/recorder.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "bench/report/results.h"

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static FILE *create(const struct bench_recorder *recorder, const char *ending)
{
    char path[sizeof recorder->path + 8];

    (void)snprintf(path, sizeof path, "%s%s", recorder->path, ending);
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        (void)fprintf(stderr, "\nspate bench: cannot write %s: %s\n", path, strerror(errno));
    }
    return file;
}

bool bench_recorder_open(struct bench_recorder *recorder, const char *directory, const char *stem)
{
    *recorder = (struct bench_recorder){.began_s = now_s()};
    if (spate_histogram_create(&recorder->all) != SPATE_OK) {
        (void)fprintf(stderr, "\nspate bench: out of memory\n");
        return false;
    }
    if (directory == NULL) {
        return true;
    }
    (void)snprintf(recorder->path, sizeof recorder->path, "%s/%s", directory, stem);
    recorder->hlog = create(recorder, ".hlog");
    if (recorder->hlog != NULL) {
        bench_hlog_begin(recorder->began_s, recorder->hlog);
    }
    return recorder->hlog != NULL;
}

void bench_recorder_add(struct bench_recorder *recorder, const struct spate_histogram *run,
                        double seconds)
{
    spate_histogram_merge(recorder->all, run);
    if (recorder->hlog != NULL) {
        const double start_s = fmax(0, now_s() - recorder->began_s - seconds);
        (void)bench_hlog_write(run, start_s, seconds, recorder->hlog);
    }
}

bool bench_recorder_close(struct bench_recorder *recorder)
{
    bool is_written = true;

    if (recorder->hlog != NULL) {
        FILE *hgrm = create(recorder, ".hgrm");
        is_written = ferror(recorder->hlog) == 0;
        is_written = fclose(recorder->hlog) == 0 && is_written && hgrm != NULL;
        if (hgrm != NULL) {
            bench_hgrm_write(recorder->all, 1000, hgrm);
            is_written = fclose(hgrm) == 0 && is_written;
        }
        if (!is_written) {
            (void)fprintf(stderr, "\nspate bench: %s.hgrm or .hlog is not whole\n", recorder->path);
        }
    }
    spate_histogram_destroy(recorder->all);
    *recorder = (struct bench_recorder){0};
    return is_written;
}
