#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "support/test.h"
#include "wire/wire.h"

#define ROUNDS     20000u
#define POOL_BYTES 512u

/* Encodes into a block of exactly the size, so that the sanitizers see a byte too many. */
static uint8_t *encode(const struct spate_message *message, uint32_t *ret_bytes)
{
    const uint32_t bytes = spate_wire_message_bytes(message);
    uint8_t *to = malloc(bytes);

    assert_non_null(to);
    memset(to, 0xa5, bytes);
    assert_int_equal(spate_wire_encode(message, NULL, to, bytes, ret_bytes), SPATE_OK);
    assert_int_equal(*ret_bytes, bytes);
    return to;
}

static void assert_golden(const struct spate_message *message, const uint8_t *golden, uint32_t size)
{
    uint32_t bytes;
    uint8_t *to = encode(message, &bytes);

    assert_int_equal(bytes, size);
    assert_memory_equal(to, golden, size);
    free(to);
}

#define COMMON       .term = 0x0102030405060708, .session = 0x11, .peer_session = 0x22
#define COMMON_BYTES 8, 7, 6, 5, 4, 3, 2, 1, 0x11, 0, 0, 0, 0, 0, 0, 0, 0x22, 0, 0, 0, 0, 0, 0, 0

/* Version 1 in bytes: whoever changes these has another protocol version. */
static void messages_have_exactly_these_bytes(void **state)
{
    (void)state;
    static const uint8_t vote[] = {1, 1, 0, 0, 40, 0, 0, 0, COMMON_BYTES, /* */
                                   3, 0, 0, 0, 0,  0, 0, 0, 4,
                                   0, 0, 0, 0, 0,  0, 0};
    static const uint8_t vote_result[] = {2, 2, 0, 0, 32, 0, 0, 0, COMMON_BYTES,
                                          9, 0, 0, 0, 0,  0, 0, 0};
    static const uint8_t append[] = {3,   0,   0, 0,  88, 0, 0, 0, COMMON_BYTES, /* */
                                     3,   0,   0, 0,  0,  0, 0, 0, 4,
                                     0,   0,   0, 0,  0,  0, 0, /* prev */
                                     2,   0,   0, 0,  0,  0, 0, 0, 7,
                                     0,   0,   0, 0,  0,  0, 0, /* commit, round */
                                     5,   0,   0, 0,  0,  0, 0, 0, 1,
                                     0,   0,   0, 16, 0,  0, 0, /* entries' term, count, bytes */
                                     3,   0,   0, 0,  1,  0, 0, 0, 'a',
                                     'b', 'c', 0, 0,  0,  0, 0};                   /* one entry */
    static const uint8_t append_result[] = {4, 1, 0, 0, 64, 0, 0, 0, COMMON_BYTES, /* */
                                            7, 0, 0, 0, 0,  0, 0, 0, 6,
                                            0, 0, 0, 0, 0,  0, 0, /* round, prev */
                                            5, 0, 0, 0, 0,  0, 0, 0, 8,
                                            0, 0, 0, 0, 0,  0, 0, /* match, last */
                                            3, 0, 0, 0, 0,  0, 0, 0};
    static const uint8_t forward[] = {
        5, 0, 0, 0, 48, 0, 0, 0, COMMON_BYTES, 9,   0, 0, 0, 0, 0, 0, 0,
        2, 0, 0, 0, 0,  0, 0, 0, 'h',          'i', 0, 0, 0, 0, 0, 0};
    static const uint8_t forward_result[] = {
        6,  0, 0, 0, 56, 0, 0, 0, COMMON_BYTES, 9, 0, 0, 0, 0, 0, 0, 0, /* cookie */
        12, 0, 0, 0, 0,  0, 0, 0, 99,           0, 0, 0, 0, 0, 0, 0,    /* index, value */
        1,  0, 0, 0, 0,  0, 0, 0};
    struct spate_message message = {.kind = SPATE_MESSAGE_VOTE, COMMON};

    message.vote = (struct spate_message_vote){.is_pre_vote = true, .last = {3, 4}};
    assert_golden(&message, vote, sizeof vote);
    message = (struct spate_message){.kind = SPATE_MESSAGE_VOTE_RESULT, COMMON};
    message.vote_result = (struct spate_message_vote_result){.is_granted = true, .asked_term = 9};
    assert_golden(&message, vote_result, sizeof vote_result);
    message = (struct spate_message){.kind = SPATE_MESSAGE_APPEND, COMMON};
    message.append = (struct spate_message_append){.prev = {3, 4},
                                                   .commit = 2,
                                                   .round = 7,
                                                   .entries_term = 5,
                                                   .count = 1,
                                                   .bytes = 16,
                                                   .entries = append + 80};
    assert_golden(&message, append, sizeof append);
    message = (struct spate_message){.kind = SPATE_MESSAGE_APPEND_RESULT, COMMON};
    message.append_result = (struct spate_message_append_result){
        .is_accepted = true, .round = 7, .prev = 6, .match = 5, .last = 8, .hint_term = 3};
    assert_golden(&message, append_result, sizeof append_result);
    message = (struct spate_message){.kind = SPATE_MESSAGE_FORWARD, COMMON};
    message.forward = (struct spate_message_forward){9, (const uint8_t *)"hi", 2};
    assert_golden(&message, forward, sizeof forward);
    message = (struct spate_message){.kind = SPATE_MESSAGE_FORWARD_RESULT, COMMON};
    message.forward_result = (struct spate_message_forward_result){9, SPATE_ERR_BUSY, 12, 99};
    assert_golden(&message, forward_result, sizeof forward_result);
}

