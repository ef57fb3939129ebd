/*
 * One writer and four readers on one log, in the manner of rcutorture. The writer appends,
 * truncates, compacts and resets; what it gives back is poisoned after its grace period. Readers
 * keep views for a while and look for values that cannot be: guarantees A to D, F and G of
 * lib/log/README.md. Each read section has an age: 0, its state was published all the while; 1, it
 * was retired meanwhile; 2, a grace period ended meanwhile, which must never be.
 *
 * usage: test_log_threads [SECONDS [SEED]]
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/prng.h"
#include "support/log_poison.h"
#include "support/test.h"

#define READERS    4u
#define SEGMENT    (2u * SPATE_ENTRY_BYTES_MAX)
#define SEGMENTS   8u
#define ITEMS_MAX  64u
#define BLOCK_MAX  64u
#define BLOCK_SIZE (1u << 20)
#define WORDS_MIN  3u /* index, term, serial */

/* The life of one segment or state. */
struct life {
    _Atomic(const void *) item; /* NULL: this slot and the following are free. */
    _Atomic uint64_t retired;   /* How often. */
    _Atomic uint64_t reclaimed; /* How often. */
};

/* Between the log and liburcu: poisons each item after its grace period. */
struct poisoner {
    struct spate_reclaim reclaim;
    struct spate_retired inner[ITEMS_MAX];  /* What liburcu gets … */
    struct spate_retired *outer[ITEMS_MAX]; /* … for these, first in, first out. */
    uint64_t head, tail;
    struct life lives[ITEMS_MAX];
};

struct torture {
    struct spate_log *log;
    struct poisoner poisoner;
    _Atomic bool is_over;
    struct spate_prng prng;
    uint64_t serial;
    uint8_t *block;
    uint64_t appended, truncated, compacted, resets, busy;
};

struct reader {
    struct torture *torture;
    pthread_t thread;
    struct spate_prng prng;
    uint64_t ages[3];
    uint64_t entries;
    const char *found; /* What cannot be. NULL: nothing. */
    spate_index last;
    spate_index first;
    uint64_t generation;
};

static double seconds = 5;
static uint64_t seed = 1;

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* NULL: it was never retired. */
static struct life *life_of(struct poisoner *poisoner, const void *item)
{
    for (uint32_t i = 0; i < ITEMS_MAX; i++) {
        const void *other = atomic_load_explicit(&poisoner->lives[i].item, memory_order_acquire);
        if (other == NULL) {
            return NULL;
        }
        if (other == item) {
            return &poisoner->lives[i];
        }
    }
    return NULL;
}

static struct life *begin_life(struct poisoner *poisoner, const void *item)
{
    for (uint32_t i = 0; i < ITEMS_MAX; i++) {
        struct life *life = &poisoner->lives[i];
        if (atomic_load_explicit(&life->item, memory_order_relaxed) == NULL) {
            atomic_store_explicit(&life->item, item, memory_order_release);
            return life;
        }
    }
    fail_msg("more items than the log has");
    return NULL;
}

static void poison_reclaimed(struct poisoner *poisoner)
{
    while (poisoner->head != poisoner->tail &&
           spate_retired_is_reclaimed(&poisoner->inner[poisoner->head % ITEMS_MAX])) {
        struct spate_retired *item = poisoner->outer[poisoner->head++ % ITEMS_MAX];
        struct life *life = life_of(poisoner, item);
        atomic_fetch_add(&life->reclaimed, 1);
        log_poison(item);
        atomic_store_explicit(&item->is_reclaimed, true, memory_order_release);
    }
}

static void retire(struct spate_reclaim *reclaim, struct spate_retired *item)
{
    struct poisoner *poisoner = (struct poisoner *)reclaim;
    struct life *life = life_of(poisoner, item);
    const uint64_t place = poisoner->tail % ITEMS_MAX;

    assert_true(poisoner->tail - poisoner->head < ITEMS_MAX);
    life = life != NULL ? life : begin_life(poisoner, item);
    atomic_fetch_add(&life->retired, 1);
    poisoner->inner[place] = (struct spate_retired){0};
    poisoner->outer[place] = item;
    poisoner->tail++;
    spate_rcu_reclaim()->retire(spate_rcu_reclaim(), &poisoner->inner[place]);
}

