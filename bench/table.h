/* A table for people: the first column to the left, the others to the right, as wide as needed. */
#ifndef SPATE_BENCH_TABLE_H
#define SPATE_BENCH_TABLE_H

#include <stdint.h>
#include <stdio.h>

#define BENCH_TABLE_COLUMNS_MAX 12u
#define BENCH_TABLE_ROWS_MAX    1025u
#define BENCH_TABLE_CELL_BYTES  128u

/* Zero to begin with; large, so not on the stack of a thread. */
struct bench_table {
    uint32_t columns;
    uint32_t rows;
    char cells[BENCH_TABLE_ROWS_MAX][BENCH_TABLE_COLUMNS_MAX][BENCH_TABLE_CELL_BYTES];
};

/* Adds a cell to the current row; what is too long is cut. */
void bench_table_cell(struct bench_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Ends the current row. The first row is the heading. */
void bench_table_end_row(struct bench_table *table);

void bench_table_print(const struct bench_table *table, FILE *to);

/* Three significant digits with a thousands suffix: 3.12 M, 812 k, 47.1. */
void bench_format_count(double value, char text[16]);

/* Nanoseconds as people read them: 812 ns, 16.5 us, 3.02 ms. */
void bench_format_ns(double ns, char text[16]);

#endif
