#include "tickets_internal.h"

#include "base/assert.h"

static struct spate_ticket_record *record_of(struct spate_tickets *tickets, uint64_t ticket)
{
    spate_assert(ticket > tickets->completed);
    spate_assert(ticket <= tickets->issued);
    return &tickets->records[ticket % SPATE_TICKETS_MAX];
}

void spate_tickets_init(struct spate_tickets *tickets, const struct spate_ticket_record *durable)
{
    spate_assert(tickets != NULL);
    *tickets = (struct spate_tickets){.durable = *durable, .submitted = *durable};
    spate_assert(spate_tickets_valid(tickets));
}

bool spate_tickets_has_room(const struct spate_tickets *tickets)
{
    spate_assert(tickets != NULL);
    spate_assert(tickets->completed <= tickets->issued);
    return tickets->issued - tickets->completed < SPATE_TICKETS_MAX;
}

uint64_t spate_tickets_issue(struct spate_tickets *tickets,
                             const struct spate_ticket_record *record)
{
    spate_assert(spate_tickets_has_room(tickets));
    spate_assert(record->term >= tickets->submitted.term);
    spate_assert(record->last >= tickets->submitted.last);

    tickets->issued++;
    tickets->submitted = *record;
    tickets->has_reset = false;
    tickets->has_truncate = false;
    *record_of(tickets, tickets->issued) = tickets->submitted;
    return tickets->issued;
}

bool spate_tickets_complete(struct spate_tickets *tickets, uint64_t ticket)
{
    spate_assert(ticket <= tickets->issued);
    if (ticket <= tickets->completed) {
        return false;
    }

    /* A later ticket's record holds what its predecessors wrote too, so one look is enough. */
    const struct spate_ticket_record *record = record_of(tickets, ticket);
    spate_assert(record->term >= tickets->durable.term);
    spate_assert(record->last >= tickets->durable.last);
    tickets->durable = *record;
    tickets->completed = ticket;
    return true;
}

void spate_tickets_truncate(struct spate_tickets *tickets, spate_index last_kept)
{
    spate_assert(tickets != NULL);
    if (last_kept >= tickets->submitted.last) {
        return;
    }
    /* The store must forget what it was given, in flight or not. */
    if (!tickets->has_truncate || last_kept < tickets->truncate_after) {
        tickets->truncate_after = last_kept;
    }
    tickets->has_truncate = true;
    tickets->submitted.last = last_kept;
    if (tickets->durable.last > last_kept) {
        tickets->durable.last = last_kept;
    }
    for (uint64_t ticket = tickets->completed + 1; ticket <= tickets->issued; ticket++) {
        struct spate_ticket_record *record = record_of(tickets, ticket);
        if (record->last > last_kept) {
            record->last = last_kept;
        }
    }
    spate_assert_slow(spate_tickets_valid(tickets));
}

void spate_tickets_reset(struct spate_tickets *tickets, struct spate_entry_id base)
{
    spate_assert(tickets != NULL);
    spate_assert(base.index >= 1);
    tickets->has_reset = true;
    tickets->reset_base = base;
    tickets->has_truncate = false;
    tickets->submitted.last = base.index;
    tickets->durable.last = base.index;
    for (uint64_t ticket = tickets->completed + 1; ticket <= tickets->issued; ticket++) {
        record_of(tickets, ticket)->last = base.index;
    }
    spate_assert_slow(spate_tickets_valid(tickets));
}

bool spate_tickets_valid(const struct spate_tickets *tickets)
{
    spate_assert(tickets != NULL);
    if (tickets->completed > tickets->issued ||
        tickets->issued - tickets->completed > SPATE_TICKETS_MAX) {
        return false;
    }
    spate_term term = tickets->durable.term;
    spate_index last = tickets->durable.last;
    for (uint64_t ticket = tickets->completed + 1; ticket <= tickets->issued; ticket++) {
        const struct spate_ticket_record *record = &tickets->records[ticket % SPATE_TICKETS_MAX];
        if (record->term < term || record->last < last) {
            return false;
        }
        term = record->term;
        last = record->last;
    }
    if (term != tickets->submitted.term || last != tickets->submitted.last) {
        return false;
    }
    if (tickets->has_reset && tickets->reset_base.index > tickets->submitted.last) {
        return false;
    }
    return !tickets->has_truncate || tickets->truncate_after >= tickets->submitted.last;
}
