#include "progress_internal.h"

#include "base/assert.h"

/* Below this the scheduler of an ordinary machine is a likelier cause of silence than a loss. */
#define RESEND_NS_MIN 2000000u

/* Timeouts double with each repeat, up to this many times. */
#define REPEATS_MAX 10u

static struct spate_inflight *inflight_at(const struct spate_progress *progress, uint32_t place)
{
    spate_assert(progress->inflight_begin < progress->inflight_max);
    spate_assert(place < progress->inflight_count);
    uint32_t at = progress->inflight_begin + place;
    if (at >= progress->inflight_max) {
        at -= progress->inflight_max;
    }
    return &progress->inflight[at];
}

void spate_progress_reset(struct spate_progress *progress, spate_index next, uint64_t round_next,
                          spate_time_ns now)
{
    spate_assert(next >= 1);
    spate_assert(progress->inflight_max >= 1);
    *progress = (struct spate_progress){
        .next = next,
        .session_round = round_next,
        .rewind_round = round_next,
        .active_at = now,
        .advanced_at = now,
        .rtt_ns = progress->rtt_ns,
        .rtt_deviation_ns = progress->rtt_deviation_ns,
        .append_bytes_max = progress->append_bytes_max,
        .inflight = progress->inflight,
        .inflight_max = progress->inflight_max,
    };
}

bool spate_progress_has_room(const struct spate_progress *progress, uint64_t window_bytes,
                             uint32_t frame_bytes, uint32_t bytes)
{
    spate_assert(progress->inflight != NULL);
    spate_assert(progress->inflight_count <= progress->inflight_max);
    if (progress->inflight_count == 0) {
        return true;
    }
    const struct spate_inflight *last = inflight_at(progress, progress->inflight_count - 1);

    return progress->inflight_count < progress->inflight_max && bytes <= frame_bytes &&
           last->bytes <= frame_bytes && progress->inflight_bytes + bytes <= window_bytes;
}

void spate_progress_sent(struct spate_progress *progress, const struct spate_inflight *message)
{
    spate_assert(message->first > progress->received);
    spate_assert(message->first == progress->next);
    spate_assert(message->last >= message->first);
    spate_assert(progress->inflight_count < progress->inflight_max);

    progress->inflight_count++;
    *inflight_at(progress, progress->inflight_count - 1) = *message;
    progress->inflight_bytes += message->bytes;
    progress->next = message->last + 1;
    progress->sent_at = message->sent_at;
}

void spate_progress_accepted(struct spate_progress *progress, spate_index received,
                             spate_index match, spate_time_ns now)
{
    spate_assert(progress->received < progress->next);
    spate_assert(match <= received);
    if (match > progress->match) {
        progress->match = match;
    }
    if (received <= progress->received) {
        return;
    }
    progress->received = received;
    progress->advanced_at = now;
    progress->repeats = 0;
    if (progress->next <= received) {
        progress->next = received + 1;
    }
    while (progress->inflight_count > 0 && inflight_at(progress, 0)->last <= received) {
        spate_assert(progress->inflight_bytes >= inflight_at(progress, 0)->bytes);
        progress->inflight_bytes -= inflight_at(progress, 0)->bytes;
        progress->inflight_begin++;
        if (progress->inflight_begin == progress->inflight_max) {
            progress->inflight_begin = 0;
        }
        progress->inflight_count--;
    }
}

spate_index spate_progress_unanswered(const struct spate_progress *progress)
{
    spate_assert(progress->received < progress->next);
    if (progress->is_replicating) {
        return progress->received + 1;
    }
    return progress->inflight_count > 0 ? inflight_at(progress, 0)->first : progress->next;
}

void spate_progress_rewind(struct spate_progress *progress, spate_index next, uint64_t round_next,
                           bool is_replicating)
{
    spate_assert(next >= 1);
    spate_assert(round_next >= progress->rewind_round);
    progress->next = next > progress->received ? next : progress->received + 1;
    progress->rewind_round = round_next;
    progress->is_replicating = is_replicating;
    progress->is_probe_out = false;
    progress->inflight_begin = 0;
    progress->inflight_count = 0;
    progress->inflight_bytes = 0;
}

