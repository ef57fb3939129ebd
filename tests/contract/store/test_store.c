/* One suite for every store driver: what lib/store/store.h promises. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/prng.h"
#include "store/lmdb/lmdb.h"
#include "store/mem/mem.h"
#include "store/store.h"
#include "store/wal/wal.h"
#include "support/spans.h"
#include "support/test.h"

/* How the suite makes and makes again the store that it runs against. */
struct subject {
    const char *name;
    bool is_lasting;
    bool is_wal;
    bool is_checked;
    char directory[64];
};

/* Small, so that the suite crosses segments. */
#define SEGMENT_BYTES (8u << 20)

static spate_err create(const struct subject *subject, const struct spate_store_identity *identity,
                        struct spate_store **ret_store, char *message, size_t message_bytes)
{
    const struct spate_store_lmdb_options lmdb = {
        .directory = subject->directory, .map_bytes = 1u << 30, .identity = *identity};
    const struct spate_store_wal_options wal = {.directory = subject->directory,
                                                .segment_bytes = SEGMENT_BYTES,
                                                .staging_bytes = 16u << 20,
                                                .identity = *identity};

    return subject->is_wal ? spate_store_wal_create(&wal, ret_store, message, message_bytes)
                           : spate_store_lmdb_create(&lmdb, ret_store, message, message_bytes);
}

static const struct spate_store_identity ours = {.node_id = 1};

static struct spate_store *open_bare(const struct subject *subject)
{
    struct spate_store *store = NULL;
    char message[512] = "";

    if (!subject->is_lasting) {
        const struct spate_store_mem_options mem = {.directory = NULL};
        assert_int_equal(spate_store_mem_create(&mem, &store, NULL, 0), SPATE_OK);
        return store;
    }
    const spate_err err = create(subject, &ours, &store, message, sizeof message);
    if (err != SPATE_OK) {
        print_error("%s\n", message);
    }
    assert_int_equal(err, SPATE_OK);
    return store;
}

/* With the decorator, which learns from load where the log ends, if the subject wants it. */
static struct spate_store *open_store(const struct subject *subject)
{
    struct spate_store *store = open_bare(subject);
    struct spate_store_loaded loaded;

    if (subject->is_checked) {
        struct spate_store *inner = store;
        assert_int_equal(spate_store_checked_create(inner, &store), SPATE_OK);
        assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    }
    return store;
}

static int set_up(void **state)
{
    struct subject *subject = *state;
    (void)snprintf(subject->directory, sizeof subject->directory, "/tmp/spate-store-XXXXXX");
    return subject->is_lasting && mkdtemp(subject->directory) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    const struct subject *subject = *state;
    return subject->is_lasting ? remove_tree(subject->directory) : 0;
}

static void submit(struct spate_store *store, const struct spate_store_batch *batch,
                   spate_ticket expected)
{
    spate_ticket ticket = 0;
    spate_err err = SPATE_ERR_BUSY;
    while (err == SPATE_ERR_BUSY) {
        err = store->ops->submit(store, batch, &ticket);
    }
    assert_int_equal(err, SPATE_OK);
    assert_int_equal(ticket, expected);
}

static void wait_for(struct spate_store *store, spate_ticket ticket)
{
    spate_ticket completed = 0;
    while (completed < ticket) {
        const spate_ticket before = completed;
        assert_int_equal(store->ops->poll(store, &completed), SPATE_OK);
        assert_true(completed >= before);
        (void)usleep(50);
    }
}

static void tickets_count_up_and_complete_in_order(void **state)
{
    struct spate_store *store = open_store(*state);
    static uint8_t bytes[1 << 16];
    struct spate_store_loaded loaded;

    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    assert_true(loaded.is_new);
    assert_int_equal(loaded.last, 0);
    for (spate_index i = 1; i <= 200; i++) {
        const struct spate_log_span span = make_span(bytes, i, 1, 1, 64);
        const struct spate_store_batch batch = {.spans = &span, .span_count = 1};
        submit(store, &batch, i);
    }
    wait_for(store, 200);
    store->ops->close(store);
}

