/* The decorator lets correct use through, reports what it reports, and ends the rest. */
#include "support/test.h"

#include "store/mem/mem.h"
#include "store/store.h"
#include "support/aborts.h"

static struct spate_store *checked_memory(void)
{
    struct spate_store *inner = NULL;
    struct spate_store *store = NULL;
    struct spate_store_loaded loaded;
    const struct spate_store_mem_options mem = {.directory = NULL};
    assert_int_equal(spate_store_mem_create(&mem, &inner, NULL, 0), SPATE_OK);
    assert_int_equal(spate_store_checked_create(inner, &store), SPATE_OK);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    assert_true(loaded.is_new);
    return store;
}

static void passes_tickets_and_completions_through(void **state)
{
    (void)state;
    struct spate_store *store = checked_memory();
    const uint8_t bytes[16] = {0};
    const struct spate_log_span span = {
        .data = bytes, .bytes = 16, .count = 2, .first = 1, .term = 1};
    const struct spate_store_batch append = {.spans = &span, .span_count = 1};
    const struct spate_store_batch cut = {.has_truncate = true, .truncate_after = 1};
    spate_ticket ticket = 0;
    assert_int_equal(store->ops->submit(store, &append, &ticket), SPATE_OK);
    assert_int_equal(ticket, 1);
    assert_int_equal(store->ops->submit(store, &cut, &ticket), SPATE_OK);
    assert_int_equal(ticket, 2);
    assert_int_equal(store->ops->poll(store, &ticket), SPATE_OK);
    assert_int_equal(ticket, 2);
    store->ops->close(store);
}

static void closing_nothing_is_allowed(void **state)
{
    (void)state;
    struct spate_store *store = checked_memory();
    store->ops->close(NULL);
    store->ops->close(store);
}

static void submit(struct spate_store *store, const struct spate_store_batch *batch)
{
    spate_ticket ticket = 0;
    (void)store->ops->submit(store, batch, &ticket);
}

static void append(struct spate_store *store, spate_index first, uint32_t count)
{
    static const uint8_t bytes[16];
    const struct spate_log_span span = {
        .data = bytes, .bytes = 8 * count, .count = count, .first = first, .term = 1};
    submit(store, &(struct spate_store_batch){.spans = &span, .span_count = 1});
}

static void submit_nothing(void *context)
{
    submit(context, &(struct spate_store_batch){0});
}

static void append_with_a_gap(void *context)
{
    append(context, 2, 1);
}

static void append_twice(void *context)
{
    append(context, 1, 2);
    append(context, 1, 2);
}

static void truncate_behind_the_end(void *context)
{
    submit(context, &(struct spate_store_batch){.has_truncate = true, .truncate_after = 1});
}

static void compact_behind_the_end(void *context)
{
    struct spate_store *store = context;
    (void)store->ops->compact(store, 2);
}

static void load_after_submit(void *context)
{
    struct spate_store *store = context;
    struct spate_store_loaded loaded;
    append(store, 1, 1);
    (void)store->ops->load(store, &loaded);
}

static void append_in_order(void *context)
{
    append(context, 1, 2);
    append(context, 3, 1);
}

/* And correct use does not: otherwise the first six would prove nothing. */
static void misuse_aborts(void **state)
{
    (void)state;
    struct spate_store *store = checked_memory();
    assert_true(aborts(submit_nothing, store));
    assert_true(aborts(append_with_a_gap, store));
    assert_true(aborts(append_twice, store));
    assert_true(aborts(truncate_behind_the_end, store));
    assert_true(aborts(compact_behind_the_end, store));
    assert_true(aborts(load_after_submit, store));
    assert_false(aborts(append_in_order, store));
    store->ops->close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_tickets_and_completions_through),
        cmocka_unit_test(closing_nothing_is_allowed),
        cmocka_unit_test(misuse_aborts),
    };
    return cmocka_run_group_tests_name("store/checked", tests, NULL, NULL);
}
