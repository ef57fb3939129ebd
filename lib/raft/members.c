/*
 * The membership in force (paper section 6, thesis chapter 4): it follows the log, what is kept for
 * each member moves along with it, and a leader carries a change through.
 */
#include "raft_internal.h"

/* Where what is in flight to a member is kept: one slice for each place. */
static struct spate_inflight *slice(struct spate_raft *raft, uint32_t number)
{
    spate_assert(number < SPATE_MEMBERS_MAX);
    spate_assert(raft->options.window_messages >= 1);
    return &raft->inflight[(size_t)number * raft->options.window_messages];
}

static uint32_t slice_number(const struct spate_raft *raft, const struct spate_inflight *inflight)
{
    const size_t offset = (size_t)(inflight - raft->inflight);

    spate_assert(offset % raft->options.window_messages == 0);
    spate_assert(offset / raft->options.window_messages < SPATE_MEMBERS_MAX);
    return (uint32_t)(offset / raft->options.window_messages);
}

/* The place of the same member, of the same incarnation, in the old membership. */
static uint32_t old_place_of(const struct spate_membership *old, const struct spate_member *member)
{
    const uint32_t place = spate_membership_find(old, member->id);

    spate_assert(member->id != 0);
    spate_assert(old->count <= SPATE_MEMBERS_MAX);
    return place != SPATE_MEMBERS_MAX && old->members[place].incarnation == member->incarnation
               ? place
               : SPATE_MEMBERS_MAX;
}

static uint32_t moved(uint32_t set, uint32_t from, uint32_t to)
{
    spate_assert(from < SPATE_MEMBERS_MAX);
    spate_assert(to < SPATE_MEMBERS_MAX);
    return (set >> from & 1u) << to;
}

/* Our own place; none for a namesake of another incarnation. */
static void find_self(struct spate_raft *raft)
{
    const struct spate_membership *now = &raft->configs.now;

    spate_assert(raft->options.self != 0);
    raft->self = spate_membership_find(now, raft->options.self);
    if (raft->self != SPATE_MEMBERS_MAX &&
        now->members[raft->self].incarnation != raft->options.incarnation) {
        raft->self = SPATE_MEMBERS_MAX;
    }
    spate_assert(raft->self <= SPATE_MEMBERS_MAX);
}

void spate_members_place(struct spate_raft *raft, const struct spate_membership *old)
{
    const struct spate_membership *now = &raft->configs.now;
    struct spate_progress before[SPATE_MEMBERS_MAX];
    uint32_t granted = 0, refused = 0, unasked = 0, used = 0;
    uint32_t fresh = 0;

    spate_assert(now->count <= SPATE_MEMBERS_MAX);
    memcpy(before, raft->progress, sizeof before);
    for (uint32_t place = 0; place < now->count; place++) {
        const uint32_t from = old_place_of(old, &now->members[place]);
        if (from == SPATE_MEMBERS_MAX) {
            fresh |= 1u << place;
            continue;
        }
        raft->progress[place] = before[from];
        used |= 1u << slice_number(raft, before[from].inflight);
        granted |= moved(raft->granted, from, place);
        refused |= moved(raft->refused, from, place);
        unasked |= moved(raft->unasked, from, place);
    }
    for (; fresh != 0; fresh &= fresh - 1) {
        const uint32_t free_slice = (uint32_t)__builtin_ctz(~used);
        struct spate_progress *progress = &raft->progress[__builtin_ctz(fresh)];
        *progress = (struct spate_progress){.inflight = slice(raft, free_slice),
                                            .inflight_max = raft->options.window_messages};
        used |= 1u << free_slice;
        spate_progress_reset(progress, spate_log_last(raft->log) + 1, raft->round + 1, raft->now);
    }
    raft->granted = granted;
    raft->refused = refused;
    raft->unasked = unasked;
    raft->turn_first = 0;
    find_self(raft);
}

/* Another membership is in force. */
static void adopt(struct spate_raft *raft, const struct spate_membership *old)
{
    spate_assert(raft->configs.index <= spate_log_last(raft->log));
    spate_members_place(raft, old);
    spate_assert(raft->owed >> SPATE_MEMBERS_MAX == 0);
    raft->is_dirty = true;
    if (spate_raft_is_leader(raft)) {
        spate_commit_count(raft);
        return;
    }
    spate_election_rest(raft);
}

void spate_members_follow_log(struct spate_raft *raft, spate_index first)
{
    const struct spate_membership old = raft->configs.now;
    struct spate_log_view view;
    bool is_changed = false;

    spate_log_view(raft->log, &view);
    spate_assert(first >= view.first);
    while (first <= view.last) {
        struct spate_log_span span;
        spate_log_view_span(&view, first, UINT32_MAX, UINT32_MAX, &span);
        is_changed = spate_configs_take(&raft->configs, &span) || is_changed;
        spate_assert(span.count >= 1);
        first += span.count;
    }
    if (is_changed) {
        adopt(raft, &old);
    }
}

