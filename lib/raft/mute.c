/*
 * A core that may have forgotten what it promised: its memory ended with the process, its disk was
 * emptied, or records of its log are damaged. It may have voted, and acknowledged entries, and
 * knows nothing of it. So it is mute: it follows, and receives the log or a snapshot like
 * everybody, but it neither votes nor campaigns, and its leader counts it for nothing.
 *
 * It speaks again when the leader says so: the leader heard of this life of the member, appended an
 * entry after that, saw it committed by a majority without the member, and the member has it. Then
 * (docs/adr/0015-mute-members.md has the proof) no promise of an earlier life can matter any more:
 *
 *   - everything that those lives acknowledged and that was committed lies before that entry, in
 * the log which the member now has;
 *   - a vote that those lives gave cannot elect anybody any more, because a majority without the
 *     member has that entry, and such a candidate has not.
 *
 * A core with nothing on its disk is either founding the cluster, or has lost its data. Founders
 * elect the first leader, whose log is empty. So it votes for candidates whose log is empty, and
 * is mute once it meets a leader for which it did not vote.
 */
#include "raft_internal.h"

static void become_mute(struct spate_raft *raft)
{
    spate_assert(!spate_raft_is_leader(raft));
    raft->is_mute = true; /* The next batch says so, before or with the first entry. */
    raft->is_dirty = true;
    spate_election_rest(raft);
    spate_assert(raft->role == SPATE_ROLE_LEARNER);
}

void spate_mute_meet(struct spate_raft *raft, spate_node_id leader)
{
    spate_assert(leader == raft->leader);
    spate_assert(leader != raft->options.self);
    if (!raft->is_new) {
        return;
    }
    raft->is_new = false;
    if (raft->vote != leader && !raft->is_mute) {
        become_mute(raft);
    }
}

bool spate_mute_may_count(const struct spate_raft *raft)
{
    spate_assert(raft->self <= SPATE_MEMBERS_MAX);
    spate_assert(raft->options.self != 0);
    return !raft->is_mute &&
           (raft->self != SPATE_MEMBERS_MAX ||
            spate_membership_find(&raft->configs.now, raft->options.self) == SPATE_MEMBERS_MAX);
}

bool spate_mute_refuses(const struct spate_raft *raft, const struct spate_message_vote *vote)
{
    spate_assert(!raft->is_new || spate_log_last(raft->log) == 0);
    spate_assert(!raft->is_mute || !spate_raft_is_leader(raft));
    return raft->is_mute || (raft->is_new && vote->last.index > 0);
}

/* Our leader lets us speak again. */
static void reinstated(struct spate_raft *raft)
{
    spate_assert(raft->is_mute);
    spate_assert(!spate_raft_is_leader(raft));
    if (raft->forgotten != 0) {
        return; /* The host is about to stop. */
    }
    raft->is_mute = false;
    raft->follower.has_accept = raft->follower.accept_round > 0; /* So the leader learns of it. */
    spate_election_rest(raft);
}

/* Our leader knows of promises that we do not know of. */
static void was_forgotten(struct spate_raft *raft, spate_index index)
{
    spate_assert(index >= 1);
    spate_assert(!spate_raft_is_leader(raft));
    if (raft->options.is_mute || raft->options.may_forget || raft->forgotten != 0) {
        return; /* That is why we are mute. */
    }
    if (raft->self == SPATE_MEMBERS_MAX) {
        return; /* A namesake of another incarnation did. */
    }
    raft->forgotten = index;
    if (!raft->is_mute) {
        become_mute(raft);
    }
}

void spate_mute_receive(struct spate_raft *raft, const struct spate_message *message)
{
    spate_assert(message->from != raft->options.self);
    spate_assert(message->session != 0);
    if (message->peer_session != raft->options.session || message->term != raft->term ||
        raft->leader != message->from || raft->follower.leader_session != message->session) {
        return; /* Meant for an earlier life, or from somebody who does not lead us. */
    }
    if (message->kind == SPATE_MESSAGE_FORGOTTEN && message->forgotten.index >= 1) {
        was_forgotten(raft, message->forgotten.index);
    } else if (message->kind == SPATE_MESSAGE_REINSTATE && raft->is_mute) {
        reinstated(raft);
    }
}

void spate_mute_note(struct spate_raft *raft, struct spate_progress *progress,
                     const struct spate_message_append_result *result)
{
    spate_assert(spate_raft_is_leader(raft));
    spate_assert(progress->session != 0);
    if (result->is_mute && !progress->is_mute) {
        progress->mute_until = spate_log_last(raft->log) + 1;
    }
    progress->is_mute = result->is_mute;
}

void spate_mute_compare(struct spate_progress *progress,
                        const struct spate_message_append_result *result)
{
    spate_assert(!result->is_accepted);
    spate_assert(result->round >= progress->rewind_round);
    /* Within a term nobody loses what its leader was told to be durable. */
    if (result->prev <= progress->promised && result->last < progress->promised) {
        progress->has_forgotten = true;
    }
}

/* To one member, at most once in a heartbeat. */
static void tell(struct spate_raft *raft, struct spate_effects *effects, uint32_t place,
                 enum spate_message_kind kind)
{
    struct spate_progress *progress = &raft->progress[place];

    spate_assert(spate_raft_is_leader(raft));
    spate_assert(progress->session != 0);
    if (progress->told_at != 0 && raft->now < progress->told_at + raft->options.heartbeat_ns) {
        return;
    }
    struct spate_message *message =
        spate_effects_message(raft, effects, kind, spate_raft_member(raft, place));
    if (message == NULL) {
        raft->is_waiting = true;
        return;
    }
    message->peer_session = progress->session;
    if (kind == SPATE_MESSAGE_FORGOTTEN) {
        message->forgotten.index = progress->promised;
    }
    progress->told_at = raft->now;
}

void spate_mute_advance(struct spate_raft *raft, struct spate_effects *effects)
{
    spate_assert(spate_raft_is_leader(raft));
    for (uint32_t place = 0; place < raft->configs.now.count; place++) {
        struct spate_progress *progress = &raft->progress[place];
        if (place == raft->self || (!progress->is_mute && !progress->has_forgotten)) {
            continue;
        }
        if (progress->has_forgotten) {
            tell(raft, effects, place, SPATE_MESSAGE_FORGOTTEN);
            progress->has_forgotten = false;
        }
        /* Whatever is proposed next will do; where nothing is, an entry of our own. */
        if (progress->is_mute && progress->mute_until > spate_log_last(raft->log) &&
            raft->lead_first != SPATE_INDEX_NONE_YET && raft->transfer.to == 0) {
            (void)spate_propose_mark(raft);
        }
        if (progress->is_mute && progress->match >= progress->mute_until &&
            raft->commit >= progress->mute_until) {
            tell(raft, effects, place, SPATE_MESSAGE_REINSTATE);
        }
    }
}