static void what_was_completed_is_there_after_reopening(void **state)
{
    const struct subject *subject = *state;
    static uint8_t bytes[4][1 << 20];
    struct spate_store_loaded loaded;
    struct spate_store *store = open_store(subject);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    const struct spate_log_span spans[2] = {make_span(bytes[0], 1, 5000, 3, 64),
                                            make_span(bytes[1], 5001, 7, 4, 100)};
    const struct spate_store_batch batch = {.has_hard_state = true,
                                            .hard_state = {.term = 4, .vote = 2, .commit = 17},
                                            .spans = spans,
                                            .span_count = 2};
    submit(store, &batch, 1);
    wait_for(store, 1);
    assert_entries(store, 1, 5000, 3);
    store->ops->close(store);

    store = open_store(subject);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    assert_false(loaded.is_new);
    assert_int_equal(loaded.hard_state.term, 4);
    assert_int_equal(loaded.hard_state.vote, 2);
    assert_int_equal(loaded.hard_state.commit, 17);
    assert_int_equal(loaded.last, 5007);
    assert_entries(store, 1, 5000, 3);
    assert_entries(store, 2500, 5000, 3);
    assert_entries(store, 5001, 5007, 4);
    struct spate_log_span span;
    assert_int_equal(store->ops->read(store, 5008, 100, &span), SPATE_ERR_NOT_FOUND);
    store->ops->close(store);
}

/* Truncations at record borders, inside records, of everything; each with an append behind it. */
static void truncation_and_append_are_one(void **state)
{
    const struct subject *subject = *state;
    static uint8_t bytes[1 << 20];
    struct spate_store_loaded loaded;
    struct spate_store *store = open_store(subject);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    const spate_index cuts[] = {1000, 999, 500, 501, 0, 1};
    spate_ticket ticket = 0;
    spate_term term = 1;
    struct spate_log_span span = make_span(bytes, 1, 1000, term, 64);
    struct spate_store_batch batch = {.spans = &span, .span_count = 1};
    submit(store, &batch, ++ticket);
    for (unsigned c = 0; c < sizeof cuts / sizeof cuts[0]; c++) {
        term++;
        span = make_span(bytes, cuts[c] + 1, 1000, term, 64);
        batch.has_truncate = true;
        batch.truncate_after = cuts[c];
        submit(store, &batch, ++ticket);
        wait_for(store, ticket);
        assert_entries(store, cuts[c] + 1, cuts[c] + 1000, term);
        assert_int_equal(store->ops->read(store, cuts[c] + 1001, 100, &span), SPATE_ERR_NOT_FOUND);
    }
    store->ops->close(store);
    store = open_store(subject);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    assert_int_equal(loaded.last, 1001);
    assert_entries(store, 2, 1001, term);
    store->ops->close(store);
}

static void the_largest_entries_fit(void **state)
{
    const struct subject *subject = *state;
    uint8_t *bytes = malloc(3u << 20);
    struct spate_store *store = open_store(subject);
    struct spate_store_loaded loaded;

    assert_non_null(bytes);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    const struct spate_log_span span = make_span(bytes, 1, 2, 1, SPATE_ENTRY_BYTES_MAX);
    const struct spate_store_batch batch = {.spans = &span, .span_count = 1};
    assert_true(span.bytes <= store->batch_bytes_max);
    submit(store, &batch, 1);
    wait_for(store, 1);
    if (subject->is_lasting) {
        assert_entries(store, 1, 2, 1);
    }
    store->ops->close(store);
    free(bytes);
}

/* Enough that whole segments can go; what is forgotten, and when, is the driver's affair. */
static void compaction_forgets_the_beginning_only(void **state)
{
    const struct subject *subject = *state;
    static uint8_t bytes[2 << 20];
    struct spate_store_loaded loaded;
    struct spate_store *store = open_store(subject);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    for (spate_ticket t = 1; t <= 30; t++) {
        const struct spate_log_span span = make_span(bytes, (t - 1) * 1000 + 1, 1000, 1, 1000);
        const struct spate_store_batch batch = {.spans = &span, .span_count = 1};
        submit(store, &batch, t);
    }
    wait_for(store, 30);
    assert_int_equal(store->ops->compact(store, 25500), SPATE_OK);
    const struct spate_store_batch last = {.has_hard_state = true, .hard_state.term = 1};
    submit(store, &last, 31);
    wait_for(store, 31);
    assert_entries(store, 25500, 30000, 1);
    store->ops->close(store);
    store = open_store(subject);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    assert_true(loaded.base.index > 0);
    assert_true(loaded.base.index < 25500);
    assert_int_equal(loaded.base.term, 1);
    assert_int_equal(loaded.last, 30000);
    assert_entries(store, loaded.base.index + 1, 30000, 1);
    struct spate_log_span span;
    assert_int_equal(store->ops->read(store, loaded.base.index, 100, &span), SPATE_ERR_NOT_FOUND);
    assert_int_equal(store->ops->read(store, 1, 100, &span), SPATE_ERR_NOT_FOUND);
    store->ops->close(store);
}

