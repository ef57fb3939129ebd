/*
 * HdrHistogram's log, version 1.3, with histograms in its V2 compressed encoding: zig-zag LEB128
 * counts, a run of empty buckets as one negative number, zlib, base64.
 */
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

#include "base/assert.h"
#include "bench/report/results.h"

/* Cookies of V2, with the size of a word that says "LEB128". */
#define COOKIE_PLAIN      0x1c849313u
#define COOKIE_COMPRESSED 0x1c849314u
#define DIGITS            3u
#define HEADER_BYTES      40u

/* The layout of lib/base/histogram, which is HdrHistogram's for three digits from 1. */
#define SUB_BITS 11u
#define SLOTS    (27u << (SUB_BITS - 1))
#define TOP      (((uint64_t)1 << 36) - 1)

/* A number of 64 bits takes nine bytes at the most; each slot is one number. */
#define PLAIN_BYTES_MAX (HEADER_BYTES + 9u * SLOTS)

struct bytes {
    uint8_t *data;
    size_t count;
};

static void put_big(struct bytes *to, uint64_t value, uint32_t size)
{
    for (uint32_t b = 0; b < size; b++) {
        to->data[to->count++] = (uint8_t)(value >> 8 * (size - 1 - b));
    }
}

/* Seven bits a byte, the lowest first; the ninth byte holds eight. */
static void put_number(struct bytes *to, int64_t number)
{
    uint64_t rest = ((uint64_t)number << 1) ^ (uint64_t)(number >> 63);

    for (uint32_t b = 0; b < 8 && rest >= 0x80; b++) {
        to->data[to->count++] = (uint8_t)(rest | 0x80);
        rest >>= 7;
    }
    to->data[to->count++] = (uint8_t)rest;
}

static uint32_t slot_of(uint64_t value)
{
    const uint32_t shift = 64u - SUB_BITS - (uint32_t)__builtin_clzll(value | 2047u);
    return (shift << (SUB_BITS - 1)) + (uint32_t)(value >> shift);
}

static void put_counts(struct bytes *to, const struct spate_histogram *histogram)
{
    uint32_t cursor = 0;
    uint32_t next = 0; /* The slot that is to be written. */
    uint64_t value = 0;
    uint64_t count = 0;

    while (spate_histogram_next(histogram, &cursor, &value, &count)) {
        const uint32_t slot = slot_of(value);
        spate_assert(slot >= next && slot < SLOTS);
        if (slot - next == 1) {
            put_number(to, 0);
        } else if (slot > next) {
            put_number(to, -(int64_t)(slot - next));
        }
        put_number(to, (int64_t)count);
        next = slot + 1;
    }
}

static void encode(struct bytes *to, const struct spate_histogram *histogram)
{
    to->count = HEADER_BYTES;
    put_counts(to, histogram);
    const size_t end = to->count;
    to->count = 0;
    put_big(to, COOKIE_PLAIN, 4);
    put_big(to, end - HEADER_BYTES, 4);
    put_big(to, 0, 4); /* Not shifted. */
    put_big(to, DIGITS, 4);
    put_big(to, 1, 8); /* The lowest value that can be told from zero. */
    put_big(to, TOP, 8);
    put_big(to, 0x3ff0000000000000u, 8); /* The double 1.0: values are integers. */
    spate_assert(to->count == HEADER_BYTES);
    to->count = end;
}

static void write_base64(const struct bytes *bytes, FILE *to)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t at = 0; at < bytes->count; at += 3) {
        const size_t left = bytes->count - at;
        const uint32_t three = (uint32_t)bytes->data[at] << 16 |
                               (left > 1 ? (uint32_t)bytes->data[at + 1] << 8 : 0) |
                               (left > 2 ? (uint32_t)bytes->data[at + 2] : 0);
        (void)fputc(digits[three >> 18], to);
        (void)fputc(digits[three >> 12 & 63], to);
        (void)fputc(left > 1 ? digits[three >> 6 & 63] : '=', to);
        (void)fputc(left > 2 ? digits[three & 63] : '=', to);
    }
}

void bench_hlog_begin(double began_s, FILE *to)
{
    const time_t began = (time_t)began_s;
    struct tm utc;
    char text[64];

    (void)gmtime_r(&began, &utc);
    (void)strftime(text, sizeof text, "%a %b %d %H:%M:%S UTC %Y", &utc);
    (void)fprintf(to,
                  "#[Histogram log format version 1.3]\n"
                  "#[StartTime: %.3f (seconds since epoch), %s]\n"
                  "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
                  "\"Interval_Compressed_Histogram\"\n",
                  began_s, text);
}

bool bench_hlog_write(const struct spate_histogram *histogram, double start_s, double length_s,
                      FILE *to)
{
    uLongf packed_bytes = compressBound(PLAIN_BYTES_MAX);
    struct bytes plain = {.data = malloc(PLAIN_BYTES_MAX)};
    struct bytes packed = {.data = malloc(8 + packed_bytes)};
    bool is_done = plain.data != NULL && packed.data != NULL;

    if (is_done) {
        encode(&plain, histogram);
        is_done = compress(packed.data + 8, &packed_bytes, plain.data, plain.count) == Z_OK;
    }
    if (is_done) {
        put_big(&packed, COOKIE_COMPRESSED, 4);
        put_big(&packed, packed_bytes, 4);
        packed.count += packed_bytes;
        /* The largest value in milliseconds, as its tools expect of nanoseconds. */
        (void)fprintf(to, "%.3f,%.3f,%.6f,", start_s, length_s,
                      (double)spate_histogram_max(histogram) / 1e6);
        write_base64(&packed, to);
        (void)fputc('\n', to);
    }
    free(plain.data);
    free(packed.data);
    return is_done && ferror(to) == 0;
}
