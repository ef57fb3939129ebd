/*
 * Memberships as bytes, little-endian:
 *
 *   0         1       2       4        8
 *   | version | flags | count | 0      | members …
 *
 *   each:  0    4        5          6                8            16         20   24
 *          | id | flags  | priority | address bytes  | incarnation| replaces | 0  | address …
 *
 * An address is padded with zeros to a multiple of 8.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "raft/membership.h"

#define VERSION 1u

enum {
    AT_VERSION = 0,
    AT_FLAGS = 1,
    AT_COUNT = 2,
    AT_ZERO = 4,
    AT_MEMBERS = 8,
};

enum {
    MEMBER_AT_ID = 0,
    MEMBER_AT_FLAGS = 4,
    MEMBER_AT_PRIORITY = 5,
    MEMBER_AT_ADDRESS_BYTES = 6,
    MEMBER_AT_INCARNATION = 8,
    MEMBER_AT_REPLACES = 16,
    MEMBER_AT_ZERO = 20,
    MEMBER_AT_ADDRESS = 24,
};

enum {
    FLAG_OVERRIDDEN = 1,
    FLAG_VOTER = 1,
    FLAG_VOTER_NEXT = 2,
    FLAG_PROMOTABLE = 4,
    FLAGS_MEMBER = FLAG_VOTER | FLAG_VOTER_NEXT | FLAG_PROMOTABLE,
};

_Static_assert(AT_MEMBERS + SPATE_MEMBERS_MAX * (MEMBER_AT_ADDRESS + SPATE_MEMBER_ADDRESS_BYTES) ==
                   SPATE_MEMBERSHIP_BYTES_MAX,
               "membership.h names this size");

static uint32_t encode_member(const struct spate_member *member, uint8_t *to)
{
    const uint32_t address_bytes = (uint32_t)strlen(member->address);
    const uint32_t padded = spate_round_up_8(address_bytes);

    spate_assert(member->id != 0);
    spate_assert(address_bytes < SPATE_MEMBER_ADDRESS_BYTES);
    spate_put_u32(to + MEMBER_AT_ID, member->id);
    to[MEMBER_AT_FLAGS] = (uint8_t)((member->is_voter ? FLAG_VOTER : 0u) |
                                    (member->is_voter_next ? FLAG_VOTER_NEXT : 0u) |
                                    (member->is_promotable ? FLAG_PROMOTABLE : 0u));
    to[MEMBER_AT_PRIORITY] = member->priority;
    spate_put_u16(to + MEMBER_AT_ADDRESS_BYTES, (uint16_t)address_bytes);
    spate_put_u64(to + MEMBER_AT_INCARNATION, member->incarnation);
    spate_put_u32(to + MEMBER_AT_REPLACES, member->replaces);
    spate_put_u32(to + MEMBER_AT_ZERO, 0);
    memset(to + MEMBER_AT_ADDRESS, 0, padded);
    memcpy(to + MEMBER_AT_ADDRESS, member->address, address_bytes);
    return MEMBER_AT_ADDRESS + padded;
}

uint32_t spate_membership_encode(const struct spate_membership *membership, uint8_t *to)
{
    uint32_t bytes = AT_MEMBERS;

    spate_assert(spate_membership_is_valid(membership));
    to[AT_VERSION] = VERSION;
    to[AT_FLAGS] = membership->is_overridden ? FLAG_OVERRIDDEN : 0;
    spate_put_u16(to + AT_COUNT, (uint16_t)membership->count);
    spate_put_u32(to + AT_ZERO, 0);
    for (uint32_t i = 0; i < membership->count; i++) {
        bytes += encode_member(&membership->members[i], to + bytes);
    }
    spate_assert(bytes <= SPATE_MEMBERSHIP_BYTES_MAX);
    return bytes;
}

/* Returns the bytes that the member took up; 0: they are none. */
static uint32_t decode_member(const uint8_t *from, uint32_t size, struct spate_member *member)
{
    spate_assert(from != NULL);
    spate_assert(member != NULL);
    if (size < MEMBER_AT_ADDRESS) {
        return 0;
    }
    const uint8_t flags = from[MEMBER_AT_FLAGS];
    const uint32_t address_bytes = spate_get_u16(from + MEMBER_AT_ADDRESS_BYTES);
    const uint32_t padded = spate_round_up_8(address_bytes);

    if ((flags & ~(unsigned)FLAGS_MEMBER) != 0 || spate_get_u32(from + MEMBER_AT_ZERO) != 0 ||
        address_bytes >= SPATE_MEMBER_ADDRESS_BYTES || padded > size - MEMBER_AT_ADDRESS) {
        return 0;
    }
    for (uint32_t i = 0; i < padded; i++) {
        const bool is_padding = i >= address_bytes;
        if ((from[MEMBER_AT_ADDRESS + i] == 0) != is_padding) {
            return 0;
        }
    }
    *member = (struct spate_member){
        .id = spate_get_u32(from + MEMBER_AT_ID),
        .is_voter = (flags & FLAG_VOTER) != 0,
        .is_voter_next = (flags & FLAG_VOTER_NEXT) != 0,
        .is_promotable = (flags & FLAG_PROMOTABLE) != 0,
        .priority = from[MEMBER_AT_PRIORITY],
        .replaces = spate_get_u32(from + MEMBER_AT_REPLACES),
        .incarnation = spate_get_u64(from + MEMBER_AT_INCARNATION),
    };
    memcpy(member->address, from + MEMBER_AT_ADDRESS, address_bytes);
    return MEMBER_AT_ADDRESS + padded;
}

spate_err spate_membership_decode(const uint8_t *from, uint32_t size,
                                  struct spate_membership *ret_membership)
{
    struct spate_membership membership = {.count = 0};
    uint32_t at = AT_MEMBERS;

    spate_assert(from != NULL || size == 0);
    spate_assert(ret_membership != NULL);
    if (size < AT_MEMBERS || from[AT_VERSION] != VERSION ||
        (from[AT_FLAGS] & ~(unsigned)FLAG_OVERRIDDEN) != 0 || spate_get_u32(from + AT_ZERO) != 0 ||
        spate_get_u16(from + AT_COUNT) > SPATE_MEMBERS_MAX) {
        return SPATE_ERR_MALFORMED;
    }
    membership.is_overridden = (from[AT_FLAGS] & FLAG_OVERRIDDEN) != 0;
    membership.count = spate_get_u16(from + AT_COUNT);
    for (uint32_t i = 0; i < membership.count; i++) {
        const uint32_t bytes = decode_member(from + at, size - at, &membership.members[i]);
        if (bytes == 0) {
            return SPATE_ERR_MALFORMED;
        }
        at += bytes;
    }
    if (at != size || !spate_membership_is_valid(&membership)) {
        return SPATE_ERR_MALFORMED;
    }
    *ret_membership = membership;
    return SPATE_OK;
}
