/*
 * Where two logs may agree, found a term at a time (Raft paper, end of section 5.3): both sides
 * skip all entries whose term the other side cannot have, so a divergence costs a round trip per
 * term at most, however many entries it has.
 */
#include "raft_internal.h"

spate_term spate_conflict_term(const struct spate_log *log, spate_index index)
{
    spate_term term = 0;

    spate_assert(index <= spate_log_last(log));
    if (spate_log_term_at(log, index, &term) != SPATE_OK) {
        return 0;
    }
    return term;
}

spate_index spate_conflict_find(const struct spate_log *log, spate_index index, spate_term term)
{
    const spate_index first = spate_log_first(log);

    spate_assert(index <= spate_log_last(log));
    spate_assert(first >= 1);
    while (index >= first && spate_conflict_term(log, index) > term) {
        index = spate_log_term_first(log, index) - 1;
    }
    /* Of the entry just before the log the term is known, too. */
    if (index > 0 && index + 1 == first && spate_conflict_term(log, index) > term) {
        index--;
    }
    return index;
}
