/*
 * How entries lie in a store: a record holds a run of entries of one term, as they are in the log,
 * behind a header with its checksum and its place in the chain.
 *
 *   0     4       8       16     24      28      32           40      48
 *   | crc | count | first | term | bytes | zero  | chain prev | chain | entries …
 *
 * Little-endian. crc: CRC-32C of everything behind it. chain: a hash over this record's identity
 * and checksum and the chain value before, so that a record that is whole but does not belong here
 * (an old one, a misdirected write) is found out as well as a damaged one.
 */
#ifndef SPATE_STORE_RECORD_H
#define SPATE_STORE_RECORD_H

#include "base/error.h"
#include "base/types.h"
#include "log/log.h"
#include "store/store.h"

#define SPATE_RECORD_HEADER_BYTES 48u

/* Records are split at about this size, except for one larger entry. */
#define SPATE_RECORD_ENTRIES_BYTES (256u << 10)

struct spate_record {
    spate_index first;
    spate_term term;
    uint32_t count;
    uint32_t bytes; /* Of the entries. */
    uint64_t chain_prev;
    uint64_t chain;
    const uint8_t *entries; /* In the record. */
};

/*
 * Writes a record of SPATE_RECORD_HEADER_BYTES + span->bytes. Returns its chain value.
 *
 * Requires: span->count >= 1.
 */
uint64_t spate_record_encode(uint8_t *to, const struct spate_log_span *span, uint64_t chain_prev);

/* Errors: SPATE_ERR_CORRUPT   not a whole, undamaged record of exactly `size` bytes. */
spate_err spate_record_decode(const uint8_t *from, size_t size,
                              struct spate_record *ret_record) SPATE_MUST_CHECK;

/*
 * The part of a record that begins at `first` and has at most `count_max` entries and `bytes_max`
 * bytes (at least one entry). Memory: points into the record.
 *
 * Requires: record->first <= first < record->first + record->count.
 * Errors:   SPATE_ERR_CORRUPT   the entries are not what the header says.
 */
spate_err spate_record_span(const struct spate_record *record, spate_index first,
                            uint32_t count_max, uint32_t bytes_max,
                            struct spate_log_span *ret_span) SPATE_MUST_CHECK;

/* Hard state, as stored: checksum first. */
#define SPATE_HARD_STATE_BYTES 32u
void spate_hard_state_encode(uint8_t to[SPATE_HARD_STATE_BYTES],
                             const struct spate_hard_state *hard_state);
spate_err spate_hard_state_decode(const uint8_t *from, size_t size,
                                  struct spate_hard_state *ret_hard_state) SPATE_MUST_CHECK;

/* Identity, as stored: checksum and format version first. */
#define SPATE_IDENTITY_BYTES 48u
void spate_identity_encode(uint8_t to[SPATE_IDENTITY_BYTES],
                           const struct spate_store_identity *identity);
/* Errors: SPATE_ERR_CORRUPT; SPATE_ERR_MISMATCH: of another format version. */
spate_err spate_identity_decode(const uint8_t *from, size_t size,
                                struct spate_store_identity *ret_identity) SPATE_MUST_CHECK;

#endif