void spate_members_cut(struct spate_raft *raft, spate_index last_kept)
{
    const struct spate_membership old = raft->configs.now;

    spate_assert(last_kept == spate_log_last(raft->log));
    spate_assert(!spate_raft_is_leader(raft));
    if (spate_configs_cut(&raft->configs, last_kept)) {
        adopt(raft, &old);
    }
}

void spate_members_reset(struct spate_raft *raft, spate_index index,
                         const struct spate_membership *membership)
{
    const struct spate_membership old = raft->configs.now;

    spate_assert(!spate_raft_is_leader(raft));
    spate_assert(index <= spate_log_last(raft->log));
    spate_configs_begin(&raft->configs, index, membership);
    adopt(raft, &old);
}

/*
 * Also who is removed by a membership that is not committed yet: it may be the only one that can
 * have it committed (thesis section 4.2.2, and tests/track-record.md).
 */
bool spate_members_may_campaign(const struct spate_raft *raft)
{
    const struct spate_configs *configs = &raft->configs;
    const struct spate_membership *last =
        configs->index > raft->commit && raft->self == SPATE_MEMBERS_MAX ? &configs->before
                                                                         : &configs->now;
    const uint32_t place = spate_membership_find(last, raft->options.self);

    spate_assert(configs->index_before <= configs->index);
    spate_assert(raft->self <= SPATE_MEMBERS_MAX);
    return !raft->is_mute && place != SPATE_MEMBERS_MAX &&
           last->members[place].incarnation == raft->options.incarnation &&
           (last->members[place].is_voter || last->members[place].is_voter_next);
}

const struct spate_membership *spate_raft_membership(const struct spate_raft *raft)
{
    spate_assert(raft != NULL);
    spate_assert(raft->configs.now.count <= SPATE_MEMBERS_MAX);
    return &raft->configs.now;
}

const struct spate_membership *spate_raft_membership_at(const struct spate_raft *raft,
                                                        spate_index index, spate_index *ret_index)
{
    const bool is_now = raft->configs.index <= index;

    spate_assert(ret_index != NULL);
    spate_assert(index >= raft->configs.index_before);
    *ret_index = is_now ? raft->configs.index : raft->configs.index_before;
    return is_now ? &raft->configs.now : &raft->configs.before;
}

bool spate_raft_knows_membership_at(const struct spate_raft *raft, spate_index index)
{
    spate_index by = 0;

    spate_assert(raft != NULL);
    spate_assert(index <= spate_log_last(raft->log));
    return index >= raft->configs.index_before &&
           spate_raft_membership_at(raft, index, &by)->count > 0;
}

/* Puts a membership into the log, where it is in force at once. False: no room at the moment. */
static bool append(struct spate_raft *raft, const struct spate_membership *membership)
{
    uint8_t bytes[SPATE_MEMBERSHIP_BYTES_MAX];
    const uint32_t size = spate_membership_encode(membership, bytes);

    spate_assert(spate_raft_is_leader(raft));
    spate_assert(raft->configs.index <= raft->commit);
    if (spate_log_stage(raft->log, raft->term, SPATE_ENTRY_MEMBERSHIP, bytes, size) != SPATE_OK) {
        return false;
    }
    spate_log_publish(raft->log);
    spate_members_follow_log(raft, spate_log_last(raft->log));
    spate_assert(raft->configs.index == spate_log_last(raft->log));
    return true;
}

/*
 * Whether another membership may be proposed: the one before is committed, and so is an entry of
 * our own term (a leader that did not wait could count with a membership that was never agreed
 * upon: Ongaro's correction of 2015 to the thesis, section 4.1).
 */
static bool may_change(const struct spate_raft *raft)
{
    spate_assert(raft->configs.index <= spate_log_last(raft->log));
    spate_assert(raft->commit <= spate_log_last(raft->log));
    return spate_raft_is_leader(raft) && raft->lead_first != SPATE_INDEX_NONE_YET &&
           raft->commit >= raft->lead_first && raft->configs.index <= raft->commit;
}

/*
 * The members that have everything that was committed a little while ago, and so will not hold up
 * commitment when they vote (thesis section 4.2.1).
 */
static uint32_t caught_up(const struct spate_raft *raft)
{
    uint32_t set = 0;

    spate_assert(spate_raft_is_leader(raft));
    spate_assert(raft->mark_before <= raft->commit);
    for (uint32_t place = 0; place < raft->configs.now.count; place++) {
        const struct spate_progress *progress = &raft->progress[place];
        const bool is_active = progress->session != 0 && raft->now - progress->active_at <
                                                             raft->options.election_timeout_ns_min;
        if (place != raft->self && is_active && progress->is_replicating && !progress->is_mute &&
            raft->mark_before != 0 && progress->match >= raft->mark_before) {
            set |= 1u << place;
        }
    }
    return set;
}

uint32_t spate_members_caught_up(const struct spate_raft *raft)
{
    spate_assert(raft != NULL);
    spate_assert(raft->configs.now.count <= SPATE_MEMBERS_MAX);
    return spate_raft_is_leader(raft) ? caught_up(raft) : 0;
}

