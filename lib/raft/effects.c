#include "raft_internal.h"

struct spate_message *spate_effects_message(const struct spate_raft *raft,
                                            struct spate_effects *effects,
                                            enum spate_message_kind kind, spate_node_id to)
{
    spate_assert(to != 0);
    spate_assert(to != raft->options.self);
    if (effects->message_count == SPATE_EFFECTS_MESSAGES_MAX) {
        return NULL;
    }
    struct spate_message *message = &effects->messages[effects->message_count++];
    *message = (struct spate_message){
        .kind = kind,
        .from = raft->options.self,
        .to = to,
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
    effects->change_verdict = SPATE_CHANGE_ACCEPTED;
    effects->change_index = 0;
    effects->transfer_accepted = false;
    effects->proposed_count = 0;
    effects->proposed_err = SPATE_OK;
    effects->proposed_first = (struct spate_entry_id){.term = 0, .index = 0};
}
