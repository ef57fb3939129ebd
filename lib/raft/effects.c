#include "raft_internal.h"

struct spate_message *spate_effects_message(const struct spate_raft *raft,
                                            struct spate_effects *effects,
                                            enum spate_message_kind kind, uint32_t place)
{
    spate_assert(place < raft->options.membership.count);
    spate_assert(place != raft->self);
    if (effects->message_count == SPATE_EFFECTS_MESSAGES_MAX) {
        return NULL;
    }
    struct spate_message *message = &effects->messages[effects->message_count++];
    *message = (struct spate_message){
        .kind = kind,
        .from = raft->options.self,
        .to = spate_raft_member(raft, place),
        .term = raft->term,
        .session = raft->options.session,
    };
    return message;
}

void spate_effects_reset(struct spate_effects *effects)
{
    spate_assert(effects != NULL);
    spate_assert(effects->message_count <= SPATE_EFFECTS_MESSAGES_MAX);
    effects->message_count = 0;
    effects->store = (struct spate_effect_store){.is_needed = false};
    effects->fetch = (struct spate_effect_fetch){.is_needed = false};
    effects->snapshot_count = 0;
    effects->is_chunk_welcome = false;
    effects->installed_err = SPATE_OK;
    effects->proposed_count = 0;
    effects->proposed_err = SPATE_OK;
    effects->proposed_first = (struct spate_entry_id){.term = 0, .index = 0};
}
