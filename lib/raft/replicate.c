/* The leader's side of AppendEntries (paper section 5.3; pipelining: thesis section 10.2.1). */
#include "raft_internal.h"

void spate_replicate_begin(struct spate_raft *raft)
{
    spate_assert(spate_raft_is_leader(raft));
    raft->lead_first = SPATE_INDEX_NONE_YET;
    raft->fetching = (struct spate_fetching){.is_out = false};
    for (uint32_t place = 0; place < raft->configs.now.count; place++) {
        spate_progress_reset(&raft->progress[place], spate_log_last(raft->log) + 1, raft->round + 1,
                             raft->now);
    }
    spate_assert(raft->leader == raft->options.self);
}

/* The member named a point up to which its log may be the same as ours. */
static void back_off(struct spate_raft *raft, struct spate_progress *progress,
                     const struct spate_message_append_result *result)
{
    spate_assert(!result->is_accepted);
    spate_assert(result->prev > progress->received);
    const spate_index last = spate_log_last(raft->log);
    spate_index hint = result->last < result->prev ? result->last : result->prev;

    hint = hint < last ? hint : last;
    const spate_index point = spate_conflict_find(raft->log, hint, result->hint_term);
    spate_assert(point <= last);
    /* Equal terms at one index mean equal logs up to it: no probing is needed then. */
    const bool is_same = point == result->last &&
                         spate_conflict_term(raft->log, point) == result->hint_term &&
                         (result->hint_term > 0 || point == 0);
    /* At once from there, but once only: a member that still lacks it has no room for it, or the
     * network loses much; then the timer is the better judge of when to probe there again. */
    if (progress->resent_from == point + 1) {
        spate_progress_rewind(progress, point + 1, raft->round + 1, false);
        progress->is_probe_out = true;
        return;
    }
    progress->resent_from = point + 1;
    spate_progress_rewind(progress, point + 1, raft->round + 1, is_same);
    spate_assert(progress->next <= last + 1);
}

/* A member that was restarted has forgotten what was not on its disk. */
static bool is_of_session(struct spate_raft *raft, struct spate_progress *progress,
                          const struct spate_message *message)
{
    spate_assert(progress->session_round <= progress->rewind_round);
    spate_assert(message->session != 0);
    if (message->session == progress->session) {
        return true;
    }
    if (message->append_result.round < progress->session_round) {
        return false; /* A late answer from an earlier life. */
    }
    if (progress->session == 0) {
        progress->session = message->session;
        return true;
    }
    const spate_index promised =
        progress->promised > progress->match ? progress->promised : progress->match;
    spate_progress_reset(progress, progress->match + 1, raft->round + 1, raft->now);
    progress->session = message->session;
    progress->promised = promised;
    return false;
}

static void accept_result(struct spate_raft *raft, struct spate_progress *progress,
                          const struct spate_message_append_result *result)
{
    spate_assert(result->is_accepted);
    spate_assert(result->last <= spate_log_last(raft->log));
    const spate_index match = progress->match;

    spate_progress_accepted(progress, result->last, result->match, raft->now);
    if (!progress->is_replicating && result->round >= progress->rewind_round) {
        spate_progress_rewind(progress, result->last + 1, raft->round + 1, true);
    }
    if (progress->match > match) {
        spate_commit_count(raft);
    }
    spate_assert(progress->match <= progress->received);
}

void spate_replicate_receive_result(struct spate_raft *raft, uint32_t place,
                                    const struct spate_message *message)
{
    const struct spate_message_append_result *result = &message->append_result;
    struct spate_progress *progress = &raft->progress[place];

    spate_assert(message->kind == SPATE_MESSAGE_APPEND_RESULT);
    if (message->peer_session != raft->options.session) {
        return; /* Meant for an earlier life. */
    }
    if (message->term > raft->term) {
        spate_election_follow(raft, message->term, 0);
        return;
    }
    if (message->term < raft->term || !spate_raft_is_leader(raft)) {
        return;
    }
    spate_assert(place != raft->self);
    if (result->round > raft->round || result->match > result->last ||
        (result->is_accepted && result->last > spate_log_last(raft->log))) {
        raft->messages_invalid++;
        return;
    }
    progress->active_at = raft->now;
    spate_progress_answered(progress, result->round);
    if (!is_of_session(raft, progress, message)) {
        return;
    }
    spate_mute_note(raft, progress, result);
    if (result->is_accepted) {
        accept_result(raft, progress, result);
    } else if (result->round >= progress->rewind_round && result->prev > progress->received) {
        spate_mute_compare(progress, result);
        back_off(raft, progress, result);
    }
}