static void snapshots_have_exactly_these_bytes(void **state)
{
    (void)state;
    static const uint8_t snapshot[] = {8,   0,   0, 0, 80, 0, 0, 0, COMMON_BYTES,
                                       3,   0,   0, 0, 0,  0, 0, 0, /* last term */
                                       4,   0,   0, 0, 0,  0, 0, 0, 0,
                                       16,  0,   0, 0, 0,  0, 0, /* index, bytes */
                                       77,  0,   0, 0, 0,  0, 0, 0, 253,
                                       15,  0,   0, 0, 0,  0, 0, /* hash, offset */
                                       3,   0,   0, 0, 0,  0, 0, 0, 'a',
                                       'b', 'c', 0, 0, 0,  0, 0};
    static const uint8_t snapshot_result[] = {9,  0, 0, 0, 64, 0, 0, 0, COMMON_BYTES,
                                              3,  0, 0, 0, 0,  0, 0, 0, /* last term */
                                              4,  0, 0, 0, 0,  0, 0, 0, 77,
                                              0,  0, 0, 0, 0,  0, 0, /* index, hash */
                                              88, 0, 0, 0, 0,  0, 0, 0, 2,
                                              0,  0, 0, 0, 0,  0, 0}; /* next, status */
    struct spate_message message = {.kind = SPATE_MESSAGE_SNAPSHOT, COMMON};

    message.snapshot =
        (struct spate_message_snapshot){{3, 4}, 4096, 77, 4093, 3, (const uint8_t *)"abc"};
    assert_golden(&message, snapshot, sizeof snapshot);
    message = (struct spate_message){.kind = SPATE_MESSAGE_SNAPSHOT_RESULT, COMMON};
    message.snapshot_result =
        (struct spate_message_snapshot_result){SPATE_SNAPSHOT_BAD, {3, 4}, 77, 88};
    assert_golden(&message, snapshot_result, sizeof snapshot_result);
}

/* Each field that could lie, and padding. */
static void chunks_that_cannot_be_are_malformed(void **state)
{
    (void)state;
    const struct spate_message good = {
        .kind = SPATE_MESSAGE_SNAPSHOT,
        .term = 5,
        .session = 1,
        .snapshot = {{3, 4}, 4096, 77, 4093, 3, (const uint8_t *)"abc"}};
    static const struct {
        uint32_t at;
        uint8_t value;
    } changes[] = {{1, 1},   {32, 6}, {32, 0}, {40, 0}, {49, 0},
                   {65, 16}, {72, 9}, {72, 0}, {76, 1}, {83, 1}};
    uint8_t bytes[256];
    uint32_t size;

    for (uint32_t c = 0; c < SPATE_ARRAY_COUNT(changes); c++) {
        struct spate_message message;
        uint32_t used;

        assert_int_equal(spate_wire_encode(&good, NULL, bytes, sizeof bytes, &size), SPATE_OK);
        assert_int_equal(spate_wire_decode(bytes, size, &message, &used), SPATE_OK);
        assert_memory_equal(message.snapshot.bytes, "abc", 3);
        bytes[changes[c].at] = changes[c].value;
        assert_int_equal(spate_wire_decode(bytes, size, &message, &used), SPATE_ERR_MALFORMED);
    }
}