static void compaction_goes_on_until_it_is_done(void **state)
{
    const struct subject *subject = *state;
    static uint8_t bytes[1 << 12];
    struct spate_store_loaded loaded;
    struct spate_store *store = open_store(subject);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    /* Each batch is a record, and there are more of them than one step takes away. */
    for (spate_ticket t = 1; t <= 1500; t++) {
        const struct spate_log_span span = make_span(bytes, t, 1, 1, 64);
        const struct spate_store_batch batch = {.spans = &span, .span_count = 1};
        submit(store, &batch, t);
    }
    wait_for(store, 1500);
    assert_int_equal(store->ops->compact(store, 1401), SPATE_OK);
    struct spate_log_span span;
    while (store->ops->read(store, 1400, 100, &span) == SPATE_OK) {
        spate_ticket completed;
        assert_int_equal(store->ops->poll(store, &completed), SPATE_OK);
        (void)usleep(1000);
    }
    assert_entries(store, 1401, 1500, 1);
    store->ops->close(store);
    store = open_store(subject);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    assert_int_equal(loaded.base.index, 1400);
    store->ops->close(store);
}

static void a_reset_begins_the_log_anew(void **state)
{
    const struct subject *subject = *state;
    static uint8_t bytes[1 << 16];
    struct spate_store_loaded loaded;
    struct spate_store *store = open_store(subject);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    struct spate_log_span span = make_span(bytes, 1, 100, 1, 64);
    const struct spate_store_batch before = {.spans = &span, .span_count = 1};
    submit(store, &before, 1);

    /* Behind a base that lies before the old end as well as behind one far beyond it. */
    for (spate_ticket t = 2; t <= 3; t++) {
        const spate_index base = t == 2 ? 5000 : 40;
        span = make_span(bytes, base + 1, 10, 3, 64);
        const struct spate_store_batch batch = {.has_hard_state = true,
                                                .hard_state = {.term = 3, .commit = base},
                                                .has_reset = true,
                                                .reset_base = {.term = 2, .index = base},
                                                .spans = &span,
                                                .span_count = 1};
        submit(store, &batch, t);
        wait_for(store, t);
        assert_entries(store, base + 1, base + 10, 3);
        assert_int_equal(store->ops->read(store, base, 100, &span), SPATE_ERR_NOT_FOUND);
        assert_int_equal(store->ops->read(store, base + 11, 100, &span), SPATE_ERR_NOT_FOUND);
    }
    const struct spate_store_batch empty = {.has_reset = true, .reset_base = {2, 70}};
    submit(store, &empty, 4);
    span = make_span(bytes, 71, 5, 3, 64);
    const struct spate_store_batch behind = {.spans = &span, .span_count = 1};
    submit(store, &behind, 5);
    wait_for(store, 5);
    store->ops->close(store);

    store = open_store(subject);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    assert_int_equal(loaded.base.index, 70);
    assert_int_equal(loaded.base.term, 2);
    assert_int_equal(loaded.last, 75);
    assert_int_equal(loaded.hard_state.term, 3);
    assert_entries(store, 71, 75, 3);
    store->ops->close(store);
}

/* What the writing child tells its parent: the last ticket that poll called complete. */
static void write_until_killed(const struct subject *subject, int report_fd)
{
    static uint8_t bytes[1 << 16];
    struct spate_store *store = open_store(subject);
    struct spate_store_loaded loaded;
    spate_ticket submitted = 0;

    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    spate_index next = loaded.last + 1;
    for (;;) {
        const struct spate_log_span span = make_span(bytes, next, 10, 1, 64);
        /* The commit hint names the batch's end: both are there or neither. */
        const struct spate_store_batch batch = {.has_hard_state = true,
                                                .hard_state = {.term = 1, .commit = next + 9},
                                                .spans = &span,
                                                .span_count = 1};
        spate_ticket ticket = 0;
        if (store->ops->submit(store, &batch, &ticket) == SPATE_OK) {
            next += 10;
            submitted = ticket;
        }
        spate_ticket completed = 0;
        assert_int_equal(store->ops->poll(store, &completed), SPATE_OK);
        const spate_index durable = next - 1 - (submitted - completed) * 10;
        if (write(report_fd, &durable, sizeof durable) != (ssize_t)sizeof durable) {
            _exit(1);
        }
    }
}

/* kill -9 in the middle of writing, again and again: nothing completed is lost, no batch is half
 * there. (The page cache survives a killed process: this is about atomicity, not about power.) */
