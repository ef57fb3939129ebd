/* What changed between two results folders. */
#ifndef SPATE_BENCH_REPORT_COMPARE_H
#define SPATE_BENCH_REPORT_COMPARE_H

#include <stdbool.h>
#include <stdio.h>

/* Exit codes, as those of the program (apps/spate/verbs.h). */
#define COMPARE_DONE     0
#define COMPARE_USAGE    2 /* No results there. */
#define COMPARE_MISMATCH 7 /* Measured in other circumstances. */

/*
 * Prints every row that both folders have: before, after, change, and whether the change is more
 * than noise. Rows with a limit are compared by their ratio to it, so that a machine that was
 * slower as a whole does not count. Refuses folders of different machines, kernels or builds, and
 * says in what they differ; `is_forced` says so and goes on. Returns an exit code.
 */
int bench_compare(const char *before, const char *after, bool is_forced, FILE *to);

#endif
