/* The verbs of `spate bench` that work on results folders instead of measuring. */
#ifndef SPATE_BENCH_REPORT_FOLDERS_H
#define SPATE_BENCH_REPORT_FOLDERS_H

#include <stdbool.h>

/*
 * compare BEFORE AFTER [--force]   what changed (bench/report/compare.h)
 * bundle DIR                       DIR.tar.gz, to send
 * report DIR                       DIR/report.html anew
 *
 * False: `arguments[0]` is none of these. Else *ret_code is the exit code.
 */
bool bench_folders_run(int argument_count, char *const arguments[], int *ret_code);

#endif