static void a_killed_writer_leaves_whole_batches(void **state)
{
    const struct subject *subject = *state;
    struct spate_prng prng;
    spate_index durable = 0;
    spate_prng_seed(&prng, 7, 1);
    for (unsigned round = 0; round < 8; round++) {
        int report[2];
        assert_int_equal(pipe(report), 0);
        const pid_t child = fork();
        if (child == 0) {
            write_until_killed(subject, report[1]);
        }
        (void)close(report[1]);
        const uint64_t reports = spate_prng_between(&prng, 1000, 20000);
        spate_index reported = 0;
        for (uint64_t r = 0; r < reports; r++) {
            assert_int_equal(read(report[0], &reported, sizeof reported), sizeof reported);
        }
        (void)kill(child, SIGKILL);
        while (read(report[0], &reported, sizeof reported) == (ssize_t)sizeof reported) {
        }
        (void)close(report[0]);
        (void)waitpid(child, NULL, 0);
        assert_true(reported >= durable);
        struct spate_store *store = open_store(subject);
        struct spate_store_loaded loaded;
        assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
        assert_true(loaded.last >= reported);
        assert_int_equal(loaded.last % 10, 0);
        assert_int_equal(loaded.hard_state.commit, loaded.last);
        assert_entries(store, 1, loaded.last, 1);
        durable = loaded.last;
        store->ops->close(store);
    }
    assert_true(durable > 0);
}

/* One byte of the file is changed, again and again: either the store still says what it said, or
 * it refuses, and names the damage. It never says anything else. */
static void damage_is_never_silent(void **state)
{
    const struct subject *subject = *state;
    static uint8_t bytes[1 << 20];
    static uint8_t image[SEGMENT_BYTES];
    struct spate_store_loaded loaded;
    char path[128];
    struct spate_prng prng;
    unsigned refused = 0;
    struct spate_store *store = open_store(subject);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    const struct spate_log_span span = make_span(bytes, 1, 3000, 1, 64);
    const struct spate_store_batch batch = {.spans = &span, .span_count = 1};
    submit(store, &batch, 1);
    wait_for(store, 1);
    store->ops->close(store);

    (void)snprintf(path, sizeof path, "%s/%s", subject->directory,
                   subject->is_wal ? "wal-0000000000000001" : "data.mdb");
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    ssize_t size = pread(fd, image, sizeof image, 0);
    assert_true(size > 200000);
    size = size < 240000 ? size : 240000; /* What is used of a segment made ahead. */
    spate_prng_seed(&prng, 8, 1);
    for (unsigned round = 0; round < 150; round++) {
        const off_t at = (off_t)spate_prng_below(&prng, (uint64_t)size);
        const uint8_t flipped = image[at] ^ (uint8_t)(1u << spate_prng_below(&prng, 8));
        assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
        char message[512];
        const spate_err err = create(subject, &ours, &store, message, sizeof message);
        if (err == SPATE_OK) {
            assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
            assert_true(loaded.last == 3000 || loaded.last == 0);
            if (loaded.last == 3000) {
                assert_entries(store, 1, 3000, 1);
            }
            store->ops->close(store);
        } else {
            refused++;
            assert_true(strlen(message) > 10);
        }
        assert_int_equal(pwrite(fd, image, (size_t)size, 0), size); /* As it was. */
    }
    (void)close(fd);
    assert_true(refused > 50);
}

/* Changes a byte of an entry in the file of an open store. */
static void damage_entry(const struct subject *subject, spate_index index)
{
    static uint8_t image[8 << 20];
    const uint64_t stamp[2] = {index, 1};
    char path[128];

    (void)snprintf(path, sizeof path, "%s/data.mdb", subject->directory);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    const ssize_t size = pread(fd, image, sizeof image, 0);
    const uint8_t *at = memmem(image, (size_t)size, stamp, sizeof stamp);
    assert_non_null(at);
    const uint8_t flipped = at[0] ^ 1;
    assert_int_equal(pwrite(fd, &flipped, 1, at - image), 1);
    (void)close(fd);
}

static void compaction_ends_the_store_at_a_damaged_record(void **state)
{
    const struct subject *subject = *state;
    static uint8_t bytes[1 << 16];
    struct spate_store_loaded loaded;
    struct spate_store *store = open_bare(subject);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    for (spate_ticket t = 1; t <= 10; t++) {
        const struct spate_log_span span = make_span(bytes, (t - 1) * 100 + 1, 100, 1, 64);
        const struct spate_store_batch batch = {.spans = &span, .span_count = 1};
        submit(store, &batch, t);
        wait_for(store, t);
    }
    damage_entry(subject, 250);
    assert_int_equal(store->ops->compact(store, 800), SPATE_OK);
    spate_ticket completed;
    spate_err err = SPATE_OK;
    for (uint32_t tries = 0; tries < 20000 && err == SPATE_OK; tries++) {
        err = store->ops->poll(store, &completed);
        (void)usleep(100);
    }
    assert_int_equal(err, SPATE_ERR_CORRUPT);
    store->ops->close(store);
}

