/* Which membership is in force while entries come and go (paper section 6). */
#include "base/assert.h"
#include "raft/membership.h"

void spate_configs_begin(struct spate_configs *configs, spate_index index,
                         const struct spate_membership *membership)
{
    spate_assert(configs != NULL);
    spate_assert(membership->count <= SPATE_MEMBERS_MAX);
    *configs = (struct spate_configs){
        .index = index, .now = *membership, .index_before = index, .before = *membership};
}

bool spate_configs_take(struct spate_configs *configs, const struct spate_log_span *span)
{
    const uint8_t *from = span->data;
    uint32_t left = span->bytes;
    bool has_taken = false;

    spate_assert(configs->index_before <= configs->index);
    for (uint32_t i = 0; i < span->count; i++) {
        struct spate_membership membership;
        struct spate_entry entry;
        const uint32_t stride = spate_entry_decode(from, left, &entry);

        spate_assert(stride != 0);
        from += stride;
        left -= stride;
        if (entry.kind != SPATE_ENTRY_MEMBERSHIP || span->first + i <= configs->index ||
            spate_membership_decode(entry.data, entry.size, &membership) != SPATE_OK) {
            continue;
        }
        configs->index_before = configs->index;
        configs->before = configs->now;
        configs->index = span->first + i;
        configs->now = membership;
        has_taken = true;
    }
    return has_taken;
}

bool spate_configs_can_cut(const struct spate_configs *configs, spate_index last_kept)
{
    spate_assert(configs != NULL);
    spate_assert(configs->index_before <= configs->index);
    return last_kept >= configs->index_before;
}

bool spate_configs_cut(struct spate_configs *configs, spate_index last_kept)
{
    spate_assert(spate_configs_can_cut(configs, last_kept));
    if (last_kept >= configs->index) {
        return false;
    }
    configs->index = configs->index_before;
    configs->now = configs->before;
    spate_assert(configs->index <= last_kept);
    return true;
}
