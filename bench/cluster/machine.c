#include "machine.h"

#include <string.h>

#include "base/assert.h"

#define KEY_BYTES 8u

/* Keys and values may take this much; beyond it puts would be refused. */
#define QUOTA_BYTES (64ull << 30)

bool machine_open(struct machine *machine, uint64_t keys)
{
    uint32_t buckets = 65536;

    while (buckets < keys && buckets < 1u << 27) {
        buckets *= 2;
    }
    const struct spate_kv_options options = {.reclaim = spate_reclaim_immediate(),
                                             .quota_bytes = QUOTA_BYTES,
                                             .bucket_count = buckets,
                                             .seed = 1};
    *machine = (struct machine){.keys = keys};
    spate_counting_init(&machine->counting);
    return keys == 0 || spate_kv_create(&options, &machine->kv) == SPATE_OK;
}

void machine_close(struct machine *machine)
{
    spate_kv_destroy(machine->kv);
    machine->kv = NULL;
}

struct spate_fsm *machine_fsm(struct machine *machine)
{
    return machine->kv != NULL ? spate_kv_fsm(machine->kv) : &machine->counting.fsm;
}

uint64_t machine_applied(const struct machine *machine)
{
    struct spate_kv_status status;

    if (machine->kv == NULL) {
        return spate_counting_count(&machine->counting);
    }
    spate_kv_status(machine->kv, &status);
    return status.applied;
}

uint32_t machine_digest(const struct machine *machine)
{
    struct spate_kv_status status;

    if (machine->kv == NULL) {
        return spate_counting_digest(&machine->counting);
    }
    spate_kv_status(machine->kv, &status);
    return (uint32_t)status.digest;
}

uint32_t machine_command(const struct machine *machine, uint32_t payload_bytes, uint8_t *to,
                         uint32_t *ret_number_at)
{
    static const uint8_t key[KEY_BYTES] = "\377\376\375\374\373\372\371\370";

    *ret_number_at = 0;
    if (machine->kv == NULL) {
        return payload_bytes;
    }
    /* The value is what stands in `to`; encoding moves it behind header and key. */
    static uint8_t value[SPATE_KV_VALUE_BYTES_MAX];
    const struct spate_kv_command command = {
        .op = SPATE_KV_PUT,
        .key = key,
        .key_size = KEY_BYTES,
        .value = value,
        .value_size = payload_bytes,
    };

    spate_assert(payload_bytes <= sizeof value);
    memcpy(value, to, payload_bytes);
    const spate_err err = spate_kv_command_encode(&command, to);
    spate_assert(err == SPATE_OK);
    while (memcmp(to + *ret_number_at, key, KEY_BYTES) != 0) {
        (*ret_number_at)++;
    }
    return spate_kv_command_bytes(&command);
}