bool spate_replicate_emit(struct spate_raft *raft, struct spate_effects *effects, uint32_t place,
                          struct spate_entry_id prev, const struct spate_log_span *span)
{
    spate_assert(spate_raft_is_leader(raft));
    spate_assert(spate_raft_vote_is_durable(raft));
    struct spate_progress *progress = &raft->progress[place];
    struct spate_message *message =
        spate_effects_message(raft, effects, SPATE_MESSAGE_APPEND, spate_raft_member(raft, place));

    if (message == NULL) {
        raft->is_waiting = true;
        return false;
    }
    message->append.prev = prev;
    message->append.commit = raft->commit;
    message->append.round = ++raft->round;
    progress->commit_sent = raft->commit;
    spate_progress_asked(progress, raft->round, raft->now);
    progress->is_notice_due = false;
    progress->is_probe_out = !progress->is_replicating;
    if (span == NULL) {
        return true;
    }
    spate_assert(span->count >= 1);
    spate_assert(prev.index + 1 == span->first);
    message->append.entries_term = span->term;
    message->append.count = span->count;
    message->append.bytes = span->bytes;
    /* The encoder reads the log itself; what the host fetched is not in the log. */
    message->append.entries = span->first < spate_log_first(raft->log) ? span->data : NULL;
    const struct spate_inflight inflight = {.first = span->first,
                                            .last = span->first + span->count - 1,
                                            .round = raft->round,
                                            .sent_at = raft->now,
                                            .bytes = span->bytes};
    spate_progress_sent(progress, &inflight);
    return true;
}

uint32_t spate_replicate_frame_bytes(const struct spate_raft *raft, uint32_t place)
{
    const uint32_t mine = raft->options.append_bytes_max;
    const uint32_t path = raft->progress[place].append_bytes_max;

    spate_assert(place != raft->self);
    return path != 0 && path < mine ? path : mine;
}

/* Sends one message of entries that are in the log. False: none is left, or there is no room. */
static bool send_entries(struct spate_raft *raft, struct spate_effects *effects, uint32_t place,
                         const struct spate_log_view *view)
{
    spate_assert(place != raft->self);
    struct spate_progress *progress = &raft->progress[place];
    const uint32_t count_max =
        raft->options.append_count_max == 0 ? UINT32_MAX : raft->options.append_count_max;

    if (progress->next > view->last || progress->next < view->first) {
        return false;
    }
    const uint32_t frame_bytes = spate_replicate_frame_bytes(raft, place);
    struct spate_log_span span;
    spate_log_view_span(view, progress->next, count_max, frame_bytes, &span);
    if (!spate_progress_has_room(progress, raft->options.window_bytes, frame_bytes, span.bytes)) {
        return false;
    }
    if (span.bytes > frame_bytes) {
        spate_log_view_span(view, progress->next, count_max, raft->options.append_large_bytes_max,
                            &span);
    }
    const struct spate_entry_id prev = {.term = spate_conflict_term(raft->log, progress->next - 1),
                                        .index = progress->next - 1};
    spate_assert(prev.index == 0 || prev.term >= 1);
    return spate_replicate_emit(raft, effects, place, prev, &span);
}

/*
 * An empty message: heartbeat, commit notice or probe. Behind what the member is known to have it
 * cannot be refused, whatever overtakes it; a probe asks behind `next`. Where the log does not
 * reach back that far, {0, 0} precedes everything.
 */
static bool send_empty(struct spate_raft *raft, struct spate_effects *effects, uint32_t place)
{
    spate_assert(spate_raft_is_leader(raft));
    spate_assert(place != raft->self);
    const struct spate_progress *progress = &raft->progress[place];
    struct spate_entry_id prev = {.index = progress->is_replicating ? progress->received
                                                                    : progress->next - 1};

    spate_assert(prev.index <= spate_log_last(raft->log));
    prev.term = spate_conflict_term(raft->log, prev.index);
    prev.index = prev.term == 0 ? 0 : prev.index;
    return spate_replicate_emit(raft, effects, place, prev, NULL);
}

/*
 * Gives up on what was not answered in time, and asks anew: behind what is known to be there, or,
 * of a probe that took entries along, where it asked before. (Asking behind what the lost probe
 * carried would be refused for ever: tests/track-record.md.)
 */
static void resend(struct spate_raft *raft, struct spate_progress *progress)
{
    spate_assert(progress->received < progress->next);
    spate_assert(spate_raft_is_leader(raft));
    raft->retransmits++;
    spate_progress_rewind(progress, spate_progress_unanswered(progress), raft->round + 1, false);
    if (progress->repeats < UINT8_MAX) {
        progress->repeats++;
    }
}

