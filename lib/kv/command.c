#include "kv/command.h"

#include "base/assert.h"
#include "base/bytes.h"

uint32_t spate_kv_command_bytes(const struct spate_kv_command *command)
{
    return SPATE_KV_COMMAND_HEADER_BYTES + command->key_size + command->value_size;
}

static bool is_plausible(const struct spate_kv_command *command)
{
    switch (command->op) {
    case SPATE_KV_PUT:
        return command->key_size >= 1 && command->key_size <= SPATE_KV_KEY_BYTES_MAX &&
               command->value_size <= SPATE_KV_VALUE_BYTES_MAX;
    case SPATE_KV_DELETE:
        return command->key_size >= 1 && command->key_size <= SPATE_KV_KEY_BYTES_MAX &&
               command->value_size == 0;
    }
    return false;
}

spate_err spate_kv_command_encode(const struct spate_kv_command *command, uint8_t *to)
{
    if (!is_plausible(command)) {
        return SPATE_ERR_INVALID;
    }
    to[0] = (uint8_t)command->op;
    to[1] = 0;
    spate_put_u16(to + 2, (uint16_t)command->key_size);
    spate_put_u32(to + 4, 0);
    spate_put_u64(to + 8, command->session);
    spate_put_u64(to + 16, command->sequence);
    to += SPATE_KV_COMMAND_HEADER_BYTES;
    if (command->key_size > 0) {
        memcpy(to, command->key, command->key_size);
    }
    if (command->value_size > 0) {
        memcpy(to + command->key_size, command->value, command->value_size);
    }
    return SPATE_OK;
}

spate_err spate_kv_command_decode(const uint8_t *from, uint32_t size,
                                  struct spate_kv_command *ret_command)
{
    if (size < SPATE_KV_COMMAND_HEADER_BYTES) {
        return SPATE_ERR_MALFORMED;
    }
    const uint32_t key_size = spate_get_u16(from + 2);
    if (from[1] != 0 || spate_get_u32(from + 4) != 0 ||
        key_size > size - SPATE_KV_COMMAND_HEADER_BYTES) {
        return SPATE_ERR_MALFORMED;
    }
    const struct spate_kv_command command = {
        .op = (enum spate_kv_op)from[0],
        .session = spate_get_u64(from + 8),
        .sequence = spate_get_u64(from + 16),
        .key = from + SPATE_KV_COMMAND_HEADER_BYTES,
        .key_size = key_size,
        .value = from + SPATE_KV_COMMAND_HEADER_BYTES + key_size,
        .value_size = size - SPATE_KV_COMMAND_HEADER_BYTES - key_size,
    };
    if (!is_plausible(&command)) {
        return SPATE_ERR_MALFORMED;
    }
    spate_assert(spate_kv_command_bytes(&command) == size);
    *ret_command = command;
    return SPATE_OK;
}
