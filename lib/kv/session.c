#include "kv/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define NONE UINT32_MAX

/* In two structures at once: a hash chain to be found, and the list in the order of last use. */
struct session {
    uint64_t id;
    uint64_t sequence;
    uint64_t answer;
    uint32_t chain_next;
    uint32_t newer;
    uint32_t older;
};

struct spate_sessions {
    uint32_t capacity;
    uint32_t count;
    uint32_t newest;
    uint32_t oldest;
    uint32_t bucket_mask;
    uint32_t *buckets;
    struct session *slots;
    struct session *frozen; /* The copy: as many slots, touched when first used. */
    uint32_t frozen_next;   /* The next to hand out; NONE: no more. */
};

spate_err spate_sessions_create(uint32_t capacity, struct spate_sessions **ret_sessions)
{
    spate_assert(capacity >= 1);
    spate_assert(capacity <= 1u << 30);

    uint32_t buckets = 16;
    while (buckets < capacity) {
        buckets *= 2;
    }
    struct spate_sessions *sessions = calloc(1, sizeof *sessions);
    if (sessions == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    sessions->buckets = malloc(buckets * sizeof *sessions->buckets);
    sessions->slots = calloc(capacity, sizeof *sessions->slots);
    sessions->frozen = calloc(capacity, sizeof *sessions->frozen);
    if (sessions->buckets == NULL || sessions->slots == NULL || sessions->frozen == NULL) {
        spate_sessions_destroy(sessions);
        return SPATE_ERR_NO_MEMORY;
    }
    sessions->capacity = capacity;
    sessions->bucket_mask = buckets - 1;
    sessions->newest = NONE;
    sessions->oldest = NONE;
    sessions->frozen_next = NONE;
    for (uint32_t b = 0; b < buckets; b++) {
        sessions->buckets[b] = NONE;
    }
    *ret_sessions = sessions;
    return SPATE_OK;
}

void spate_sessions_destroy(struct spate_sessions *sessions)
{
    if (sessions != NULL) {
        free(sessions->buckets);
        free(sessions->slots);
        free(sessions->frozen);
        free(sessions);
    }
}

static uint32_t bucket_of(const struct spate_sessions *sessions, uint64_t id)
{
    /* Clients choose ids; a multiplication spreads the regular ones. */
    return (uint32_t)((id * 0x9e3779b97f4a7c15u) >> 32) & sessions->bucket_mask;
}

static uint32_t find(const struct spate_sessions *sessions, uint64_t id)
{
    uint32_t s = sessions->buckets[bucket_of(sessions, id)];
    while (s != NONE && sessions->slots[s].id != id) {
        s = sessions->slots[s].chain_next;
    }
    return s;
}

static void unlink_from_order(struct spate_sessions *sessions, uint32_t s)
{
    struct session *slot = &sessions->slots[s];
    if (slot->newer != NONE) {
        sessions->slots[slot->newer].older = slot->older;
    } else {
        spate_assert(sessions->newest == s);
        sessions->newest = slot->older;
    }
    if (slot->older != NONE) {
        sessions->slots[slot->older].newer = slot->newer;
    } else {
        spate_assert(sessions->oldest == s);
        sessions->oldest = slot->newer;
    }
}

static void link_as_newest(struct spate_sessions *sessions, uint32_t s)
{
    struct session *slot = &sessions->slots[s];
    slot->newer = NONE;
    slot->older = sessions->newest;
    if (sessions->newest != NONE) {
        sessions->slots[sessions->newest].newer = s;
    } else {
        sessions->oldest = s;
    }
    sessions->newest = s;
}

static void unlink_from_chain(struct spate_sessions *sessions, uint32_t s)
{
    uint32_t *link = &sessions->buckets[bucket_of(sessions, sessions->slots[s].id)];
    while (*link != s) {
        spate_assert(*link != NONE);
        link = &sessions->slots[*link].chain_next;
    }
    *link = sessions->slots[s].chain_next;
}

/* A slot for a new session: an unused one, or that of the session used longest ago. */
static uint32_t take_slot(struct spate_sessions *sessions)
{
    if (sessions->count < sessions->capacity) {
        return sessions->count++;
    }
    const uint32_t s = sessions->oldest;
    spate_assert(s != NONE);
    unlink_from_order(sessions, s);
    unlink_from_chain(sessions, s);
    return s;
}

enum spate_session_verdict spate_sessions_check(const struct spate_sessions *sessions,
                                                uint64_t session, uint64_t sequence,
                                                uint64_t *ret_answer)
{
    spate_assert(session != 0);
    const uint32_t s = find(sessions, session);

    if (s == NONE || sequence > sessions->slots[s].sequence) {
        return SPATE_SESSION_FRESH;
    }
    if (sequence < sessions->slots[s].sequence) {
        return SPATE_SESSION_STALE;
    }
    *ret_answer = sessions->slots[s].answer;
    return SPATE_SESSION_DUPLICATE;
}

void spate_sessions_record(struct spate_sessions *sessions, uint64_t session, uint64_t sequence,
                           uint64_t answer)
{
    spate_assert(session != 0);
    uint32_t s = find(sessions, session);

    if (s == NONE) {
        s = take_slot(sessions);
        uint32_t *bucket = &sessions->buckets[bucket_of(sessions, session)];
        sessions->slots[s].id = session;
        sessions->slots[s].chain_next = *bucket;
        *bucket = s;
    } else {
        spate_assert(sequence > sessions->slots[s].sequence);
        unlink_from_order(sessions, s);
    }
    sessions->slots[s].sequence = sequence;
    sessions->slots[s].answer = answer;
    link_as_newest(sessions, s);
}

uint32_t spate_sessions_count(const struct spate_sessions *sessions)
{
    return sessions->count;
}

void spate_sessions_freeze(struct spate_sessions *sessions)
{
    spate_assert(sessions->count <= sessions->capacity);
    memcpy(sessions->frozen, sessions->slots, sessions->count * sizeof *sessions->frozen);
    sessions->frozen_next = sessions->oldest;
}

bool spate_sessions_next_frozen(struct spate_sessions *sessions,
                                struct spate_session_record *ret_record)
{
    spate_assert(ret_record != NULL);
    if (sessions->frozen_next == NONE) {
        return false;
    }
    const struct session *slot = &sessions->frozen[sessions->frozen_next];
    *ret_record = (struct spate_session_record){
        .id = slot->id, .sequence = slot->sequence, .answer = slot->answer};
    sessions->frozen_next = slot->newer;
    return true;
}

bool spate_sessions_valid(const struct spate_sessions *sessions)
{
    uint32_t listed = 0;
    uint32_t newer = NONE;
    for (uint32_t s = sessions->newest; s != NONE; s = sessions->slots[s].older) {
        if (s >= sessions->count || sessions->slots[s].newer != newer ||
            find(sessions, sessions->slots[s].id) != s || ++listed > sessions->count) {
            return false;
        }
        newer = s;
    }
    return listed == sessions->count && sessions->oldest == newer;
}