static void another_owner_is_refused(void **state)
{
    const struct subject *subject = *state;
    char message[512] = "";
    struct spate_store *second = NULL;
    struct spate_store *store = open_store(subject);
    struct spate_store_identity identity = ours;
    assert_int_equal(create(subject, &identity, &second, message, sizeof message),
                     SPATE_ERR_IN_USE);
    assert_non_null(strstr(message, subject->directory));
    store->ops->close(store);
    identity.node_id = 2;
    assert_int_equal(create(subject, &identity, &second, message, sizeof message),
                     SPATE_ERR_MISMATCH);
    assert_non_null(strstr(message, "core 1"));
    identity.node_id = 1;
    identity.cluster_id[3] = 1;
    assert_int_equal(create(subject, &identity, &second, message, sizeof message),
                     SPATE_ERR_MISMATCH);
    assert_non_null(strstr(message, "another cluster"));
}

static void a_full_map_is_an_error_for_ever(void **state)
{
    const struct subject *subject = *state;
    static uint8_t bytes[1 << 20];
    struct spate_store *store = NULL;
    struct spate_store_loaded loaded;
    const struct spate_store_lmdb_options options = {
        .directory = subject->directory, .map_bytes = 1u << 20, .identity = ours};
    assert_int_equal(spate_store_lmdb_create(&options, &store, NULL, 0), SPATE_OK);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    spate_err err = SPATE_OK;
    spate_index next = 1;
    for (unsigned b = 0; b < 10000 && err == SPATE_OK; b++) {
        const struct spate_log_span span = make_span(bytes, next, 1000, 1, 64);
        const struct spate_store_batch batch = {.spans = &span, .span_count = 1};
        spate_ticket ticket = 0;
        next += store->ops->submit(store, &batch, &ticket) == SPATE_OK ? 1000 : 0;
        (void)usleep(100);
        err = store->ops->poll(store, &ticket);
    }
    spate_ticket ticket = 0;
    assert_int_equal(err, SPATE_ERR_IO);
    assert_int_equal(store->ops->poll(store, &ticket), SPATE_ERR_IO);
    store->ops->close(store);
}

#define CASE(test, subject) \
    cmocka_unit_test_prestate_setup_teardown(test, set_up, tear_down, subject)
/* What every store promises … */
#define SUITE(subject) \
    CASE(tickets_count_up_and_complete_in_order, subject), CASE(the_largest_entries_fit, subject)

/* … and what one promises whose entries outlive the process. */
#define LASTING_SUITE(subject)                                                  \
    SUITE(subject), CASE(what_was_completed_is_there_after_reopening, subject), \
        CASE(truncation_and_append_are_one, subject),                           \
        CASE(compaction_forgets_the_beginning_only, subject),                   \
        CASE(a_reset_begins_the_log_anew, subject),                             \
        CASE(a_killed_writer_leaves_whole_batches, subject),                    \
        CASE(damage_is_never_silent, subject), CASE(another_owner_is_refused, subject)

/* usage: contract_store mem|lmdb|wal [checked] */
int main(int argument_count, char **arguments)
{
    static struct subject subject;
    subject.name = argument_count > 1 ? arguments[1] : "mem";
    subject.is_wal = strcmp(subject.name, "wal") == 0;
    subject.is_lasting = subject.is_wal || strcmp(subject.name, "lmdb") == 0;
    subject.is_checked = argument_count > 2;
    const struct CMUnitTest tests[] = {SUITE(&subject)};
    const struct CMUnitTest lasting_tests[] = {LASTING_SUITE(&subject)};
    const struct CMUnitTest lmdb_tests[] = {
        LASTING_SUITE(&subject), CASE(compaction_goes_on_until_it_is_done, &subject),
        CASE(compaction_ends_the_store_at_a_damaged_record, &subject),
        CASE(a_full_map_is_an_error_for_ever, &subject)};

    if (!subject.is_lasting) {
        return cmocka_run_group_tests_name("store", tests, NULL, NULL);
    }
    return subject.is_wal ? cmocka_run_group_tests_name("store", lasting_tests, NULL, NULL)
                          : cmocka_run_group_tests_name("store", lmdb_tests, NULL, NULL);
}
