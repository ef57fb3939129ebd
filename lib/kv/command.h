/*
 * The commands of the key-value state machine, as bytes in the log.
 *
 *   0    1     2          4     8          16         24        24 + key size
 *   | op | 0 | key size | 0   | session  | sequence | key ... | value ... |
 *
 * Little-endian. The value reaches to the end of the command. Session 0 means "no session": such a
 * command is not protected against being applied twice.
 */
#ifndef SPATE_KV_COMMAND_H
#define SPATE_KV_COMMAND_H

#include "base/error.h"
#include "base/types.h"

#define SPATE_KV_COMMAND_HEADER_BYTES 24u
#define SPATE_KV_KEY_BYTES_MAX        1024u
#define SPATE_KV_VALUE_BYTES_MAX \
    (SPATE_ENTRY_BYTES_MAX - SPATE_KV_COMMAND_HEADER_BYTES - SPATE_KV_KEY_BYTES_MAX)

/* Part of the log's format: never reused. */
enum spate_kv_op {
    SPATE_KV_PUT = 1,
    SPATE_KV_DELETE = 2,
    /* 3 was a barrier for reads. */
};

struct spate_kv_command {
    enum spate_kv_op op;
    uint64_t session;
    uint64_t sequence; /* Within the session: 1, 2, 3, … */
    const uint8_t *key;
    uint32_t key_size;
    const uint8_t *value;
    uint32_t value_size;
};

/* Bytes that the command takes up. */
uint32_t spate_kv_command_bytes(const struct spate_kv_command *command);

/*
 * Writes spate_kv_command_bytes() bytes.
 *
 * Errors: SPATE_ERR_INVALID   an empty or too long key, a too long value, an unknown op.
 */
spate_err spate_kv_command_encode(const struct spate_kv_command *command,
                                  uint8_t *to) SPATE_MUST_CHECK;

/* Memory: pointers in the command point into `from`. Errors: SPATE_ERR_MALFORMED */
spate_err spate_kv_command_decode(const uint8_t *from, uint32_t size,
                                  struct spate_kv_command *ret_command) SPATE_MUST_CHECK;

#endif