bool spate_progress_take_back(struct spate_progress *progress, uint64_t round)
{
    spate_assert(progress->received < progress->next);
    spate_assert(progress->inflight_count <= progress->inflight_max);
    for (uint32_t place = 0; place < progress->inflight_count; place++) {
        const struct spate_inflight *message = inflight_at(progress, place);
        if (message->round != round) {
            continue;
        }
        progress->next =
            message->first > progress->received ? message->first : progress->received + 1;
        progress->is_probe_out = false;
        while (progress->inflight_count > place) {
            const struct spate_inflight *last = inflight_at(progress, progress->inflight_count - 1);
            progress->inflight_bytes -= last->bytes;
            progress->inflight_count--;
        }
        return true;
    }
    return false;
}

void spate_progress_measured(struct spate_progress *progress, spate_time_ns rtt_ns)
{
    spate_assert(rtt_ns > 0);
    spate_assert(progress != NULL);
    /* An hour is longer than any timeout; the bound keeps the arithmetic below from overflowing. */
    const spate_time_ns sample = rtt_ns < 3600000000000u ? rtt_ns : 3600000000000u;

    if (progress->rtt_ns == 0) {
        progress->rtt_ns = sample;
        progress->rtt_deviation_ns = sample / 2;
        return;
    }
    const spate_time_ns distance =
        sample > progress->rtt_ns ? sample - progress->rtt_ns : progress->rtt_ns - sample;
    progress->rtt_deviation_ns = (3 * progress->rtt_deviation_ns + distance) / 4;
    progress->rtt_ns = (7 * progress->rtt_ns + sample) / 8;
}

spate_time_ns spate_progress_timeout_ns(const struct spate_progress *progress, spate_time_ns max_ns)
{
    spate_assert(max_ns >= 1);
    if (progress->rtt_ns == 0) {
        return max_ns;
    }
    const uint32_t doublings = progress->repeats < REPEATS_MAX ? progress->repeats : REPEATS_MAX;
    spate_time_ns timeout_ns = progress->rtt_ns + 4 * progress->rtt_deviation_ns;
    timeout_ns = timeout_ns > RESEND_NS_MIN ? timeout_ns : RESEND_NS_MIN;
    timeout_ns <<= doublings;
    return timeout_ns < max_ns ? timeout_ns : max_ns;
}

spate_time_ns spate_progress_resend_at(const struct spate_progress *progress, spate_time_ns max_ns)
{
    spate_assert(max_ns >= 1);
    const spate_time_ns timeout_ns = spate_progress_timeout_ns(progress, max_ns);

    if (!progress->is_replicating) {
        return progress->is_probe_out ? progress->sent_at + timeout_ns : SPATE_TIME_NEVER;
    }
    if (progress->inflight_count == 0) {
        return SPATE_TIME_NEVER;
    }
    /* Like TCP: as long as answers arrive, what waits behind them is on its way. */
    const spate_time_ns sent_at = inflight_at(progress, 0)->sent_at;
    const spate_time_ns since = sent_at > progress->advanced_at ? sent_at : progress->advanced_at;
    return since + timeout_ns;
}

void spate_progress_asked(struct spate_progress *progress, uint64_t round, spate_time_ns now)
{
    spate_assert(round > progress->round_sent);
    spate_assert(now >= progress->sent_at);
    progress->round_sent = round;
    progress->sent_at = now;
    if (progress->lease_round == 0) {
        progress->lease_round = round;
        progress->lease_asked_at = now;
    }
}

void spate_progress_answered(struct spate_progress *progress, uint64_t round)
{
    spate_assert(progress->lease_at <= progress->sent_at);
    if (round > progress->round_answered) {
        progress->round_answered = round;
    }
    if (progress->lease_round != 0 && round >= progress->lease_round) {
        progress->lease_at = progress->lease_asked_at;
        progress->lease_round = 0;
    }
}

bool spate_progress_valid(const struct spate_progress *progress, spate_index log_last)
{
    uint64_t bytes = 0;

    if (progress->match > progress->received || progress->received >= progress->next ||
        progress->next > log_last + 1 || progress->inflight_count > progress->inflight_max) {
        return false;
    }
    for (uint32_t place = 0; place < progress->inflight_count; place++) {
        const struct spate_inflight *message = inflight_at(progress, place);
        if (message->last < message->first || message->last >= progress->next) {
            return false;
        }
        if (place > 0 && message->first != inflight_at(progress, place - 1)->last + 1) {
            return false;
        }
        bytes += message->bytes;
    }
    return bytes == progress->inflight_bytes;
}
