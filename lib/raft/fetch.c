/* Old entries that the log in memory no longer has: the host reads them from the store. */
#include "raft_internal.h"

static bool needs_fetch(const struct spate_raft *raft, uint32_t place)
{
    spate_assert(place < raft->configs.now.count);
    spate_assert(spate_raft_is_leader(raft));
    const struct spate_progress *progress = &raft->progress[place];

    if (place == raft->self || progress->next >= spate_log_first(raft->log) ||
        raft->now < progress->paused_until) {
        return false;
    }
    if (!progress->is_replicating && progress->is_probe_out) {
        return false;
    }
    const uint32_t frame_bytes = spate_replicate_frame_bytes(raft, place);

    return spate_progress_has_room(progress, raft->options.window_bytes, frame_bytes, frame_bytes);
}

void spate_fetch_ask(struct spate_raft *raft, struct spate_effects *effects)
{
    struct spate_fetching *fetching = &raft->fetching;
    const uint32_t count = raft->configs.now.count;

    spate_assert(spate_raft_is_leader(raft));
    if (raft->now < fetching->ask_at) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t place = (raft->turn_first + i) % count;
        if (!needs_fetch(raft, place)) {
            continue;
        }
        if (raft->progress[place].next < raft->options.first_stored) {
            raft->members_unserved++; /* Only a snapshot can help it. */
            continue;
        }
        fetching->is_out = true;
        fetching->member = spate_raft_member(raft, place);
        fetching->first = raft->progress[place].next;
        fetching->ask_at = raft->now + raft->options.election_timeout_ns_min;
        spate_assert(fetching->first >= 1);
        effects->fetch =
            (struct spate_effect_fetch){.is_needed = true,
                                        .member = fetching->member,
                                        .first = fetching->first,
                                        .bytes_max = spate_replicate_frame_bytes(raft, place)};
        return;
    }
    fetching->ask_at = raft->now;
}

void spate_fetch_receive(struct spate_raft *raft, const struct spate_event *event,
                         struct spate_effects *effects)
{
    struct spate_fetching *fetching = &raft->fetching;
    const struct spate_log_span *span = &event->fetched.span;

    spate_assert(event->kind == SPATE_EVENT_FETCHED);
    if (!fetching->is_out || fetching->member != event->fetched.member) {
        return; /* Given up meanwhile, or of an earlier leadership. */
    }
    fetching->is_out = false;
    raft->is_dirty = true;
    if (event->fetched.err != SPATE_OK) {
        fetching->ask_at = raft->now + raft->options.heartbeat_ns;
        return;
    }
    fetching->ask_at = raft->now;
    const uint32_t place = spate_membership_find(&raft->configs.now, fetching->member);
    spate_assert(place < raft->configs.now.count);
    const struct spate_progress *progress = &raft->progress[place];
    const bool is_wanted = spate_raft_is_leader(raft) && span->first == fetching->first &&
                           span->first == progress->next && span->count >= 1 &&
                           span->count - 1 <= spate_log_last(raft->log) - span->first &&
                           (progress->is_replicating || !progress->is_probe_out) &&
                           spate_progress_has_room(progress, UINT64_MAX, UINT32_MAX, 0);
    if (is_wanted) {
        spate_assert(event->fetched.prev.index + 1 == span->first);
        (void)spate_replicate_emit(raft, effects, place, event->fetched.prev, span);
    }
}