/* An entry that can be recognized: index, term, serial, then words that follow from the serial. */
static uint32_t make_entry(struct torture *torture, uint64_t *words, spate_index index,
                           spate_term term)
{
    const uint64_t kind = spate_prng_below(&torture->prng, 1000);
    const uint64_t most = kind < 800 ? 20 : (kind < 998 ? 500 : 60000);
    const uint32_t count = (uint32_t)spate_prng_between(&torture->prng, WORDS_MIN, most);

    words[0] = index;
    words[1] = term;
    words[2] = ++torture->serial;
    for (uint32_t w = WORDS_MIN; w < count; w++) {
        words[w] = torture->serial * 0x9e3779b97f4a7c15u + w;
    }
    return count * 8;
}

static bool entry_is_good(const struct spate_entry *entry, spate_index index, spate_term term,
                          uint64_t *serial)
{
    if (entry->size < WORDS_MIN * 8 || entry->size % 8 != 0 ||
        spate_get_u64(entry->data) != index || spate_get_u64(entry->data + 8) != term) {
        return false;
    }
    const uint64_t own = spate_get_u64(entry->data + 16);
    for (uint32_t w = WORDS_MIN; w < entry->size / 8; w++) {
        if (spate_get_u64(entry->data + w * 8) != own * 0x9e3779b97f4a7c15u + w) {
            return false;
        }
    }
    const bool is_later = own > *serial;
    *serial = own;
    return is_later;
}

static spate_term next_term(struct torture *torture)
{
    return spate_log_last_term(torture->log) + (spate_prng_below(&torture->prng, 30) == 0) +
           (spate_log_last_term(torture->log) == 0);
}

/* Lets go of the older half, as a core does whose entries are applied. */
static void compact_half(struct torture *torture)
{
    const spate_index first = spate_log_first(torture->log);
    const uint64_t half = (spate_log_last(torture->log) + 1 - first) / 2;

    spate_log_compact(torture->log, first + half);
    torture->compacted += spate_log_first(torture->log) > first;
}

/* What a writer does that was told BUSY: makes room and waits for readers. */
static void relieve(struct torture *torture)
{
    torture->busy++;
    compact_half(torture);
    while (torture->poisoner.tail - torture->poisoner.head > 2) {
        (void)sched_yield();
        poison_reclaimed(&torture->poisoner);
    }
}

static void append_one_by_one(struct torture *torture)
{
    const uint64_t count = spate_prng_between(&torture->prng, 1, 32);
    const spate_term term = next_term(torture);
    spate_err err = SPATE_OK;

    for (uint64_t i = 0; i < count && err == SPATE_OK; i++) {
        const spate_index index = spate_log_last(torture->log) + 1 + i;
        const uint32_t size = make_entry(torture, (uint64_t *)(void *)torture->block, index, term);
        err = spate_log_stage(torture->log, term, SPATE_ENTRY_COMMAND, torture->block, size);
        torture->appended += err == SPATE_OK;
    }
    spate_log_publish(torture->log);
    if (err != SPATE_OK) {
        relieve(torture);
    }
}

static void append_encoded(struct torture *torture)
{
    static uint64_t words[60000];
    const uint64_t wanted = spate_prng_between(&torture->prng, 1, BLOCK_MAX);
    const spate_term term = next_term(torture);
    uint32_t bytes = 0;
    uint32_t count = 0;

    while (count < wanted) {
        const uint32_t size =
            make_entry(torture, words, spate_log_last(torture->log) + 1 + count, term);
        if (bytes + spate_entry_stride(size) > BLOCK_SIZE) {
            break;
        }
        bytes += spate_entry_encode(torture->block + bytes, SPATE_ENTRY_COMMAND, words, size);
        count++;
    }
    const spate_err err = spate_log_stage_encoded(torture->log, term, torture->block, bytes, count);
    spate_log_publish(torture->log);
    if (err == SPATE_OK) {
        torture->appended += count;
    } else {
        assert_int_equal(err, SPATE_ERR_BUSY);
        relieve(torture);
    }
}

