#include "base/assert.h"
#include "base/bytes.h"
#include "log.h"

_Static_assert(SPATE_ENTRY_COMMAND == 1 && SPATE_ENTRY_MEMBERSHIP == 3, "kinds have no gap");
_Static_assert(SPATE_ENTRY_BYTES_MAX < UINT32_MAX - 2 * SPATE_ENTRY_HEADER_BYTES,
               "the stride of an entry that passed its check does not overflow");

uint32_t spate_entry_encode(uint8_t *to, uint8_t kind, const void *data, uint32_t size)
{
    spate_assert(size <= SPATE_ENTRY_BYTES_MAX);
    spate_assert(kind >= SPATE_ENTRY_COMMAND && kind <= SPATE_ENTRY_MEMBERSHIP);

    const uint32_t stride = spate_entry_stride(size);
    spate_assert(stride >= SPATE_ENTRY_HEADER_BYTES + size);
    spate_assert(stride % 8 == 0);
    /* The padding is the end of the last eight bytes: zero them first, then copy over. */
    spate_put_u64(to + stride - 8, 0);
    spate_put_u64(to, (uint64_t)kind << 32 | size);
    if (size > 0) {
        memcpy(to + SPATE_ENTRY_HEADER_BYTES, data, size);
    }
    return stride;
}

uint32_t spate_entry_decode(const uint8_t *from, uint32_t available, struct spate_entry *ret_entry)
{
    if (available < SPATE_ENTRY_HEADER_BYTES) {
        return 0;
    }
    const uint64_t header = spate_get_u64(from);
    const uint32_t size = (uint32_t)header;
    const uint64_t kind = header >> 32; /* With the reserved bytes above it, which are zero. */
    if (kind < SPATE_ENTRY_COMMAND || kind > SPATE_ENTRY_MEMBERSHIP ||
        size > SPATE_ENTRY_BYTES_MAX || spate_entry_stride(size) > available) {
        return 0;
    }
    *ret_entry = (struct spate_entry){
        .data = from + SPATE_ENTRY_HEADER_BYTES, .size = size, .kind = (uint8_t)kind};
    return spate_entry_stride(size);
}
