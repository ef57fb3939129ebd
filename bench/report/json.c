#include "bench/report/json.h"

#include <math.h>

static void write_string(FILE *to, const char *text)
{
    (void)fputc('"', to);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            (void)fprintf(to, "\\%c", *c);
        } else if ((unsigned char)*c < 0x20) {
            (void)fprintf(to, "\\u%04x", (unsigned)(unsigned char)*c);
        } else {
            (void)fputc(*c, to);
        }
    }
    (void)fputc('"', to);
}

/* What stands before a value: comma, line end, indentation, key. */
static void begin_value(struct bench_json *json, const char *key)
{
    if (json->has_value) {
        (void)fputc(',', json->to);
    }
    if (json->depth > 0) {
        (void)fprintf(json->to, "\n%*s", (int)(2 * json->depth), "");
    }
    if (key != NULL) {
        write_string(json->to, key);
        (void)fputs(": ", json->to);
    }
    json->has_value = true;
}

void bench_json_open(struct bench_json *json, const char *key, char bracket)
{
    begin_value(json, key);
    (void)fputc(bracket, json->to);
    json->depth++;
    json->has_value = false;
}

void bench_json_close(struct bench_json *json, char bracket)
{
    json->depth--;
    if (json->has_value) {
        (void)fprintf(json->to, "\n%*s", (int)(2 * json->depth), "");
    }
    (void)fputc(bracket, json->to);
    json->has_value = true;
    if (json->depth == 0) {
        (void)fputc('\n', json->to);
    }
}

void bench_json_string(struct bench_json *json, const char *key, const char *value)
{
    begin_value(json, key);
    write_string(json->to, value);
}

void bench_json_number(struct bench_json *json, const char *key, double value)
{
    if (!isfinite(value)) {
        bench_json_null(json, key);
        return;
    }
    begin_value(json, key);
    (void)fprintf(json->to, "%.12g", value);
}

void bench_json_bool(struct bench_json *json, const char *key, bool value)
{
    begin_value(json, key);
    (void)fputs(value ? "true" : "false", json->to);
}

void bench_json_null(struct bench_json *json, const char *key)
{
    begin_value(json, key);
    (void)fputs("null", json->to);
}
