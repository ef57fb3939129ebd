/* Writes JSON, indented, one value a call; commas and escapes are its business. */
#ifndef SPATE_BENCH_REPORT_JSON_H
#define SPATE_BENCH_REPORT_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct bench_json {
    FILE *to;
    uint32_t depth;
    bool has_value; /* At this depth already. */
};

/* Each takes the key first: NULL inside an array and at the top. */
void bench_json_open(struct bench_json *json, const char *key, char bracket); /* '{' or '[' */
void bench_json_close(struct bench_json *json, char bracket);                 /* '}' or ']' */
void bench_json_string(struct bench_json *json, const char *key, const char *value);
void bench_json_number(struct bench_json *json, const char *key, double value);
void bench_json_bool(struct bench_json *json, const char *key, bool value);
void bench_json_null(struct bench_json *json, const char *key);

#endif