/* The probe goes with entries while an answer is likely, else empty. */
static bool send_probe(struct spate_raft *raft, struct spate_effects *effects, uint32_t place,
                       const struct spate_log_view *view)
{
    spate_assert(place != raft->self);
    const struct spate_progress *progress = &raft->progress[place];

    spate_assert(!progress->is_replicating);
    if (progress->is_probe_out) {
        return false;
    }
    if (progress->next < view->first && progress->next >= raft->options.first_stored &&
        progress->repeats <= 1) {
        return false; /* The fetch that is on its way brings the probe. */
    }
    if (progress->repeats <= 1 && send_entries(raft, effects, place, view)) {
        return true;
    }
    return send_empty(raft, effects, place);
}

/* When to send something only because a read waits for an answer: at once, and again when none
 * came. */
static spate_time_ns round_wanted_at(const struct spate_raft *raft,
                                     const struct spate_progress *progress)
{
    const uint64_t round = spate_read_round(raft);

    spate_assert(spate_raft_is_leader(raft));
    spate_assert(progress->round_sent <= raft->round);
    if (progress->round_answered >= round) {
        return SPATE_TIME_NEVER;
    }
    return progress->round_sent < round
               ? raft->now
               : progress->sent_at +
                     spate_progress_timeout_ns(progress, raft->options.heartbeat_ns);
}

static void send_to(struct spate_raft *raft, struct spate_effects *effects, uint32_t place,
                    const struct spate_log_view *view, uint32_t messages_max)
{
    spate_assert(place != raft->self);
    spate_assert(messages_max >= 1);
    struct spate_progress *progress = &raft->progress[place];
    uint32_t sent = 0;

    if (raft->now < progress->paused_until) {
        return;
    }
    if (raft->now >= spate_progress_resend_at(progress, raft->options.heartbeat_ns)) {
        resend(raft, progress);
    }
    if (!progress->is_replicating) {
        sent = send_probe(raft, effects, place, view) ? 1 : 0;
    } else {
        while (sent < messages_max && send_entries(raft, effects, place, view)) {
            sent++;
        }
        raft->is_waiting = raft->is_waiting || sent == messages_max;
    }
    spate_assert(progress->next <= view->last + 1);
    if (sent > 0) {
        return;
    }
    if (raft->now >= progress->sent_at + raft->options.heartbeat_ns ||
        raft->now >= round_wanted_at(raft, progress)) {
        (void)send_empty(raft, effects, place);
    } else if (progress->is_replicating && progress->commit_sent < raft->commit) {
        if (progress->is_notice_due) {
            (void)send_empty(raft, effects, place);
        } else {
            progress->is_notice_due = true;
            raft->is_waiting = true;
        }
    }
}

void spate_replicate_send(struct spate_raft *raft, struct spate_effects *effects)
{
    const uint32_t count = raft->configs.now.count;
    struct spate_log_view view;

    spate_assert(spate_raft_is_leader(raft));
    if (count == 0 || (count == 1 && raft->self == 0)) {
        return;
    }
    spate_log_view(raft->log, &view);
    /* Each member gets its share of the effects, so that a far one cannot starve the others. */
    const uint32_t share = SPATE_EFFECTS_MESSAGES_MAX / count;
    raft->turn_first = raft->turn_first + 1 == count ? 0 : raft->turn_first + 1;
    uint32_t place = raft->turn_first;
    for (uint32_t i = 0; i < count; i++) {
        if (place != raft->self) {
            send_to(raft, effects, place, &view, share);
        }
        place = place + 1 == count ? 0 : place + 1;
    }
    spate_assert(effects->message_count <= SPATE_EFFECTS_MESSAGES_MAX);
}

spate_time_ns spate_replicate_deadline(const struct spate_raft *raft)
{
    spate_assert(raft->options.heartbeat_ns >= 1);
    spate_time_ns deadline = SPATE_TIME_NEVER;

    spate_assert(spate_raft_is_leader(raft));
    for (uint32_t place = 0; place < raft->configs.now.count; place++) {
        const struct spate_progress *progress = &raft->progress[place];
        if (place == raft->self) {
            continue;
        }
        const spate_time_ns resend_at =
            spate_progress_resend_at(progress, raft->options.heartbeat_ns);
        spate_time_ns at = progress->sent_at + raft->options.heartbeat_ns;
        const spate_time_ns wanted_at = round_wanted_at(raft, progress);
        at = resend_at < at ? resend_at : at;
        at = wanted_at < at ? wanted_at : at;
        at = at < progress->paused_until ? progress->paused_until : at;
        deadline = at < deadline ? at : deadline;
    }
    return deadline;
}