static void cut(struct torture *torture)
{
    const spate_index first = spate_log_first(torture->log);
    const spate_index last = spate_log_last(torture->log);
    const uint64_t draw = spate_prng_below(&torture->prng, 1000);

    if (draw < 600) {
        const uint64_t most = last + 1 - first < 200 ? last + 1 - first : 200;
        const spate_index kept = last - spate_prng_below(&torture->prng, most + 1);
        if (spate_log_truncate(torture->log, kept) == SPATE_OK) {
            torture->truncated++;
        } else {
            relieve(torture);
        }
    } else if (draw < 990) {
        compact_half(torture);
    } else {
        const struct spate_entry_id base = {.term = spate_log_last_term(torture->log) + 1,
                                            .index = last + spate_prng_below(&torture->prng, 10)};
        torture->resets += spate_log_reset(torture->log, base) == SPATE_OK;
    }
}

static void write_until(struct torture *torture, double end)
{
    for (uint64_t turn = 0; turn % 16 != 0 || now() < end; turn++) {
        const uint64_t draw = spate_prng_below(&torture->prng, 100);
        poison_reclaimed(&torture->poisoner);
        if (draw < 50) {
            append_one_by_one(torture);
        } else if (draw < 90) {
            append_encoded(torture);
        } else {
            cut(torture);
        }
        assert_true(spate_log_used_bytes(torture->log) <= (uint64_t)(SEGMENTS + 1) * SEGMENT);
        if (draw % 4 == 0) {
            (void)sched_yield();
        }
    }
}

/* A span anywhere in the view: its sum, and in reader->found what cannot be. */
static uint64_t read_span(struct reader *reader, const struct spate_log_view *view,
                          spate_index first)
{
    struct spate_log_span span;
    struct spate_entry entry;
    spate_term term = 0;
    uint64_t serial = 0;
    uint32_t at = 0;
    uint32_t count = 0;

    spate_log_view_span(view, first, 32, 60000, &span);
    if (spate_log_view_term(view, first, &term) != SPATE_OK || term != span.term) {
        reader->found = "a term that is not the span's";
    }
    for (; at < span.bytes && reader->found == NULL; count++) {
        const uint32_t stride = spate_entry_decode(span.data + at, span.bytes - at, &entry);
        if (stride == 0 || !entry_is_good(&entry, first + count, span.term, &serial)) {
            reader->found = "an entry that was never written there";
        }
        at += stride;
    }
    if (reader->found == NULL && (count != span.count || first + count - 1 > view->last)) {
        reader->found = "a span of another length";
    }
    reader->entries += count;
    return serial ^ span.count;
}

/* Views of one reader move forward. */
static void check_progress(struct reader *reader, const struct spate_log_view *view)
{
    if (view->first > view->last + 1) {
        reader->found = "a view that ends before it begins";
    } else if (view->generation < reader->generation) {
        reader->found = "a generation that goes back";
    } else if (view->generation == reader->generation &&
               (view->last < reader->last || view->first < reader->first)) {
        reader->found = "a log that shrinks within a generation";
    }
    reader->generation = view->generation;
    reader->first = view->first;
    reader->last = view->last;
}

static void read_section(struct reader *reader)
{
    struct poisoner *poisoner = &reader->torture->poisoner;
    struct spate_log_view view;

    spate_log_view(reader->torture->log, &view);
    const struct life *life = life_of(poisoner, view.state);
    const uint64_t retired = life == NULL ? 0 : atomic_load(&life->retired);
    const uint64_t reclaimed = life == NULL ? 0 : atomic_load(&life->reclaimed);
    check_progress(reader, &view);
    for (uint32_t i = 0; i < 4 && view.first <= view.last && reader->found == NULL; i++) {
        const spate_index first = spate_prng_between(&reader->prng, view.first, view.last);
        const uint64_t sum = read_span(reader, &view, first);
        if (spate_prng_below(&reader->prng, 4) == 0) {
            (void)sched_yield();
            if (reader->found == NULL && read_span(reader, &view, first) != sum) {
                reader->found = "a span that changed";
            }
        }
    }
    life = life_of(poisoner, view.state);
    const bool is_retired = life != NULL && atomic_load(&life->retired) != retired;
    const bool is_reclaimed = life != NULL && atomic_load(&life->reclaimed) != reclaimed;
    reader->ages[is_reclaimed ? 2 : is_retired]++;
}

