/* report.html: one file with the results, their latencies and what draws them. */
#ifndef SPATE_BENCH_REPORT_REPORT_H
#define SPATE_BENCH_REPORT_REPORT_H

#include <stdbool.h>

/*
 * Makes DIRECTORY/report.html of the env.json, results.json and *.hgrm files there. False: says why
 * on stderr.
 */
bool bench_report_write(const char *directory);

#endif