static void reads_and_transfers_have_exactly_these_bytes(void **state)
{
    (void)state;
    static const uint8_t read[] = {10, 0, 0, 0, 32, 0, 0, 0, COMMON_BYTES, 9, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t read_result[] = {11, 0, 0, 0, 40, 0, 0, 0, COMMON_BYTES, /* */
                                          9,  0, 0, 0, 0,  0, 0, 0, 12,
                                          0,  0, 0, 0, 0,  0, 0};
    static const uint8_t timeout_now[] = {7, 0, 0, 0, 24, 0, 0, 0, COMMON_BYTES};
    struct spate_message message = {.kind = SPATE_MESSAGE_TIMEOUT_NOW, COMMON};

    assert_golden(&message, timeout_now, sizeof timeout_now);
    message = (struct spate_message){.kind = SPATE_MESSAGE_READ, COMMON};
    message.read.id = 9;
    assert_golden(&message, read, sizeof read);
    message = (struct spate_message){.kind = SPATE_MESSAGE_READ_RESULT, COMMON};
    message.read_result = (struct spate_message_read_result){9, 12};
    assert_golden(&message, read_result, sizeof read_result);
}

static void words_to_mute_members_have_exactly_these_bytes(void **state)
{
    (void)state;
    static const uint8_t reinstate[] = {12, 0, 0, 0, 24, 0, 0, 0, COMMON_BYTES};
    static const uint8_t forgotten[] = {13, 0, 0, 0, 32, 0, 0, 0, COMMON_BYTES,
                                        9,  0, 0, 0, 0,  0, 0, 0};
    struct spate_message message = {.kind = SPATE_MESSAGE_REINSTATE, COMMON};

    assert_golden(&message, reinstate, sizeof reinstate);
    message = (struct spate_message){.kind = SPATE_MESSAGE_FORGOTTEN, COMMON};
    message.forgotten.index = 9;
    assert_golden(&message, forgotten, sizeof forgotten);
}

/* A random message that a correct member could send; entries and commands come from `pool`. */
static struct spate_message draw(struct spate_prng *prng, const uint8_t *pool, uint32_t pool_bytes)
{
    static const enum spate_message_kind kinds[] = {
        SPATE_MESSAGE_VOTE,          SPATE_MESSAGE_VOTE_RESULT, SPATE_MESSAGE_APPEND,
        SPATE_MESSAGE_APPEND_RESULT, SPATE_MESSAGE_FORWARD,     SPATE_MESSAGE_FORWARD_RESULT,
        SPATE_MESSAGE_READ,          SPATE_MESSAGE_READ_RESULT, SPATE_MESSAGE_TIMEOUT_NOW,
        SPATE_MESSAGE_REINSTATE,     SPATE_MESSAGE_FORGOTTEN};
    struct spate_message message = {
        .kind = kinds[spate_prng_below(prng, SPATE_ARRAY_COUNT(kinds))],
        .term = spate_prng_between(prng, 10, UINT64_MAX),
        .session = spate_prng_between(prng, 1, UINT64_MAX),
        .peer_session = spate_prng_next(prng),
    };
    const uint32_t count = (uint32_t)spate_prng_below(prng, 4);

    switch (message.kind) {
    case SPATE_MESSAGE_VOTE:
        message.vote.is_pre_vote = spate_prng_below(prng, 2) == 1;
        message.vote.is_transfer = spate_prng_below(prng, 2) == 1;
        message.vote.last.term = spate_prng_below(prng, 3);
        message.vote.last.index = message.vote.last.term == 0 ? 0 : spate_prng_next(prng) | 1;
        break;
    case SPATE_MESSAGE_VOTE_RESULT:
        message.vote_result = (struct spate_message_vote_result){spate_prng_below(prng, 2) == 1,
                                                                 spate_prng_below(prng, 2) == 1,
                                                                 spate_prng_next(prng) | 1};
        break;
    case SPATE_MESSAGE_APPEND:
        message.append.prev = (struct spate_entry_id){3, spate_prng_next(prng) >> 1 | 1};
        message.append.commit = spate_prng_next(prng);
        message.append.round = spate_prng_next(prng);
        message.append.count = count;
        message.append.entries_term = count == 0 ? 0 : spate_prng_between(prng, 3, 10);
        message.append.bytes = count * (8 + 8 * (uint32_t)spate_prng_below(prng, 20));
        message.append.entries = count == 0 ? NULL : pool;
        break;
    case SPATE_MESSAGE_APPEND_RESULT:
        message.append_result = (struct spate_message_append_result){
            spate_prng_below(prng, 2) == 1, spate_prng_below(prng, 2) == 1, spate_prng_next(prng),
            spate_prng_next(prng),          spate_prng_next(prng),          spate_prng_next(prng),
            spate_prng_next(prng)};
        break;
    case SPATE_MESSAGE_FORWARD:
        message.forward = (struct spate_message_forward){
            spate_prng_next(prng), pool, (uint32_t)spate_prng_below(prng, pool_bytes + 1)};
        break;
    case SPATE_MESSAGE_FORWARD_RESULT:
        message.forward_result = (struct spate_message_forward_result){
            spate_prng_next(prng), (uint32_t)spate_prng_below(prng, SPATE_ERR_COUNT),
            spate_prng_next(prng), spate_prng_next(prng)};
        break;
    case SPATE_MESSAGE_TIMEOUT_NOW:
    case SPATE_MESSAGE_REINSTATE:
        break;
    case SPATE_MESSAGE_FORGOTTEN:
        message.forgotten.index = spate_prng_next(prng) | 1;
        break;
    case SPATE_MESSAGE_READ:
        message.read.id = spate_prng_next(prng) | 1;
        break;
    case SPATE_MESSAGE_READ_RESULT:
        message.read_result =
            (struct spate_message_read_result){spate_prng_next(prng) | 1, spate_prng_next(prng)};
        break;
    case SPATE_MESSAGE_SNAPSHOT: /* Below. */
    case SPATE_MESSAGE_SNAPSHOT_RESULT:
        break;
    }
    return message;
}

static void assert_same(const struct spate_message *a, const struct spate_message *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_true(a->term == b->term && a->session == b->session);
    assert_true(a->peer_session == b->peer_session);
    assert_true(b->from == 0 && b->to == 0);
    if (a->kind == SPATE_MESSAGE_APPEND) {
        const struct spate_message_append *x = &a->append;
        const struct spate_message_append *y = &b->append;
        assert_true(x->prev.term == y->prev.term && x->prev.index == y->prev.index);
        assert_true(x->commit == y->commit && x->round == y->round);
        assert_true(x->entries_term == y->entries_term && x->count == y->count);
        assert_int_equal(x->bytes, y->bytes);
        assert_memory_equal(x->entries, y->entries, x->bytes);
    } else if (a->kind == SPATE_MESSAGE_FORWARD) {
        assert_true(a->forward.cookie == b->forward.cookie);
        assert_int_equal(a->forward.size, b->forward.size);
        assert_memory_equal(a->forward.data, b->forward.data, a->forward.size);
    } else if (a->kind == SPATE_MESSAGE_VOTE) {
        assert_true(a->vote.is_pre_vote == b->vote.is_pre_vote);
        assert_true(a->vote.is_transfer == b->vote.is_transfer);
        assert_true(a->vote.last.term == b->vote.last.term);
        assert_true(a->vote.last.index == b->vote.last.index);
    } else if (a->kind == SPATE_MESSAGE_VOTE_RESULT) {
        assert_true(a->vote_result.is_pre_vote == b->vote_result.is_pre_vote);
        assert_true(a->vote_result.is_granted == b->vote_result.is_granted);
        assert_true(a->vote_result.asked_term == b->vote_result.asked_term);
    } else if (a->kind == SPATE_MESSAGE_APPEND_RESULT) {
        const struct spate_message_append_result *x = &a->append_result;
        const struct spate_message_append_result *y = &b->append_result;
        assert_true(x->is_accepted == y->is_accepted && x->round == y->round);
        assert_true(x->is_mute == y->is_mute);
        assert_true(x->prev == y->prev && x->match == y->match);
        assert_true(x->last == y->last && x->hint_term == y->hint_term);
    } else if (a->kind == SPATE_MESSAGE_TIMEOUT_NOW || a->kind == SPATE_MESSAGE_REINSTATE) {
        return;
    } else if (a->kind == SPATE_MESSAGE_FORGOTTEN) {
        assert_true(a->forgotten.index == b->forgotten.index);
    } else if (a->kind == SPATE_MESSAGE_READ) {
        assert_true(a->read.id == b->read.id);
    } else if (a->kind == SPATE_MESSAGE_READ_RESULT) {
        assert_true(a->read_result.id == b->read_result.id);
        assert_true(a->read_result.index == b->read_result.index);
    } else {
        const struct spate_message_forward_result *x = &a->forward_result;
        const struct spate_message_forward_result *y = &b->forward_result;
        assert_true(x->cookie == y->cookie && x->status == y->status);
        assert_true(x->index == y->index && x->value == y->value);
    }
}

/* Whatever is encoded decodes to itself, at every offset in a shared payload. */
static void messages_survive_the_round_trip(void **state)
{
    (void)state;
    struct spate_prng prng;
    uint8_t pool[POOL_BYTES];
    uint8_t payload[6000];

    spate_prng_seed(&prng, 1, 1);
    for (uint32_t i = 0; i < sizeof pool; i++) {
        pool[i] = (uint8_t)spate_prng_next(&prng);
    }
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct spate_message messages[4];
        uint32_t used = 0;
        uint32_t bytes;

        for (uint32_t i = 0; i < 4; i++) {
            messages[i] = draw(&prng, pool, sizeof pool);
            assert_int_equal(spate_wire_encode(&messages[i], NULL, payload + used,
                                               (uint32_t)sizeof payload - used, &bytes),
                             SPATE_OK);
            used += bytes;
        }
        uint32_t at = 0;

        for (uint32_t i = 0; i < 4; i++) {
            struct spate_message decoded;
            assert_int_equal(spate_wire_decode(payload + at, used - at, &decoded, &bytes),
                             SPATE_OK);
            assert_same(&messages[i], &decoded);
            at += bytes;
        }
        assert_int_equal(at, used);
    }
}

