#include "log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static _Atomic int level_max = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&level_max, (int)level);
}

void log_line(enum log_level level, const char *format, ...)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    struct timespec now;
    struct tm utc;
    char line[1024];
    va_list arguments;

    if ((int)level > atomic_load(&level_max)) {
        return;
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);

    const int is_red = level <= LOG_LEVEL_WARNING && isatty(STDERR_FILENO);
    /* One call, so that lines of several threads do not mix. */
    (void)fprintf(stderr, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s%-7s%s %s\n", utc.tm_year + 1900,
                  utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                  now.tv_nsec / 1000000, is_red ? "\033[31m" : "", names[level],
                  is_red ? "\033[0m" : "", line);
}
