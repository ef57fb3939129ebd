#include "life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "store/wal/wal.h"
#include "support/spans.h"
#include "support/test.h"

static struct life_model models[LIFE_BATCHES + 1];

char *life_make_directory(char path[64])
{
    struct stat status;
    (void)snprintf(path, 64, "%s/spate-crash-XXXXXX",
                   stat("/dev/shm", &status) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(path));
    return path;
}

spate_err life_open(const char *directory, bool accepts_damage, struct spate_store **ret_store,
                    char message[512])
{
    const struct spate_store_wal_options options = {.directory = directory,
                                                    .segment_bytes = 8u << 20,
                                                    .staging_bytes = 16u << 20,
                                                    .accepts_damage = accepts_damage,
                                                    .identity = {.node_id = 1}};
    return spate_store_wal_create(&options, ret_store, message, 512);
}

static spate_ticket completed_of(struct spate_store *store)
{
    spate_ticket completed = 0;
    assert_int_equal(store->ops->poll(store, &completed), SPATE_OK);
    return completed;
}

/* Draws the next batch, and what will hold behind it. */
static struct spate_store_batch draw_batch(struct spate_prng *prng, const struct life_model *before,
                                           struct life_model *after, struct spate_log_span *span,
                                           uint8_t *bytes)
{
    struct spate_store_batch batch = {0};
    spate_term term = before->hard_state.term;

    *after = *before;
    if (term == 0 || spate_prng_below(prng, 6) == 0) {
        term++;
        after->hard_state =
            (struct spate_hard_state){.term = term, .vote = (spate_node_id)(1 + term % 3)};
    }
    if (spate_prng_below(prng, 20) == 0) {
        batch.has_reset = true;
        batch.reset_base = (struct spate_entry_id){term, before->last + 1000};
        after->base = batch.reset_base;
        after->last = batch.reset_base.index;
        after->compacted_to = 0;
    } else if (before->last > before->base.index + 20 && spate_prng_below(prng, 8) == 0) {
        const spate_index kept =
            before->compacted_to > before->base.index ? before->compacted_to : before->base.index;
        batch.has_truncate = kept < before->last;
        batch.truncate_after = before->last - spate_prng_below(prng, before->last - kept + 1);
        after->last = batch.has_truncate ? batch.truncate_after : before->last;
    }
    const uint32_t count = (uint32_t)spate_prng_below(prng, 20);
    const uint32_t payload = spate_prng_below(prng, 4) == 0 ? 60000 : 100;
    if (count > 0) {
        *span = make_span(bytes, after->last + 1, count, term, payload);
        batch.spans = span;
        batch.span_count = 1;
        for (uint32_t i = 0; i < count; i++) {
            after->terms[(after->last + 1 + i) % 4096] = term;
        }
        after->last += count;
    }
    after->hard_state.commit = after->last;
    batch.has_hard_state = true;
    batch.hard_state = after->hard_state;
    return batch;
}

void life_live(const char *directory, uint64_t seed)
{
    static uint8_t bytes[4 << 20];
    struct spate_store_loaded loaded;
    struct spate_store *store = NULL;
    struct spate_prng prng;
    char message[512];
    spate_ticket marked = 0;

    spate_prng_seed(&prng, seed, 1);
    memset(&models[0], 0, sizeof models[0]);
    disk_record(directory);
    assert_int_equal(life_open(directory, false, &store, message), SPATE_OK);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    for (uint32_t b = 1; b <= LIFE_BATCHES; b++) {
        struct spate_log_span span;
        const struct spate_store_batch batch =
            draw_batch(&prng, &models[b - 1], &models[b], &span, bytes);
        spate_ticket ticket = 0;
        while (store->ops->submit(store, &batch, &ticket) == SPATE_ERR_BUSY) {
            (void)usleep(100);
        }
        assert_int_equal(ticket, b);
        if (spate_prng_below(&prng, 3) != 0) {
            life_settle(store, b);
            if (models[b].last > models[b].base.index + 30 && spate_prng_below(&prng, 4) == 0) {
                models[b].compacted_to = models[b].last - 10;
                assert_int_equal(store->ops->compact(store, models[b].compacted_to), SPATE_OK);
            }
        }
        const spate_ticket completed = completed_of(store);
        if (completed > marked) {
            disk_mark(completed);
            marked = completed;
        }
    }
    store->ops->close(store); /* Finishes what was submitted. */
    disk_mark(LIFE_BATCHES);
    disk_stop();
}

