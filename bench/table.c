#include "bench/table.h"

#include <stdarg.h>
#include <string.h>

#include "base/assert.h"

/* The current row is the one at `rows`; its length is where the first empty cell stands. */
static uint32_t cells_in_current_row(const struct bench_table *table)
{
    uint32_t column = 0;
    while (column < BENCH_TABLE_COLUMNS_MAX && table->cells[table->rows][column][0] != '\0') {
        column++;
    }
    return column;
}

void bench_table_cell(struct bench_table *table, const char *format, ...)
{
    spate_assert(table->rows < BENCH_TABLE_ROWS_MAX);
    const uint32_t column = cells_in_current_row(table);
    spate_assert(column < BENCH_TABLE_COLUMNS_MAX);

    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(table->cells[table->rows][column], BENCH_TABLE_CELL_BYTES, format, arguments);
    va_end(arguments);
    if (table->cells[table->rows][column][0] == '\0') {
        table->cells[table->rows][column][0] = ' ';
    }
}

void bench_table_end_row(struct bench_table *table)
{
    spate_assert(table->rows < BENCH_TABLE_ROWS_MAX);
    const uint32_t columns = cells_in_current_row(table);
    table->columns = columns > table->columns ? columns : table->columns;
    table->rows++;
}

static int width_of(const struct bench_table *table, uint32_t column)
{
    size_t width = 0;
    for (uint32_t row = 0; row < table->rows; row++) {
        const size_t length = strlen(table->cells[row][column]);
        width = length > width ? length : width;
    }
    return (int)width;
}

void bench_table_print(const struct bench_table *table, FILE *to)
{
    for (uint32_t row = 0; row < table->rows; row++) {
        for (uint32_t column = 0; column < table->columns; column++) {
            const int width = width_of(table, column);
            (void)fprintf(to, column == 0 ? "%-*s" : "  %*s", width, table->cells[row][column]);
        }
        (void)fprintf(to, "\n");
    }
}

/* Writes `value` with three significant digits. */
static void format_three(double value, const char *suffix, char text[16])
{
    const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    (void)snprintf(text, 16, "%.*f%s", decimals, value, suffix);
}

void bench_format_count(double value, char text[16])
{
    if (value >= 999.5e6) {
        format_three(value / 1e9, " G", text);
    } else if (value >= 999.5e3) {
        format_three(value / 1e6, " M", text);
    } else if (value >= 999.5) {
        format_three(value / 1e3, " k", text);
    } else {
        format_three(value, "", text);
    }
}

void bench_format_ns(double ns, char text[16])
{
    if (ns >= 999.5e6) {
        format_three(ns / 1e9, " s", text);
    } else if (ns >= 999.5e3) {
        format_three(ns / 1e6, " ms", text);
    } else if (ns >= 999.5) {
        format_three(ns / 1e3, " us", text);
    } else {
        format_three(ns, " ns", text);
    }
}
