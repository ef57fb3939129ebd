/* Creation, and which event goes where. */
#include "raft_internal.h"

#include <stdlib.h>

static bool options_are_valid(const struct spate_raft_options *options)
{
    return options->self != 0 && options->session != 0 && options->log != NULL &&
           (options->membership.count == 0 || spate_membership_is_valid(&options->membership)) &&
           options->term < SPATE_TERM_MAX && options->term >= spate_log_last_term(options->log) &&
           options->commit <= spate_log_last(options->log) &&
           options->election_timeout_ns_min >= 1 &&
           options->election_timeout_ns_min <= options->election_timeout_ns_max &&
           options->election_timeout_ns_max < SPATE_TIME_NEVER / 4 && options->heartbeat_ns >= 1 &&
           options->heartbeat_ns < options->election_timeout_ns_min &&
           options->append_bytes_max >= 1 && options->window_bytes >= 1 &&
           (!options->store_is_behind || spate_log_first(options->log) > 1) &&
           (!options->is_new || spate_log_last(options->log) == 0) &&
           options->window_messages >= 1 && options->window_messages <= SPATE_WINDOW_MESSAGES_MAX;
}

spate_err spate_raft_create(const struct spate_raft_options *options, struct spate_raft **ret_raft)
{
    spate_assert(options != NULL);
    spate_assert(ret_raft != NULL);
    if (!options_are_valid(options)) {
        return SPATE_ERR_INVALID;
    }
    const size_t inflight_count = (size_t)SPATE_MEMBERS_MAX * options->window_messages;
    struct spate_raft *raft =
        calloc(1, sizeof *raft + inflight_count * sizeof(struct spate_inflight));
    if (raft == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    raft->options = *options;
    raft->log = options->log;
    raft->term = options->term;
    raft->vote = options->vote;
    raft->now = options->now;
    /* What a snapshot or a compaction took away was committed. */
    const spate_index base = spate_log_first(raft->log) - 1;
    raft->commit = options->commit > base ? options->commit : base;
    raft->commit_hinted = options->commit < raft->commit ? options->commit : raft->commit;
    raft->follower.verified = raft->commit;
    raft->is_dirty = true;
    raft->votes_after =
        options->lease_enabled ? options->now + options->election_timeout_ns_min : 0;
    spate_prng_seed(&raft->prng, options->seed, options->self);
    raft->is_new = options->is_new;
    raft->is_mute = options->is_mute;
    const struct spate_ticket_record durable = {.term = raft->term,
                                                .vote = raft->vote,
                                                .is_mute = raft->is_mute,
                                                .last = spate_log_last(raft->log)};
    spate_tickets_init(&raft->tickets, &durable);
    if (options->store_is_behind) {
        spate_tickets_reset(&raft->tickets,
                            (struct spate_entry_id){.term = spate_log_last_term(raft->log),
                                                    .index = spate_log_last(raft->log)});
    }
    const struct spate_membership none = {.count = 0};
    spate_configs_begin(&raft->configs, options->membership_index, &options->membership);
    spate_members_place(raft, &none);
    spate_election_follow(raft, raft->term, 0);
    spate_members_follow_log(raft, base + 1);
    if (spate_raft_is_alone(raft)) {
        raft->election_at = raft->now; /* Nobody else could lead. */
    }
    spate_assert(spate_raft_valid(raft));
    *ret_raft = raft;
    return SPATE_OK;
}

void spate_raft_destroy(struct spate_raft *raft)
{
    if (raft != NULL) {
        spate_assert(raft->options.self != 0);
        spate_assert(raft->log == raft->options.log);
    }
    free(raft);
}

/* What may come from somebody who is no member here: our membership may be older than theirs. */
static bool receive_request(struct spate_raft *raft, const struct spate_message *message)
{
    spate_assert(message->from != raft->options.self);
    spate_assert(message->from != 0);
    switch ((int)message->kind) {
    case SPATE_MESSAGE_VOTE:
        spate_vote_receive(raft, message);
        return true;
    case SPATE_MESSAGE_APPEND:
        spate_append_receive(raft, message);
        return true;
    case SPATE_MESSAGE_SNAPSHOT:
        spate_snapshot_receive(raft, message);
        return true;
    case SPATE_MESSAGE_TIMEOUT_NOW:
        spate_transfer_receive(raft, message);
        return true;
    case SPATE_MESSAGE_READ_RESULT:
        spate_read_receive_result(raft, message);
        return true;
    case SPATE_MESSAGE_REINSTATE:
    case SPATE_MESSAGE_FORGOTTEN:
        spate_mute_receive(raft, message);
        return true;
    default:
        return false;
    }
}

static void receive(struct spate_raft *raft, const struct spate_message *message)
{
    spate_assert(message != NULL);
    const uint32_t place = spate_membership_find(&raft->configs.now, message->from);

    /* Only who answers may still be in term 0, at the founding of the cluster. */
    const bool has_term = message->term > 0 || message->kind == SPATE_MESSAGE_VOTE_RESULT;

    /* A term that has no successor would end the cluster: no correct member ever names one. */
    if (message->to != raft->options.self || message->from == 0 ||
        message->from == raft->options.self || !has_term || message->term > SPATE_TERM_MAX ||
        message->session == 0) {
        raft->messages_invalid++;
        return;
    }
    raft->is_dirty = true;
    if (receive_request(raft, message) || place == SPATE_MEMBERS_MAX) {
        return; /* Answers of somebody who was removed meanwhile count no more. */
    }
    switch ((int)message->kind) {
    case SPATE_MESSAGE_VOTE_RESULT:
        spate_vote_receive_result(raft, place, message);
        break;
    case SPATE_MESSAGE_APPEND_RESULT:
        spate_replicate_receive_result(raft, place, message);
        break;
    case SPATE_MESSAGE_READ:
        spate_read_receive(raft, place, message);
        break;
    default:
        raft->messages_invalid++; /* The host's. */
        break;
    }
    spate_assert(raft->term <= SPATE_TERM_MAX);
}

static void stored(struct spate_raft *raft, uint64_t ticket)
{
    spate_assert(ticket <= raft->tickets.issued);
    if (!spate_tickets_complete(&raft->tickets, ticket)) {
        return;
    }
    raft->is_dirty = true;
    spate_election_count(raft);
    spate_commit_count(raft);
    spate_append_stored(raft);
    spate_assert(raft->tickets.completed == ticket);
}

static void measured(struct spate_raft *raft, const struct spate_event *event)
{
    spate_assert(event->path.member != raft->options.self);
    const uint32_t place = spate_membership_find(&raft->configs.now, event->path.member);

    if (place == SPATE_MEMBERS_MAX || place == raft->self) {
        return;
    }
    raft->progress[place].append_bytes_max = event->path.append_bytes_max;
    if (event->path.rtt_ns > 0) {
        spate_progress_measured(&raft->progress[place], event->path.rtt_ns);
    }
}

static void show_state(const struct spate_raft *raft, struct spate_effects *effects)
{
    spate_assert(raft->commit <= spate_log_last(raft->log));
    spate_assert(raft->term <= SPATE_TERM_MAX);
    spate_assert(raft->term >= spate_log_last_term(raft->log));
    effects->membership_index = raft->configs.index;
    effects->read_ready = raft->reads.ready;
    effects->read_index = raft->reads.ready_index;
    effects->is_chunk_welcome = raft->is_chunk_welcome;
    effects->commit = raft->commit;
    effects->is_mute = raft->is_mute;
    effects->forgotten = raft->tickets.durable.is_mute ? raft->forgotten : 0;
    effects->term = raft->term;
    effects->role = raft->role;
    effects->leader = raft->leader;
    effects->deadline = raft->is_dirty ? raft->now : raft->deadline;
}

void spate_raft_step(struct spate_raft *raft, const struct spate_event *event,
                     struct spate_effects *effects)
{
    spate_assert(event->now >= raft->now);
    spate_assert(event->kind < SPATE_EVENT_COUNT);
    raft->now = event->now;
    raft->is_chunk_welcome = false;
    switch (event->kind) {
    case SPATE_EVENT_MESSAGE:
        receive(raft, event->message);
        break;
    case SPATE_EVENT_PROPOSE:
        spate_raft_propose(raft, event->propose.items, event->propose.count, effects);
        break;
    case SPATE_EVENT_STORED:
        stored(raft, event->stored.ticket);
        break;
    case SPATE_EVENT_PATH:
        measured(raft, event);
        break;
    case SPATE_EVENT_FETCHED:
        spate_fetch_receive(raft, event, effects);
        break;
    case SPATE_EVENT_READ:
        spate_read_ask(raft, event->read.id);
        break;
    case SPATE_EVENT_INSTALLED:
        effects->installed_err = spate_snapshot_install(raft, event);
        break;
    case SPATE_EVENT_CHANGE:
        spate_members_change(raft, event->change, effects);
        break;
    case SPATE_EVENT_TRANSFER:
        effects->transfer_accepted = spate_transfer_begin(raft, event->transfer.to);
        break;
    case SPATE_EVENT_FLUSH:
        spate_flush(raft, event->flush.store_is_ready, event->flush.store_bytes_max, effects);
        break;
    case SPATE_EVENT_COUNT:
        break;
    }
    show_state(raft, effects);
    spate_assert_slow(spate_raft_valid(raft));
}

void spate_raft_message_dropped(struct spate_raft *raft, const struct spate_message *message)
{
    const uint32_t place = spate_membership_find(&raft->configs.now, message->to);

    spate_assert(message->to != raft->options.self);
    if (place == SPATE_MEMBERS_MAX || message->kind != SPATE_MESSAGE_APPEND ||
        !spate_raft_is_leader(raft) || message->term != raft->term) {
        return; /* Everything else is asked or told again. */
    }
    struct spate_progress *progress = &raft->progress[place];
    /* What follows it will be refused: those refusals are known already. */
    if (spate_progress_take_back(progress, message->append.round)) {
        progress->rewind_round = raft->round + 1;
    }
    progress->is_probe_out = false;
    progress->commit_sent = 0;
    const spate_time_ns pause_ns = progress->rtt_ns == 0 ? 1000000u : progress->rtt_ns;
    progress->paused_until =
        raft->now + (pause_ns < raft->options.heartbeat_ns ? pause_ns : raft->options.heartbeat_ns);
    raft->deadline =
        progress->paused_until < raft->deadline ? progress->paused_until : raft->deadline;
}