/* Cut short anywhere, a message is malformed, and what was to be returned is untouched. */
static void a_message_cut_short_is_malformed(void **state)
{
    (void)state;
    struct spate_prng prng;
    uint8_t pool[POOL_BYTES] = {0};

    spate_prng_seed(&prng, 2, 1);
    for (uint32_t round = 0; round < 500; round++) {
        const struct spate_message message = draw(&prng, pool, sizeof pool);
        uint32_t bytes;
        uint8_t *whole = encode(&message, &bytes);

        for (uint32_t size = 0; size < bytes; size++) {
            struct spate_message decoded = {.term = 5};
            uint32_t taken = 77;
            uint8_t *cut = malloc(size + 1);

            memcpy(cut + 1, whole, size);
            assert_int_equal(spate_wire_decode(cut + 1, size, &decoded, &taken),
                             SPATE_ERR_MALFORMED);
            assert_int_equal(decoded.term, 5);
            assert_int_equal(taken, 77);
            free(cut);
        }
        free(whole);
    }
}

/* One changed byte: either it is refused or it means something else, and encodes to itself. */
static void decoding_is_exact(void **state)
{
    (void)state;
    struct spate_prng prng;
    uint8_t pool[POOL_BYTES] = {0};

    spate_prng_seed(&prng, 3, 1);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const struct spate_message message = draw(&prng, pool, sizeof pool);
        struct spate_message decoded;
        uint32_t bytes;
        uint32_t taken;
        uint8_t *to = encode(&message, &bytes);

        to[spate_prng_below(&prng, bytes)] = (uint8_t)spate_prng_next(&prng);
        if (spate_wire_decode(to, bytes, &decoded, &taken) == SPATE_OK) {
            uint32_t again_bytes;
            uint8_t *again = encode(&decoded, &again_bytes);

            assert_int_equal(again_bytes, taken);
            assert_memory_equal(again, to, taken);
            free(again);
        }
        free(to);
    }
}

