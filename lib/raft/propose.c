/* Entries of our own: clients' commands, and the no-op that opens a leadership (paper section 8).
 */
#include "raft_internal.h"

void spate_propose_noop(struct spate_raft *raft)
{
    spate_assert(spate_raft_is_leader(raft));
    spate_assert(raft->lead_first == SPATE_INDEX_NONE_YET);
    if (spate_log_stage(raft->log, raft->term, SPATE_ENTRY_NOOP, NULL, 0) != SPATE_OK) {
        return; /* No room: the next flush tries again, and proposals are BUSY until then. */
    }
    spate_log_publish(raft->log);
    raft->lead_first = spate_log_last(raft->log);
    raft->is_dirty = true;
    spate_assert(spate_log_last_term(raft->log) == raft->term);
}

bool spate_propose_mark(struct spate_raft *raft)
{
    spate_assert(spate_raft_is_leader(raft));
    spate_assert(raft->lead_first != SPATE_INDEX_NONE_YET);
    if (spate_log_stage(raft->log, raft->term, SPATE_ENTRY_NOOP, NULL, 0) != SPATE_OK) {
        return false;
    }
    spate_log_publish(raft->log);
    return true;
}

void spate_raft_propose(struct spate_raft *raft, const struct spate_proposal items[],
                        uint32_t count, struct spate_effects *effects)
{
    uint32_t taken = 0;
    spate_err err = SPATE_OK;

    spate_assert(count >= 1);
    spate_assert(count <= SPATE_PROPOSALS_MAX);
    effects->proposed_first = (struct spate_entry_id){.term = raft->term, .index = 0};
    if (!spate_raft_is_leader(raft)) {
        err = SPATE_ERR_NOT_READY;
    } else if (raft->lead_first == SPATE_INDEX_NONE_YET || raft->transfer.to != 0) {
        err = SPATE_ERR_BUSY; /* Or for whoever takes over: no more than an election timeout. */
    } else {
        effects->proposed_first.index = spate_log_last(raft->log) + 1;
        while (taken < count && err == SPATE_OK) {
            const struct spate_proposal *item = &items[taken];
            err = spate_log_stage(raft->log, raft->term, item->kind, item->data, item->size);
            taken += err == SPATE_OK ? 1u : 0u;
        }
        spate_log_publish(raft->log);
        spate_assert(spate_log_last(raft->log) + 1 == effects->proposed_first.index + taken);
    }
    effects->proposed_count = taken;
    effects->proposed_err = err;
    raft->is_dirty = raft->is_dirty || taken > 0;
}