bool life_is_behind(const struct spate_store_loaded *loaded, uint64_t batch)
{
    const struct life_model *model = &models[batch];
    const spate_index base_max =
        model->compacted_to > model->base.index ? model->compacted_to : model->base.index;

    return loaded->last == model->last && loaded->hard_state.term == model->hard_state.term &&
           loaded->hard_state.vote == model->hard_state.vote &&
           loaded->hard_state.commit == model->hard_state.commit &&
           loaded->base.index >= model->base.index && loaded->base.index <= base_max;
}

/* Batches may end at the same index in the same term, with other entries before it. */
static bool has_terms(struct spate_store *store, const struct spate_store_loaded *loaded,
                      const struct life_model *model)
{
    for (spate_index i = loaded->base.index + 1; i <= loaded->last;) {
        struct spate_log_span span;
        assert_int_equal(store->ops->read(store, i, 1u << 20, &span), SPATE_OK);
        for (uint32_t n = 0; n < span.count; n++, i++) {
            if (model->terms[i % 4096] != span.term) {
                return false;
            }
        }
    }
    return true;
}

uint64_t life_find(struct spate_store *store, const struct spate_store_loaded *loaded,
                   uint64_t acknowledged)
{
    for (uint64_t b = LIFE_BATCHES + 1; b-- > acknowledged;) {
        if (life_is_behind(loaded, b) && has_terms(store, loaded, &models[b])) {
            return b;
        }
    }
    return LIFE_BATCHES + 1;
}

void life_assert_entries(struct spate_store *store, const struct spate_store_loaded *loaded,
                         uint64_t batch, spate_index last)
{
    const struct life_model *model = &models[batch];

    if (loaded->base.index > 0) {
        const spate_term expected = loaded->base.index == model->base.index
                                        ? model->base.term
                                        : model->terms[loaded->base.index % 4096];
        assert_int_equal(loaded->base.term, expected);
    }
    for (spate_index i = loaded->base.index + 1; i <= last;) {
        const spate_term term = model->terms[i % 4096];
        spate_index until = i;
        while (until < last && model->terms[(until + 1) % 4096] == term) {
            until++;
        }
        assert_entries(store, i, until, term);
        i = until + 1;
    }
}

void life_settle(struct spate_store *store, spate_ticket ticket)
{
    while (completed_of(store) < ticket) {
        (void)usleep(20);
    }
}

void life_go_on(struct spate_store *store, const struct spate_store_loaded *loaded)
{
    static uint8_t bytes[4096];
    spate_ticket ticket = 0;
    const spate_term term = loaded->hard_state.term + 1;
    const struct spate_log_span span = make_span(bytes, loaded->last + 1, LIFE_MORE, term, 100);
    const struct spate_store_batch batch = {
        .has_hard_state = true,
        .hard_state = {.term = term, .is_mute = loaded->hard_state.is_mute},
        .spans = &span,
        .span_count = 1};

    spate_err err = SPATE_ERR_BUSY;
    while (err == SPATE_ERR_BUSY) { /* The segment is being made. */
        err = store->ops->submit(store, &batch, &ticket);
        (void)usleep(20);
    }
    assert_int_equal(err, SPATE_OK);
    life_settle(store, ticket);
    assert_entries(store, loaded->last + 1, loaded->last + LIFE_MORE, term);
}
