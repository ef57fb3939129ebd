#include "support/spans.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/test.h"

struct spate_log_span make_span(uint8_t *to, spate_index first, uint32_t count, spate_term term,
                                uint32_t payload)
{
    uint8_t *data = calloc(1, payload + 16);
    struct spate_log_span span = {.data = to, .count = count, .first = first, .term = term};

    assert_non_null(data);
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t stamp[2] = {first + i, term};
        /* Some entries are full of zeros, as a disk's sectors are before they are written. */
        memset(data, (first + i) % 3 == 0 ? 0 : 0x5a, payload);
        memcpy(data, stamp, payload < 16 ? payload : 16);
        span.bytes += spate_entry_encode(to + span.bytes, SPATE_ENTRY_COMMAND, data, payload);
    }
    free(data);
    return span;
}

void assert_entries(struct spate_store *store, spate_index first, spate_index last, spate_term term)
{
    for (spate_index next = first; next <= last;) {
        struct spate_log_span span;
        assert_int_equal(store->ops->read(store, next, 3000, &span), SPATE_OK);
        assert_int_equal(span.first, next);
        assert_int_equal(span.term, term);
        assert_true(span.count >= 1);
        uint32_t at = 0;
        for (uint32_t i = 0; i < span.count; i++, next++) {
            struct spate_entry entry;
            const uint32_t stride = spate_entry_decode(span.data + at, span.bytes - at, &entry);
            const uint64_t stamp[2] = {next, term};
            assert_true(stride > 0);
            assert_memory_equal(entry.data, stamp, 16);
            at += stride;
        }
        assert_int_equal(at, span.bytes);
    }
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

int remove_tree(const char *path)
{
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
