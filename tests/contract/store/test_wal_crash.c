/*
 * A power cut at every step of the segment log: the steps of a run are remembered, and for each the
 * files are made that a crash in the middle of it may leave. What is opened from them has whole
 * batches, at least all that were acknowledged before, and goes on.
 *
 * usage: contract_wal_crash SEED [IMAGES]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "store/wal/wal.h"
#include "support/spans.h"
#include "support/test.h"

#define BATCHES 90u

/* What holds behind a batch: which entries there are follows from the terms. */
struct model {
    struct spate_hard_state hard_state;
    struct spate_entry_id base;
    spate_index last;
    spate_index compacted_to; /* The base may have moved up to before this. */
    spate_term terms[4096];   /* Of entries base + 1 … last, by index modulo its size. */
};

static struct model models[BATCHES + 1];
static uint64_t seed = 1;
static uint32_t images_max = 250;

static char *make_directory(char path[64])
{
    struct stat status;
    (void)snprintf(path, 64, "%s/spate-crash-XXXXXX",
                   stat("/dev/shm", &status) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(path));
    return path;
}

static spate_err open_store(const char *directory, struct spate_store **ret_store, char *message)
{
    const struct spate_store_wal_options options = {.directory = directory,
                                                    .segment_bytes = 8u << 20,
                                                    .staging_bytes = 16u << 20,
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
static struct spate_store_batch draw_batch(struct spate_prng *prng, const struct model *before,
                                           struct model *after, struct spate_log_span *span,
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

/* One life of a store, remembered. */
static void live(const char *directory)
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
    assert_int_equal(open_store(directory, &store, message), SPATE_OK);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    for (uint32_t b = 1; b <= BATCHES; b++) {
        struct spate_log_span span;
        const struct spate_store_batch batch =
            draw_batch(&prng, &models[b - 1], &models[b], &span, bytes);
        spate_ticket ticket = 0;
        while (store->ops->submit(store, &batch, &ticket) == SPATE_ERR_BUSY) {
            (void)usleep(100);
        }
        assert_int_equal(ticket, b);
        if (spate_prng_below(&prng, 3) != 0) {
            while (completed_of(store) < b) {
                (void)usleep(20);
            }
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
    disk_mark(BATCHES);
    disk_stop();
}

/* Whether the store has what holds behind the batch: all of its entries, and nothing else. */
static bool is_state(const struct spate_store_loaded *loaded, const struct model *model)
{
    const spate_index base_max =
        model->compacted_to > model->base.index ? model->compacted_to : model->base.index;
    return loaded->last == model->last && loaded->hard_state.term == model->hard_state.term &&
           loaded->hard_state.vote == model->hard_state.vote &&
           loaded->hard_state.commit == model->hard_state.commit &&
           loaded->base.index >= model->base.index && loaded->base.index <= base_max;
}

static void assert_model(struct spate_store *store, const struct spate_store_loaded *loaded,
                         const struct model *model)
{
    if (loaded->base.index > 0) {
        const spate_term expected = loaded->base.index == model->base.index
                                        ? model->base.term
                                        : model->terms[loaded->base.index % 4096];
        assert_int_equal(loaded->base.term, expected);
    }
    for (spate_index i = loaded->base.index + 1; i <= loaded->last;) {
        const spate_term term = model->terms[i % 4096];
        spate_index last = i;
        while (last < loaded->last && model->terms[(last + 1) % 4096] == term) {
            last++;
        }
        assert_entries(store, i, last, term);
        i = last + 1;
    }
}

static void goes_on(struct spate_store *store, const struct spate_store_loaded *loaded)
{
    static uint8_t bytes[4096];
    spate_ticket ticket = 0;
    const spate_term term = loaded->hard_state.term + 1;
    const struct spate_log_span span = make_span(bytes, loaded->last + 1, 3, term, 100);
    const struct spate_store_batch batch = {
        .has_hard_state = true, .hard_state = {.term = term}, .spans = &span, .span_count = 1};
    assert_int_equal(store->ops->submit(store, &batch, &ticket), SPATE_OK);
    while (completed_of(store) < ticket) {
        (void)usleep(20);
    }
    assert_entries(store, loaded->last + 1, loaded->last + 3, term);
}

/* Opens what a crash left. Returns the batch that is the last there. */
static uint64_t check_image(const char *directory, uint32_t step)
{
    struct spate_store_loaded loaded;
    struct spate_store *store = NULL;
    char message[512] = "";
    const uint64_t acknowledged = disk_marked(step);

    if (open_store(directory, &store, message) != SPATE_OK) {
        fail_msg("seed %llu step %u: %s", (unsigned long long)seed, step, message);
    }
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    /* The newest that fits: several may, when batches changed nothing. */
    uint64_t found = BATCHES + 1;
    for (uint64_t b = BATCHES + 1; b-- > acknowledged;) {
        if (is_state(&loaded, &models[b])) {
            found = b;
            break;
        }
    }
    if (found > BATCHES) {
        fail_msg("seed %llu step %u: %llu batches were acknowledged; last %llu is of none of them",
                 (unsigned long long)seed, step, (unsigned long long)acknowledged,
                 (unsigned long long)loaded.last);
    }
    assert_model(store, &loaded, &models[found]);
    goes_on(store, &loaded);
    store->ops->close(store);
    return found;
}

static void a_crash_at_any_step_leaves_what_was_acknowledged(void **state)
{
    char directory[64];
    char image[64];
    struct spate_prng prng;
    uint32_t worth = 0;
    uint64_t found_last = 0;

    (void)state;
    live(make_directory(directory));
    spate_prng_seed(&prng, seed, 2);
    for (uint32_t s = 0; s < disk_steps(); s++) {
        worth += disk_is_worth(s);
    }
    const uint32_t rounds = images_max > worth ? images_max / worth : 1;
    for (uint32_t s = 0; s < disk_steps(); s++) {
        const bool is_drawn = spate_prng_below(&prng, worth) < images_max;
        for (uint32_t r = 0; r < rounds && disk_is_worth(s) && is_drawn; r++) {
            disk_crash_image(s, &prng, make_directory(image));
            found_last = check_image(image, s);
            assert_int_equal(remove_tree(image), 0);
        }
    }
    assert_true(found_last > BATCHES / 2);
    assert_int_equal(check_image(directory, disk_steps()), BATCHES);
    assert_int_equal(remove_tree(directory), 0);
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_at_any_step_leaves_what_was_acknowledged)};

    seed = argument_count > 1 ? strtoull(arguments[1], NULL, 10) : seed;
    images_max = argument_count > 2 ? (uint32_t)strtoul(arguments[2], NULL, 10) : images_max;
    return cmocka_run_group_tests_name("store/wal crash", tests, NULL, NULL);
}