static bool have_caught_up(const struct spate_raft *raft, const struct spate_change *change)
{
    const uint32_t set = caught_up(raft);
    const uint32_t first = change->kind == SPATE_CHANGE_REPLACE ? 1 : 0;

    spate_assert(change->count >= 1);
    spate_assert(change->count <= SPATE_CHANGE_MEMBERS_MAX);
    for (uint32_t i = first; i < change->count && i < SPATE_CHANGE_MEMBERS_MAX; i++) {
        const uint32_t place = spate_membership_find(&raft->configs.now, change->members[i].id);
        if (place != SPATE_MEMBERS_MAX && (set & 1u << place) == 0) {
            return false;
        }
    }
    return true;
}

/*
 * Whether a majority of those who would vote answers and counts at the moment. Otherwise the change
 * could end the cluster for good: it is in force before it can be committed.
 */
static bool has_quorum(const struct spate_raft *raft, const struct spate_membership *next)
{
    const spate_time_ns age_max = raft->options.election_timeout_ns_max;
    uint32_t answering = 0;

    spate_assert(spate_raft_is_leader(raft));
    spate_assert(next->count >= 1);
    for (uint32_t i = 0; i < next->count; i++) {
        const uint32_t place = spate_membership_find(&raft->configs.now, next->members[i].id);
        if (place == SPATE_MEMBERS_MAX) {
            continue;
        }
        const struct spate_progress *progress = &raft->progress[place];
        const bool answers = progress->session != 0 && !progress->is_mute &&
                             raft->now - progress->active_at < age_max;
        answering |= (uint32_t)(place == raft->self || answers) << i;
    }
    return spate_quorum_has(next, answering);
}

static enum spate_change_verdict judge(struct spate_raft *raft, const struct spate_change *change)
{
    struct spate_membership next;

    spate_assert(raft->configs.index <= spate_log_last(raft->log));
    spate_assert(change->kind <= SPATE_CHANGE_UPDATE);
    if (!spate_raft_is_leader(raft)) {
        return SPATE_CHANGE_NOT_LEADER;
    }
    if (raft->lead_first == SPATE_INDEX_NONE_YET || raft->commit < raft->lead_first) {
        return SPATE_CHANGE_TOO_EARLY;
    }
    if (!may_change(raft) || spate_membership_is_joint(&raft->configs.now) ||
        raft->transfer.to != 0) {
        return SPATE_CHANGE_UNDER_WAY;
    }
    const enum spate_change_verdict verdict = spate_change_apply(&raft->configs.now, change, &next);
    const bool promotes =
        change->kind == SPATE_CHANGE_PROMOTE || change->kind == SPATE_CHANGE_REPLACE;
    if (verdict != SPATE_CHANGE_ACCEPTED) {
        return verdict;
    }
    if (promotes && !have_caught_up(raft, change)) {
        return SPATE_CHANGE_BEHIND;
    }
    if (!has_quorum(raft, &next)) {
        return SPATE_CHANGE_NO_QUORUM;
    }
    return append(raft, &next) ? SPATE_CHANGE_ACCEPTED : SPATE_CHANGE_TOO_EARLY;
}

void spate_members_change(struct spate_raft *raft, const struct spate_change *change,
                          struct spate_effects *effects)
{
    spate_assert(change != NULL);
    effects->change_verdict = judge(raft, change);
    effects->change_index =
        effects->change_verdict == SPATE_CHANGE_ACCEPTED ? raft->configs.index : 0;
    spate_assert(effects->change_index <= spate_log_last(raft->log));
}

/* The commit index of half an election timeout ago, or somewhat earlier. Whether it moved: often
 * enough to look whether somebody has caught up. */
static bool move_mark(struct spate_raft *raft)
{
    spate_assert(spate_raft_is_leader(raft));
    if (raft->now < raft->mark_at) {
        return false;
    }
    raft->mark_before = raft->mark;
    raft->mark = raft->commit;
    raft->mark_at = raft->now + raft->options.election_timeout_ns_min / 2;
    spate_assert(raft->mark_before <= raft->mark);
    return true;
}

void spate_members_advance(struct spate_raft *raft, struct spate_effects *effects)
{
    const struct spate_membership *now = &raft->configs.now;
    struct spate_membership next;
    struct spate_change change;

    spate_assert(spate_raft_is_leader(raft));
    spate_assert(now->count >= 1);
    const bool is_time = move_mark(raft);
    if (!may_change(raft)) {
        return;
    }
    if (spate_membership_is_joint(now)) {
        spate_change_finish(now, &next);
        raft->is_waiting = !append(raft, &next) || raft->is_waiting;
        return;
    }
    if (!spate_membership_is_voter(now, raft->options.self) || raft->self == SPATE_MEMBERS_MAX) {
        /* Removed, and that is committed (thesis section 4.2.2). Somebody takes over at once. */
        spate_transfer_hand_over(raft, effects);
        spate_election_follow(raft, raft->term, 0);
        return;
    }
    if (is_time && raft->transfer.to == 0 && spate_change_find(now, caught_up(raft), &change) &&
        spate_change_apply(now, &change, &next) == SPATE_CHANGE_ACCEPTED) {
        raft->is_waiting = !append(raft, &next) || raft->is_waiting;
    }
}
