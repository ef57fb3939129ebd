/* Log lines of the program, on stderr: time (UTC), level, text. The library itself never logs. */
#ifndef SPATE_APPS_LOG_H
#define SPATE_APPS_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Nothing below `level` is written from now on. Thread: before others run. */
void log_set_level(enum log_level level);

/* Writes one line; red on a terminal for errors and warnings. Thread: any. */
__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *format, ...);

#endif