struct change {
    uint32_t at;
    uint64_t value;
    uint32_t width;
};

static void assert_malformed(const struct spate_message *message, const struct change changes[],
                             uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct spate_message decoded;
        uint32_t bytes;
        uint8_t *to = encode(message, &bytes);

        memcpy(to + changes[i].at, &changes[i].value, changes[i].width);
        if (spate_wire_decode(to, bytes, &decoded, &bytes) != SPATE_ERR_MALFORMED) {
            fail_msg("change %u was not refused", i);
        }
        free(to);
    }
}

/* Each rule of docs/protocol.md that a message can break, broken. */
static void what_no_correct_member_sends_is_malformed(void **state)
{
    (void)state;
    uint8_t entries[32] = {0};
    struct spate_message append = {.kind = SPATE_MESSAGE_APPEND, .term = 5, .session = 1};
    static const struct change append_changes[] = {
        {0, 0, 1},           /* no such kind */
        {0, 7, 1},           /* */
        {1, 1, 1},           /* no flags here */
        {2, 1, 2},           /* reserved */
        {4, 96, 4},          /* another length */
        {4, 107, 4},         /* not a multiple of 8 */
        {4, 0xfffffff8, 4},  /* beyond the end */
        {8, 0, 8},           /* no term */
        {8, 3, 8},           /* entries of a later term than the message */
        {16, 0, 8},          /* no session */
        {32, 0, 8},          /* prev with an index and no term */
        {32, 6, 8},          /* prev of a later term than the message */
        {32, 5, 8},          /* prev of a later term than the entries */
        {40, 0, 8},          /* prev with a term and no index */
        {40, UINT64_MAX, 8}, /* indexes beyond the last */
        {64, 0, 8},          /* entries of no term */
        {72, 5, 4},          /* five entries in 32 bytes */
        {72, 0, 4},          /* bytes and no entries */
        {76, 24, 4},         /* fewer bytes than there are */
        {76, 40, 4},         /* more bytes than there are */
    };
    struct spate_message forward = {.kind = SPATE_MESSAGE_FORWARD, .term = 5, .session = 1};
    static const struct change forward_changes[] = {{1, 1, 1},           {40, 0, 4}, {40, 14, 4},
                                                    {40, UINT32_MAX, 4}, {44, 1, 4}, {53, 1, 1}};
    struct spate_message result = {.kind = SPATE_MESSAGE_FORWARD_RESULT, .term = 5, .session = 1};
    static const struct change result_changes[] = {{56, SPATE_ERR_COUNT, 4}, {60, 1, 4}};
    struct spate_message vote = {.kind = SPATE_MESSAGE_VOTE, .term = 5, .session = 1};
    static const struct change vote_changes[] = {
        {1, 4, 1}, {8, 0, 8}, {32, 6, 8}, {32, 0, 8}, {40, 0, 8}};
    struct spate_message vote_result = {.kind = SPATE_MESSAGE_VOTE_RESULT, .term = 5, .session = 1};
    static const struct change vote_result_changes[] = {{1, 4, 1}, {32, 0, 8}};
    struct spate_message append_result = {
        .kind = SPATE_MESSAGE_APPEND_RESULT, .term = 5, .session = 1};
    static const struct change append_result_changes[] = {{1, 4, 1}, {0, 2, 1}};

    append.append = (struct spate_message_append){
        .prev = {3, 9}, .entries_term = 4, .count = 2, .bytes = 32, .entries = entries};
    forward.forward = (struct spate_message_forward){1, entries, 5};
    vote.vote.last = (struct spate_entry_id){3, 9};
    vote_result.vote_result.asked_term = 5;
    assert_malformed(&append, append_changes, SPATE_ARRAY_COUNT(append_changes));
    assert_malformed(&forward, forward_changes, SPATE_ARRAY_COUNT(forward_changes));
    assert_malformed(&result, result_changes, SPATE_ARRAY_COUNT(result_changes));
    assert_malformed(&vote, vote_changes, SPATE_ARRAY_COUNT(vote_changes));
    assert_malformed(&vote_result, vote_result_changes, SPATE_ARRAY_COUNT(vote_result_changes));
    assert_malformed(&append_result, append_result_changes,
                     SPATE_ARRAY_COUNT(append_result_changes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_have_exactly_these_bytes),
        cmocka_unit_test(snapshots_have_exactly_these_bytes),
        cmocka_unit_test(chunks_that_cannot_be_are_malformed),
        cmocka_unit_test(reads_and_transfers_have_exactly_these_bytes),
        cmocka_unit_test(words_to_mute_members_have_exactly_these_bytes),
        cmocka_unit_test(messages_survive_the_round_trip),
        cmocka_unit_test(a_message_cut_short_is_malformed),
        cmocka_unit_test(decoding_is_exact),
        cmocka_unit_test(what_no_correct_member_sends_is_malformed),
    };

    return cmocka_run_group_tests_name("wire/message", tests, NULL, NULL);
}