static void *read_until_over(void *argument)
{
    struct reader *reader = argument;

    spate_rcu_register();
    while (!atomic_load(&reader->torture->is_over) && reader->found == NULL) {
        read_section(reader);
        if (spate_prng_below(&reader->prng, 8) == 0) {
            spate_rcu_offline();
            (void)sched_yield();
            spate_rcu_online();
        } else {
            spate_rcu_quiescent();
        }
    }
    spate_rcu_unregister();
    return NULL;
}

/* G, F: in the end everything comes back. */
static void check_all_returns(struct torture *torture)
{
    const spate_index last = spate_log_last(torture->log);

    spate_rcu_barrier();
    poison_reclaimed(&torture->poisoner);
    assert_true(torture->poisoner.head == torture->poisoner.tail);
    assert_true(spate_log_valid(torture->log));
    assert_int_equal(
        spate_log_reset(torture->log, (struct spate_entry_id){.term = 1, .index = last}), SPATE_OK);
    spate_rcu_barrier();
    poison_reclaimed(&torture->poisoner);
    assert_int_equal(spate_log_stage(torture->log, 1, SPATE_ENTRY_NOOP, NULL, 0), SPATE_OK);
    spate_log_publish(torture->log);
    assert_int_equal(spate_log_retired_bytes(torture->log), 0);
    assert_int_equal(spate_log_used_bytes(torture->log), SEGMENT);
}

static void readers_see_nothing_after_its_grace_period(void **state)
{
    (void)state;
    struct torture *torture = calloc(1, sizeof *torture);
    struct reader *readers = calloc(READERS, sizeof *readers);
    uint64_t ages[3] = {0};
    uint64_t entries = 0;

    assert_non_null(torture);
    assert_non_null(readers);
    torture->block = malloc(BLOCK_SIZE);
    assert_non_null(torture->block);
    torture->poisoner.reclaim.retire = retire;
    (void)spate_rcu_reclaim();
    spate_prng_seed(&torture->prng, seed, 0);
    const struct spate_log_options options = {.budget_bytes = (uint64_t)SEGMENTS * SEGMENT,
                                              .segment_bytes = SEGMENT,
                                              .reclaim = &torture->poisoner.reclaim};
    assert_int_equal(spate_log_create(&options, &torture->log), SPATE_OK);
    for (uint32_t r = 0; r < READERS; r++) {
        readers[r].torture = torture;
        spate_prng_seed(&readers[r].prng, seed, r + 1);
        assert_int_equal(pthread_create(&readers[r].thread, NULL, read_until_over, &readers[r]), 0);
    }
    write_until(torture, now() + seconds);
    atomic_store(&torture->is_over, true);
    for (uint32_t r = 0; r < READERS; r++) {
        assert_int_equal(pthread_join(readers[r].thread, NULL), 0);
        assert_string_equal(readers[r].found == NULL ? "" : readers[r].found, "");
        entries += readers[r].entries;
        for (uint32_t age = 0; age < 3; age++) {
            ages[age] += readers[r].ages[age];
        }
    }
    print_message("# entries read %lu, appended %lu; cuts %lu, compactions %lu, resets %lu, "
                  "busy %lu; sections by age %lu %lu %lu\n",
                  entries, torture->appended, torture->truncated, torture->compacted,
                  torture->resets, torture->busy, ages[0], ages[1], ages[2]);
    assert_int_equal(ages[2], 0);
    /* What makes the run worth something. */
    assert_true(ages[1] > 0);
    assert_true(torture->truncated > 0 && torture->compacted > 0 && torture->resets > 0);
    check_all_returns(torture);
    spate_log_destroy(torture->log);
    free(torture->block);
    free(torture);
    free(readers);
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_nothing_after_its_grace_period),
    };

    if (argument_count > 1) {
        seconds = strtod(arguments[1], NULL);
    }
    if (argument_count > 2) {
        seed = strtoull(arguments[2], NULL, 10);
    }
    return cmocka_run_group_tests_name("log/log_threads", tests, NULL, NULL);
}
